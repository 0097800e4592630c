# Tests of report, export, experiment and recommend; `tests/install-deps check` has what they need.
$(BUILD)/tests/oracle/%: tests/oracle/%.c $(CORE_LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) -Itests/unit $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(CORE_LIB) -lcmocka -lgsl -lgslcblas -lm

ORACLE_TESTS := $(patsubst tests/oracle/%.c,$(BUILD)/tests/oracle/%,$(wildcard tests/oracle/test-*.c))

.PHONY: check-oracle
check-oracle: $(ORACLE_TESTS) ## the statistics against GSL, and how often the interval holds
	@failed=0; for t in $(ORACLE_TESTS); do $$t || failed=1; done; exit $$failed

.PHONY: check-report-ctl
check-report-ctl: $(BUILD)/relayallocctl ## report and its neighbours by the command line and in a browser (TESTS=pattern)
	@mkdir -p $(BUILD)/results
	BUILD=$(abspath $(BUILD)) /usr/bin/python3 -B -m pytest -p no:cacheprovider -q -ra --tb=short \
		--junit-xml=$(BUILD)/results/report.xml $(if $(TESTS),-k '$(TESTS)') tests/report

.PHONY: check-report
check-report: check-oracle check-report-ctl ## both of these

.PHONY: bench-report
bench-report: $(BUILD)/relayallocctl ## report against journalctl: time and memory, on ten days of 40 relays
	BUILD=$(abspath $(BUILD)) tests/bench/bench-report

.PHONY: demo-experiment
demo-experiment: ## an experiment from its plan to its report, with 40 relays in a container (PAGE=FILE)
	@RELAYS='$(RELAYS)' SAMPLES='$(SAMPLES)' INTERVAL='$(INTERVAL)' PAGE='$(PAGE)' tests/demo/experiment

-include $(wildcard $(BUILD)/tests/oracle/*.d)
