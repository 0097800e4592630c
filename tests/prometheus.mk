# What Prometheus, and what reads it, are given, judged by Prometheus' own tools: no root but for what the daemon proves.
.PHONY: check-prometheus
check-prometheus: $(BUILD)/relayallocd $(BUILD)/relayallocctl $(BUILD)/relayalloc-probe ## metrics, rules and dashboard by promtool and a real Prometheus (TESTS=pattern)
	@mkdir -p $(BUILD)/results
	BUILD='$(abspath $(BUILD))' /usr/bin/python3 -B -m pytest -q -p no:cacheprovider --tb=short \
		--junit-xml=$(BUILD)/results/prometheus.xml $(if $(TESTS),-k '$(TESTS)') tests/prometheus

.PHONY: check-alerts
check-alerts: all ## each alert by a real cause, in a booted machine with node exporter and Prometheus; needs root (TESTS=pattern)
	@tests/install-deps build machine check
	@mkdir -p $(BUILD)/results
	BUILD='$(abspath $(BUILD))' /usr/bin/python3 -B -m pytest -q -p no:cacheprovider --tb=short --durations=5 \
		--junit-xml=$(BUILD)/results/alerts.xml $(if $(TESTS),-k '$(TESTS)') tests/alerts
