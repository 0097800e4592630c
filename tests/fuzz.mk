# Fuzzers: each tests/fuzz/fuzz-X.c is linked with core and io, starts from tests/fuzz/seeds/fuzz-X/ (and the words of
# tests/fuzz/fuzz-X.dict, where it exists) and keeps what it learns under $(BUILD)/fuzz/.
FUZZ_SECONDS ?= 60
FUZZ_CC ?= clang
FUZZ_CFLAGS := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -O1 -g
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz-*.c))
fuzz_obj = $(patsubst %.c,$(BUILD)/fuzz/obj/%.o,$(1))

$(BUILD)/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(ALL_CPPFLAGS) $(PATHS) -std=gnu11 $(WARNINGS) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<

# An archive, so that a fuzzer takes in only what it calls.
$(BUILD)/fuzz/libunder-test.a: $(call fuzz_obj,$(CORE_SRC) $(IO_SRC))
	@rm -f $@
	$(AR) rcs $@ $^

$(addprefix $(BUILD)/fuzz/,$(FUZZERS)): $(BUILD)/fuzz/%: $(BUILD)/fuzz/obj/tests/fuzz/%.o $(BUILD)/fuzz/libunder-test.a
	$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -Wl,--as-needed -o $@ $^ $(DAEMON_LIBS) -lm

# -detect_leaks=0: not after each input, which takes two thirds of the time; once at the end they are looked for anyway.
.PHONY: $(FUZZERS)
$(FUZZERS): fuzz-%: $(BUILD)/fuzz/fuzz-%
	@mkdir -p $(BUILD)/fuzz/corpus/$@
	$< $(if $(filter 0,$(FUZZ_SECONDS)),-runs=0,-max_total_time=$(FUZZ_SECONDS)) -timeout=10 -max_len=8192 -detect_leaks=0 \
		-print_final_stats=1 -close_fd_mask=1 -artifact_prefix=$(BUILD)/fuzz/$@- \
		$(addprefix -dict=,$(wildcard tests/fuzz/$@.dict)) $(BUILD)/fuzz/corpus/$@ $(wildcard tests/fuzz/seeds/$@)

.PHONY: fuzz
fuzz: $(FUZZERS) ## each fuzzer for FUZZ_SECONDS=60; 0 only replays the seeds

-include $(wildcard $(BUILD)/fuzz/obj/*/*.d $(BUILD)/fuzz/obj/*/*/*.d)
