/* SPDX-License-Identifier: BSD-3-Clause */
/* One relay as found: by which name what it runs goes, what others set for it, and what else is told of it.
 */
#include "test.h"

#include "core/dropin.h"
#include "core/facts.h"

#include <errno.h>

/* What runs, without a configuration that knows it. */
static char *name_of(MappedLibrary running)
{
    static Allocator mine = { .name = (char *)"mine", .library = (char *)"libmine.so" };
    static AllocatorFacts found = { .realpath = (char *)"/opt/libmine.so", .version = (char *)"1" };
    static const Config config = { .allocators = &mine, .n_allocators = 1 };
    const HostFacts host = { .config = &config, .allocators = &found };
    RelayFacts r = relay_facts_new("r", "tor@r.service");
    ProcessFacts process = { .pid = 1, .readable = true, .running = running };

    process.running.path = xstrdup(running.path);
    facts_take_process(&host, &r, &process);
    char *name = xstrdup(r.running);
    relay_facts_clear(&r);
    return name;
}

static void test_names(void **state)
{
    static const struct {
        MappedLibrary running;
        const char *name;
    } table[] = {
        { { .family = FAMILY_GLIBC }, "glibc" },
        { { .path = (char *)"/opt/heap.so", .family = FAMILY_JEMALLOC, .origin = ORIGIN_PRELOAD },
          "jemalloc" },
        { { .path = (char *)"/opt/heap.so", .family = FAMILY_OTHER, .origin = ORIGIN_PRELOAD }, "heap.so" },
        { { .path = (char *)"/opt/a\n\033[1mb.so", .family = FAMILY_OTHER, .origin = ORIGIN_LOADED },
          "a???1mb.so" },
        { { .path = (char *)"/opt/a\tb c,d\xc3\xa4.so", .family = FAMILY_OTHER, .origin = ORIGIN_LOADED },
          "a?b?c?d??.so" },
        { { .path = (char *)"/opt/glibc", .family = FAMILY_OTHER, .origin = ORIGIN_PRELOAD }, "/opt/glibc" },
        { { .path = (char *)"/opt/mine", .family = FAMILY_OTHER, .origin = ORIGIN_PRELOAD }, "/opt/mine" },
        { { .path = (char *)"/opt/-", .family = FAMILY_OTHER, .origin = ORIGIN_PRELOAD }, "/opt/-" },
        { { .path = (char *)"/usr/bin/tor", .family = FAMILY_OTHER, .origin = ORIGIN_PROGRAM }, "built-in" },
        { { .path = (char *)"/usr/bin/tor", .family = FAMILY_MIMALLOC, .origin = ORIGIN_PROGRAM },
          "mimalloc" },
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(freep) char *name = name_of(table[i].running);
        assert_string_equal(name, table[i].name);
    }
}

static void take_running(const HostFacts *host, RelayFacts *r, pid_t pid, bool deleted)
{
    ProcessFacts p = { .pid = pid,
                       .readable = true,
                       .running = { .path = xstrdup("/opt/libmine.so"),
                                    .family = FAMILY_OTHER,
                                    .origin = ORIGIN_PRELOAD,
                                    .deleted = deleted } };

    facts_take_process(host, r, &p);
}

/* The version is that of the file on disk, while the process runs that one; of a replaced one what was known
 * of it stays, but only for the process that it was known of. */
static void test_version_of_a_replaced_library(void **state)
{
    static Allocator mine = { .name = (char *)"mine", .library = (char *)"/opt/libmine.so" };
    AllocatorFacts found = { .realpath = (char *)"/opt/libmine.so", .version = (char *)"1" };
    static const Config config = { .allocators = &mine, .n_allocators = 1 };
    const HostFacts host = { .config = &config, .allocators = &found };
    RelayFacts r = relay_facts_new("r", "tor@r.service");

    (void)state;
    take_running(&host, &r, 1, false);
    assert_string_equal(r.version, "1");
    found.version = (char *)"2";
    take_running(&host, &r, 1, true);
    assert_string_equal(r.version, "1");
    take_running(&host, &r, 2, true); /* another process, with a file that was replaced before it was seen */
    assert_string_equal(r.version, "");
    take_running(&host, &r, 2, false);
    assert_string_equal(r.version, "2");
    relay_facts_clear(&r);
}

