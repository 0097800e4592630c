# Several hosts at a time: they boot machines, and need root, apt, its network, and ansible-core. Not part of `make check`.
.PHONY: check-fleet check-ansible fleet-deb
fleet-deb:
	@tests/install-deps build machine check fleet
	@DEB_BUILD_OPTIONS=nocheck packaging/deb build $(or $(RELEASES),"$$(. /etc/os-release && echo $$VERSION_CODENAME)") >$(BUILD)/fleet-deb.log 2>&1 || \
		{ tail -n 30 $(BUILD)/fleet-deb.log; exit 1; }

fleet_tests = BUILD='$(abspath $(BUILD))' RELEASES='$(RELEASES)' /usr/bin/python3 -B -m pytest -p no:cacheprovider -q -ra --tb=short --durations=5 \
	$(if $(TESTS),-k '$(TESTS)')

check-ansible: all fleet-deb ## the Ansible role: its template, and its runs against two booted hosts (RELEASES=, TESTS=pattern)
	@mkdir -p $(BUILD)/results
	$(fleet_tests) --junit-xml=$(BUILD)/results/ansible.xml tests/fleet/test_role.py tests/fleet/test_ansible.py

check-fleet: all fleet-deb ## check-ansible, and the journals of two booted hosts gathered on one (RELEASES=, TESTS=pattern)
	@mkdir -p $(BUILD)/results
	$(fleet_tests) --junit-xml=$(BUILD)/results/fleet.xml tests/fleet
