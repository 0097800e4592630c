# The daemon against a scripted systemd on a private bus: no root, no machine.
# Never sanitized: it becomes another user, which LeakSanitizer cannot trace, and sends faster than it can be checked.
$(BUILD)/tests/bus/hostile: tests/bus/hostile.c daemon/core/util.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) -std=gnu11 $(WARNINGS) $(CFLAGS) -MMD -MP -o $@ $(filter %.c,$^) $(shell $(PKG_CONFIG) --libs libsystemd)

.PHONY: check-bus
check-bus: $(BUILD)/relayallocd $(BUILD)/relayalloc-probe $(BUILD)/relayallocctl $(BUILD)/tests/bus/hostile ## faults of systemd and its bus, scripted (SANITIZE=1)
	BUILD='$(abspath $(BUILD))' /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/bus

-include $(wildcard $(BUILD)/tests/bus/*.d)