/* In mounts of its own a relay may have another file at that path: of which version is not known, and said.
 */
static void test_version_of_another_file(void **state)
{
    static Allocator mine = { .name = (char *)"mine", .library = (char *)"/opt/libmine.so" };
    AllocatorFacts found = { .realpath = (char *)"/opt/libmine.so", .version = (char *)"1" };
    static const Config config = { .allocators = &mine, .n_allocators = 1 };
    const HostFacts host = { .config = &config, .allocators = &found };
    RelayFacts r = relay_facts_new("r", "tor@r.service");
    ProcessFacts p = {
        .pid = 1,
        .readable = true,
        .running = { .path = xstrdup("/opt/libmine.so"), .family = FAMILY_OTHER, .elsewhere = true },
    };

    (void)state;
    facts_take_process(&host, &r, &p);
    assert_string_equal(r.running, "mine");
    assert_string_equal(r.version, "");
    _cleanup_(strv_freep) char **notes = facts_notes(&r);
    assert_int_equal(strv_length(notes), 1);
    assert_string_equal(notes[0],
                        "its /opt/libmine.so is another file than the one of that path on this host, by "
                        "mounts or a root of its own, so its version is not known");
    relay_facts_clear(&r);
}

static void test_notes(void **state)
{
    static char gone[] = "libgone.so", odd[] = "/l/\033odd.so";
    char *not_loaded[] = { gone, odd, NULL };
    RelayFacts r = { .process = { .readable = true } };

    (void)state;
    assert_null(facts_notes(&r));
    assert_string_equal(facts_proof(&r), "proved");
    r.process.not_loaded = not_loaded;
    r.process.running.unread = (char *)"/usr/bin/tor";
    _cleanup_(strv_freep) char **notes = facts_notes(&r);
    assert_string_equal(facts_proof(&r), "by its file names only");
    assert_int_equal(strv_length(notes), 3);
    assert_string_equal(notes[0], "what it runs is known by file names only: /usr/bin/tor cannot be read");
    assert_string_equal(notes[1], "its LD_PRELOAD names libgone.so, which it has not loaded");
    assert_string_equal(notes[2], "its LD_PRELOAD names /l/?odd.so, which it has not loaded");
    r.process.readable = false; /* it was so when it was last seen */
    assert_null(facts_notes(&r));
}

/* ---- what others set for it ---- */

#define OWN "/etc/systemd/system/tor@a.service.d/zz-relayalloc.conf"
#define FRAGMENT "/lib/systemd/system/tor@.service"
#define WRAP "/usr/lib/libmptcpwrap.so.0.0.1"
#define LIBRARY "/usr/lib/libmimalloc.so.2"

static const Group groups[] = { { .name = (char *)"A", .allocator = 0 },
                                { .name = (char *)"G", .allocator = 1 } };
static const Allocator allocators[] = { { .name = (char *)"mimalloc", .library = (char *)"libmimalloc.so.2" },
                                        { .name = (char *)"glibc" } };
static const AllocatorFacts resolved[] = { { .path = (char *)LIBRARY, .realpath = (char *)LIBRARY ".0" },
                                           { 0 } };
static State nothing_remembered;

static HostFacts host(const Config *config)
{
    return (HostFacts){ .config = config,
                        .config_path = "/etc/relayalloc.conf",
                        .allocators = resolved,
                        .state = &nothing_remembered };
}

static const Config config = {
    .groups = (Group *)groups, .n_groups = 2, .allocators = (Allocator *)allocators, .n_allocators = 2
};

static RelayFacts relay_in(size_t group)
{
    RelayFacts r = relay_facts_new("a", "tor@a.service");

    r.group = group;
    r.dropin = xstrdup(OWN);
    return r;
}

