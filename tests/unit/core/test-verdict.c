/* SPDX-License-Identifier: BSD-3-Clause */
/* One relay, and all the ways in which it can run something else than it should. Each row starts from a relay
 * that runs right and changes what differs. */
#include "test.h"

#include "core/dropin.h"
#include "core/preload.h"
#include "core/verdict.h"

#define DIR "/etc/systemd/system/tor@x.service.d/"
#define OWN DIR "zz-relayalloc.conf"
#define MIMALLOC "/usr/lib/x86_64-linux-gnu/libmimalloc.so.2"
#define MIMALLOC_FILE MIMALLOC ".0"
#define JEMALLOC "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"
#define OWN_LIBRARY "/opt/lib/libmine.so"
#define OWN_NOT_LOADED                                                                                       \
    "the library " OWN_LIBRARY " exists but was not loaded: hidden or denied by the unit's sandbox, or it "  \
    "was missing when the relay started"
#define FILES_MAX 6
#define VARIABLES_MAX 8

typedef const char *Variables[VARIABLES_MAX];

typedef struct Row {
    const char *what;
    /* assigned; by default mimalloc without variables */
    const char *allocator, *library, *realpath; /* "" for NULL */
    EnvVar set[2];
    const char *kept; /* preloaded for others, behind it */
    /* running; by default what is assigned */
    const char *path; /* "": glibc */
    bool deleted, unreadable, no_environ;
    const char *apparmor, *system_allocator, *program;
    SecureMode secure;
    Origin origin;
    bool started_since;
    const char *refusal; /* of the library */
    const char *untested;
    const char *manager;
    Variables process; /* by default what our drop-in says */
    Variables unit;    /* the same */
    SettingFile files[FILES_MAX];
    bool own_unwritten;
    const char *own_text;      /* by default as rendered; "": written but not among the files */
    bool first_file_is_before; /* the first of `files` is read before ours, the others after it */
    /* expected */
    Cause cause;
    const char *reason;
} Row;

static const char *or_null(const char *s, const char *by_default)
{
    if (!s)
        return by_default;
    return *s ? s : NULL;
}

static Verdict judge(const Row *row)
{
    const char *library = or_null(row->library, MIMALLOC);
    const char *realpath = row->realpath  ? or_null(row->realpath, NULL)
                           : row->library ? library
                                          : MIMALLOC_FILE;
    size_t n_set = 0, n = 0;
    SettingFile files[FILES_MAX + 1];
    Variables assigned = { NULL };
    char buffer[3][160];

    while (n_set < ELEMENTSOF(row->set) && row->set[n_set].name)
        n_set++;
    Allocator allocator = { .name = (char *)(row->allocator ? row->allocator : "mimalloc"),
                            .environment = (EnvVar *)row->set,
                            .n_environment = n_set };
    char *kept[] = { (char *)row->kept, NULL };
    _cleanup_(freep) char *preload = preload_join(library, kept);
    snprintf(buffer[2], sizeof(buffer[2]), "LD_PRELOAD=%s", preload);
    assigned[0] = buffer[2];
    for (size_t i = 0; i < n_set; i++) {
        snprintf(buffer[i], sizeof(buffer[i]), "%s=%s", row->set[i].name, row->set[i].value);
        assigned[i + 1] = buffer[i];
    }

    _cleanup_(freep) char *text = dropin_render("/etc/relayalloc.conf", "A", &allocator, library, kept);
    size_t extra = 0;
    if (row->first_file_is_before)
        files[n++] = row->files[extra++];
    if (!row->own_unwritten && (!row->own_text || *row->own_text))
        files[n++] = (SettingFile){ OWN, row->own_text ? row->own_text : text, false, false };
    while (extra < FILES_MAX && row->files[extra].path)
        files[n++] = row->files[extra++];

    const char *path = or_null(row->path, realpath);
    MappedLibrary running = { .path = (char *)path,
                              .inode = path ? 7 : 0,
                              .deleted = row->deleted,
                              .origin = row->origin,
                              .family = path ? family_of_library(path) : FAMILY_GLIBC };
    const char *manager[] = { row->manager, NULL };
    VerdictFacts facts = {
        .allocator = allocator.name,
        .library = library,
        .preload = row->kept ? preload : NULL,
        .kept = kept,
        .realpath = realpath,
        .environment = row->set,
        .n_environment = n_set,
        .running = row->unreadable ? NULL : &running,
        .process_environ =
            row->no_environ ? NULL : (char *const *)(row->process[0] ? row->process : assigned),
        .refusal = row->refusal,
        .untested = row->untested,
        .apparmor = row->apparmor,
        .system_allocator = row->system_allocator,
        .program = row->program,
        .secure = row->secure,
        .started_since = row->started_since,
        .unit_environment = (char *const *)(row->unit[0] ? row->unit : assigned),
        .manager_environment = (char *const *)manager,
        .files = files,
        .n_files = n,
        .own_dropin = row->own_unwritten ? NULL : OWN,
    };
    return verdict_judge(&facts);
}

static void check_rows(const Row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        Verdict v = judge(&rows[i]);

        if (v.cause != rows[i].cause)
            fail_msg("%s: cause %d: %s", rows[i].what, v.cause, v.reason ? v.reason : "-");
        if (!streq_null(v.reason, rows[i].reason))
            fail_msg("%s: \"%s\"", rows[i].what, v.reason ? v.reason : "-");
        if (v.cause == CAUSE_REPLACED || v.cause == CAUSE_NONE || v.cause == CAUSE_NOT_RESTARTED)
            assert_int_equal(v.outlived, v.cause == CAUSE_REPLACED);
        assert_int_equal(v.unannounced, v.cause == CAUSE_OVERRIDDEN &&
                                            (strstr(v.reason, "is overridden by EnvironmentFile ") ||
                                             strstr(v.reason, ": /etc/ld.so.preload loads ")));
        verdict_clear(&v);
        assert_null(v.reason);
    }
}

#define WRAP "/usr/lib/libmptcpwrap.so.0.0.1"
#define SERVICE(lines) "[Service]\n" lines
#define PURGE                                                                                                \
    {                                                                                                        \
        {                                                                                                    \
            "MIMALLOC_PURGE_DELAY", "0"                                                                      \
        }                                                                                                    \
    }
#define NOTHING                                                                                              \
    {                                                                                                        \
        "A=B"                                                                                                \
    }

