# Tests of relayallocctl against a stand-in for the daemon on a private bus: no root, no systemd.
$(BUILD)/tests/ctl/mock: tests/ctl/mock.c $(CORE_LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(CORE_LIB) $(shell $(PKG_CONFIG) --libs libsystemd)

.PHONY: check-ctl
check-ctl: $(BUILD)/relayallocctl $(BUILD)/relayalloc-probe $(BUILD)/tests/ctl/mock ## tests of the command line: no root, no network
	@mkdir -p $(BUILD)/results
	BUILD=$(abspath $(BUILD)) /usr/bin/python3 -B -m pytest -p no:cacheprovider -q -ra --tb=short \
		--junit-xml=$(BUILD)/results/ctl.xml $(if $(TESTS),-k '$(TESTS)') tests/ctl

-include $(wildcard $(BUILD)/tests/ctl/*.d)
