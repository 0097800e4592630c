/* SPDX-License-Identifier: BSD-3-Clause */
/* core/config: what a file may say, what each mistake is answered, and what the defaults are. The trees are
 * literals; how a file becomes one is io/test-config-file's. */
#include "core/config-word.h"
#include "core/config.h"
#include "test.h"

#include <errno.h>
#include <math.h>

/* ---- a tiny builder of literal trees: line, name (NULL in a list), value ---- */

#define STR(l, n, v)                                                                                         \
    {                                                                                                        \
        .kind = CONF_STRING, .line = (l), .name = (n), .string = (v)                                         \
    }
#define INT(l, n, v)                                                                                         \
    {                                                                                                        \
        .kind = CONF_INT, .line = (l), .name = (n), .integer = (v)                                           \
    }
#define REAL(l, n, v)                                                                                        \
    {                                                                                                        \
        .kind = CONF_FLOAT, .line = (l), .name = (n), .real = (v)                                            \
    }
#define BOOL(l, n, v)                                                                                        \
    {                                                                                                        \
        .kind = CONF_BOOL, .line = (l), .name = (n), .integer = (v)                                          \
    }
#define CHILDREN(...)                                                                                        \
    .children = (ConfNode[]){ __VA_ARGS__ },                                                                 \
    .n_children = sizeof((ConfNode[]){ __VA_ARGS__ }) / sizeof(ConfNode)
#define GROUP(l, n, ...)                                                                                     \
    {                                                                                                        \
        .kind = CONF_GROUP, .line = (l), .name = (n), CHILDREN(__VA_ARGS__)                                  \
    }
#define LIST(l, n, ...)                                                                                      \
    {                                                                                                        \
        .kind = CONF_LIST, .line = (l), .name = (n), CHILDREN(__VA_ARGS__)                                   \
    }
#define EMPTY_GROUP(l, n)                                                                                    \
    {                                                                                                        \
        .kind = CONF_GROUP, .line = (l), .name = (n)                                                         \
    }
#define EMPTY_LIST(l, n)                                                                                     \
    {                                                                                                        \
        .kind = CONF_LIST, .line = (l), .name = (n)                                                          \
    }
#define FILE_OF(...)                                                                                         \
    {                                                                                                        \
        .kind = CONF_GROUP, CHILDREN(__VA_ARGS__)                                                            \
    }

/* A valid group around the one setting under test; an allocator, a section likewise. */
#define IN_GROUP(...)                                                                                        \
    FILE_OF(LIST(1, "groups", GROUP(1, NULL, STR(1, "name", "A"), STR(1, "allocator", "glibc"), __VA_ARGS__)))
#define IN_ALLOCATOR(...) FILE_OF(GROUP(1, "allocators", GROUP(1, "mine", __VA_ARGS__)))
#define IN_ENVIRONMENT(...) IN_ALLOCATOR(GROUP(1, "environment", __VA_ARGS__))
#define IN(section, ...) FILE_OF(GROUP(1, section, __VA_ARGS__))
#define ALL_RELAYS(l) LIST(l, "relays", STR(l, NULL, "*"))

typedef struct Case {
    ConfNode root;
    const char *problems; /* one a line; NULL: the file is valid */
} Case;

static char *problems_text(const Problems *problems)
{
    char *text = xstrdup("");

    for (size_t i = 0; i < problems->n; i++) {
        _cleanup_(freep) char *line = problem_to_string(&problems->items[i]), *before = text;
        text = xasprintf("%s%s%s", before, i > 0 ? "\n" : "", line);
    }
    return text;
}

static Config *load(const ConfNode *root)
{
    Problems problems = { 0 };
    Config *config = NULL;
    int r = config_from_tree(root, "f", &problems, &config);
    _cleanup_(freep) char *text = problems_text(&problems);

    assert_string_equal(text, "");
    assert_int_equal(r, 0);
    assert_non_null(config);
    problems_clear(&problems);
    return config;
}

static void check_cases(const Case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        Problems problems = { 0 };
        _cleanup_(config_freep) Config *config = NULL;
        int r = config_from_tree(&cases[i].root, "f", &problems, &config);
        _cleanup_(freep) char *text = problems_text(&problems);

        assert_string_equal(text, cases[i].problems ? cases[i].problems : "");
        assert_int_equal(r, cases[i].problems ? -EINVAL : 0);
        assert_true(cases[i].problems ? config == NULL : config != NULL);
        problems_clear(&problems);
    }
}

/* ---- names of relays ---- */

/* As people write them, and with the template that stands below them. */
/* The directories of tor@.service are not those of another template. */
static void test_instances_of_another_unit(void **state)
{
    const ConfNode other = FILE_OF(STR(1, "unit", "onion@.service")),
                   both = FILE_OF(STR(1, "instances_dir", "/srv/onion"), STR(2, "unit", "onion@.service")),
                   usual = FILE_OF(STR(1, "unit", "tor@.service"));
    _cleanup_(config_freep) Config *a = load(&other), *b = load(&both), *c = load(&usual);

    (void)state;
    assert_string_equal(a->instances_dir, "");
    assert_string_equal(b->instances_dir, "/srv/onion");
    assert_string_equal(c->instances_dir, "/etc/tor/instances");
}