static void test_right(void **state)
{
    static const Row rows[] = {
        { .what = "as assigned" },
        { .what = "glibc", .allocator = "glibc", .library = "" },
        { .what = "glibc, LD_PRELOAD unset",
          .allocator = "glibc",
          .library = "",
          .process = NOTHING,
          .unit = NOTHING },
        { .what = "glibc before our drop-in",
          .allocator = "glibc",
          .library = "",
          .process = NOTHING,
          .unit = NOTHING,
          .own_unwritten = true },
        { .what = "glibc with a preload that is no allocator",
          .allocator = "glibc",
          .library = "",
          .process = { "LD_PRELOAD=/usr/lib/libz.so" } },
        { .what = "with what others preload", .kept = WRAP },
        { .what = "others' preload is gone since", .process = { "LD_PRELOAD=" MIMALLOC ":" WRAP } },
        { .what = "others' preload came since", .kept = WRAP, .process = { "LD_PRELOAD=" MIMALLOC } },
        { .what = "glibc with what others preload", .allocator = "glibc", .library = "", .kept = WRAP },
        { .what = "a later file that says just the same",
          .kept = WRAP,
          .files = { { DIR "zzz.conf", SERVICE("Environment=\"LD_PRELOAD=" MIMALLOC " " WRAP "\"\n"), false,
                       false } } },
        { .what = "with its variables", .set = PURGE },
        { .what = "the path of the drop-in itself", .path = MIMALLOC },
        { .what = "told by another name", .process = { "LD_PRELOAD=libmimalloc.so.2" } },
        { .what = "preloaded by another's file",
          .own_unwritten = true,
          .unit = { "LD_PRELOAD=" MIMALLOC },
          .files = { { DIR "override.conf", SERVICE("Environment=LD_PRELOAD=" MIMALLOC "\n"), false,
                       false } } },
        /* strikes at the next restart only */
        { .what = "an override it does not have yet",
          .unit = NOTHING,
          .files = { { DIR "zzz.conf", SERVICE("Environment=LD_PRELOAD=\n"), false, false } } },
        { .what = "under AppArmor", .apparmor = "system_tor (enforce)" },
        /* variables that are the operator's */
        { .what = "another's variable",
          .process = { "LD_PRELOAD=" MIMALLOC, "MALLOC_ARENA_MAX=1" },
          .unit = { "LD_PRELOAD=" MIMALLOC, "MALLOC_ARENA_MAX=1" } },
        { .what = "an EnvironmentFile's variable",
          .process = { "LD_PRELOAD=" MIMALLOC, "MIMALLOC_VERBOSE=1" },
          .files = { { "/etc/default/tor", "MIMALLOC_VERBOSE=1\n", true, false } } },
        { .what = "the manager's variable",
          .process = { "LD_PRELOAD=" MIMALLOC, "MIMALLOC_VERBOSE=1" },
          .manager = "MIMALLOC_VERBOSE=1" },
        { .what = "perhaps an EnvironmentFile's",
          .process = { "LD_PRELOAD=" MIMALLOC, "MIMALLOC_VERBOSE=1" },
          .files = { { "/etc/default/tor", NULL, true, false } } },
        { .what = "variables of no allocator",
          .process = { "LD_PRELOAD=" MIMALLOC, "MALLOCX=1", "TZ=UTC", "MALLOC_a b=1" } },
    };

    (void)state;
    check_rows(rows, ELEMENTSOF(rows));
}

