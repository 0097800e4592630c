/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of io/probe and of the probe itself: with the allocators that are installed here, with libraries that
 * only pretend to be one, and with each way of being broken. */
#include "io/probe.h"

#include "io/library.h"
#include "scratch.h"

#include <gnu/libc-version.h>

#define PROBE BUILD_DIR "/relayalloc-probe"

/* Passes everything on to glibc, but for the one fault that its environment asks for. */
static const char broken_source[] =
    "#include <errno.h>\n"
    "#include <signal.h>\n"
    "#include <stdio.h>\n"
    "#include <stdlib.h>\n"
    "#include <string.h>\n"
    "#include <unistd.h>\n"
    "void *__libc_malloc(size_t); void *__libc_calloc(size_t, size_t); void *__libc_realloc(void *, "
    "size_t);\n"
    "void *__libc_memalign(size_t, size_t); void __libc_free(void *);\n"
    "static char same[4 << 20] __attribute__((aligned(4096)));\n"
    "static const char *fault = \"\";\n"
    "static int is(const char *s) { return !strcmp(fault, s); }\n"
    "__attribute__((constructor)) static void start(void) {\n"
    "    if (getenv(\"FAULT\")) fault = getenv(\"FAULT\");\n"
    "    if (is(\"crash at start\")) *(volatile int *)8 = 0;\n"
    "    if (is(\"killed\")) kill(getpid(), SIGKILL);\n"
    "    if (is(\"silent exit\")) _exit(0);\n"
    "    if (is(\"status\")) { write(2, \"no licence\\033\\n\", 12); _exit(9); }\n"
    "    if (is(\"loop\")) for (;;);\n"
    "    if (is(\"noise\")) { write(1, \"hello\\n\", 6); write(2, \"a \\033\\377\\nb\\n\", 8); }\n"
    "    if (is(\"flood\")) for (;;) write(1, same, sizeof(same));\n"
    "}\n"
    "static int mine(void *p) { return (char *)p >= same && (char *)p < same + sizeof(same); }\n"
    "void *malloc(size_t n) {\n"
    "    if (is(\"nothing\")) return NULL;\n"
    "    if (is(\"same block\")) return same;\n"
    "    if (is(\"odd\")) return (char *)__libc_malloc(n + 16) + 1;\n"
    "    return __libc_malloc(n);\n"
    "}\n"
    "void free(void *p) {\n"
    "    if (is(\"crash\") && p) *(volatile int *)8 = 0;\n"
    "    if (is(\"odd\") || mine(p)) return;\n"
    "    __libc_free(p);\n"
    "}\n"
    "void *calloc(size_t n, size_t m) {\n"
    "    void *p = __libc_calloc(n, m);\n"
    "    if (is(\"dirty\") && p && n * m) memset(p, 1, n * m);\n"
    "    return p;\n"
    "}\n"
    "void *realloc(void *p, size_t n) {\n"
    "    if (is(\"forgetful\") && p && n) { __libc_free(p); return __libc_calloc(1, n); }\n"
    "    return __libc_realloc(p, n);\n"
    "}\n"
    "void *aligned_alloc(size_t a, size_t n) {\n"
    "    return is(\"misaligned\") ? __libc_memalign(a < 64 ? a : 64, n) : is(\"unaligned\") ? "
    "__libc_malloc(n) : "
    "__libc_memalign(a, n);\n"
    "}\n"
    "int posix_memalign(void **p, size_t a, size_t n) { *p = aligned_alloc(a, n); return *p ? 0 : ENOMEM; }\n"
    /* Which family it pretends to be. */
    "#ifdef MIMALLOC\n"
    "int mi_version(void) { return atoi(getenv(\"FAKE_VERSION\")); }\n"
    "#endif\n"
    "#ifdef JEMALLOC\n"
    "int mallctl(const char *name, void *p, size_t *n, void *q, size_t m) {\n"
    "    if (strcmp(name, \"version\") || *n != sizeof(char *)) return ENOENT;\n"
    "    *(const char **)p = getenv(\"FAKE_VERSION\");\n"
    "    return *(char **)p ? 0 : EINVAL;\n"
    "}\n"
    "#endif\n"
    "#ifdef TCMALLOC\n"
    "const char *tc_version(int *major, int *minor, const char **patch) {\n"
    "    *major = 2; *minor = 9; *patch = getenv(\"FAKE_VERSION\");\n"
    "    return \"gperftools\";\n"
    "}\n"
    "#endif\n";