static void test_names_of_units(void **state)
{
    (void)state;
    const ConfNode root =
        FILE_OF(LIST(1, "groups",
                     GROUP(1, NULL, STR(1, "name", "A"), STR(1, "allocator", "glibc"),
                           LIST(1, "relays", STR(2, NULL, "onion@a.service"), STR(3, NULL, "b.service"),
                                STR(4, NULL, "onion@c*"), STR(5, NULL, "tor@d")),
                           LIST(6, "except", STR(6, NULL, "onion@c1.service")))),
                STR(9, "unit", "onion@.service"));
    _cleanup_(config_freep) Config *c = load(&root);
    const Group *g = &c->groups[0];

    assert_string_equal(g->patterns[0], "a");
    assert_string_equal(g->patterns[1], "b");
    assert_string_equal(g->patterns[2], "c*");
    assert_string_equal(g->patterns[3], "tor@d");
    assert_string_equal(g->wordings[0].text, "onion@a.service");
    assert_string_equal(g->wordings[0].place.file, "f");
    assert_int_equal(g->wordings[2].place.line, 4);
    assert_string_equal(g->except[0], "c1");
    assert_string_equal(g->except_wordings[0].text, "onion@c1.service");
}

/* ---- defaults ---- */

static void test_empty_file_is_the_defaults(void **state)
{
    (void)state;

    /* everything, with its defaults */
    static const struct {
        const char *name, *library;
        const char *environment;
    } builtin[] = {
        { "glibc", NULL, "" },
        { "jemalloc", "libjemalloc.so.2", "" },
        { "mimalloc", "libmimalloc.so.2", "" },
        { "mimalloc3", "libmimalloc.so.3", "" },
        { "tcmalloc", "libtcmalloc.so.4", "" },
        { "glibc-tuned", NULL, "GLIBC_TUNABLES=glibc.malloc.mmap_threshold=131072;" },
        { "jemalloc-tuned", "libjemalloc.so.2", "MALLOC_CONF=background_thread:true;" },
        { "jemalloc-decay", "libjemalloc.so.2", "MALLOC_CONF=background_thread:true,dirty_decay_ms:1000;" },
        { "mimalloc-tuned", "libmimalloc.so.2", "MIMALLOC_PURGE_DELAY=0;MIMALLOC_DECOMMIT_DELAY=0;" },
        { "mimalloc3-purge", "libmimalloc.so.3", "MIMALLOC_PURGE_DELAY=0;" },
        { "tcmalloc-tuned", "libtcmalloc.so.4", "TCMALLOC_AGGRESSIVE_DECOMMIT=1;" },
        /* by a former name */
        { "mimalloc3-tuned", "libmimalloc.so.3", "MIMALLOC_PURGE_DELAY=0;" },
    };
    ConfNode root = EMPTY_GROUP(0, NULL);
    _cleanup_(config_freep) Config *c = load(&root);

    assert_string_equal(c->path, "f");
    assert_string_equal(c->unit, "tor@.service");
    assert_string_equal(c->instances_dir, "/etc/tor/instances");
    assert_string_equal(c->metrics_textfile, "");
    assert_int_equal(c->n_groups, 0);
    assert_int_equal(c->rollout.parallel.value, 1);
    assert_false(c->rollout.parallel.percent);
    assert_int_equal(c->rollout.settle, 30000000);
    assert_int_equal(c->rollout.canary, 1);
    assert_int_equal(c->rollout.canary_settle, 30000000);
    assert_int_equal(c->rollout.max_failed, 1);
    assert_int_equal(c->rollout.on_failure, ON_FAILURE_ROLLBACK);
    assert_false(c->rollout.window.set);
    assert_int_equal(c->sample_interval, 60000000);
    assert_int_equal(c->sample_entry, SAMPLE_ENTRY_RELAY);
    assert_int_equal(c->rollout.ready, READY_BOOTSTRAPPED);
    assert_int_equal(c->rollout.ready_timeout, 300000000);
    assert_string_equal(c->rollout.gate, "");
    assert_true(c->sample_tor);
    assert_string_equal(c->tor_control, "");
    assert_int_equal(c->watch_rss, 0);
    assert_true(c->watch_full_in == 3);

    assert_int_equal(c->n_allocators, ELEMENTSOF(builtin));
    for (size_t i = 0; i < c->n_allocators; i++) {
        _cleanup_(freep) char *environment = xstrdup("");
        for (size_t j = 0; j < c->allocators[i].n_environment; j++) {
            _cleanup_(freep) char *before = environment;
            environment = xasprintf("%s%s=%s;", before, c->allocators[i].environment[j].name,
                                    c->allocators[i].environment[j].value);
        }
        assert_string_equal(c->allocators[i].name, builtin[i].name);
        assert_true(streq_null(c->allocators[i].library, builtin[i].library));
        assert_string_equal(environment, builtin[i].environment);
        assert_true(c->allocators[i].builtin);
        assert_true(streq_null(c->allocators[i].renamed,
                               streq(builtin[i].name, "mimalloc3-tuned") ? "mimalloc3-purge" : NULL));
        assert_int_equal(config_find_allocator(c, builtin[i].name), (int)i);
    }
    assert_int_equal(config_find_allocator(c, "pinned"), -ENOENT);
}