/* A list is no less of an order to load ours than it alone. */
static void test_wrong_with_preloads_of_others(void **state)
{
    static const Row rows[] = {
        { .what = "told and not loaded",
          .kept = WRAP,
          .path = "",
          .cause = CAUSE_DENIED,
          .reason = "the library " MIMALLOC " exists but was not loaded: hidden or denied by the unit's "
                    "sandbox, or it was missing when the relay started" },
        { .what = "told first, and another one serves",
          .kept = JEMALLOC,
          .path = JEMALLOC,
          .cause = CAUSE_DENIED,
          .reason = "the library " MIMALLOC " exists but was not loaded: hidden or denied by the unit's "
                    "sandbox, or it was missing when the relay started" },
        { .what = "what others preload alone",
          .kept = WRAP,
          .path = "",
          .process = { "LD_PRELOAD=" WRAP },
          .cause = CAUSE_NOT_RESTARTED,
          .reason =
              "runs glibc, not mimalloc: started before the drop-in was written, so it needs a restart" },
        { .what = "a later file that says less",
          .kept = WRAP,
          .path = "",
          .process = { "LD_PRELOAD=" WRAP },
          .unit = { "LD_PRELOAD=" WRAP },
          .files = { { DIR "zzz.conf", SERVICE("Environment=LD_PRELOAD=" WRAP "\n"), false, false } },
          .cause = CAUSE_OVERRIDDEN,
          .reason = "LD_PRELOAD is overridden by " DIR "zzz.conf" },
        { .what = "a drop-in from before others preloaded anything",
          .kept = WRAP,
          .path = "",
          .process = NOTHING,
          .unit = { "LD_PRELOAD=" MIMALLOC },
          .own_text = SERVICE("Environment=LD_PRELOAD=" MIMALLOC "\n"),
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs glibc, not mimalloc: its drop-in is from an earlier assignment" },
    };

    (void)state;
    check_rows(rows, ELEMENTSOF(rows));
}

static void test_unreadable(void **state)
{
#define SENTENCE "its files in /proc could not be read, so nothing is proved"
    static const Row rows[] = {
        { .what = "maps", .unreadable = true, .cause = CAUSE_UNREADABLE, .reason = SENTENCE },
        { .what = "environ", .no_environ = true, .cause = CAUSE_UNREADABLE, .reason = SENTENCE },
        { .what = "maps of glibc",
          .allocator = "glibc",
          .library = "",
          .unreadable = true,
          .cause = CAUSE_UNREADABLE,
          .reason = SENTENCE },
    };

    (void)state;
    check_rows(rows, ELEMENTSOF(rows));
}

static void test_not_restarted(void **state)
{
#define RESTART ": started before the drop-in was written, so it needs a restart"
    static const Row rows[] = {
        { .what = "glibc still",
          .path = "",
          .process = NOTHING,
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs glibc, not mimalloc" RESTART },
        { .what = "jemalloc still",
          .path = JEMALLOC,
          .process = { "LD_PRELOAD=" JEMALLOC },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs jemalloc, not mimalloc" RESTART },
        { .what = "linked with jemalloc",
          .path = JEMALLOC,
          .process = NOTHING,
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs jemalloc, not mimalloc" RESTART },
        { .what = "glibc is assigned",
          .allocator = "glibc",
          .library = "",
          .path = JEMALLOC,
          .process = { "LD_PRELOAD=" JEMALLOC },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs jemalloc, not glibc" RESTART },
        { .what = "the same allocator elsewhere",
          .allocator = "pinned",
          .library = "/opt/libmimalloc.so",
          .path = MIMALLOC_FILE,
          .process = { "LD_PRELOAD=" MIMALLOC },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs " MIMALLOC_FILE ", not pinned" RESTART },
        { .what = "a library of its own name",
          .path = "/opt/heap.so",
          .process = { "LD_PRELOAD=/opt/heap.so" },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs /opt/heap.so, not mimalloc" RESTART },
        { .what = "another AppArmor profile has nothing to do with it",
          .path = "",
          .process = NOTHING,
          .apparmor = "system_tor (enforce)",
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs glibc, not mimalloc" RESTART },
        { .what = "an EnvironmentFile that agrees",
          .path = "",
          .process = NOTHING,
          .files = { { "/etc/default/tor", "LD_PRELOAD=" MIMALLOC "\n", true, false } },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs glibc, not mimalloc" RESTART },

        { .what = "no drop-in yet",
          .path = "",
          .process = NOTHING,
          .unit = NOTHING,
          .own_unwritten = true,
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs glibc, not mimalloc: its drop-in is not written yet" },
        /* ours will win over override.conf */
        { .what = "no drop-in yet, another's before it",
          .path = JEMALLOC,
          .process = { "LD_PRELOAD=" JEMALLOC },
          .unit = { "LD_PRELOAD=" JEMALLOC },
          .own_unwritten = true,
          .files = { { DIR "override.conf", SERVICE("Environment=LD_PRELOAD=" JEMALLOC "\n"), false,
                       false } },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs jemalloc, not mimalloc: its drop-in is not written yet" },
        { .what = "the old drop-in",
          .path = JEMALLOC,
          .process = { "LD_PRELOAD=" JEMALLOC },
          .unit = { "LD_PRELOAD=" JEMALLOC },
          .own_text = SERVICE("Environment=LD_PRELOAD=" JEMALLOC "\n"),
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs jemalloc, not mimalloc: its drop-in is from an earlier assignment" },
        { .what = "no reload yet",
          .path = "",
          .process = NOTHING,
          .unit = NOTHING,
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs glibc, not mimalloc: systemd has not loaded the drop-in yet" },
        { .what = "no reload yet, and not listed",
          .path = "",
          .process = NOTHING,
          .unit = NOTHING,
          .own_text = "",
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs glibc, not mimalloc: systemd has not loaded the drop-in yet" },

        { .what = "its variable lacks",
          .set = PURGE,
          .process = { "LD_PRELOAD=" MIMALLOC },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs without MIMALLOC_PURGE_DELAY=0" RESTART },
        { .what = "its variable differs",
          .set = PURGE,
          .process = { "LD_PRELOAD=" MIMALLOC, "MIMALLOC_PURGE_DELAY=10" },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs without MIMALLOC_PURGE_DELAY=0" RESTART },
        { .what = "an empty variable is not an unset one",
          .set = { { "MIMALLOC_X", "" } },
          .process = { "LD_PRELOAD=" MIMALLOC },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs without MIMALLOC_X=" RESTART },
        { .what = "its second variable lacks",
          .set = { { "MIMALLOC_PURGE_DELAY", "0" }, { "MIMALLOC_DECOMMIT_DELAY", "0" } },
          .process = { "LD_PRELOAD=" MIMALLOC, "MIMALLOC_PURGE_DELAY=0" },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs without MIMALLOC_DECOMMIT_DELAY=0" RESTART },
        { .what = "tunables of glibc",
          .allocator = "glibc-tuned",
          .library = "",
          .set = { { "GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=131072" } },
          .process = NOTHING,
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs without GLIBC_TUNABLES=glibc.malloc.mmap_threshold=131072" RESTART },
        { .what = "its variable, no drop-in yet",
          .set = PURGE,
          .process = NOTHING,
          .unit = NOTHING,
          .own_unwritten = true,
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs without MIMALLOC_PURGE_DELAY=0: its drop-in is not written yet" },

        { .what = "a file that overrode ours is deleted, and systemd does not know",
          .path = "",
          .process = NOTHING,
          .unit = { "LD_PRELOAD=" JEMALLOC },
          .files = { { DIR "zzz.conf", "", false, true } },
          .cause = CAUSE_NOT_RESTARTED,
          .reason =
              "runs glibc, not mimalloc: " DIR "zzz.conf is deleted, but systemd has not reloaded since" },
        { .what = "a file that is deleted and never overrode ours",
          .path = "",
          .process = NOTHING,
          .unit = { "LD_PRELOAD=" JEMALLOC },
          .files = { { DIR "aaa.conf", "", false, true } },
          .first_file_is_before = true,
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs glibc, not mimalloc: systemd has not loaded the drop-in yet" },
        { .what = "a variable left over, the old drop-in",
          .process = { "LD_PRELOAD=" MIMALLOC, "MIMALLOC_PURGE_DELAY=0" },
          .unit = { "LD_PRELOAD=" MIMALLOC, "MIMALLOC_PURGE_DELAY=0" },
          .own_text = SERVICE("Environment=LD_PRELOAD=" MIMALLOC " MIMALLOC_PURGE_DELAY=0\n"),
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs with MIMALLOC_PURGE_DELAY, which mimalloc does not set: its drop-in is from an "
                    "earlier assignment" },
        { .what = "a variable left over",
          .process = { "LD_PRELOAD=" MIMALLOC, "MIMALLOC_PURGE_DELAY=0" },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs with MIMALLOC_PURGE_DELAY, which mimalloc does not set" RESTART },
        { .what = "tunables left over",
          .allocator = "glibc",
          .library = "",
          .process = { "LD_PRELOAD=", "GLIBC_TUNABLES=glibc.malloc.arena_max=1" },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs with GLIBC_TUNABLES, which glibc does not set" RESTART },
        { .what = "a variable of any name left over",
          .process = { "LD_PRELOAD=" MIMALLOC, "HEAP=1" },
          .unit = { "LD_PRELOAD=" MIMALLOC, "HEAP=1" },
          .own_text = SERVICE("Environment=LD_PRELOAD=" MIMALLOC " HEAP=1\n"),
          .cause = CAUSE_NOT_RESTARTED,
          .reason =
              "runs with HEAP, which mimalloc does not set: its drop-in is from an earlier assignment" },
        /* empty or unset, in the drop-in, in the unit */
        { .what = "glibc by a drop-in that does not name LD_PRELOAD",
          .allocator = "glibc",
          .library = "",
          .path = JEMALLOC,
          .process = { "LD_PRELOAD=" JEMALLOC },
          .unit = NOTHING,
          .own_text = SERVICE(""),
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs jemalloc, not glibc" RESTART },
    };

    (void)state;
    check_rows(rows, ELEMENTSOF(rows));
}

static void test_overridden(void **state)
{
    static const Row rows[] = {
        { .what = "by a later drop-in",
          .path = JEMALLOC,
          .process = { "LD_PRELOAD=" JEMALLOC },
          .unit = { "LD_PRELOAD=" JEMALLOC },
          .files = { { DIR "zzz.conf", SERVICE("Environment=LD_PRELOAD=" JEMALLOC "\n"), false, false } },
          .cause = CAUSE_OVERRIDDEN,
          .reason = "LD_PRELOAD is overridden by " DIR "zzz.conf" },
        { .what = "to nothing",
          .path = "",
          .process = { "LD_PRELOAD=" },
          .unit = { "LD_PRELOAD=" },
          .files = { { DIR "zzz.conf", SERVICE("Environment=LD_PRELOAD=\n"), false, false } },
          .cause = CAUSE_OVERRIDDEN,
          .reason = "LD_PRELOAD is overridden by " DIR "zzz.conf" },
        { .what = "of glibc",
          .allocator = "glibc",
          .library = "",
          .path = JEMALLOC,
          .process = { "LD_PRELOAD=" JEMALLOC },
          .unit = { "LD_PRELOAD=" JEMALLOC },
          .files = { { DIR "zzz.conf", SERVICE("Environment=LD_PRELOAD=" JEMALLOC "\n"), false, false } },
          .cause = CAUSE_OVERRIDDEN,
          .reason = "LD_PRELOAD is overridden by " DIR "zzz.conf" },
        { .what = "with another before ours",
          .path = JEMALLOC,
          .process = { "LD_PRELOAD=" JEMALLOC " " MIMALLOC },
          .unit = { "LD_PRELOAD=" JEMALLOC " " MIMALLOC },
          .files = { { DIR "zzz.conf", SERVICE("Environment=\"LD_PRELOAD=" JEMALLOC " " MIMALLOC "\"\n"),
                       false, false } },
          .cause = CAUSE_OVERRIDDEN,
          .reason = "LD_PRELOAD is overridden by " DIR "zzz.conf" },
        { .what = "by the last of several",
          .path = "",
          .process = { "LD_PRELOAD=" },
          .unit = { "LD_PRELOAD=" },
          .files = { { DIR "zzz.conf", SERVICE("Environment=LD_PRELOAD=/x\n"), false, false },
                     { DIR "zzzz.conf", SERVICE("Environment=LD_PRELOAD=\n"), false, false } },
          .cause = CAUSE_OVERRIDDEN,
          .reason = "LD_PRELOAD is overridden by " DIR "zzzz.conf" },
        { .what = "by an EnvironmentFile",
          .path = "",
          .process = { "LD_PRELOAD=" },
          .files = { { "/etc/default/tor", "# x\nLD_PRELOAD=\"\"\n", true, false } },
          .cause = CAUSE_OVERRIDDEN,
          .reason = "LD_PRELOAD is overridden by EnvironmentFile /etc/default/tor" },
        { .what = "by an EnvironmentFile named before ours",
          .path = "",
          .process = NOTHING,
          .first_file_is_before = true,
          .files = { { "/etc/default/tor", "LD_PRELOAD=/x\n", true, false } },
          .cause = CAUSE_OVERRIDDEN,
          .reason = "LD_PRELOAD is overridden by EnvironmentFile /etc/default/tor" },
        { .what = "by an EnvironmentFile more than by a drop-in",
          .path = "",
          .process = { "LD_PRELOAD=/x" },
          .unit = { "LD_PRELOAD=/y" },
          .files = { { DIR "zzz.conf", SERVICE("Environment=LD_PRELOAD=/y\n"), false, false },
                     { "/etc/default/tor", "LD_PRELOAD=/x\n", true, false } },
          .cause = CAUSE_OVERRIDDEN,
          .reason = "LD_PRELOAD is overridden by EnvironmentFile /etc/default/tor" },
        { .what = "by a reset",
          .path = "",
          .process = NOTHING,
          .unit = NOTHING,
          .files = { { DIR "zzz.conf", SERVICE("Environment=\nEnvironment=A=B\n"), false, false } },
          .cause = CAUSE_OVERRIDDEN,
          .reason = "LD_PRELOAD is overridden by an empty Environment= in " DIR "zzz.conf" },
        { .what = "by UnsetEnvironment",
          .path = "",
          .process = NOTHING,
          .first_file_is_before = true,
          .files = { { DIR "10.conf", SERVICE(" UnsetEnvironment = FOO \"LD_PRELOAD\"\n"), false, false } },
          .cause = CAUSE_OVERRIDDEN,
          .reason = "LD_PRELOAD is removed by UnsetEnvironment= in " DIR "10.conf" },
        { .what = "by UnsetEnvironment over two lines, with a value",
          .path = "",
          .process = NOTHING,
          .files = { { DIR "zzz.conf", SERVICE("UnsetEnvironment=FOO \\\n LD_PRELOAD=" MIMALLOC "\n"), false,
                       false } },
          .cause = CAUSE_OVERRIDDEN,
          .reason = "LD_PRELOAD is removed by UnsetEnvironment= in " DIR "zzz.conf" },
        { .what = "before a restart even",
          .path = "",
          .process = NOTHING,
          .unit = { "LD_PRELOAD=" JEMALLOC },
          .files = { { DIR "zzz.conf", SERVICE("Environment=LD_PRELOAD=" JEMALLOC "\n"), false, false } },
          .cause = CAUSE_OVERRIDDEN,
          .reason = "LD_PRELOAD is overridden by " DIR "zzz.conf" },
        { .what = "before our drop-in is written even",
          .path = "",
          .process = NOTHING,
          .unit = { "LD_PRELOAD=" JEMALLOC },
          .own_unwritten = true,
          .files = { { DIR "zzz.conf", SERVICE("Environment=LD_PRELOAD=" JEMALLOC "\n"), false, false } },
          .cause = CAUSE_OVERRIDDEN,
          .reason = "LD_PRELOAD is overridden by " DIR "zzz.conf" },
        { .what = "and the library is missing as well",
          .realpath = "",
          .path = "",
          .process = NOTHING,
          .unit = NOTHING,
          .files = { { DIR "zzz.conf", SERVICE("Environment=LD_PRELOAD=\n"), false, false } },
          .cause = CAUSE_OVERRIDDEN,
          .reason = "LD_PRELOAD is overridden by " DIR "zzz.conf" },

        { .what = "its variable",
          .set = PURGE,
          .process = { "LD_PRELOAD=" MIMALLOC, "MIMALLOC_PURGE_DELAY=5" },
          .unit = { "LD_PRELOAD=" MIMALLOC, "MIMALLOC_PURGE_DELAY=5" },
          .files = { { DIR "zzz.conf", SERVICE("Environment=MIMALLOC_PURGE_DELAY=5\n"), false, false } },
          .cause = CAUSE_OVERRIDDEN,
          .reason = "MIMALLOC_PURGE_DELAY is overridden by " DIR "zzz.conf" },
        { .what = "its variable by an EnvironmentFile",
          .set = PURGE,
          .process = { "LD_PRELOAD=" MIMALLOC, "MIMALLOC_PURGE_DELAY=5" },
          .files = { { "/etc/default/tor", "MIMALLOC_PURGE_DELAY=5\n", true, false } },
          .cause = CAUSE_OVERRIDDEN,
          .reason = "MIMALLOC_PURGE_DELAY is overridden by EnvironmentFile /etc/default/tor" },
        { .what = "one variable, and another waits for a restart",
          .set = { { "MIMALLOC_A", "1" }, { "MIMALLOC_B", "1" } },
          .process = { "LD_PRELOAD=" MIMALLOC },
          .files = { { "/etc/default/tor", "MIMALLOC_B=2\n", true, false } },
          .cause = CAUSE_OVERRIDDEN,
          .reason = "MIMALLOC_B is overridden by EnvironmentFile /etc/default/tor" },

        /* not overridden, though it looks like it */
        { .what = "a drop-in before ours",
          .path = "",
          .process = NOTHING,
          .first_file_is_before = true,
          .files = { { DIR "override.conf", SERVICE("Environment=LD_PRELOAD=/x\n"), false, false } },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs glibc, not mimalloc" RESTART },
        { .what = "a later drop-in that systemd has not loaded",
          .path = "",
          .process = NOTHING,
          .files = { { DIR "zzz.conf", SERVICE("Environment=LD_PRELOAD=/x\n"), false, false } },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs glibc, not mimalloc" RESTART },
        { .what = "overridden back again",
          .path = "",
          .process = NOTHING,
          .files = { { "/etc/default/a", "LD_PRELOAD=/x\n", true, false },
                     { "/etc/default/b", "LD_PRELOAD=" MIMALLOC "\n", true, false } },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs glibc, not mimalloc" RESTART },
        { .what = "an empty word is no reset",
          .path = "",
          .process = NOTHING,
          .unit = NOTHING,
          .files = { { DIR "zzz.conf", SERVICE("Environment=\"\"\n"), false, false } },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs glibc, not mimalloc: systemd has not loaded the drop-in yet" },
        { .what = "UnsetEnvironment of others",
          .path = "",
          .process = NOTHING,
          .files = { { DIR "zzz.conf",
                       SERVICE("UnsetEnvironment=LD_PRELOADS XLD_PRELOAD\n#UnsetEnvironment=LD_PRELOAD\n"),
                       false, false } },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs glibc, not mimalloc" RESTART },
        { .what = "UnsetEnvironment that is taken back, and one of no service",
          .path = "",
          .process = NOTHING,
          .files = { { DIR "zzz.conf",
                       SERVICE("UnsetEnvironment=LD_PRELOAD\nUnsetEnvironment=\n[Unit]\nUnsetEnvironment=LD_"
                               "PRELOAD\n"),
                       false, false } },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs glibc, not mimalloc" RESTART },
        { .what = "a drop-in before ours, which systemd has not loaded",
          .path = "",
          .process = { "LD_PRELOAD=/x" },
          .unit = { "LD_PRELOAD=/x" },
          .first_file_is_before = true,
          .files = { { DIR "override.conf", SERVICE("Environment=LD_PRELOAD=/x\n"), false, false } },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs glibc, not mimalloc: systemd has not loaded the drop-in yet" },
    };

    (void)state;
    check_rows(rows, ELEMENTSOF(rows));
}

static void test_library_gone_or_denied(void **state)
{
#define NOT_LOADED "the library " MIMALLOC " exists but was not loaded: "
#define SANDBOX NOT_LOADED "hidden or denied by the unit's sandbox, or it was missing when the relay started"
    static const Row rows[] = {
        { .what = "missing",
          .realpath = "",
          .path = "",
          .cause = CAUSE_MISSING,
          .reason = "the library " MIMALLOC " is missing, so ld.so ignored it and glibc serves malloc" },
        { .what = "missing, and linked with another",
          .realpath = "",
          .path = JEMALLOC,
          .cause = CAUSE_MISSING,
          .reason = "the library " MIMALLOC " is missing, so ld.so ignored it and jemalloc serves malloc" },
        { .what = "missing, and not told yet",
          .realpath = "",
          .path = "",
          .process = NOTHING,
          .cause = CAUSE_MISSING,
          .reason =
              "runs glibc, not mimalloc: the library " MIMALLOC " is missing, so a restart would not help" },
        { .what = "missing under its bare name",
          .library = "libmimalloc.so.2",
          .realpath = "",
          .path = "",
          .process = NOTHING,
          .unit = NOTHING,
          .own_unwritten = true,
          .cause = CAUSE_MISSING,
          .reason = "runs glibc, not mimalloc: the library libmimalloc.so.2 is missing, so a restart would "
                    "not help" },
        { .what = "not looked at for want of descriptors",
          .realpath = "",
          .path = "",
          .untested = "Too many open files",
          .cause = CAUSE_UNREADABLE,
          .reason = "allocator mimalloc could not be tested yet: Too many open files" },
        { .what = "the same of one that runs it",
          .realpath = "",
          .untested = "Too many open files",
          .cause = CAUSE_UNREADABLE,
          .reason = "allocator mimalloc could not be tested yet: Too many open files" },
        { .what = "missing, under AppArmor",
          .realpath = "",
          .path = "",
          .apparmor = "system_tor (enforce)",
          .cause = CAUSE_MISSING,
          .reason = "the library " MIMALLOC " is missing, so ld.so ignored it and glibc serves malloc" },

        { .what = "denied by AppArmor",
          .path = "",
          .apparmor = "system_tor (enforce)",
          .cause = CAUSE_DENIED,
          .reason = NOT_LOADED "denied by AppArmor profile system_tor" },
        { .what = "a profile with a blank",
          .path = "",
          .apparmor = "my tor (kill)",
          .cause = CAUSE_DENIED,
          .reason = NOT_LOADED "denied by AppArmor profile my tor" },
        { .what = "a stack of profiles of which some only complain",
          .path = "",
          .apparmor = "system_tor//&local (mixed)",
          .cause = CAUSE_DENIED,
          .reason = NOT_LOADED "denied by AppArmor profile system_tor//&local" },
        { .what = "a profile that only complains",
          .path = "",
          .apparmor = "system_tor (complain)",
          .cause = CAUSE_DENIED,
          .reason = SANDBOX },
        { .what = "unconfined",
          .path = "",
          .apparmor = "unconfined",
          .cause = CAUSE_DENIED,
          .reason = SANDBOX },
        { .what = "another security module",
          .path = "",
          .apparmor = "system_u:system_r:tor_t:s0",
          .cause = CAUSE_DENIED,
          .reason = SANDBOX },
        { .what = "no security module", .path = "", .cause = CAUSE_DENIED, .reason = SANDBOX },
        { .what = "denied right after a restart",
          .path = "",
          .started_since = true,
          .cause = CAUSE_DENIED,
          .reason = SANDBOX },
        { .what = "denied, with another in the list",
          .path = "",
          .process = { "LD_PRELOAD=/usr/lib/libz.so:" MIMALLOC },
          .cause = CAUSE_DENIED,
          .reason = SANDBOX },
        /* what the process was told explains it, not what the next one will be told */
        { .what = "denied, and overridden from now on",
          .path = "",
          .unit = NOTHING,
          .files = { { DIR "zzz.conf", SERVICE("Environment=LD_PRELOAD=\n"), false, false } },
          .cause = CAUSE_DENIED,
          .reason = SANDBOX },
        { .what = "told to load a longer name",
          .path = "",
          .process = { "LD_PRELOAD=" MIMALLOC ".0" },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs glibc, not mimalloc" RESTART },
        { .what = "another file that begins with its name",
          .library = "/opt/heap.so",
          .path = "/opt/heap.so2",
          .cause = CAUSE_DENIED,
          .reason = "the library /opt/heap.so exists but was not loaded: hidden or denied by the unit's "
                    "sandbox, or it was missing when the relay started" },
    };

    (void)state;
    check_rows(rows, ELEMENTSOF(rows));
}

/* It is there, and others could change it: that it is missing would be false, and that all is well, too. */
static void test_unsafe(void **state)
{
    static const Row rows[] = {
        { .what = "runs it",
          .refusal = "/opt belongs to eve",
          .cause = CAUSE_REFUSED,
          .reason = "runs " MIMALLOC_FILE ", which is refused now: /opt belongs to eve" },
        { .what = "does not run it",
          .refusal = "/opt belongs to eve",
          .path = "",
          .process = NOTHING,
          .unit = NOTHING,
          .own_unwritten = true,
          .cause = CAUSE_REFUSED,
          .reason = "runs glibc, not mimalloc, which is refused: /opt belongs to eve" },
        { .what = "told to load it, and has not",
          .refusal = "/opt belongs to eve",
          .path = "",
          .cause = CAUSE_DENIED,
          .reason = "the library " MIMALLOC " exists but was not loaded: hidden or denied by the unit's "
                    "sandbox, or it was missing when the relay started" },
    };

    (void)state;
    check_rows(rows, ELEMENTSOF(rows));
}

static void test_replaced(void **state)
{
    static const Row rows[] = {
        { .what = "replaced",
          .deleted = true,
          .cause = CAUSE_REPLACED,
          .reason =
              "runs " MIMALLOC_FILE ", which has been replaced on disk since (a restart loads the new one)" },
        { .what = "a new version behind the link",
          .realpath = MIMALLOC ".1",
          .path = MIMALLOC_FILE,
          .deleted = true,
          .cause = CAUSE_REPLACED,
          .reason =
              "runs " MIMALLOC_FILE ", which has been replaced on disk since (a restart loads the new one)" },
        { .what = "the old version still there",
          .realpath = MIMALLOC ".1",
          .path = MIMALLOC_FILE,
          .cause = CAUSE_REPLACED,
          .reason = "runs " MIMALLOC_FILE ", but " MIMALLOC " now points to " MIMALLOC
                    ".1 (a restart loads that one)" },
        { .what = "a link into another folder",
          .realpath = "/opt/b/libmimalloc.so.2.1",
          .path = "/opt/a/libmimalloc.so.2.0",
          .cause = CAUSE_REPLACED,
          .reason = "runs /opt/a/libmimalloc.so.2.0, but " MIMALLOC
                    " now points to /opt/b/libmimalloc.so.2.1 (a restart loads that one)" },
        { .what = "a file became a link",
          .realpath = MIMALLOC ".1",
          .path = MIMALLOC,
          .deleted = true,
          .cause = CAUSE_REPLACED,
          .reason =
              "runs " MIMALLOC ", which has been replaced on disk since (a restart loads the new one)" },
        { .what = "removed",
          .realpath = "",
          .path = MIMALLOC_FILE,
          .deleted = true,
          .cause = CAUSE_MISSING,
          .reason = "runs " MIMALLOC_FILE ", but the library " MIMALLOC
                    " is missing now: a restart would leave it on glibc" },
        { .what = "the link removed",
          .realpath = "",
          .path = MIMALLOC_FILE,
          .cause = CAUSE_MISSING,
          .reason = "runs " MIMALLOC_FILE ", but the library " MIMALLOC
                    " is missing now: a restart would leave it on glibc" },
        /* more is wrong than that */
        { .what = "replaced, and a variable lacks",
          .deleted = true,
          .set = PURGE,
          .process = { "LD_PRELOAD=" MIMALLOC },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs without MIMALLOC_PURGE_DELAY=0" RESTART },
        { .what = "another library, deleted",
          .path = JEMALLOC,
          .deleted = true,
          .process = { "LD_PRELOAD=" JEMALLOC },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs jemalloc, not mimalloc" RESTART },
        /* A library of no known family: only the name tells that it is another version of the same. */
        { .what = "an earlier version of a library of one's own",
          .library = OWN_LIBRARY,
          .realpath = OWN_LIBRARY ".2",
          .path = OWN_LIBRARY ".1",
          .cause = CAUSE_REPLACED,
          .reason = "runs " OWN_LIBRARY ".1, but " OWN_LIBRARY " now points to " OWN_LIBRARY
                    ".2 (a restart loads that one)" },
        { .what = "in a folder named after it",
          .library = OWN_LIBRARY,
          .realpath = OWN_LIBRARY ".2",
          .path = OWN_LIBRARY ".d/libother.so",
          .cause = CAUSE_DENIED,
          .reason = OWN_NOT_LOADED },
        { .what = "a longer name",
          .library = OWN_LIBRARY,
          .realpath = OWN_LIBRARY ".2",
          .path = OWN_LIBRARY "x.1",
          .cause = CAUSE_DENIED,
          .reason = OWN_NOT_LOADED },
        { .what = "another name of the same length",
          .library = OWN_LIBRARY,
          .realpath = OWN_LIBRARY ".2",
          .path = "/opt/lib/libhers.so.1",
          .cause = CAUSE_DENIED,
          .reason = OWN_NOT_LOADED },
        { .what = "a version that it was not told to load",
          .path = MIMALLOC ".0.old",
          .process = { "LD_PRELOAD=" MIMALLOC ".0.old" },
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs " MIMALLOC ".0.old, not mimalloc" RESTART },
    };

    (void)state;
    check_rows(rows, ELEMENTSOF(rows));
}

static void test_unknown(void **state)
{
#define WRAPPER ", although systemd started it with our drop-in: does a wrapper in ExecStart= change "
    static const Row rows[] = {
        { .what = "a wrapper",
          .path = "",
          .process = NOTHING,
          .started_since = true,
          .cause = CAUSE_UNKNOWN,
          .reason = "runs glibc, not mimalloc" WRAPPER "LD_PRELOAD?" },
        { .what = "a wrapper, of a variable",
          .set = PURGE,
          .process = { "LD_PRELOAD=" MIMALLOC },
          .started_since = true,
          .cause = CAUSE_UNKNOWN,
          .reason = "runs without MIMALLOC_PURGE_DELAY=0" WRAPPER "MIMALLOC_PURGE_DELAY?" },
        { .what = "loaded by nobody who is known",
          .allocator = "glibc",
          .library = "",
          .path = JEMALLOC,
          .process = NOTHING,
          .origin = ORIGIN_LOADED,
          .cause = CAUSE_UNKNOWN,
          .reason = "runs jemalloc, not glibc, although nothing preloads it now: an earlier "
                    "/etc/ld.so.preload or the program itself has loaded it" },
        { .what = "the same, LD_PRELOAD empty",
          .allocator = "glibc",
          .library = "",
          .path = JEMALLOC,
          .origin = ORIGIN_LOADED,
          .started_since = true,
          .cause = CAUSE_UNKNOWN,
          .reason = "runs jemalloc, not glibc, although nothing preloads it now: an earlier "
                    "/etc/ld.so.preload or the program itself has loaded it" },
        /* started since, but not with the drop-in as it should be */
        { .what = "the old drop-in",
          .path = "",
          .process = NOTHING,
          .own_text = SERVICE(""),
          .started_since = true,
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs glibc, not mimalloc: its drop-in is from an earlier assignment" },
    };

    (void)state;
    check_rows(rows, ELEMENTSOF(rows));
}

#define TBB "/usr/lib/x86_64-linux-gnu/libtbbmalloc_proxy.so.2"

/* What comes into the process by other ways than LD_PRELOAD, which no restart keeps out. */
static void test_other_ways(void **state)
{
    static const Row rows[] = {
        { .what = "glibc, and /etc/ld.so.preload",
          .allocator = "glibc",
          .library = "",
          .path = TBB ".8",
          .origin = ORIGIN_SYSTEM_PRELOAD,
          .system_allocator = TBB,
          .cause = CAUSE_OVERRIDDEN,
          .reason = "runs " TBB ".8, not glibc: /etc/ld.so.preload loads " TBB " into every process" },
        { .what = "glibc, what runs would go, but /etc/ld.so.preload came since",
          .allocator = "glibc",
          .library = "",
          .path = JEMALLOC,
          .process = { "LD_PRELOAD=" JEMALLOC },
          .unit = { "LD_PRELOAD=" JEMALLOC },
          .origin = ORIGIN_PRELOAD,
          .own_unwritten = true,
          .system_allocator = TBB,
          .cause = CAUSE_OVERRIDDEN,
          .reason = "runs jemalloc, not glibc: /etc/ld.so.preload loads " TBB " into every process" },
        { .what = "glibc, /etc/ld.so.preload came since its start: no fault yet",
          .allocator = "glibc",
          .library = "",
          .system_allocator = TBB },
        { .what = "LD_PRELOAD wins over /etc/ld.so.preload",
          .origin = ORIGIN_PRELOAD,
          .system_allocator = TBB },
        { .what = "it would win after a restart",
          .path = TBB ".8",
          .process = NOTHING,
          .unit = NOTHING,
          .origin = ORIGIN_SYSTEM_PRELOAD,
          .own_unwritten = true,
          .system_allocator = TBB,
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs " TBB ".8, not mimalloc: its drop-in is not written yet" },
        { .what = "the library was denied, and the other is of the same family",
          .path = "/opt/libmimalloc.so.2.1",
          .origin = ORIGIN_SYSTEM_PRELOAD,
          .system_allocator = "/opt/libmimalloc.so.2",
          .cause = CAUSE_DENIED,
          .reason = "the library " MIMALLOC
                    " exists but was not loaded: hidden or denied by the unit's sandbox, or "
                    "it was missing when the relay started" },
        { .what = "glibc, and a tor that is linked with jemalloc",
          .allocator = "glibc",
          .library = "",
          .path = JEMALLOC,
          .origin = ORIGIN_NEEDED,
          .program = "/opt/bin/tor",
          .cause = CAUSE_OVERRIDDEN,
          .reason = "runs jemalloc, not glibc: /opt/bin/tor is linked with " JEMALLOC },
        { .what = "mimalloc, and a tor that is linked with jemalloc: preloading helps",
          .path = JEMALLOC,
          .process = NOTHING,
          .unit = NOTHING,
          .origin = ORIGIN_NEEDED,
          .own_unwritten = true,
          .cause = CAUSE_NOT_RESTARTED,
          .reason = "runs jemalloc, not mimalloc: its drop-in is not written yet" },
        { .what = "an allocator linked into tor itself",
          .path = "/opt/bin/tor",
          .origin = ORIGIN_PROGRAM,
          .cause = CAUSE_OVERRIDDEN,
          .reason = "an allocator is linked into /opt/bin/tor itself, which LD_PRELOAD cannot change" },
        { .what = "the same, and glibc is assigned",
          .allocator = "glibc",
          .library = "",
          .path = "/opt/bin/tor",
          .origin = ORIGIN_PROGRAM,
          .cause = CAUSE_OVERRIDDEN,
          .reason = "an allocator is linked into /opt/bin/tor itself, which LD_PRELOAD cannot change" },
    };

    (void)state;
    check_rows(rows, ELEMENTSOF(rows));
}

static void test_secure_execution(void **state)
{
    static const Row rows[] = {
        { .what = "told, and ignored it",
          .path = "",
          .program = "/usr/bin/tor",
          .secure = SECURE_CAPABILITIES,
          .cause = CAUSE_SECURE,
          .reason =
              "tor starts in secure-execution mode (file capabilities on /usr/bin/tor): the dynamic linker "
              "ignores LD_PRELOAD" },
        { .what = "not told yet",
          .path = "",
          .process = NOTHING,
          .unit = NOTHING,
          .own_unwritten = true,
          .program = "/usr/bin/tor",
          .secure = SECURE_SET_ID,
          .cause = CAUSE_SECURE,
          .reason = "tor starts in secure-execution mode (the set-user-ID or set-group-ID bit of "
                    "/usr/bin/tor): the "
                    "dynamic linker ignores LD_PRELOAD" },
        { .what = "of a program that is not known, for a reason that is not known",
          .path = "",
          .secure = SECURE_OTHER,
          .cause = CAUSE_SECURE,
          .reason = "it starts in secure-execution mode (a security module such as SELinux changes its "
                    "domain): the "
                    "dynamic linker ignores LD_PRELOAD" },
        { .what = "glibc needs no preload",
          .allocator = "glibc",
          .library = "",
          .secure = SECURE_CAPABILITIES },
        { .what = "but its settings are ignored, too",
          .allocator = "glibc-tuned",
          .library = "",
          .set = { { "GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=131072" } },
          .program = "/usr/bin/tor",
          .secure = SECURE_CAPABILITIES,
          .cause = CAUSE_SECURE,
          .reason =
              "tor starts in secure-execution mode (file capabilities on /usr/bin/tor): GLIBC_TUNABLES is "
              "ignored" },
    };

    (void)state;
    check_rows(rows, ELEMENTSOF(rows));
}

static void test_inherited_preload(void **state)
{
    (void)state;
    static const char *const manager[] = { "LD_PRELOAD=/of/systemd.so", NULL };
#define UNIT_FILE "/lib/systemd/system/tor@.service"
    static const struct {
        const char *what;
        bool manager;
        SettingFile files[4];
        const char *value, *from;
    } rows[] = {
        { .what = "nothing" },
        { .what = "the unit",
          .files = { { UNIT_FILE, SERVICE("Environment=LD_PRELOAD=" WRAP "\n"), false, false } },
          .value = WRAP,
          .from = UNIT_FILE },
        { .what = "a drop-in over the unit",
          .files = { { UNIT_FILE, SERVICE("Environment=LD_PRELOAD=/a.so\n"), false, false },
                     { DIR "override.conf", SERVICE("Environment=LD_PRELOAD=" WRAP "\n"), false, false } },
          .value = WRAP,
          .from = DIR "override.conf" },
        { .what = "two in a list",
          .files = { { DIR "a.conf", SERVICE("Environment=\"LD_PRELOAD=/a.so /b.so\"\n"), false, false } },
          .value = "/a.so /b.so",
          .from = DIR "a.conf" },
        { .what = "our own says nothing",
          .files = { { DIR "a.conf", SERVICE("Environment=LD_PRELOAD=/a.so\n"), false, false },
                     { OWN, SERVICE("Environment=LD_PRELOAD=" MIMALLOC ":/old.so\n"), false, false } },
          .value = "/a.so",
          .from = DIR "a.conf" },
        { .what = "what comes after ours overrides it, and is not inherited",
          .files = { { OWN, SERVICE("Environment=LD_PRELOAD=" MIMALLOC "\n"), false, false },
                     { DIR "zzz.conf", SERVICE("Environment=LD_PRELOAD=/z.so\n"), false, false },
                     { "/etc/default/tor", "LD_PRELOAD=/e.so\n", true, false } } },
        { .what = "nor does it when ours is not written yet",
          .files = { { DIR "a.conf", SERVICE("Environment=LD_PRELOAD=/a.so\n"), false, false },
                     { DIR "zzz.conf", SERVICE("Environment=LD_PRELOAD=/z.so\n"), false, false } },
          .value = "/a.so",
          .from = DIR "a.conf" },
        { .what = "reset",
          .files = { { UNIT_FILE, SERVICE("Environment=LD_PRELOAD=/a.so\n"), false, false },
                     { DIR "a.conf", SERVICE("Environment=\n"), false, false } } },
        { .what = "reset and set again",
          .files = { { UNIT_FILE, SERVICE("Environment=LD_PRELOAD=/a.so\n"), false, false },
                     { DIR "a.conf", SERVICE("Environment=\nEnvironment=LD_PRELOAD=/b.so\n"), false,
                       false } },
          .value = "/b.so",
          .from = DIR "a.conf" },
        { .what = "emptied",
          .files = { { UNIT_FILE, SERVICE("Environment=LD_PRELOAD=/a.so\n"), false, false },
                     { DIR "a.conf", SERVICE("Environment=LD_PRELOAD=\n"), false, false } },
          .value = "",
          .from = DIR "a.conf" },
        { .what = "unset in the end",
          .files = { { DIR "a.conf", SERVICE("UnsetEnvironment=LD_PRELOAD\n"), false, false },
                     { DIR "b.conf", SERVICE("Environment=LD_PRELOAD=/a.so\n"), false, false } } },
        { .what = "of systemd itself", .manager = true, .value = "/of/systemd.so" },
        { .what = "of systemd itself, which no reset takes away",
          .manager = true,
          .files = { { UNIT_FILE, SERVICE("Environment=LD_PRELOAD=/a.so\n"), false, false },
                     { DIR "a.conf", SERVICE("Environment=\n"), false, false } },
          .value = "/of/systemd.so" },
        { .what = "a file that cannot be read",
          .files = { { UNIT_FILE, SERVICE("Environment=LD_PRELOAD=/a.so\n"), false, false },
                     { DIR "a.conf", NULL, false, false } },
          .value = "/a.so",
          .from = UNIT_FILE },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        VerdictFacts facts = { .files = rows[i].files, .own_dropin = OWN };
        const char *from = "?";
        while (facts.n_files < 4 && rows[i].files[facts.n_files].path)
            facts.n_files++;
        if (rows[i].manager)
            facts.manager_environment = (char *const *)manager;
        _cleanup_(freep) char *value = verdict_inherited_preload(&facts, &from);
        print_message("%s\n", rows[i].what);
        assert_true(streq_null(value, rows[i].value));
        if (value)
            assert_true(streq_null(from, rows[i].from));
    }
}

static void test_host_settings(void **state)
{
    char *environment[] = { (char *)"PATH=/bin",          (char *)"MALLOC_ARENA_MAX=2",
                            (char *)"LD_PRELOAD=",        (char *)"MALLOC=1",
                            (char *)"GLIBC_TUNABLES=a=b", (char *)"TCMALLOC_X=",
                            (char *)"MIMALLOC_VERBOSE=1", (char *)"LD_PRELOAD=/l/x.so",
                            (char *)"LD_PRELOAD",         NULL };
    (void)state;
    _cleanup_(strv_freep) char **found = verdict_host_settings(environment);
    char *expected[] = {
        environment[1], environment[4], environment[5], environment[6], environment[7], NULL
    };
    assert_true(strv_equal(found, expected));
    assert_null(verdict_host_settings(NULL));
    assert_null(verdict_host_settings(&environment[9]));
}

/* A file is no conflict when all that it preloads is kept. */
static void test_conflicts_of_kept_preloads(void **state)
{
    (void)state;
    char *kept[] = { (char *)WRAP, (char *)"/b.so", NULL };
    static const SettingFile files[] = {
        { DIR "a.conf", SERVICE("Environment=LD_PRELOAD=" WRAP "\n"), false, false },
        { DIR "b.conf", SERVICE("Environment=\"LD_PRELOAD=/b.so " WRAP "\"\n"), false, false },
        { DIR "c.conf", SERVICE("Environment=LD_PRELOAD=" WRAP ":" JEMALLOC "\n"), false, false },
        { DIR "d.conf", SERVICE("Environment=LD_PRELOAD=\n"), false, false },
        { "/etc/default/tor", "LD_PRELOAD=" WRAP "\n", true, false }, /* which overrides ours */
    };
    const VerdictFacts facts = { .kept = kept, .files = files, .n_files = ELEMENTSOF(files) };
    _cleanup_(strv_freep) char **conflicts = verdict_conflicts(&facts);

    assert_int_equal(strv_length(conflicts), 3);
    assert_string_equal(conflicts[0], DIR "c.conf sets LD_PRELOAD");
    assert_string_equal(conflicts[1], DIR "d.conf sets LD_PRELOAD");
    assert_string_equal(conflicts[2], "/etc/default/tor sets LD_PRELOAD");
}

static void test_conflicts(void **state)
{
    static const EnvVar environment[] = { { "MALLOC_CONF", "background_thread:true" } };
    static const SettingFile files[] = {
        { "/usr/lib/systemd/system/tor@.service", SERVICE("ExecStart=/usr/bin/tor\nEnvironment=HOME=/\n"),
          false, false },
        { DIR "override.conf", SERVICE("Environment=LD_PRELOAD=/x MALLOC_CONF=y\n"), false, false },
        { DIR "other.conf", SERVICE("UnsetEnvironment=MALLOC_CONF\n"), false, false },
        { DIR "unreadable.conf", NULL, false, false },
        { OWN, SERVICE("Environment=LD_PRELOAD=/y MALLOC_CONF=background_thread:true\n"), false, false },
        { "/etc/default/tor", "MALLOC_CONF=y\n", true, false },
        { "/etc/default/tor2", "MALLOC_CONFS=y\n", true, false },
    };
    VerdictFacts facts = { .allocator = "jemalloc-tuned",
                           .library = JEMALLOC,
                           .environment = environment,
                           .n_environment = 1,
                           .files = files,
                           .n_files = ELEMENTSOF(files),
                           .own_dropin = OWN };
    _cleanup_(strv_freep) char **conflicts = verdict_conflicts(&facts);

    (void)state;
    assert_int_equal(strv_length(conflicts), 4);
    assert_string_equal(conflicts[0], DIR "override.conf sets LD_PRELOAD");
    assert_string_equal(conflicts[1], DIR "override.conf sets MALLOC_CONF");
    assert_string_equal(conflicts[2], DIR "other.conf unsets MALLOC_CONF");
    assert_string_equal(conflicts[3], "/etc/default/tor sets MALLOC_CONF");

    facts.n_files = 1;
    assert_null(verdict_conflicts(&facts));
}

static void test_own_settings(void **state)
{
    static char unit_home[] = "HOME=/", unit_preload[] = "LD_PRELOAD=/x", ours[] = "LD_PRELOAD=/y",
                host[] = "A=1";
    static const SettingFile files[] = {
        { "/usr/lib/systemd/system/tor@.service", SERVICE("Environment=HOME=/ GONE=1\n"), false, false },
        { DIR "10-reset.conf", SERVICE("Environment=\nEnvironment=HOME=/home\n"), false, false },
        { DIR "override.conf", SERVICE("Environment=LD_PRELOAD=/x MALLOC_CONF=y\n"), false, false },
        { DIR "unreadable.conf", NULL, false, false },
        { OWN, SERVICE("Environment=LD_PRELOAD=/y MALLOC_CONF=z\nUnsetEnvironment=HOME\n"), false, false },
        { DIR "zzz.conf", SERVICE("UnsetEnvironment=MALLOC_CONF\n"), false, false },
        { "/etc/default/tor", "LD_PRELOAD=/file\n", true, false },
    };
    char *unit[] = { unit_home, ours, NULL }, *unit_without[] = { unit_home, unit_preload, NULL },
         *manager[] = { host, NULL };
    VerdictFacts facts = { .files = files,
                           .n_files = ELEMENTSOF(files) - 1,
                           .own_dropin = OWN,
                           .unit_environment = unit,
                           .manager_environment = manager };
    char **own = verdict_own_settings(&facts);

    (void)state;
    assert_string_equal(strv_env_get(own, "LD_PRELOAD"), "/x");
    assert_string_equal(strv_env_get(own, "HOME"), "/home"); /* what ours unsets would be set without it */
    assert_string_equal(strv_env_get(own, "A"), "1");
    assert_null(strv_env_get(own, "GONE"));
    assert_null(strv_env_get(own, "MALLOC_CONF"));
    strv_free(own);

    facts.n_files++;
    own = verdict_own_settings(&facts);
    assert_string_equal(strv_env_get(own, "LD_PRELOAD"), "/file");
    strv_free(own);

    facts.files += 5; /* ours is not loaded: systemd's own view counts, specifiers and all */
    facts.n_files = 1;
    facts.unit_environment = unit_without;
    own = verdict_own_settings(&facts);
    assert_string_equal(strv_env_get(own, "LD_PRELOAD"), "/x");
    assert_string_equal(strv_env_get(own, "HOME"), "/");
    strv_free(own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),
        cmocka_unit_test(test_wrong_with_preloads_of_others),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_not_restarted),
        cmocka_unit_test(test_overridden),
        cmocka_unit_test(test_library_gone_or_denied),
        cmocka_unit_test(test_unsafe),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_other_ways),
        cmocka_unit_test(test_secure_execution),
        cmocka_unit_test(test_inherited_preload),
        cmocka_unit_test(test_conflicts_of_kept_preloads),
        cmocka_unit_test(test_conflicts),
        cmocka_unit_test(test_host_settings),
        cmocka_unit_test(test_own_settings),
    };

    return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