static void take(RelayFacts *r, const char *preload_of_fragment, const char *kept)
{
    const HostFacts h = host(&config);
    _cleanup_(freep) char *text =
        xasprintf("[Service]\nEnvironment=\"LD_PRELOAD=%s\"\n", preload_of_fragment);
    const SettingFile files[] = { { FRAGMENT, text, false, false } };
    char **strv = NULL;
    _cleanup_(freep) char *preload = facts_take_settings(&h, r, files, 1);

    assert_string_equal(preload, preload_of_fragment);
    strv_push(&strv, xstrdup(kept));
    facts_take_kept(r, strv);
}

static void assert_wanted(const RelayFacts *r, const char *line)
{
    const HostFacts h = host(&config);
    _cleanup_(freep) char *wanted = facts_wanted(&h, r);

    if (!strstr(wanted, line))
        fail_msg("%s", wanted);
}

static void test_preload_of_others_is_kept(void **state)
{
    (void)state;
    RelayFacts a = relay_in(0), g = relay_in(1);

    assert_wanted(&a, "\nEnvironment=\"LD_PRELOAD=" LIBRARY "\"\n");
    take(&a, "/usr/lib/libjemalloc.so.2 " WRAP, WRAP);
    assert_wanted(&a, "\nEnvironment=\"LD_PRELOAD=" LIBRARY ":" WRAP "\"\n");
    take(&g, WRAP, WRAP);
    assert_wanted(&g, "\nEnvironment=\"LD_PRELOAD=" WRAP "\"\n");
    relay_facts_clear(&a);
    relay_facts_clear(&g);
}

static void test_kept_preload_is_told(void **state)
{
    (void)state;
    RelayFacts a = relay_in(0), out = relay_in(GROUP_NONE);

    take(&a, WRAP, WRAP);
    _cleanup_(strv_freep) char **notes = facts_notes(&a);
    assert_int_equal(strv_length(notes), 1);
    assert_string_equal(notes[0], FRAGMENT " preloads " WRAP ", which is kept behind its allocator");
    take(&out, WRAP, WRAP);
    assert_null(facts_notes(&out)); /* nothing of ours stands in its way */
    relay_facts_clear(&a);
    relay_facts_clear(&out);
}

static void test_preload_of_systemd_itself(void **state)
{
    (void)state;
    static const char *const environment[] = { "LD_PRELOAD=" WRAP, NULL };
    RelayFacts a = relay_in(0);
    HostFacts h = host(&config);
    char **kept = NULL;

    h.manager_environment = (char *const *)environment;
    _cleanup_(freep) char *preload = facts_take_settings(&h, &a, NULL, 0);
    assert_string_equal(preload, WRAP);
    strv_push(&kept, xstrdup(WRAP));
    facts_take_kept(&a, kept);
    _cleanup_(freep) char *words = facts_kept_words(&a, WRAP);
    assert_string_equal(words, "the environment of systemd preloads " WRAP);
    relay_facts_clear(&a);
}

/* What others set just so is no trace of ours. */
static void test_carried(void **state)
{
    (void)state;
    static const struct {
        const char *others, *ours, *process, *carried;
    } rows[] = {
        { WRAP, "LD_PRELOAD=" LIBRARY ":" WRAP, "LD_PRELOAD=" LIBRARY ":" WRAP,
          "LD_PRELOAD=" LIBRARY ":" WRAP },
        { WRAP, "LD_PRELOAD=" LIBRARY ":" WRAP, "LD_PRELOAD=" WRAP, NULL },
        { WRAP, "LD_PRELOAD=" WRAP, "LD_PRELOAD=" WRAP, NULL },
        { WRAP " /b.so", "LD_PRELOAD=" WRAP ":/b.so", "LD_PRELOAD=" WRAP ":/b.so", NULL },
        { "/b.so", "LD_PRELOAD=" WRAP, "LD_PRELOAD=" WRAP, "LD_PRELOAD=" WRAP },
        { WRAP, "MALLOC_CONF=x", "MALLOC_CONF=x", "MALLOC_CONF=x" },
        { WRAP, "LD_PRELOAD=", "LD_PRELOAD=", "LD_PRELOAD=" }, /* ours keeps it off what others ask for */
        { "", "LD_PRELOAD=", "LD_PRELOAD=", NULL },            /* as unset */
        { "", "LD_PRELOAD=", "A=b", NULL },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        RelayFacts a = relay_in(0);
        char *ours[] = { (char *)rows[i].ours, NULL };
        print_message("row %zu\n", i);
        take(&a, rows[i].others, WRAP);
        strv_push(&a.process.environ, xstrdup(rows[i].process));
        const char *carried = facts_carried(&a, ours);
        assert_true(streq_null(carried, rows[i].carried));
        relay_facts_clear(&a);
    }
}