static void test_everything_set(void **state)
{
    (void)state;

    ConfNode root = FILE_OF(
        STR(1, "unit", "relay@.service"), STR(2, "instances_dir", "/srv/tor"),
        LIST(3, "groups",
             GROUP(4, NULL, STR(4, "name", "A"), STR(4, "allocator", "own"),
                   LIST(4, "relays", STR(4, NULL, "22gz"), STR(4, NULL, "guard*"))),
             GROUP(5, NULL, STR(5, "name", "B-2.x_y"), STR(5, "allocator", "mimalloc"), INT(5, "size", 10)),
             GROUP(6, NULL, STR(6, "name", "C"), STR(6, "allocator", "tcmalloc"), REAL(6, "share", 12.5),
                   STR(6, "seed", "autumn"), ALL_RELAYS(6))),
        /* after the groups that name them */
        GROUP(7, "allocators",
              GROUP(8, "own", STR(8, "library", "/usr/local/lib/mimalloc/libmimalloc-2.0.9.so"),
                    GROUP(8, "environment", STR(8, "_A1", "x y%z\"\\"), STR(8, "B", ""))),
              EMPTY_GROUP(9, "mimalloc-tuned")),
        GROUP(10, "rollout", STR(10, "parallel", "10%"), REAL(10, "settle", 0.5), INT(10, "canary", 0),
              INT(10, "canary_settle", 120), INT(10, "max_failed", 3), STR(10, "on_failure", "stop"),
              STR(10, "window", "22:30-06:05"), STR(10, "ready", "active"), INT(10, "ready_timeout", 20),
              STR(10, "gate", "my-gate@1.service")),
        GROUP(11, "sample", INT(11, "interval", 5), STR(11, "entry", "fleet"), BOOL(11, "tor", false)),
        GROUP(13, "tor", STR(13, "control", "/srv/tor/%i/control")),
        GROUP(14, "watch", STR(14, "rss", "4G"), REAL(14, "full_in", 1.5)),
        GROUP(12, "metrics", STR(12, "textfile", "/var/lib/prometheus/node-exporter/relayalloc.prom")));
    _cleanup_(config_freep) Config *c = load(&root);

    assert_string_equal(c->unit, "relay@.service");
    assert_string_equal(c->instances_dir, "/srv/tor");
    assert_string_equal(c->metrics_textfile, "/var/lib/prometheus/node-exporter/relayalloc.prom");

    assert_int_equal(c->n_groups, 3);
    const Group *g = c->groups;
    assert_string_equal(g[0].name, "A");
    assert_string_equal(c->allocators[g[0].allocator].name, "own");
    assert_int_equal(strv_length(g[0].patterns), 2);
    assert_string_equal(g[0].patterns[0], "22gz");
    assert_string_equal(g[0].patterns[1], "guard*");
    assert_int_equal(g[0].quota, QUOTA_ALL);
    assert_string_equal(g[0].seed, "");
    assert_string_equal(g[1].name, "B-2.x_y");
    assert_string_equal(c->allocators[g[1].allocator].name, "mimalloc");
    assert_int_equal(strv_length(g[1].patterns), 0);
    assert_int_equal(g[1].quota, QUOTA_SIZE);
    assert_true(g[1].amount == 10);
    assert_int_equal(g[2].quota, QUOTA_SHARE);
    assert_true(g[2].amount == 12.5);
    assert_string_equal(g[2].seed, "autumn");
    assert_int_equal(strv_length(g[2].patterns), 1);

    assert_int_equal(c->n_allocators, 13); /* twelve built in, one of the file behind them */
    const Allocator *own = &c->allocators[12], *tuned = &c->allocators[8];
    assert_false(own->builtin || tuned->builtin);
    assert_string_equal(own->name, "own");
    assert_string_equal(own->library, "/usr/local/lib/mimalloc/libmimalloc-2.0.9.so");
    assert_int_equal(own->n_environment, 2);
    assert_string_equal(own->environment[0].name, "_A1");
    assert_string_equal(own->environment[0].value, "x y%z\"\\");
    assert_string_equal(own->environment[1].value, "");
    /* redefined, so replaced whole */
    assert_string_equal(tuned->name, "mimalloc-tuned");
    assert_null(tuned->library);
    assert_int_equal(tuned->n_environment, 0);

    assert_int_equal(c->rollout.parallel.value, 10);
    assert_true(c->rollout.parallel.percent);
    assert_int_equal(c->rollout.settle, 500000);
    assert_int_equal(c->rollout.canary, 0);
    assert_int_equal(c->rollout.canary_settle, 120000000);
    assert_int_equal(c->rollout.max_failed, 3);
    assert_int_equal(c->rollout.on_failure, ON_FAILURE_STOP);
    assert_true(c->rollout.window.set);
    assert_int_equal(c->rollout.window.from, 22 * 60 + 30);
    assert_int_equal(c->rollout.window.to, 6 * 60 + 5);
    assert_int_equal(c->sample_interval, 5000000);
    assert_int_equal(c->sample_entry, SAMPLE_ENTRY_FLEET);
    assert_int_equal(c->rollout.ready, READY_ACTIVE);
    assert_int_equal(c->rollout.ready_timeout, 20000000);
    assert_string_equal(c->rollout.gate, "my-gate@1.service");
    assert_false(c->sample_tor);
    assert_string_equal(c->tor_control, "/srv/tor/%i/control");
    assert_int_equal(c->watch_rss, UINT64_C(4) << 30);
    assert_true(c->watch_full_in == 1.5);
}

static void test_canary_settle_follows_settle(void **state)
{
    (void)state;

    ConfNode root = IN("rollout", INT(1, "settle", 90));
    _cleanup_(config_freep) Config *c = load(&root);

    assert_int_equal(c->rollout.canary_settle, 90000000);
}

/* ---- mistakes, one by one ---- */

#define MANY_64 "a123456789012345678901234567890123456789012345678901234567890123"

static void test_unknown_settings(void **state)
{
    (void)state;

    const Case cases[] = {
        { FILE_OF(STR(3, "untis", "x")), "f:3: untis: no setting named \"untis\" (did you mean \"unit\"?)" },
        { FILE_OF(STR(3, "xyzzy", "x")), "f:3: xyzzy: no setting named \"xyzzy\"" },
        { FILE_OF(INT(3, "settle", 1)),
          "f:3: settle: no setting named \"settle\" (did you mean \"rollout.settle\"?)" },
        { IN("rollout", INT(4, "Settle", 1)),
          "f:4: rollout.Settle: no setting named \"Settle\" (did you mean \"settle\"?)" },
        { IN("rollout", INT(4, "setle", 1)),
          "f:4: rollout.setle: no setting named \"setle\" (did you mean \"settle\"?)" },
        { IN("sample", INT(4, "intervall", 1)),
          "f:4: sample.intervall: no setting named \"intervall\" (did you mean \"interval\"?)" },
        { IN("metrics", INT(4, "text_file", 1)),
          "f:4: metrics.text_file: no setting named \"text_file\" (did you mean \"textfile\"?)" },
        { IN_GROUP(ALL_RELAYS(1), INT(4, "sise", 1)),
          "f:4: groups[0].sise: no setting named \"sise\" (did you mean \"size\"?)" },
        { IN_ALLOCATOR(STR(4, "libary", "x")),
          "f:4: allocators.mine.libary: no setting named \"libary\" (did you mean \"library\"?)" },
        /* a name that only a tree made by hand can have must not find a deeper setting */
        { FILE_OF(INT(1, "rollout.settle", 1)), "f:1: rollout.settle: no setting named \"rollout.settle\"" },
        { FILE_OF(STR(1, "unit", "tor@.service"), STR(2, "unit", "tor@.service")),
          "f:2: unit: is set twice" },
    };
    check_cases(cases, ELEMENTSOF(cases));
}