static char *folder, *broken;

static int setup(void **state)
{
    (void)state;
    folder = scratch_new();
    broken = scratch_compile(folder, "libbroken.so", broken_source, (const char *const[]){ "-shared", NULL });
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(broken);
    scratch_free(folder);
    return 0;
}

static void expect_words(const char *text, const char *words)
{
    assert_non_null(text);
    if (!strstr(text, words))
        fail_msg("no \"%s\" in: %s", words, text);
}

static int run_with(const char *library, const char *name, const char *value, usec_t timeout,
                    ProbeResult *ret, char **ret_reason)
{
    const EnvVar environment[] = { { (char *)name, (char *)value } };

    return probe_run_within(timeout, PROBE, library, environment, name ? 1 : 0, ret, ret_reason);
}

/* ---- what installed allocators say ---- */

static void test_glibc(void **state)
{
    (void)state;
    _cleanup_(probe_result_clear) ProbeResult result = { 0 };
    _cleanup_(freep) char *reason = NULL;

    if (probe_run(PROBE, NULL, NULL, 0, &result, &reason) < 0)
        fail_msg("%s", reason);
    assert_int_equal(result.family, FAMILY_GLIBC);
    assert_string_equal(result.version, gnu_get_libc_version());
    expect_words(result.library, "/libc.so.6");
    assert_null(result.warnings);
    assert_null(reason);
}

static void test_installed(void **state)
{
    (void)state;
    const struct {
        const char *name;
        Family family;
    } table[] = {
        { "libjemalloc.so.2", FAMILY_JEMALLOC },
        { scratch_mimalloc(), FAMILY_MIMALLOC },
        { "libtcmalloc.so.4", FAMILY_TCMALLOC },
        { "libtcmalloc_minimal.so.4", FAMILY_TCMALLOC },
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(library_clear) Library library = { 0 };
        _cleanup_(probe_result_clear) ProbeResult result = { 0 };
        _cleanup_(freep) char *reason = NULL;

        scratch_need_library(table[i].name);
        if (library_resolve(table[i].name, PROBE, &library, &reason) < 0 ||
            probe_run(PROBE, library.path, NULL, 0, &result, &reason) < 0)
            fail_msg("%s", reason);
        assert_int_equal(result.family, table[i].family);
        assert_string_equal(result.library, library.realpath);
        assert_true(result.version[0] >= '0' && result.version[0] <= '9');
        assert_non_null(strchr(result.version, '.'));
        assert_null(strchr(result.version, '-'));
        /* mimalloc 2.0.9 is to be used, but the fault that it has is told. */
        if (streq(result.version, "2.0.9"))
            expect_words(result.remark, "not aligned");
        else
            assert_null(result.remark);
        assert_null(result.warnings);
    }
}

/* The environment reaches the allocator, and what that says about it reaches us. */
static void test_environment(void **state)
{
    (void)state;
    _cleanup_(library_clear) Library library = { 0 };
    _cleanup_(probe_result_clear) ProbeResult result = { 0 }, tuned = { 0 };
    _cleanup_(freep) char *reason = NULL;

    scratch_need_library("libjemalloc.so.2");
    if (library_resolve("libjemalloc.so.2", PROBE, &library, &reason) < 0 ||
        run_with(library.path, "MALLOC_CONF", "nonsense:true", PROBE_TIMEOUT, &result, &reason) < 0)
        fail_msg("%s", reason);
    assert_int_equal(result.family, FAMILY_JEMALLOC);
    expect_words(result.warnings, "nonsense");
    assert_int_not_equal(result.warnings[strlen(result.warnings) - 1], '\n');

    if (run_with(NULL, "GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=131072", PROBE_TIMEOUT, &tuned,
                 &reason) < 0)
        fail_msg("%s", reason);
    assert_int_equal(tuned.family, FAMILY_GLIBC);
    assert_null(tuned.warnings);
}

/* A library that serves no malloc leaves it to glibc, and the caller can tell. */
static void test_no_allocator(void **state)
{
    (void)state;
    _cleanup_(library_clear) Library library = { 0 };
    _cleanup_(probe_result_clear) ProbeResult result = { 0 };
    _cleanup_(freep) char *reason = NULL;

    if (library_resolve("libm.so.6", PROBE, &library, &reason) < 0 ||
        probe_run(PROBE, library.path, NULL, 0, &result, &reason) < 0)
        fail_msg("%s", reason);
    assert_int_equal(result.family, FAMILY_GLIBC);
    assert_string_not_equal(result.library, library.realpath);
}

