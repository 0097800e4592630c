# Tests in a virtual machine with a kernel of its own (emulated, so that any machine can run it); as root.
.PHONY: check-vm
check-vm: ## what only a kernel of its own can show: AppArmor, power cuts
	@tests/install-deps build machine vm check
	@mkdir -p $(BUILD)/results
	tests/vm/image $(BUILD)/vm
	BUILD=$(abspath $(BUILD)) /usr/bin/python3 -B -m pytest -p no:cacheprovider -q -ra --tb=short \
		--junit-xml=$(BUILD)/results/vm.xml $(if $(TESTS),-k '$(TESTS)') tests/vm
