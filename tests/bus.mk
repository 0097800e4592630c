# The daemon against a scripted systemd on a private bus: no root, no machine.
.PHONY: check-bus
check-bus: $(BUILD)/relayallocd $(BUILD)/relayalloc-probe ## faults of systemd and its bus, scripted (SANITIZE=1)
	BUILD='$(abspath $(BUILD))' /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/bus