/* ---- versions ---- */

static void test_versions(void **state)
{
    (void)state;
    static const struct {
        const char *flag;
        Family family;
        const char *fake, *version;
    } table[] = {
        { "-DMIMALLOC", FAMILY_MIMALLOC, "188", "1.8.8" },
        { "-DMIMALLOC", FAMILY_MIMALLOC, "209", "2.0.9" },
        { "-DMIMALLOC", FAMILY_MIMALLOC, "212", "2.1.2" },
        { "-DMIMALLOC", FAMILY_MIMALLOC, "301", "3.0.1" },
        { "-DMIMALLOC", FAMILY_MIMALLOC, "3010", "3.0.10" },
        { "-DMIMALLOC", FAMILY_MIMALLOC, "3208", "3.2.8" },
        { "-DMIMALLOC", FAMILY_MIMALLOC, "20401", "2.4.1" },
        { "-DMIMALLOC", FAMILY_MIMALLOC, "30412", "3.4.12" },
        { "-DMIMALLOC", FAMILY_MIMALLOC, "31002", "3.10.2" },
        { "-DJEMALLOC", FAMILY_JEMALLOC, "5.3.0-0-g54eaed1d8b56b1aa528be3bdd1877e59c56fa90c", "5.3.0" },
        { "-DJEMALLOC", FAMILY_JEMALLOC, "5.2.1", "5.2.1" },
        { "-DTCMALLOC", FAMILY_TCMALLOC, ".1", "2.9.1" },
        { "-DTCMALLOC", FAMILY_TCMALLOC, "", "2.9" },
        { "-DNOTHING", FAMILY_OTHER, "1", "" },
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(freep) char *path = xasprintf("%s/libfake%s.so", folder, table[i].flag), *reason = NULL;
        _cleanup_(probe_result_clear) ProbeResult result = { 0 };

        if (access(path, F_OK) < 0)
            free(scratch_compile(folder, strrchr(path, '/') + 1, broken_source,
                                 (const char *const[]){ "-shared", table[i].flag, NULL }));
        if (run_with(path, "FAKE_VERSION", table[i].fake, PROBE_TIMEOUT, &result, &reason) < 0)
            fail_msg("%s", reason);
        assert_int_equal(result.family, table[i].family);
        assert_string_equal(result.version, table[i].version);
        assert_string_equal(result.library, path);
    }
}

/* ---- what is broken ---- */

static void test_broken(void **state)
{
    (void)state;
    static const struct {
        const char *fault;
        int error;
        const char *words;
    } table[] = {
        { "crash at start", -EPROTO, "crashes (Segmentation fault)" },
        { "crash", -EPROTO, "crashes (Segmentation fault)" },
        { "killed", -EAGAIN, "was killed from outside" },
        { "silent exit", -EPROTO, "prints nothing that can be understood" },
        { "status", -EPROTO, "fails (exit status 9): no licence?" },
        { "loop", -ETIMEDOUT, "hangs (still running after " },
        { "flood", -EPROTO, "never stops printing" },
        { "nothing", -EPROTO, "fails (exit status 1): malloc of " },
        { "same block", -EPROTO, "changed while nobody wrote to it" },
        { "odd", -EPROTO, "is not aligned to 16" },
        { "dirty", -EPROTO, "returned memory that is not zeroed" },
        { "forgetful", -EPROTO, "changed while nobody wrote to it" },
        { "unaligned", -EPROTO, "is not aligned to" },
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        ProbeResult result = { 0 };
        _cleanup_(freep) char *reason = NULL;
        const usec_t timeout = table[i].error == -ETIMEDOUT ? 300 * USEC_PER_MSEC : PROBE_TIMEOUT;
        int r = run_with(broken, "FAULT", table[i].fault, timeout, &result, &reason);

        if (r != table[i].error)
            fail_msg("%s: %d (%s) instead of %d", table[i].fault, r, reason ? reason : "no reason",
                     table[i].error);
        expect_words(reason, table[i].words);
        expect_words(reason, broken);
        assert_int_not_equal(reason[strlen(reason) - 1], '.');
        assert_null(strchr(reason, '\n'));
        assert_null(result.library);
    }
}