static void test_top_level(void **state)
{
    (void)state;

    const Case cases[] = {
        { FILE_OF(STR(1, "unit", "tor.service")),
          "f:1: unit: must be the name of a service template such as \"tor@.service\", not \"tor.service\"" },
        { FILE_OF(STR(1, "unit", "tor@a.service")), "f:1: unit: must be the name of a service template such "
                                                    "as \"tor@.service\", not \"tor@a.service\"" },
        { FILE_OF(INT(1, "unit", 5)), "f:1: unit: must be a string in double quotes, not 5" },
        { FILE_OF(STR(1, "instances_dir", "tor")),
          "f:1: instances_dir: must be an absolute path such as \"/etc/tor/instances\", not \"tor\"" },
        { FILE_OF(STR(1, "instances_dir", "")),
          "f:1: instances_dir: must be an absolute path such as \"/etc/tor/instances\", not \"\"" },
        { FILE_OF(STR(1, "instances_dir", "/a\nb")),
          "f:1: instances_dir: must not contain a control character such as a newline or a tab" },
        { FILE_OF(STR(1, "rollout", "fast")), "f:1: rollout: must be a group { … }, not \"fast\"" },
        { FILE_OF(EMPTY_LIST(1, "metrics")), "f:1: metrics: must be a group { … }, not a list" },
    };
    check_cases(cases, ELEMENTSOF(cases));
}

static void test_allocators(void **state)
{
    (void)state;

    const Case cases[] = {
        { FILE_OF(EMPTY_LIST(1, "allocators")),
          "f:1: allocators: must be a group { NAME = { … }; … }, not a list" },
        { FILE_OF(GROUP(1, "allocators", STR(2, "mine", "libx.so"))),
          "f:2: allocators.mine: must be a group { … }, not \"libx.so\"" },
        { FILE_OF(GROUP(1, "allocators", EMPTY_GROUP(2, "mi*"))),
          "f:2: allocators.mi*: the name must be 1 to 64 of the characters A-Z a-z 0-9 . _ -" },
        { FILE_OF(GROUP(1, "allocators", EMPTY_GROUP(2, MANY_64))), NULL },
        { FILE_OF(GROUP(1, "allocators", EMPTY_GROUP(2, MANY_64 "x"))),
          "f:2: allocators." MANY_64 "x: the name must be 1 to 64 of the characters A-Z a-z 0-9 . _ -" },
        { IN_ALLOCATOR(STR(1, "library", "")),
          "f:1: allocators.mine.library: must not be empty; leave it out for the allocator of glibc" },
        { IN_ALLOCATOR(STR(1, "library", "lib/x.so")),
          "f:1: allocators.mine.library: must be an absolute path, or a bare name such as "
          "\"libjemalloc.so.2\"" },
        { IN_ALLOCATOR(STR(1, "library", "/usr/lib/")),
          "f:1: allocators.mine.library: must be a file, not a directory" },
        { IN_ALLOCATOR(STR(1, "library", "a.so:b.so")),
          "f:1: allocators.mine.library: must not contain a colon, a blank or \"$\", which have a meaning of "
          "their own in LD_PRELOAD" },
        { IN_ALLOCATOR(STR(1, "library", "/a b.so")),
          "f:1: allocators.mine.library: must not contain a colon, a blank or \"$\", which have a meaning of "
          "their own in LD_PRELOAD" },
        { IN_ALLOCATOR(STR(1, "library", "/usr/$LIB/a.so")),
          "f:1: allocators.mine.library: must not contain a colon, a blank or \"$\", which have a meaning of "
          "their own in LD_PRELOAD" },
        { IN_ALLOCATOR(BOOL(1, "library", true)),
          "f:1: allocators.mine.library: must be a string in double quotes, not true" },
        { IN_ALLOCATOR(STR(1, "environment", "A=b")),
          "f:1: allocators.mine.environment: must be a group { NAME = \"value\"; … }, not \"A=b\"" },
    };
    check_cases(cases, ELEMENTSOF(cases));
}