/* Each thing that decides what can be loaded makes another sandbox. */
/* A process that is new may still come to show what it should; but not of an allocator that is refused while
 * its file is another one's: `edit` says so at once. */
static void test_refused_is_said_of_a_new_process(void **state)
{
    static Allocator bad = { .name = (char *)"bad", .library = (char *)"libbad.so" };
    AllocatorFacts found = { .refusal = (char *)"it is not installed", .build = (char *)"" };
    static Group group = { .name = (char *)"A" };
    static const Config refusing = { .allocators = &bad, .n_allocators = 1, .groups = &group, .n_groups = 1 };
    State memory = { 0 };
    const HostFacts host = { .config = &refusing,
                             .config_path = "/etc/relayalloc.conf",
                             .allocators = &found,
                             .state = &memory,
                             .now = 10 * USEC_PER_SEC };
    RelayFacts r = relay_facts_new("r", "tor@r.service");
    ProcessFacts process = { .pid = 1, .started = host.now - USEC_PER_SEC };

    (void)state;
    r.info = xcalloc(1, sizeof(*r.info));
    *r.info = (UnitInfo){ .exists = true, .active = ACTIVE_ACTIVE, .main_pid = 1 };
    r.group = 0;
    facts_take_process(&host, &r, &process);
    assert_true(facts_too_new(&host, &r));
    facts_plan_one(&host, &r);
    assert_int_equal(r.action, ACTION_REFUSED);
    found.refusal = NULL;
    facts_plan_one(&host, &r);
    assert_int_equal(r.action, ACTION_NONE);
    relay_facts_clear(&r);
}

/* What others set must be known for what is written, and for what a restart would give; not to take ours from
 * a relay that does not run. */
static void test_plan_beside_a_file_of_others_that_cannot_be_read(void **state)
{
    static const struct {
        ActiveState active;
        size_t group;
        Action action;
    } table[] = {
        { ACTIVE_ACTIVE, GROUP_NONE, ACTION_REFUSED },
        { ACTIVE_INACTIVE, 1, ACTION_REFUSED },
        { ACTIVE_INACTIVE, GROUP_NONE, ACTION_REMOVE },
        { ACTIVE_FAILED, GROUP_NONE, ACTION_REMOVE },
    };
    static char name[] = "a";
    char *written[] = { name, NULL };
    State memory = { .written = written };
    HostFacts h = host(&config);

    (void)state;
    h.state = &memory;
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        RelayFacts r = relay_in(table[i].group);

        print_message("row %zu\n", i);
        r.info = xcalloc(1, sizeof(*r.info));
        *r.info = (UnitInfo){ .exists = true,
                              .active = table[i].active,
                              .main_pid = table[i].active == ACTIVE_ACTIVE,
                              .result = xstrdup("success") };
        r.group = table[i].group;
        facts_take_dropin(&r, xstrdup("/d/zz.conf"), 0,
                          xstrdup(DROPIN_MARK "x\n[Service]\nEnvironment=A=1\n"));
        facts_take_unread(&r, "/d/other.conf", -EAGAIN);
        facts_plan_one(&h, &r);
        assert_int_equal(r.action, table[i].action);
        if (r.action == ACTION_REFUSED)
            assert_string_equal(r.reason, "cannot read /d/other.conf: Resource temporarily unavailable");
        relay_facts_clear(&r);
    }
}