/* The same library without a fault, with talk, and with a fault that a relay does not meet. */
static void test_not_so_broken(void **state)
{
    (void)state;
    static const struct {
        const char *fault, *warnings, *remark;
    } table[] = {
        { "", NULL, NULL },
        { "noise", "a ??\nb", NULL },
        { "misaligned", NULL,
          "blocks requested at a multiple of 128 bytes are not aligned to it (no relay needs that)" },
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(probe_result_clear) ProbeResult result = { 0 };
        _cleanup_(freep) char *reason = NULL;

        if (run_with(broken, "FAULT", table[i].fault, PROBE_TIMEOUT, &result, &reason) < 0)
            fail_msg("%s", reason);
        assert_int_equal(result.family, FAMILY_OTHER);
        assert_string_equal(result.library, broken);
        assert_true(streq_null(result.warnings, table[i].warnings));
        assert_true(streq_null(result.remark, table[i].remark));
    }
}

/* Half an allocator, as one built with a prefix for the other half would be. */
static void test_half_an_allocator(void **state)
{
    (void)state;
    _cleanup_(freep) char *path = scratch_compile(folder, "libhalf.so",
                                                  "#include <stddef.h>\nvoid *__libc_malloc(size_t);\nvoid "
                                                  "*malloc(size_t n) { return __libc_malloc(n); }\n",
                                                  (const char *const[]){ "-shared", NULL });
    _cleanup_(freep) char *reason = NULL, *words = xasprintf("%s has malloc but not free", path);
    ProbeResult result = { 0 };

    assert_int_equal(probe_run(PROBE, path, NULL, 0, &result, &reason), -EPROTO);
    expect_words(reason, words);
}

/* ld.so continues without a library that it cannot load: nothing that follows is true of it. */
static void test_ignored(void **state)
{
    (void)state;
    _cleanup_(freep) char *text = scratch_write(folder, "text.so", "text\n", 5, 0644), *reason = NULL;
    ProbeResult result = { 0 };

    assert_int_equal(probe_run(PROBE, text, NULL, 0, &result, &reason), -EPROTO);
    expect_words(reason, "text.so is refused by the dynamic linker: ERROR: ld.so: object");
    assert_null(result.library);

    freep(&reason);
    reason = NULL;
    assert_int_equal(chmod(broken, 0), 0); /* nobody may not read it, nor may we if we are not root */
    assert_int_equal(probe_run(PROBE, broken, NULL, 0, &result, &reason), -EACCES);
    assert_int_equal(chmod(broken, 0755), 0);
    expect_words(reason, "libbroken.so cannot be read by unprivileged users");
    assert_null(result.library);
}

/* Needs a library that is not there: then no program starts at all. */
static void test_needs_what_is_missing(void **state)
{
    (void)state;
    _cleanup_(freep) char *needed =
        scratch_compile(folder, "libneeded.so", "int answer(void) { return 42; }\n",
                        (const char *const[]){ "-shared", NULL });
    _cleanup_(freep) char *path = scratch_compile(
        folder, "libneedy.so", "int answer(void);\nint twice(void) { return 2 * answer(); }\n",
        (const char *const[]){ "-shared", "-Wl,--no-as-needed", needed, NULL });
    _cleanup_(freep) char *reason = NULL;
    ProbeResult result = { 0 };

    assert_int_equal(unlink(needed), 0);
    assert_int_equal(probe_run(PROBE, path, NULL, 0, &result, &reason), -EPROTO);
    expect_words(reason, "fails (exit status 127)");
    expect_words(reason, "libneeded.so");
}

/* Of a newer release: the C library is older than what it was built with. */
static void test_needs_a_newer_glibc(void **state)
{
    (void)state;
    static const char versions[] = "GLIBC_9.99 { brand_new; };\n";
    _cleanup_(freep) char *script = scratch_write(folder, "versions", versions, strlen(versions), 0644);
    _cleanup_(freep) char *option = xasprintf("-Wl,--version-script=%s", script);
    _cleanup_(freep) char *glibc = scratch_compile(
        folder, "libc.so.6", "void brand_new(void) {}\n",
        (const char *const[]){ "-shared", "-nostdlib", "-Wl,-soname,libc.so.6", option, NULL });
    _cleanup_(freep) char *path =
        scratch_compile(folder, "libfuture.so", "void brand_new(void);\nvoid f(void) { brand_new(); }\n",
                        (const char *const[]){ "-shared", "-Wl,--no-as-needed", glibc, NULL });
    _cleanup_(freep) char *reason = NULL, *expected = NULL;
    ProbeResult result = { 0 };

    assert_int_equal(unlink(glibc), 0);
    assert_int_equal(probe_run(PROBE, path, NULL, 0, &result, &reason), -EPROTO);
    expected =
        xasprintf("%s is built for a newer release: it needs GLIBC_9.99, and the C library of this host "
                  "is glibc %s",
                  path, gnu_get_libc_version());
    assert_string_equal(reason, expected);
}

