# The lab: a private Tor network under load, with relays under test on several allocators; see docs/lab.md. As root.
# What make is told on its command line is in the environment of what it runs, whatever is in it: also lines and quotes.
.PHONY: lab lab-smoke check-lab evidence
lab: ## a private Tor network under load: what allocators and settings take (LAB_MINUTES=30 LAB_GROUPS="glibc jemalloc" …)
	@tests/lab/run

lab-smoke: ## the lab in small: 3 minutes, 200 relays, 4 under test; judges itself
	@tests/lab/run --smoke

evidence: ## what the kept results of the lab (docs/lab/*.csv) say, into the program and the documents
	/usr/bin/python3 -B tests/lab/evidence.py

check-lab: ## tests of the lab's own arithmetic: no root, no network, seconds
	/usr/bin/python3 -B -m pytest -q -p no:cacheprovider tests/lab