static void test_environment(void **state)
{
    (void)state;

#define ENV "f:1: allocators.mine.environment."
#define LOADS "is not allowed: it makes the relay load or write files other than its own"
    const Case cases[] = {
        { IN_ENVIRONMENT(INT(1, "MIMALLOC_PURGE_DELAY", 0)),
          ENV "MIMALLOC_PURGE_DELAY: must be a string: write \"0\", with the quotes" },
        { IN_ENVIRONMENT(BOOL(1, "A", true)), ENV "A: must be a string: write \"true\", with the quotes" },
        { IN_ENVIRONMENT(EMPTY_LIST(1, "A")), ENV "A: must be a string in double quotes, not a list" },
        { IN_ENVIRONMENT(STR(1, "LD_PRELOAD", "x")),
          ENV "LD_PRELOAD: is set by relayalloc itself; name the library in the allocator's \"library\"" },
        { IN_ENVIRONMENT(STR(1, "LD_LIBRARY_PATH", "x")),
          ENV "LD_LIBRARY_PATH: is not allowed: it makes the relay load code other than its own" },
        { IN_ENVIRONMENT(STR(1, "LD_AUDIT", "x")),
          ENV "LD_AUDIT: is not allowed: it makes the relay load code other than its own" },
        { IN_ENVIRONMENT(STR(1, "GCONV_PATH", "x")), ENV "GCONV_PATH: " LOADS },
        { IN_ENVIRONMENT(STR(1, "OPENSSL_CONF", "x")), ENV "OPENSSL_CONF: " LOADS },
        { IN_ENVIRONMENT(STR(1, "OPENSSL_MODULES", "x")), ENV "OPENSSL_MODULES: " LOADS },
        { IN_ENVIRONMENT(STR(1, "A-B", "x")),
          ENV "A-B: is not a valid name of a variable; use letters, digits and _" },
        { IN_ENVIRONMENT(STR(1, "1A", "x")),
          ENV "1A: is not a valid name of a variable; use letters, digits and _" },
        { IN_ENVIRONMENT(STR(1, "A", "x\ny")),
          ENV "A: must not contain a control character such as a newline or a tab" },
        { IN_ENVIRONMENT(STR(1, "A", "\x7f")),
          ENV "A: must not contain a control character such as a newline or a tab" },
        { IN_ENVIRONMENT(STR(1, "A", "\xc2\x85")), ENV "A: must not contain a control character (C1)" },
        { IN_ENVIRONMENT(STR(1, "A", "\xff")), ENV "A: must be valid UTF-8" },
        /* what the built-in allocators read, and variables that only look like the refused ones */
        { IN_ENVIRONMENT(STR(1, "GLIBC_TUNABLES", "glibc.malloc.arena_max=1"), STR(1, "LDX", "x"),
                         STR(1, "MALLOC_CONF", "narenas:2,dirty_decay_ms:0"), STR(1, "A", "Zwiebel: ü…")),
          NULL },
    };
    check_cases(cases, ELEMENTSOF(cases));
}

static void test_groups(void **state)
{
    (void)state;

    const Case cases[] = {
        { FILE_OF(EMPTY_LIST(1, "groups")), NULL },
        { FILE_OF(EMPTY_GROUP(1, "groups")),
          "f:1: groups: must be a list of groups ( { … }, { … } ), not a group { … }" },
        { FILE_OF(LIST(1, "groups", STR(2, NULL, "A"))), "f:2: groups[0]: must be a group { … }, not \"A\"" },
        { FILE_OF(LIST(1, "groups", EMPTY_GROUP(2, NULL))),
          "f:2: groups[0]: has no \"name\"\n"
          "f:2: groups[0]: has no \"allocator\"\n"
          "f:2: groups[0]: takes no relay: add \"relays\", \"size\" or \"share\" (relays = [ \"*\" ] takes "
          "all)" },
        { FILE_OF(LIST(1, "groups",
                       GROUP(2, NULL, STR(2, "name", "a b"), STR(2, "allocator", "glibc"), ALL_RELAYS(2)))),
          "f:2: groups[0].name: must be 1 to 64 of the characters A-Z a-z 0-9 . _ -" },
        { FILE_OF(LIST(1, "groups",
                       GROUP(2, NULL, STR(2, "name", ""), STR(2, "allocator", "glibc"), ALL_RELAYS(2)))),
          "f:2: groups[0].name: must be 1 to 64 of the characters A-Z a-z 0-9 . _ -" },
        { FILE_OF(LIST(1, "groups",
                       GROUP(2, NULL, STR(2, "name", "A"), STR(2, "allocator", "glibc"), INT(2, "size", 1)),
                       GROUP(3, NULL, STR(3, "name", "A"), STR(3, "allocator", "glibc"), INT(3, "size", 1)))),
          "f:3: groups[1].name: the name \"A\" is taken by groups[0]" },
        { FILE_OF(LIST(1, "groups",
                       GROUP(2, NULL, STR(2, "name", "A"), STR(2, "allocator", "mimaloc"), ALL_RELAYS(2)))),
          "f:2: groups[0].allocator: no allocator named \"mimaloc\" (did you mean \"mimalloc\"?)" },
        { FILE_OF(LIST(1, "groups",
                       GROUP(2, NULL, STR(2, "name", "A"), STR(2, "allocator", "hoard"), ALL_RELAYS(2)))),
          "f:2: groups[0].allocator: no allocator named \"hoard\"; define it under \"allocators\"" },
        /* a broken allocator is reported once, not at each group that names it as well */
        { FILE_OF(LIST(1, "groups",
                       GROUP(2, NULL, STR(2, "name", "A"), STR(2, "allocator", "mine"), ALL_RELAYS(2))),
                  GROUP(3, "allocators", GROUP(4, "mine", INT(4, "library", 1)))),
          "f:4: allocators.mine.library: must be a string in double quotes, not 1" },
        { IN_GROUP(STR(1, "relays", "guard*")),
          "f:1: groups[0].relays: must be a list: write [ \"guard*\" ]" },
        { IN_GROUP(INT(1, "relays", 5)),
          "f:1: groups[0].relays: must be a list of names and patterns such as [ \"guard*\" ], not 5" },
        { IN_GROUP(EMPTY_LIST(1, "relays")),
          "f:1: groups[0].relays: is empty; write [ \"*\" ] for all relays, or remove the group" },
        { IN_GROUP(
              LIST(1, "relays", STR(1, NULL, "a"), STR(2, NULL, ""), INT(3, NULL, 7), STR(4, NULL, "a"))),
          "f:2: groups[0].relays[1]: must not be empty\n"
          "f:3: groups[0].relays[2]: must be a string in double quotes, not 7" },
        { IN_GROUP(LIST(1, "relays", STR(1, NULL, "x[a-c"))),
          "f:1: groups[0].relays[0]: has a \"[\" without a matching \"]\"; write \"\\\\[\" for the character "
          "itself" },
        { IN_GROUP(INT(1, "size", 0)),
          "f:1: groups[0].size: must be a whole number from 1 to 100000, not 0" },
        { IN_GROUP(INT(1, "size", -3)),
          "f:1: groups[0].size: must be a whole number from 1 to 100000, not -3" },
        { IN_GROUP(INT(1, "size", 4294967297)),
          "f:1: groups[0].size: must be a whole number from 1 to 100000, not 4294967297" },
        { IN_GROUP(REAL(1, "size", 10.0)),
          "f:1: groups[0].size: must be a whole number from 1 to 100000, not 10.0" },
        { IN_GROUP(INT(1, "share", 0)),
          "f:1: groups[0].share: must be a percentage above 0 and up to 100, not 0" },
        { IN_GROUP(INT(1, "share", 100)), NULL },
        { IN_GROUP(REAL(1, "share", 100.5)),
          "f:1: groups[0].share: must be a percentage above 0 and up to 100, not 100.5" },
        { IN_GROUP(REAL(1, "share", (double)NAN)),
          "f:1: groups[0].share: must be a percentage above 0 and up to 100, not nan" },
        { IN_GROUP(STR(1, "share", "10%")),
          "f:1: groups[0].share: must be a percentage above 0 and up to 100, not \"10%\"" },
        { IN_GROUP(INT(1, "size", 1), INT(2, "share", 5)),
          "f:2: groups[0].share: \"size\" and \"share\" cannot be combined; keep one of them" },
        { IN_GROUP(INT(1, "share", 5), INT(2, "size", 1), ALL_RELAYS(3)),
          "f:2: groups[0].size: \"size\" and \"share\" cannot be combined; keep one of them" },
        { IN_GROUP(ALL_RELAYS(1), INT(1, "hold", 5)), "f:1: groups[0].hold: must be true or false, not 5" },
        { IN_GROUP(ALL_RELAYS(1), INT(1, "seed", 5)),
          "f:1: groups[0].seed: must be a string in double quotes, not 5" },
    };
    check_cases(cases, ELEMENTSOF(cases));
}

