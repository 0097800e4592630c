# Targets that boot machines; they need root, apt and the network of apt.

.PHONY: demo check check-system
demo: ## a container with real tor relays that are moved while you watch (RELAYS=8)
	@RELAYS='$(or $(RELAYS),8)' tests/demo/run

check: ## all tests, on every release; ends with "N passed, N failed"
	@tests/run-all

check-system: ## the system tests alone (RELEASES="bookworm trixie", TESTS=pattern, SANITIZE=1)
	@RELEASES='$(RELEASES)' TESTS='$(TESTS)' SANITIZE='$(SANITIZE)' tests/system/run
