# The daemon against a scripted systemd on a private bus: no root, no machine.
$(BUILD)/tests/bus/hostile: tests/bus/hostile.c $(CORE_LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(CORE_LIB) $(shell $(PKG_CONFIG) --libs libsystemd)

.PHONY: check-bus
check-bus: $(BUILD)/relayallocd $(BUILD)/relayalloc-probe $(BUILD)/relayallocctl $(BUILD)/tests/bus/hostile ## faults of systemd and its bus, scripted (SANITIZE=1)
	BUILD='$(abspath $(BUILD))' /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/bus

-include $(wildcard $(BUILD)/tests/bus/*.d)
