# Packages for Debian; as root, because they are built in clean root file systems.
.PHONY: deb
deb: ## Debian packages into build/deb/RELEASE (RELEASES="bookworm trixie")
	@tests/install-deps machine
	@packaging/deb build $(RELEASES)

.PHONY: repo
repo: ## an apt repository of them into build/repo, signed with the secret key in the file KEY= (RELEASES=, REPO=)
	@tests/install-deps packaging
	@packaging/repo '$(or $(KEY),$(error KEY=, a file with the secret key that signs, is needed))' '$(or $(REPO),$(BUILD)/repo)' $(RELEASES)

.PHONY: check-packaging
check-packaging: ## the packages: what is in them, their life on booted hosts, a repository of them (RELEASES=, TESTS=pattern, SHORT=1)
	@tests/install-deps build machine check packaging
	@mkdir -p $(BUILD)/results
	@DEB_BUILD_OPTIONS=nocheck packaging/deb build $(RELEASES)
	RELEASES='$(RELEASES)' /usr/bin/python3 -B -m pytest -p no:cacheprovider -q -ra --tb=short --durations=5 \
		--junit-xml=$(BUILD)/results/packaging.xml $(if $(SHORT),-m 'not long') $(if $(TESTS),-k '$(TESTS)') tests/packaging
