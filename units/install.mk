# `make install` and `make uninstall`. Neither starts, stops, enables or disables anything, and an operator's
# configuration is never overwritten or removed. Everything goes under $(prefix), $(sysconfdir) and $(unitdir), with one
# exception that is marked below.
INSTALL ?= install
SCDOC ?= scdoc
datadir ?= $(prefix)/share
docdir ?= $(datadir)/doc/relayalloc

# Where the readers of these files look for them: dbus-daemon(1) reads policies only from /usr/share and /etc, journalctl
# also reads catalogs from /usr/local/lib.
dbuspolicydir ?= $(if $(filter /usr,$(prefix)),$(datadir),$(sysconfdir))/dbus-1/system.d
catalogdir ?= $(prefix)/lib/systemd/catalog
# polkit before 125 reads actions only from /usr/share, so they go there for /usr/local, too.
polkitdir ?= $(if $(filter /usr /usr/local,$(prefix)),/usr/share,$(datadir))/polkit-1/actions
# Where Debian has the plugins of Nagios and Icinga.
nagiosplugindir ?= $(prefix)/lib/nagios/plugins
bashcompletiondir ?= $(datadir)/bash-completion/completions
zshcompletiondir ?= $(datadir)/zsh/$(if $(filter /usr,$(prefix)),vendor-completions,site-functions)