static void test_rollout(void **state)
{
    (void)state;

#define PARALLEL                                                                                             \
    "f:1: rollout.parallel: must be a whole number of relays from 1 on, or a percentage from \"1%\" to "     \
    "\"100%\", not "
#define SECONDS "must be a number of seconds from 0 to 86400, not "
#define GATE                                                                                                 \
    "f:1: rollout.gate: must be \"\" or the name of a service such as \"relayalloc-gate.service\", not "
#define WINDOW                                                                                               \
    "f:1: rollout.window: must be \"\" or a span of local time such as \"02:00-06:00\" or \"23:00-05:00\", " \
    "not "
    const Case cases[] = {
        { IN("rollout", INT(1, "parallel", 0)), PARALLEL "0" },
        { IN("rollout", REAL(1, "parallel", 1.5)), PARALLEL "1.5" },
        { IN("rollout", STR(1, "parallel", "0%")), PARALLEL "\"0%\"" },
        { IN("rollout", STR(1, "parallel", "101%")), PARALLEL "\"101%\"" },
        { IN("rollout", STR(1, "parallel", "10")), PARALLEL "\"10\"" },
        { IN("rollout", STR(1, "parallel", "1%%")), PARALLEL "\"1%%\"" },
        { IN("rollout", STR(1, "parallel", "-1%")), PARALLEL "\"-1%\"" },
        { IN("rollout", STR(1, "parallel", "100%")), NULL },
        { IN("rollout", INT(1, "settle", 0)), NULL },
        { IN("rollout", INT(1, "settle", 86400)), NULL },
        { IN("rollout", INT(1, "settle", 86401)), "f:1: rollout.settle: " SECONDS "86401" },
        { IN("rollout", REAL(1, "settle", -0.5)), "f:1: rollout.settle: " SECONDS "-0.5" },
        { IN("rollout", REAL(1, "settle", (double)INFINITY)), "f:1: rollout.settle: " SECONDS "inf" },
        { IN("rollout", STR(1, "settle", "30s")), "f:1: rollout.settle: " SECONDS "\"30s\"" },
        { IN("rollout", BOOL(1, "canary_settle", 1)), "f:1: rollout.canary_settle: " SECONDS "true" },
        { IN("rollout", INT(1, "canary", -1)),
          "f:1: rollout.canary: must be a whole number from 0 to 100000, not -1" },
        { IN("rollout", INT(1, "max_failed", 0)),
          "f:1: rollout.max_failed: must be a whole number from 1 to 100000, not 0" },
        { IN("rollout", STR(1, "on_failure", "rolback")),
          "f:1: rollout.on_failure: must be \"rollback\" or \"stop\", not \"rolback\" (did you mean "
          "\"rollback\"?)" },
        { IN("rollout", STR(1, "on_failure", "explode")),
          "f:1: rollout.on_failure: must be \"rollback\" or \"stop\", not \"explode\"" },
        { IN("rollout", STR(1, "on_failure", "a\nb")),
          "f:1: rollout.on_failure: must be \"rollback\" or \"stop\", not this string" },
        { IN("rollout", INT(1, "on_failure", 1)),
          "f:1: rollout.on_failure: must be \"rollback\" or \"stop\", not 1" },
        { IN("rollout", STR(1, "gate", "")), NULL },
        { IN("rollout", STR(1, "gate", "a.service")), NULL },
        { IN("rollout", STR(1, "gate", "a")), GATE "\"a\"" },
        { IN("rollout", STR(1, "gate", ".service")), GATE "\".service\"" },
        { IN("rollout", STR(1, "gate", "a@.service")), GATE "\"a@.service\"" },
        { IN("rollout", STR(1, "gate", "a.timer")), GATE "\"a.timer\"" },
        { IN("rollout", STR(1, "gate", "/a.service")), GATE "\"/a.service\"" },
        { IN("rollout", STR(1, "window", "")), NULL },
        { IN("rollout", STR(1, "window", "23:59-00:00")), NULL },
        { IN("rollout", STR(1, "window", "02:00-02:00")), WINDOW "\"02:00-02:00\"" },
        { IN("rollout", STR(1, "window", "24:00-02:00")), WINDOW "\"24:00-02:00\"" },
        { IN("rollout", STR(1, "window", "02:60-03:00")), WINDOW "\"02:60-03:00\"" },
        { IN("rollout", STR(1, "window", "2:00-3:00")), WINDOW "\"2:00-3:00\"" },
        { IN("rollout", STR(1, "window", "02:00-3:000")), WINDOW "\"02:00-3:000\"" },
        { IN("rollout", STR(1, "window", "02:00-06:0x")), WINDOW "\"02:00-06:0x\"" },
        { IN("rollout", STR(1, "window", "02:00 06:00")), WINDOW "\"02:00 06:00\"" },
        { IN("rollout", BOOL(1, "window", 0)), WINDOW "false" },
        { IN("sample", INT(1, "interval", 0)),
          "f:1: sample.interval: must be a whole number from 1 to 3600, not 0" },
        { IN("sample", INT(1, "interval", 3601)),
          "f:1: sample.interval: must be a whole number from 1 to 3600, not 3601" },
        { IN("sample", REAL(1, "interval", 0.5)),
          "f:1: sample.interval: must be a whole number from 1 to 3600, not 0.5" },
        { IN("sample", STR(1, "entry", "fleets")),
          "f:1: sample.entry: must be \"relay\" or \"fleet\", not \"fleets\" (did you mean \"fleet\"?)" },
        { IN("metrics", STR(1, "textfile", "out.prom")),
          "f:1: metrics.textfile: must be \"\" or an absolute path, not \"out.prom\"" },
    };
    check_cases(cases, ELEMENTSOF(cases));
}

