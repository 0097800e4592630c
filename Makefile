# relayalloc: GNU make. `make help` lists the targets. Nothing is written outside $(BUILD) but by install, demo and check.
BUILD ?= build
# However it is written, it is the same to the dependencies that the compiler wrote.
override BUILD := $(patsubst $(CURDIR)/%,%,$(abspath $(BUILD)))
DESTDIR ?=
prefix ?= /usr/local
sysconfdir ?= /etc
bindir ?= $(prefix)/bin
sbindir ?= $(prefix)/sbin
libexecdir ?= $(prefix)/libexec
mandir ?= $(prefix)/share/man

VERSION := 0.1.0

CC ?= gcc
CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
# Only where nobody has chosen another level: distributions do by their flags, Ubuntu's compiler by itself (hence -U).
FORTIFY = $(if $(findstring _FORTIFY_SOURCE,$(CC) $(CPPFLAGS) $(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
HARDENING = -fstack-protector-strong $(FORTIFY) -fPIE -fno-omit-frame-pointer
ifdef SANITIZE
  HARDENING := -fPIE -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
  LINK_SANITIZE := -fsanitize=address,undefined
endif
ifdef WERROR
  WARNINGS += -Werror
endif
ALL_CPPFLAGS = -D_GNU_SOURCE -Idaemon -I$(BUILD) $(CPPFLAGS)
ALL_CFLAGS = -std=gnu11 $(WARNINGS) $(HARDENING) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LINK_SANITIZE) $(LDFLAGS)
PKG_CONFIG ?= pkg-config

# Where the system's own units are; debhelper of Debian 12 sees them only there.
ifeq ($(origin unitdir),undefined)
  unitdir := $(if $(filter /usr,$(prefix)),$(or $(shell $(PKG_CONFIG) --variable=systemdsystemunitdir systemd 2>/dev/null),/usr/lib/systemd/system),/etc/systemd/system)
endif

# The programs find each other under the prefix they were installed with; run from $(BUILD) they find each other there.
PATHS = -DLIBEXECDIR='"$(libexecdir)/relayalloc"' -DSYSCONFDIR='"$(sysconfdir)"' -DVERSION='"$(VERSION)"'

CORE_SRC := $(wildcard daemon/core/*.c daemon/doctor/*.c daemon/report/*.c)
IO_SRC := $(wildcard daemon/io/*.c)
DAEMON_SRC := daemon/relayallocd.c $(wildcard daemon/manager/*.c daemon/bus/*.c)
CTL_SRC := daemon/relayallocctl.c $(wildcard daemon/ctl/*.c daemon/ctl/lib/*.c)
PROBE_SRC := daemon/relayalloc-probe.c

obj = $(patsubst daemon/%.c,$(BUILD)/obj/%.o,$(1))
CORE_LIB := $(BUILD)/obj/libcore.a
IO_LIB := $(BUILD)/obj/libio.a
DAEMON_LIBS = $(shell $(PKG_CONFIG) --libs libsystemd libconfig)
CTL_LIBS = $(shell $(PKG_CONFIG) --libs libsystemd libconfig smartcols json-c ncursesw)

PROGRAMS := $(BUILD)/relayallocd $(BUILD)/relayallocctl $(BUILD)/relayalloc-probe

.PHONY: all
all: $(PROGRAMS) ## build the programs into build/

# Rewritten only when it changes, so that `make install prefix=/usr` after `make` compiles again what knows the prefix.
$(BUILD)/paths: always
	@mkdir -p $(@D)
	@printf '%s\n' $(PATHS) | cmp -s - $@ || printf '%s\n' $(PATHS) >$@
.PHONY: always
$(call obj,daemon/io/paths.c): $(BUILD)/paths

# `relayallocctl help VERB` prints what the manual says.
$(BUILD)/verb-help.inc: docs/man/relayallocctl.1.scd docs/man/verb-help.awk
	@mkdir -p $(@D)
	awk -f docs/man/verb-help.awk $< >$@.new && mv $@.new $@
$(call obj,daemon/ctl/help.c): $(BUILD)/verb-help.inc

$(BUILD)/obj/%.o: daemon/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(PATHS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(CORE_LIB): $(call obj,$(CORE_SRC))
	@rm -f $@
	$(AR) rcs $@ $^

$(IO_LIB): $(call obj,$(IO_SRC))
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/relayallocd: $(call obj,$(DAEMON_SRC)) $(IO_LIB) $(CORE_LIB)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(DAEMON_LIBS) -lm

$(BUILD)/relayallocctl: $(call obj,$(CTL_SRC)) $(IO_LIB) $(CORE_LIB)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(CTL_LIBS) -lm

# Never sanitized: it is started with other allocators preloaded, which a sanitizer's own malloc would hide.
$(BUILD)/relayalloc-probe: $(PROBE_SRC)
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(PATHS) -std=gnu11 $(WARNINGS) -fPIE -fstack-protector-strong $(FORTIFY) $(CFLAGS) \
		-pie -Wl,-z,relro,-z,now $(LDFLAGS) -o $@ $<

# ---- unit tests, in the folders of what they test: those that are not of io link with nothing but libc and cmocka, so that
# the linker keeps what they test pure ----
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test-*.c tests/unit/*/test-*.c))
TEST_CFLAGS = -Itests/unit -DTEST_DATA='"$(CURDIR)/tests/unit/data"' -DBUILD_DIR='"$(abspath $(BUILD))"' \
	-DSOURCE_DIR='"$(CURDIR)"'

$(BUILD)/tests/io/%: tests/unit/io/%.c $(IO_LIB) $(CORE_LIB) $(BUILD)/relayalloc-probe
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(PATHS) $(TEST_CFLAGS) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(IO_LIB) $(CORE_LIB) \
		$(DAEMON_LIBS) -lcmocka -lm

$(BUILD)/tests/%: tests/unit/%.c $(CORE_LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(PATHS) $(TEST_CFLAGS) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(CORE_LIB) -lcmocka -lm $(TEST_LIBS)

.PHONY: check-unit
check-unit: need-cmocka all $(UNIT_TESTS) ## unit tests: no root, no network, seconds
	@tests/unit/run $(UNIT_TESTS)

.PHONY: need-cmocka
need-cmocka:
	@$(PKG_CONFIG) --exists cmocka || { echo 'The unit tests need cmocka: apt install libcmocka-dev' >&2; exit 1; }
$(UNIT_TESTS): | need-cmocka

.PHONY: asan
asan: ## the unit tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(MAKE) BUILD=$(BUILD)/asan SANITIZE=1 check-unit

.PHONY: lint
SOURCES = $(wildcard daemon/*.[ch] daemon/*/*.[ch] daemon/*/*/*.[ch] tests/*/*.[ch] tests/unit/*/*.[ch])
SCRIPTS = $(shell git ls-files -z .ci tests units packaging | xargs -0 grep -lE '^\#!/bin/(ba)?sh')
lint: $(BUILD)/verb-help.inc ## clang-format, clang-tidy, cppcheck, shellcheck, who includes whom, and clang's warnings
	clang-format --dry-run -Werror $(SOURCES)
	@# one file a run: clang-tidy 14 carries states of its va_list checker from file to file
	printf '%s\n' $(wildcard daemon/*.c daemon/*/*.c daemon/*/*/*.c) | xargs -P 2 -I{} clang-tidy --quiet {} -- -std=gnu11 $(ALL_CPPFLAGS) \
		-DLIBEXECDIR='"/usr/libexec"' -DSYSCONFDIR='"/etc"' -DVERSION='"0"'
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --suppress=unknownMacro -Idaemon daemon
	shellcheck -x $(SCRIPTS)
	tests/lint-layers
	$(MAKE) --silent BUILD=$(BUILD)/clang CC=clang WERROR=1 all

.PHONY: format
format: ## clang-format in place
	clang-format -i $(SOURCES)

.PHONY: clean
MADE = obj paths verb-help.inc man tests asan clang fuzz results deb repo vm check.log bookworm bookworm-asan trixie trixie-asan noble noble-asan
clean: ## remove what was built; keep build/cache, and build/machines as long as machines run
	rm -rf $(PROGRAMS) $(addprefix $(BUILD)/,$(MADE)) $(wildcard $(BUILD)/.lock-*)
	-@rmdir $(BUILD)/machines $(BUILD) 2>/dev/null || true

.PHONY: help
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

include units/install.mk packaging/packaging.mk
-include $(wildcard tests/*.mk)
-include $(wildcard $(BUILD)/obj/*.d $(BUILD)/obj/*/*.d $(BUILD)/obj/*/*/*.d $(BUILD)/tests/*.d $(BUILD)/tests/*/*.d)