UNIT_FILES := relayallocd.service
FORMER_UNIT_FILES := relayalloc-reload.path relayalloc-reload.service # of ours, from before the daemon watched its file
MAN_PAGES := relayallocctl.1 relayallocd.8 relayalloc.conf.5
BUILT_MAN := $(addprefix $(BUILD)/man/,$(MAN_PAGES))
DOC_FILES := $(wildcard *.md docs/*.md)
IMAGE_FILES := $(wildcard docs/images/*)
LAB_FILES := $(wildcard docs/lab/*)
EXAMPLE_FILES := $(wildcard conf/examples/*.conf packaging/grafana/*.json packaging/prometheus/*.yml)
ALERT_FILES := $(wildcard packaging/alert/*)
# In docdir all documents lie side by side.
link_flat = sed -e 's|](docs/|](|g' -e 's|](conf/examples|](examples|g' -e 's|](\.\./|](|g'

# Replaces the @names@ in units/ for this prefix.
expand = sed -e 's|@sbindir@|$(sbindir)|g' -e 's|@sysconfdir@|$(sysconfdir)|g'

.PHONY: man
man: $(BUILT_MAN) ## the man pages into build/man (needs scdoc)

$(BUILD)/man/%: docs/man/%.scd
	@mkdir -p $(@D)
	@command -v $(SCDOC) >/dev/null || { echo "scdoc is needed to build the man pages: apt install scdoc" >&2; exit 1; }
	$(SCDOC) <$< >$@.new && mv $@.new $@

.PHONY: install install-programs install-units install-docs
install: install-programs install-units install-docs ## DESTDIR=, prefix=/usr/local; enables and starts nothing
ifeq ($(DESTDIR),)
	@echo 'Installed. Nothing was enabled or started. Next steps:'
	@echo '  journalctl --update-catalog            explanations for journalctl -x'
	@echo '  relayallocctl doctor                   what could cause problems on this host'
	@echo '  systemctl enable --now relayallocd     only observes while $(sysconfdir)/relayalloc.conf has no groups'
	@echo 'After an upgrade: systemctl daemon-reload && systemctl restart relayallocd (the relays are left alone).'
endif

install-programs: all
	$(INSTALL) -D -m 0755 packaging/monitoring/check_relayalloc '$(DESTDIR)$(nagiosplugindir)/check_relayalloc'
	$(INSTALL) -D -m 0755 $(BUILD)/relayallocd '$(DESTDIR)$(sbindir)/relayallocd'
	$(INSTALL) -D -m 0755 $(BUILD)/relayallocctl '$(DESTDIR)$(bindir)/relayallocctl'
	$(INSTALL) -D -m 0755 $(BUILD)/relayalloc-probe '$(DESTDIR)$(libexecdir)/relayalloc/relayalloc-probe'

install-units:
	$(INSTALL) -d '$(DESTDIR)$(unitdir)'
	$(expand) units/relayallocd.service.in >'$(DESTDIR)$(unitdir)/relayallocd.service'
	rm -f $(foreach unit,$(FORMER_UNIT_FILES),'$(DESTDIR)$(unitdir)/$(unit)')
	chmod 0644 $(foreach unit,$(UNIT_FILES),'$(DESTDIR)$(unitdir)/$(unit)')
	$(INSTALL) -D -m 0644 units/org.relayalloc1.conf '$(DESTDIR)$(dbuspolicydir)/org.relayalloc1.conf'
	$(INSTALL) -D -m 0644 units/org.relayalloc1.policy '$(DESTDIR)$(polkitdir)/org.relayalloc1.policy'
	$(INSTALL) -D -m 0644 units/relayalloc.catalog '$(DESTDIR)$(catalogdir)/relayalloc.catalog'
	@if [ -e '$(DESTDIR)$(sysconfdir)/relayalloc.conf' ]; then \
		echo 'kept $(DESTDIR)$(sysconfdir)/relayalloc.conf as it is'; \
	else \
		set -x; $(INSTALL) -D -m 0644 conf/relayalloc.conf '$(DESTDIR)$(sysconfdir)/relayalloc.conf'; \
	fi

# Man pages are built if scdoc is installed; pages built before are installed without it.
install-docs: $(if $(shell command -v $(SCDOC)),man)
	@for page in $(MAN_PAGES); do \
		if [ -e "$(BUILD)/man/$$page" ]; then \
			$(INSTALL) -D -m 0644 "$(BUILD)/man/$$page" "$(DESTDIR)$(mandir)/man$${page##*.}/$$page"; \
		else \
			echo "no man page $$page: scdoc is not installed (apt install scdoc)" >&2; \
		fi; \
	done
	$(INSTALL) -D -m 0644 units/completion/bash '$(DESTDIR)$(bashcompletiondir)/relayallocctl'
	$(INSTALL) -D -m 0644 units/completion/zsh '$(DESTDIR)$(zshcompletiondir)/_relayallocctl'
	$(INSTALL) -d '$(DESTDIR)$(docdir)/images'
	set -e; for file in $(DOC_FILES); do \
		$(link_flat) "$$file" >'$(DESTDIR)$(docdir)'/"$${file##*/}"; chmod 0644 '$(DESTDIR)$(docdir)'/"$${file##*/}"; done
	$(INSTALL) -m 0644 $(IMAGE_FILES) '$(DESTDIR)$(docdir)/images'
	$(INSTALL) -d '$(DESTDIR)$(docdir)/lab'
	$(INSTALL) -m 0644 $(LAB_FILES) '$(DESTDIR)$(docdir)/lab'
	$(if $(EXAMPLE_FILES),$(INSTALL) -d '$(DESTDIR)$(docdir)/examples' && \
		$(INSTALL) -m 0644 $(EXAMPLE_FILES) '$(DESTDIR)$(docdir)/examples')
	$(INSTALL) -d '$(DESTDIR)$(docdir)/examples/alert'
	$(INSTALL) -m 0644 $(ALERT_FILES) '$(DESTDIR)$(docdir)/examples/alert'

.PHONY: uninstall
uninstall: ## removes what install installed, but not the configuration
ifeq ($(DESTDIR),)
	@if [ -e /etc/systemd/system/multi-user.target.wants/relayallocd.service ]; then \
		echo 'relayallocd is enabled: first relayallocctl revert, then systemctl disable --now relayallocd' >&2; exit 1; fi
	@for file in /etc/systemd/system/*.service.d/zz-relayalloc.conf; do \
		[ ! -e "$$file" ] || echo "left in place, the relay keeps its allocator: $$file" >&2; done
endif
	rm -f '$(DESTDIR)$(sbindir)/relayallocd' '$(DESTDIR)$(bindir)/relayallocctl' \
		'$(DESTDIR)$(libexecdir)/relayalloc/relayalloc-probe' '$(DESTDIR)$(nagiosplugindir)/check_relayalloc' \
		$(foreach unit,$(UNIT_FILES) $(FORMER_UNIT_FILES),'$(DESTDIR)$(unitdir)/$(unit)') \
		'$(DESTDIR)$(dbuspolicydir)/org.relayalloc1.conf' \
		'$(DESTDIR)$(polkitdir)/org.relayalloc1.policy' '$(DESTDIR)$(catalogdir)/relayalloc.catalog' \
		$(foreach page,$(MAN_PAGES),'$(DESTDIR)$(mandir)/man$(subst .,,$(suffix $(page)))/$(page)') \
		'$(DESTDIR)$(bashcompletiondir)/relayallocctl' '$(DESTDIR)$(zshcompletiondir)/_relayallocctl' \
		$(foreach file,$(DOC_FILES),'$(DESTDIR)$(docdir)/$(notdir $(file))') \
		$(foreach file,$(IMAGE_FILES),'$(DESTDIR)$(docdir)/images/$(notdir $(file))') \
		$(foreach file,$(LAB_FILES),'$(DESTDIR)$(docdir)/lab/$(notdir $(file))') \
		$(foreach file,$(EXAMPLE_FILES),'$(DESTDIR)$(docdir)/examples/$(notdir $(file))') \
		$(foreach file,$(ALERT_FILES),'$(DESTDIR)$(docdir)/examples/alert/$(notdir $(file))')
	-@rmdir '$(DESTDIR)$(libexecdir)/relayalloc' '$(DESTDIR)$(docdir)/images' '$(DESTDIR)$(docdir)/lab' '$(DESTDIR)$(docdir)/examples/alert' '$(DESTDIR)$(docdir)/examples' '$(DESTDIR)$(docdir)' 2>/dev/null || true
	@[ ! -e '$(DESTDIR)$(sysconfdir)/relayalloc.conf' ] || echo 'kept $(DESTDIR)$(sysconfdir)/relayalloc.conf'