/* All of them in one run, in the file's order, each in the file that it stands in. */
static void test_all_problems_in_file_order(void **state)
{
    (void)state;

    Case c = {
        FILE_OF(INT(1, "unit", 1),
                LIST(2, "groups",
                     GROUP(3, NULL, STR(4, "allocator", "mimaloc"), STR(5, "name", "A"), INT(6, "size", 0)),
                     GROUP(7, NULL, STR(8, "name", "A"), STR(9, "allocator", "jemaloc"), ALL_RELAYS(10))),
                GROUP(11, "sample", INT(12, "interval", 0)), GROUP(13, "allocators", INT(14, "x", 1))),
        "f:1: unit: must be a string in double quotes, not 1\n"
        "f:4: groups[0].allocator: no allocator named \"mimaloc\" (did you mean \"mimalloc\"?)\n"
        "f:6: groups[0].size: must be a whole number from 1 to 100000, not 0\n"
        "f:8: groups[1].name: the name \"A\" is taken by groups[0]\n"
        "f:9: groups[1].allocator: no allocator named \"jemaloc\" (did you mean \"jemalloc\"?)\n"
        "included:12: sample.interval: must be a whole number from 1 to 3600, not 0\n"
        "f:14: allocators.x: must be a group { … }, not 1",
    };
    c.root.children[2].children[0].file = "included";
    check_cases(&c, 1);
}

static void test_problems(void **state)
{
    (void)state;

    Problems problems = { 0 };

    problems_add(&problems, "/etc/relayalloc.conf", 12, "groups[1].allocator", "no allocator named \"%s\"",
                 "x");
    problems_add(&problems, "/etc/relayalloc.conf", 3, NULL, "syntax error");
    problems_add(&problems, "/etc/relayalloc.conf", 0, NULL, "No such file or directory");
    _cleanup_(freep) char *text = problems_text(&problems);
    assert_string_equal(text, "/etc/relayalloc.conf:12: groups[1].allocator: no allocator named \"x\"\n"
                              "/etc/relayalloc.conf:3: syntax error\n"
                              "/etc/relayalloc.conf: No such file or directory");
    for (unsigned i = 0; i < 10000; i++)
        problems_add(&problems, "f", i, NULL, "x");
    assert_int_equal(problems.n, 500);
    assert_string_equal(problems.items[499].message, "too many problems; the rest is not shown");
    problems_clear(&problems);
    assert_int_equal(problems.n, 0);
}

/* ---- bounds ---- */

/* A list or group with so many children alike. */
static ConfNode many(ConfKind kind, char *name, size_t n, ConfNode child, ConfNode *children)
{
    for (size_t i = 0; i < n; i++)
        children[i] = child;
    return (ConfNode){ .kind = kind, .line = 1, .name = name, .children = children, .n_children = n };
}