static void test_no_probe(void **state)
{
    (void)state;
    _cleanup_(freep) char *reason = NULL;
    ProbeResult result = { 0 };

    assert_int_equal(probe_run("/nonexistent/probe", NULL, NULL, 0, &result, &reason), -ENOENT);
    expect_words(reason, "/nonexistent/probe cannot be run: No such file or directory");
}

/* ---- its words ---- */

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *output;
        int error;
        Family family;
        const char *version, *library, *remark;
    } table[] = {
        { "family=glibc\nversion=2.36\nlibrary=/lib/libc.so.6\n", 0, FAMILY_GLIBC, "2.36", "/lib/libc.so.6",
          NULL },
        { "library=/a\nfamily=other", 0, FAMILY_OTHER, "", "/a", NULL },
        { "family=other\nversion=\nlibrary=/a=b\nremark=w\n", 0, FAMILY_OTHER, "", "/a=b", "w" },
        { "hello\n=\nfuture=1\n\nfamily=jemalloc\nlibrary=/a\n", 0, FAMILY_JEMALLOC, "", "/a", NULL },
        { "family=glibc\nfamily:mimalloc\nlibrary=/a\n", 0, FAMILY_GLIBC, "", "/a", NULL },
        { "family=glibc\nfamily=mimalloc\nlibrary=/a\n", 0, FAMILY_MIMALLOC, "", "/a", NULL },
        { "family=other\nversion=1\033[2J\377\nlibrary=/a\n", 0, FAMILY_OTHER, "1?[2J?", "/a", NULL },
        { "", -EPROTO, 0, NULL, NULL, NULL },
        { "family=glibc\n", -EPROTO, 0, NULL, NULL, NULL },
        { "library=/a\n", -EPROTO, 0, NULL, NULL, NULL },
        { "family=\nlibrary=/a\n", -EPROTO, 0, NULL, NULL, NULL },
        { "family=newmalloc\nlibrary=/a\n", -EPROTO, 0, NULL, NULL, NULL },
        { "family=glibc\nlibrary=a\n", -EPROTO, 0, NULL, NULL, NULL },
        { "family=glibc\nlibrary=\n", -EPROTO, 0, NULL, NULL, NULL },
        { "xfamily=glibc\nxlibrary=/a\n", -EPROTO, 0, NULL, NULL, NULL },
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(probe_result_clear) ProbeResult result = { 0 };

        assert_int_equal(probe_parse(table[i].output, &result), table[i].error);
        if (table[i].error) {
            assert_null(result.library);
            continue;
        }
        assert_int_equal(result.family, table[i].family);
        assert_string_equal(result.version, table[i].version);
        assert_string_equal(result.library, table[i].library);
        assert_true(streq_null(result.remark, table[i].remark));
        assert_null(result.warnings);
    }
}

/* ---- the probe as it is started in a relay's sandbox ---- */

/* Exit status of the probe with up to two arguments, and its output. */
static int probe(const char *one, const char *two, char **ret_out)
{
    char *const argv[] = { (char *)PROBE, (char *)one, (char *)two, NULL };
    char *const environment[] = { NULL };

    return scratch_run(argv, environment, ret_out);
}

static void test_dlopen(void **state)
{
    (void)state;
    const char *const names[] = { "libjemalloc.so.2", scratch_mimalloc(), "libtcmalloc.so.4",
                                  "libtcmalloc_minimal.so.4" };
    _cleanup_(freep) char *text = scratch_write(folder, "text.so", broken_source, 1000, 0644);
    _cleanup_(freep) char *text_option = xasprintf("--dlopen=%s", text), *out_text = NULL,
                          *out_missing = NULL;

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_(library_clear) Library library = { 0 };
        _cleanup_(freep) char *reason = NULL, *option = NULL, *out = NULL;

        scratch_need_library(names[i]);
        if (library_resolve(names[i], PROBE, &library, &reason) < 0)
            fail_msg("%s", reason);
        option = xasprintf("--dlopen=%s", library.path);
        assert_int_equal(probe(option, NULL, &out), 0);
        assert_string_equal(out, "loadable=yes\n");
    }
    assert_int_equal(probe(text_option, NULL, &out_text), 1);
    expect_words(out_text, "loadable=no\nerror=");
    expect_words(out_text, "invalid ELF header");
    assert_int_equal(probe("--dlopen=/nonexistent.so", NULL, &out_missing), 1);
    assert_string_equal(out_missing,
                        "loadable=no\nerror=/nonexistent.so cannot be opened: No such file or directory\n");
}

