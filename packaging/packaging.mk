# Packages for Debian; as root, because they are built in clean root file systems.
.PHONY: deb
deb: ## Debian packages into build/deb/RELEASE (RELEASES="bookworm trixie")
	@tests/install-deps machine
	@packaging/deb build $(RELEASES)