/* A file that could not be read for a moment is not gone, and must not be touched meanwhile. */
static void test_drop_in_that_could_not_be_read(void **state)
{
    RelayFacts r = relay_facts_new("r", "tor@r.service");

    (void)state;
    facts_take_dropin(&r, xstrdup("/d/zz.conf"), 0, xstrdup("text"));
    assert_false(r.dropin_unread);
    facts_take_dropin(&r, xstrdup("/d/zz.conf"), -EMFILE, NULL);
    assert_true(r.dropin_unread);
    assert_string_equal(r.present, "text");
    assert_string_equal(r.foreign, "cannot read /d/zz.conf: Too many open files");
    facts_take_dropin(&r, xstrdup("/d/zz.conf"), -ENOENT, NULL);
    assert_true(!r.dropin_unread && !r.present && !r.foreign);
    facts_take_dropin(&r, xstrdup("/d/zz.conf"), -EIO, NULL);
    assert_true(r.dropin_unread && !r.present && r.foreign);
    facts_take_dropin(&r, xstrdup("/d/zz.conf"), -EEXIST, NULL);
    assert_true(!r.dropin_unread && !r.present && r.foreign);
    relay_facts_clear(&r);
}

static void test_sandbox(void **state)
{
    (void)state;
    RelayFacts a = relay_in(0);
    uint64_t seen[4];

    seen[0] = facts_sandbox(&a);
    a.info = xcalloc(1, sizeof(*a.info));
    a.info->sandbox = 7;
    seen[1] = facts_sandbox(&a);
    a.process.label = xstrdup("system_tor (enforce)");
    seen[2] = facts_sandbox(&a);
    take(&a, WRAP, WRAP);
    seen[3] = facts_sandbox(&a);
    for (size_t i = 0; i < ELEMENTSOF(seen); i++)
        for (size_t k = 0; k < i; k++)
            assert_true(seen[i] != seen[k]);
    relay_facts_clear(&a);
}

/* A unit that a former `unit` left has our drop-in, of a group that there still is; it is no relay for all
 * that. */
static void test_old_unit_takes_no_place_and_is_given_up_by_nobody(void **state)
{
    (void)state;
    static const Group sized = { .name = (char *)"S", .quota = QUOTA_SIZE, .amount = 1, .seed = (char *)"" };
    static const Config c = {
        .groups = (Group *)&sized, .n_groups = 1, .allocators = (Allocator *)allocators, .n_allocators = 2
    };
    RelayFacts old = relay_facts_new("tor@a.service", "tor@a.service"),
               relay = relay_facts_new("b", "onion@b.service");
    const RelayFacts *const all[] = { &old, &relay };
    _cleanup_(problems_clear) Problems problems = { 0 };
    size_t group[2] = { 0 };

    assert_true(old.old_unit && !relay.old_unit);
    for (size_t i = 0; i < 2; i++) {
        RelayFacts *r = i == 0 ? &old : &relay;
        r->present =
            xstrdup("# relayalloc: written from /etc/relayalloc.conf, group S, allocator jemalloc; x\n");
        r->info = xcalloc(1, sizeof(*r->info));
        r->info->active = ACTIVE_ACTIVE;
        r->info->exists = true;
        strcpy(r->info->invocation, "1");
    }
    assert_false(facts_counts(&c, &old));
    assert_true(facts_counts(&c, &relay));
    facts_assign(&c, all, 2, group);
    assert_true(group[0] == GROUP_NONE && group[1] == 0);
    facts_judge_names(&c, all, 2, &problems);
    assert_int_equal(problems.n, 0);
    relay_facts_clear(&old);
    relay_facts_clear(&relay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_old_unit_takes_no_place_and_is_given_up_by_nobody),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_version_of_a_replaced_library),
        cmocka_unit_test(test_version_of_another_file),
        cmocka_unit_test(test_notes),
        cmocka_unit_test(test_preload_of_others_is_kept),
        cmocka_unit_test(test_kept_preload_is_told),
        cmocka_unit_test(test_preload_of_systemd_itself),
        cmocka_unit_test(test_carried),
        cmocka_unit_test(test_refused_is_said_of_a_new_process),
        cmocka_unit_test(test_plan_beside_a_file_of_others_that_cannot_be_read),
        cmocka_unit_test(test_drop_in_that_could_not_be_read),
        cmocka_unit_test(test_sandbox),
    };

    return cmocka_run_group_tests_name("facts", tests, NULL, NULL);
}
