# Targets that boot machines; they need root, apt and the network of apt.

.PHONY: demo check check-system check-traffic chaos
demo: ## a container with real tor relays that are moved while you watch (RELAYS=8)
	@RELAYS='$(or $(RELAYS),8)' tests/demo/run

check: ## all suites, on every release; ends with "N passed, N failed"
	@tests/run-all

check-system: ## the system tests alone (RELEASES="bookworm trixie", TESTS=pattern, SANITIZE=1, SHORT=1)
	@RELEASES='$(RELEASES)' TESTS='$(TESTS)' SANITIZE='$(SANITIZE)' tests/system/run

check-traffic: ## relays that pass traffic, half of them throttled: the report shows it, and flags as tor tells them (minutes)
	@TRAFFIC=1 TESTS=test_throttled RELEASES='$(or $(RELEASES),$(shell . /etc/os-release && echo $$VERSION_CODENAME))' tests/system/run

chaos: ## rounds of chaos alone (ROUNDS=500 SEED=n RELEASES=bookworm FLEET=8 MACHINES=1); as it goes: build/results/chaos-*.txt
	@CHAOS_ROUNDS='$(ROUNDS)' CHAOS_MACHINES='$(MACHINES)' CHAOS_SEED='$(or $(SEED),random)' FLEET='$(or $(FLEET),8)' \
		RELEASES='$(or $(RELEASES),$(shell . /etc/os-release && echo $$VERSION_CODENAME))' TESTS=test_chaos.py tests/system/run