/* Without room for its thread-local data jemalloc cannot be opened late, which says nothing of preloading it:
 * no verdict. (The last tunable counts; the first keeps the probe from starting again with it.) */
static void test_no_room(void **state)
{
    (void)state;
    _cleanup_(library_clear) Library library = { 0 };
    _cleanup_(freep) char *reason = NULL, *option = NULL, *out = NULL;
    char *const environment[] = { (char *)"GLIBC_TUNABLES=glibc.rtld.optional_static_tls=65536:"
                                          "glibc.rtld.optional_static_tls=0",
                                  NULL };

    scratch_need_library("libjemalloc.so.2");
    if (library_resolve("libjemalloc.so.2", PROBE, &library, &reason) < 0)
        fail_msg("%s", reason);
    option = xasprintf("--dlopen=%s", library.path);
    assert_int_equal(scratch_run((char *const[]){ (char *)PROBE, option, NULL }, environment, &out), 3);
    expect_words(out, "static TLS block");
    assert_null(strstr(out, "loadable="));
}

/* Where AppArmor is in use a profile that is not there is told, and no verdict is given; else there is
 * nothing that could confine a relay. */
static void test_apparmor(void **state)
{
    (void)state;
    _cleanup_(fclosep) FILE *f = fopen("/sys/module/apparmor/parameters/enabled", "re");
    const bool enabled = f && getc(f) == 'Y';
    _cleanup_(library_clear) Library library = { 0 };
    _cleanup_(freep) char *reason = NULL, *option = NULL, *out = NULL;
    int status;

    scratch_need_library("libjemalloc.so.2");
    if (library_resolve("libjemalloc.so.2", PROBE, &library, &reason) < 0)
        fail_msg("%s", reason);
    option = xasprintf("--dlopen=%s", library.path);
    status = probe("--apparmor=relayalloc-no-such-profile", option, &out);
    assert_int_equal(status, enabled ? 3 : 0);
    assert_string_equal(out, enabled
                                 ? "error=there is no AppArmor profile \"relayalloc-no-such-profile\" in the "
                                   "kernel\n"
                                 : "confined=\nloadable=yes\n");
}

static void test_command_line(void **state)
{
    (void)state;
    _cleanup_(freep) char *help = NULL, *version = NULL, *bad = NULL;

    assert_int_equal(probe("--help", NULL, &help), 0);
    expect_words(help, "--dlopen=PATH");
    expect_words(help, "--apparmor=PROFILE");
    assert_int_equal(probe("--version", NULL, &version), 0);
    assert_string_equal(version, "relayalloc-probe " VERSION "\n");
    assert_int_equal(probe("--nonsense", NULL, &bad), 2);
    assert_string_equal(bad, "");
    assert_int_equal(probe("argument", NULL, NULL), 2);
    assert_int_equal(probe("--apparmor=alone", NULL, NULL), 2);
    assert_int_equal(probe("--dlopen", NULL, NULL), 2);
}

static void test_no_descriptor_is_left(void **state)
{
    (void)state;
    static const char *const faults[] = { "", "crash", "status", "nothing" };
    size_t before = scratch_count_fds();

    for (size_t i = 0; i < ELEMENTSOF(faults); i++) {
        _cleanup_(probe_result_clear) ProbeResult result = { 0 };
        _cleanup_(freep) char *reason = NULL;
        int r = run_with(broken, "FAULT", faults[i], PROBE_TIMEOUT, &result, &reason);
        assert_int_equal(r, *faults[i] ? -EPROTO : 0);
    }
    assert_int_equal(scratch_count_fds(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_glibc),
        cmocka_unit_test(test_installed),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_no_allocator),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_not_so_broken),
        cmocka_unit_test(test_half_an_allocator),
        cmocka_unit_test(test_ignored),
        cmocka_unit_test(test_needs_what_is_missing),
        cmocka_unit_test(test_needs_a_newer_glibc),
        cmocka_unit_test(test_no_probe),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_dlopen),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_apparmor),
        cmocka_unit_test(test_command_line),
        cmocka_unit_test(test_no_descriptor_is_left),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