static void test_bounds(void **state)
{
    (void)state;

    static ConfNode children[CONFIG_PATTERNS_MAX + 1];
    static char name[] = "VARIABLE", long_string[CONFIG_TEXT_MAX + 2];
    ConfNode group = EMPTY_GROUP(1, name), string = STR(1, NULL, "x"), variable = STR(1, name, "x");
    const Case patterns = { IN_GROUP(many(CONF_LIST, "relays", CONFIG_PATTERNS_MAX + 1, string, children)),
                            "f:1: groups[0].relays: has more than 4096 names and patterns" };

    check_cases(&patterns, 1);
    const Case groups = { FILE_OF(many(CONF_LIST, "groups", CONFIG_GROUPS_MAX + 1, group, children)),
                          "f:1: groups: has more than 256 groups" };
    check_cases(&groups, 1);
    const Case allocators = { FILE_OF(
                                  many(CONF_GROUP, "allocators", CONFIG_ALLOCATORS_MAX + 1, group, children)),
                              "f:1: allocators: has more than 256 allocators" };
    check_cases(&allocators, 1);
    const Case variables = { IN_ALLOCATOR(many(CONF_GROUP, "environment", CONFIG_ENVIRONMENT_MAX + 1,
                                               variable, children)),
                             "f:1: allocators.mine.environment: has more than 64 variables" };
    check_cases(&variables, 1);

    memset(long_string, 'x', CONFIG_TEXT_MAX + 1);
    const Case seed = { IN_GROUP(ALL_RELAYS(1), STR(1, "seed", long_string)),
                        "f:1: groups[0].seed: must not be longer than 4096 bytes" };
    check_cases(&seed, 1);
    long_string[CONFIG_TEXT_MAX] = '\0';
    const Case fits = { IN_GROUP(ALL_RELAYS(1), STR(1, "seed", long_string)), NULL };
    check_cases(&fits, 1);
}

/* ---- the table of settings ---- */

/* Every name in config_settings is one that the reader takes where the name says. */
static void test_settings_are_known(void **state)
{
    (void)state;

    size_t n = 0;

    for (; config_settings[n]; n++) {
        _cleanup_(freep) char *name = xstrdup(config_settings[n]);
        char *last = strrchr(name, '.');
        ConfNode setting = REAL(1, last ? last + 1 : name, -0.5), root = FILE_OF(setting);
        ConfNode in_allocator = IN_ALLOCATOR(setting), in_group = IN_GROUP(setting);
        Problems problems = { 0 };
        Config *config = NULL;

        if (last) {
            *last = '\0';
            ConfNode in_section = IN(name, setting);
            const ConfNode *tree = streq(name, "groups[]")          ? &in_group
                                   : streq(name, "allocators.NAME") ? &in_allocator
                                                                    : &in_section;
            assert_int_equal(config_from_tree(tree, "f", &problems, &config), -EINVAL);
        } else {
            assert_int_equal(config_from_tree(&root, "f", &problems, &config), -EINVAL);
        }
        for (size_t i = 0; i < problems.n; i++)
            assert_null(strstr(problems.items[i].message, "no setting named"));
        problems_clear(&problems);
    }
    assert_int_equal(n, 36);
}

/* ---- words ---- */

static void test_words(void **state)
{
    (void)state;

    assert_string_equal(on_failure_to_string(ON_FAILURE_ROLLBACK), "rollback");
    assert_string_equal(on_failure_to_string(ON_FAILURE_STOP), "stop");
    assert_null(on_failure_to_string(_ON_FAILURE_MAX));
    assert_null(on_failure_to_string(_ON_FAILURE_INVALID));
    assert_string_equal(sample_entry_to_string(SAMPLE_ENTRY_RELAY), "relay");
    assert_string_equal(sample_entry_to_string(SAMPLE_ENTRY_FLEET), "fleet");
    assert_null(sample_entry_to_string(_SAMPLE_ENTRY_MAX));
}

static void test_amount(void **state)
{
    (void)state;

    static const struct {
        Amount amount;
        size_t fleet, expected;
    } cases[] = {
        { { .value = 4 }, 40, 4 },
        { { .value = 4 }, 2, 4 },
        { { .value = 10, .percent = true }, 40, 4 },
        { { .value = 10, .percent = true }, 39, 3 }, /* never exceeded */
        { { .value = 10, .percent = true }, 9, 1 },  /* but something moves */
        { { .value = 10, .percent = true }, 0, 1 },
        { { .value = 100, .percent = true }, 39, 39 },
        { { .value = 33, .percent = true }, 250, 82 },
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        assert_int_equal(amount_of(cases[i].amount, cases[i].fleet), cases[i].expected);
}

static void test_window(void **state)
{
    (void)state;
    static const struct {
        const char *window;
        unsigned minute;
        bool open;
    } cases[] = {
        { "", 0, true },
        { "", 1439, true },
        { "02:00-06:00", 119, false },
        { "02:00-06:00", 120, true },
        { "02:00-06:00", 359, true },
        { "02:00-06:00", 360, false },
        { "23:00-05:00", 1379, false },
        { "23:00-05:00", 1380, true },
        { "23:00-05:00", 0, true },
        { "23:00-05:00", 299, true },
        { "23:00-05:00", 300, false },
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Window window = { 0 };

        assert_int_equal(window_parse(cases[i].window, &window), 0);
        assert_int_equal(window_contains(window, cases[i].minute), cases[i].open);
        assert_true((window_opens_in(window, cases[i].minute) == 0) == cases[i].open);
        char text[WINDOW_TEXT_MAX];
        assert_string_equal(window_to_string(text, window), cases[i].window);
    }
}

static void test_window_opens(void **state)
{
    const Window day = { .set = true, .from = 120, .to = 360 },
                 night = { .set = true, .from = 1380, .to = 300 };

    (void)state;
    assert_int_equal(window_opens_in(day, 119), 1);
    assert_int_equal(window_opens_in(day, 360), 24 * 60 - 240);
    assert_int_equal(window_opens_in(day, 671), 14 * 60 + 49);
    assert_int_equal(window_opens_in(night, 300), 1080);
    assert_int_equal(window_opens_in(night, 1379), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_units),
        cmocka_unit_test(test_instances_of_another_unit),
        cmocka_unit_test(test_empty_file_is_the_defaults),
        cmocka_unit_test(test_everything_set),
        cmocka_unit_test(test_canary_settle_follows_settle),
        cmocka_unit_test(test_unknown_settings),
        cmocka_unit_test(test_top_level),
        cmocka_unit_test(test_allocators),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_rollout),
        cmocka_unit_test(test_all_problems_in_file_order),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_settings_are_known),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_amount),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_window_opens),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
