/* SPDX-License-Identifier: BSD-3-Clause */
/* io/config-file: real files through libconfig, line numbers and all, and the files that we ship. */
#include "io/config-file.h"
#include "test.h"

#include <errno.h>
#include <glob.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* A folder of its own for each test; the state is its path. */
static int setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    char *dir = xasprintf("%s/relayalloc-test-XXXXXX", isempty(tmp) ? "/tmp" : tmp);

    if (!mkdtemp(dir))
        return -1;
    *state = dir;
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = { "c", "a", "b", "dir", "fifo", "sub/x", "sub" };
    _cleanup_(freep) char *dir = *state;

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_(freep) char *path = xasprintf("%s/%s", dir, names[i]);
        remove(path);
    }
    return rmdir(dir);
}

static char *write_file(const char *dir, const char *name, const char *text, size_t n)
{
    char *path = xasprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return path;
}

static void put(const char *dir, const char *name, const char *text)
{
    free(write_file(dir, name, text, strlen(text)));
}

/* One a line, with "DIR/" taken out; "" when there are none. */
static char *text_of(const char *dir, const Problems *problems)
{
    char *text = xstrdup("");

    for (size_t i = 0; i < problems->n; i++) {
        _cleanup_(freep) char *before = text, *line = problem_to_string(&problems->items[i]);
        size_t n = strlen(dir);

        if (strstr(line, "\n    "))
            *strchr(line, '\n') = '\0';

        for (char *at = strstr(line, dir); at && n > 0; at = strstr(line, dir))
            memmove(at, at + n + 1, strlen(at + n + 1) + 1);
        text = xasprintf("%s%s%s", before, i > 0 ? "\n" : "", line);
    }
    return text;
}

/* The problems of a file; "" when it is valid. */
static char *load(const char *dir, const char *path, Config **ret)
{
    Problems problems = { 0 };
    Config *config = NULL;
    int r = config_file_load(path, &problems, &config);
    char *text = text_of(dir, &problems);

    assert_int_equal(r, problems.n > 0 ? -EINVAL : 0);
    assert_true((r == 0) == (config != NULL));
    problems_clear(&problems);
    if (ret)
        *ret = config;
    else
        config_free(config);
    return text;
}

#define GROUP_A "{ name = \"A\"; allocator = \"glibc\"; size = 1; }"
/* The first line of what is said; the place below it is test-config-syntax's. */
#define SYNTAX "syntax error: look here and just before for a missing \";\" or \",\", a quote or a bracket"
#define TWICE "this name is already used further up in the same group; keep one of them"

static void test_problems_of_one_file(void **state)
{
    static const struct {
        const char *text, *problems;
    } cases[] = {
        { "", "c: the file is empty; to take all relays out of their groups write \"groups = ();\"" },
        { "\n\n  \n", "" },
        { "# nothing but a comment, and no newline", "" },
        { "// the same", "" },
        { "/* over\n two lines */", "" },
        { "groups = ( );", "" },
        { "groups = ( " GROUP_A " );", "" },
        { "groups = ( " GROUP_A " );\r\nsample = { interval = 30; }; # as Windows writes it\r\n", "" },
        { "\xef\xbb\xbfgroups = ( " GROUP_A " );", "" },
        { "\xef\xbb\xbf@include \"\"\n", "c:1: @include needs the name of a file in quotes" },
        { "groups : ( " GROUP_A " )", "" },
        /* the line of the group, and of the setting in it */
        { "# 1\n"
          "groups = (\n"
          "  " GROUP_A ",\n"
          "  {\n"
          "    name = \"B\";\n"
          "    allocator = \"mimaloc\";\n"
          "    relays = [ \"a\",\n"
          "               \"\" ];\n"
          "  },\n"
          "  { name = \"C\"; }\n"
          ");\n",
          "c:6: groups[1].allocator: no allocator named \"mimaloc\" (did you mean \"mimalloc\"?)\n"
          "c:8: groups[1].relays[1]: must not be empty\n"
          "c:10: groups[2]: has no \"allocator\"\n"
          "c:10: groups[2]: takes no relay: add \"relays\", \"size\" or \"share\" (relays = [ \"*\" ] takes "
          "all)" },
        { "rollout = {\n settel = 3;\n};\nsampel = { };\n",
          "c:2: rollout.settel: no setting named \"settel\" (did you mean \"settle\"?)\n"
          "c:4: sampel: no setting named \"sampel\" (did you mean \"sample\"?)" },
        /* what libconfig itself refuses */
        { "unit = \"tor@.service\";\n\nunit = \"tor@.service\";\n", "c:3: " TWICE },
        { "unit = ;\n", "c:1: " SYNTAX },
        { "groups = (\n" GROUP_A ",\n" GROUP_A "\n;\n", "c:4: " SYNTAX },
        { "x y\n", "c:1: " SYNTAX },
        { "unit = \"tor@.service;\ninstances_dir = \"/x\";\n", "c:2: " SYNTAX },
        /* … and what it would let pass */
        { "unit = \"tor@.service\";\n/* open\ngroups = ( " GROUP_A " );\n",
          "c:2: the comment that starts here is not closed" },
        { "unit = \"tor@.service\";\n\"open\ngroups = ( " GROUP_A " );\n", "c:3: " SYNTAX },
        { "unit = \"tor@.service\";\n\"\ngroups\n", "c:2: the string that starts here is not closed" },
        { "\nunit = \"tor\n\n", "c:2: the string that starts here is not closed" },
        /* 32 bits and more: whole, with and without the suffix, hexadecimal too */
        { "rollout = { canary = 4294967297; max_failed = 3000000000L; settle = 0x1ffffffff; };",
          "c:1: rollout.canary: must be a whole number from 0 to 100000, not 4294967297\n"
          "c:1: rollout.max_failed: must be a whole number from 1 to 100000, not 3000000000\n"
          "c:1: rollout.settle: must be a number of seconds from 0 to 86400, not 8589934591" },
        { "rollout = { canary = -4294967297; };",
          "c:1: rollout.canary: must be a whole number from 0 to 100000, not -4294967297" },
        { "rollout = { canary = 0x10; max_failed = 2L; settle = 1e1; canary_settle = .5; };", "" },
        /* numbers and quotes where they are none */
        { "allocators = { a4294967297 = { library = \"lib9999999999.so\"; }; }; # 9999999999 \" /*\n"
          "/* 9999999999 \" */ // \"\n"
          "groups = ( { name = \"A\"; allocator = \"a4294967297\"; seed = \"\\\"#//*\\\\\"; size = 2; } );",
          "" },
        { "sample = { interval = true; entry = [ \"relay\" ]; };",
          "c:1: sample.interval: must be a whole number from 1 to 3600, not true\n"
          "c:1: sample.entry: must be \"relay\" or \"fleet\", not a list" },
        { "unit = ((((((((((((((((((1))))))))))))))))));", "c:1: nested too deeply" },
        { "groups = ( { name = \"A\"; allocator = \"glibc\"; relays = [ \"\\x01\" ]; } );",
          "c:1: groups[0].relays[0]: must not contain a control character such as a newline or a tab" },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *path = write_file(*state, "c", cases[i].text, strlen(cases[i].text));
        _cleanup_(freep) char *problems = load(*state, path, NULL);

        assert_string_equal(problems, cases[i].problems);
    }
}

/* As relayalloc.conf(5) promises: file, line and setting, and a suggestion. */
static void test_literal_example(void **state)
{
    Problems problems = { 0 };
    Config *config = NULL;
    static const char text[] = "\n\n\n\n\n\n\n\n\n\ngroups = ( " GROUP_A ",\n"
                               "{ name = \"B\"; allocator = \"mimaloc\"; size = 1; } );\n";
    _cleanup_(freep) char *path = write_file(*state, "c", text, strlen(text));

    assert_int_equal(config_file_load(path, &problems, &config), -EINVAL);
    assert_int_equal(problems.n, 1);
    _cleanup_(freep) char *line = problem_to_string(&problems.items[0]);
    _cleanup_(freep) char *expected = xasprintf(
        "%s:12: groups[1].allocator: no allocator named \"mimaloc\" (did you mean \"mimalloc\"?)", path);
    assert_string_equal(line, expected);
    problems_clear(&problems);
}

static void test_values_arrive(void **state)
{
    static const char text[] =
        "unit = \"relay@.service\";\n"
        "allocators = { own = { library = \"/opt/x.so\";\n"
        "  environment = { A = \"one \" \"two\"; B = \"\\\\ \\\" %\"; }; }; };\n"
        "groups = ( { name = \"A\"; allocator = \"own\"; relays = ( \"a\", \"b*\" ); share = 12.5; } );\n"
        "rollout = { parallel = \"10%\"; settle = 1.5; };\n"
        "sample = { interval = 0x3c; };\n";
    _cleanup_(freep) char *path = write_file(*state, "c", text, strlen(text));
    _cleanup_(config_freep) Config *c = NULL;
    _cleanup_(freep) char *problems = load(*state, path, &c);

    assert_string_equal(problems, "");
    assert_string_equal(c->path, path);
    assert_string_equal(c->unit, "relay@.service");
    const Allocator *own = &c->allocators[c->groups[0].allocator];
    assert_string_equal(own->library, "/opt/x.so");
    assert_string_equal(own->environment[0].value, "one two");
    assert_string_equal(own->environment[1].value, "\\ \" %");
    assert_string_equal(c->groups[0].patterns[1], "b*");
    assert_true(c->groups[0].amount == 12.5);
    assert_true(c->rollout.parallel.percent);
    assert_int_equal(c->rollout.settle, 1500000);
    assert_int_equal(c->sample_interval, 60000000);
}

/* libconfig makes one string of two that no comma separates; in a list nobody means that. */
static void test_missing_commas(void **state)
{
    static const char text[] = "groups = ( { name = \"A\" \"1\"; allocator = \"glibc\";\n"
                               "  relays = [ \"a\", \"b\" \"c\" # why\n"
                               "    /* not */ \"d\", \"e\" ]; } );\n";
    _cleanup_(freep) char *path = write_file(*state, "c", text, strlen(text));
    _cleanup_(config_freep) Config *c = NULL;
    _cleanup_(freep) char *problems = load(*state, path, &c);

    assert_string_equal(problems, "");
    const Group *g = &c->groups[0];
    assert_string_equal(g->name, "A1");
    assert_int_equal(g->place.line, 1);
    assert_int_equal(strv_length(g->patterns), 3);
    assert_string_equal(g->patterns[1], "bcd");
    assert_string_equal(g->wordings[1].pieces, "\"b\", \"c\", \"d\"");
    assert_null(g->wordings[0].pieces);
    assert_null(g->wordings[2].pieces);
    assert_string_equal(g->wordings[0].place.file, path);
    assert_int_equal(g->wordings[0].place.line, 2);
    assert_int_equal(g->wordings[2].place.line, 3);

    /* A file that has the mark itself is refused for it, joined or not. */
    put(*state, "a",
        "groups = ( { name = \"A\"; allocator = \"glibc\"; relays = [ \"a\" \"b\", \"\x1f\" ]; } );\n");
    _cleanup_(freep) char *other = xasprintf("%s/a", (char *)*state), *refused = load(*state, other, NULL);
    assert_string_equal(
        refused, "a:1: groups[0].relays[0]: must not contain a control character such as a newline or a tab\n"
                 "a:1: groups[0].relays[1]: must not contain a control character such as a newline or a tab");
}

static void test_files_that_cannot_be_read(void **state)
{
    static char large[1024 * 1024 + 1];
    const char *dir = *state;
    _cleanup_(freep) char *missing = xasprintf("%s/missing", dir), *fifo = xasprintf("%s/fifo", dir);
    _cleanup_(freep) char *problems = load(dir, missing, NULL);
    assert_string_equal(problems, "missing: No such file or directory");

    _cleanup_(freep) char *folder = load("", dir, NULL);
    _cleanup_(freep) char *expected = xasprintf("%s: is a directory, not a file", dir);
    assert_string_equal(folder, expected);

    assert_int_equal(mkfifo(fifo, 0600), 0);
    _cleanup_(freep) char *waits = load(dir, fifo, NULL);
    assert_string_equal(waits, "fifo: is not a regular file");

    _cleanup_(freep) char *c = write_file(dir, "c", "unit = \"tor@.service\";\0", 24);
    _cleanup_(freep) char *nul = load(dir, c, NULL);
    assert_string_equal(nul, "c: contains a NUL byte; it is not a text file");

    memset(large, '\n', sizeof(large));
    free(write_file(dir, "c", large, sizeof(large) - 1));
    _cleanup_(freep) char *fits = load(dir, c, NULL);
    assert_string_equal(fits, "");
    free(write_file(dir, "c", large, sizeof(large)));
    _cleanup_(freep) char *too_large = load(dir, c, NULL);
    assert_string_equal(too_large, "c: too large; the limit is 1 MiB for all included files together");

    /* refused at once; libconfig would take minutes */
    FILE *many = fopen(c, "we");
    for (unsigned i = 0; i < 60000; i++)
        fprintf(many, "a%u=1;\n", i);
    fclose(many);
    _cleanup_(freep) char *settings = load(dir, c, NULL);
    assert_string_equal(settings, "c: too many settings (10000 at most)");

    /* more lines than 16 bits can count */
    FILE *f = fopen(c, "we");
    fwrite(large, 1, 70000, f);
    fputs("unti = 1;\n", f);
    fclose(f);
    _cleanup_(freep) char *far = load(dir, c, NULL);
    assert_string_equal(far, "c:70001: unti: no setting named \"unti\" (did you mean \"unit\"?)");
}

static void test_include(void **state)
{
    const char *dir = *state;
    _cleanup_(freep) char *c = xasprintf("%s/c", dir), *sub = xasprintf("%s/sub", dir);
    _cleanup_(freep) char *absolute = xasprintf("@include \"%s/a\"\nunti2 = 2;\n", dir);
    static const struct {
        const char *c, *a, *b, *problems;
    } cases[] = {
        /* definitions in one file, use in the other; lines of both */
        { "@include \"a\"\ngroups = ( { name = \"A\"; allocator = \"own\"; size = 1; } );\n",
          "allocators = { own = { }; };\n", "", "" },
        { "unti = 1;\n  @include \"a\"\nunti2 = 2;\n", "\n\nunti3 = 3;\nunti4 = 4;", "",
          "c:1: unti: no setting named \"unti\" (did you mean \"unit\"?)\n"
          "a:3: unti3: no setting named \"unti3\" (did you mean \"unit\"?)\n"
          "a:4: unti4: no setting named \"unti4\" (did you mean \"unit\"?)\n"
          "c:3: unti2: no setting named \"unti2\" (did you mean \"unit\"?)" },
        /* in the middle of a group, and the rest of the line behind it */
        { "sample = {\n@include \"a\" entry = \"x\"; };\nunti = 1;\n", "interval = 0;", "",
          "a:1: sample.interval: must be a whole number from 1 to 3600, not 0\n"
          "c:2: sample.entry: must be \"relay\" or \"fleet\", not \"x\"\n"
          "c:3: unti: no setting named \"unti\" (did you mean \"unit\"?)" },
        /* in a file that is included */
        { "@include \"a\"\nunti = 1;", "@include \"b\"\nunti2 = 1;\n", "\nunti3 = 1;\n",
          "b:2: unti3: no setting named \"unti3\" (did you mean \"unit\"?)\n"
          "a:2: unti2: no setting named \"unti2\" (did you mean \"unit\"?)\n"
          "c:2: unti: no setting named \"unti\" (did you mean \"unit\"?)" },
        { "@include \"a\"\n", "unit = \"tor@.service\";\n\nunit = 1;\n", "", "a:3: " TWICE },
        { "@include \"a\"\nunit = 1;\n", "unit = \"tor@.service\";\n", "", "c:2: " TWICE },
        { "\n@include \"a\"\n\n", "\n\n/* open\n", "", "a:3: the comment that starts here is not closed" },
        /* no directive: in a comment, in a string, not at the start of a line */
        { "# @include \"missing\"\n/*\n@include \"missing\"\n*/\nunit = \"\n@include \\\"missing\\\"\n\";\n",
          "", "", "c:5: unit: must not contain a control character such as a newline or a tab" },
        { "unit = \"tor@.service\"; @include \"a\"\n", "", "", "c:1: " SYNTAX },
        { "@include a\n", "", "", "c:1: " SYNTAX },
        /* what cannot be included: all of it in one run, and nothing that follows from it */
        { "@include \"missing\"\n@include \"dir\"\n@include \"fifo\"\n@include \"\"\n@include \"a\n"
          "groups = ( { name = \"A\"; allocator = \"own\"; size = 1; } );\n",
          "", "",
          "c:1: cannot include \"missing\": No such file or directory\n"
          "c:2: cannot include \"dir\": is a directory, not a file\n"
          "c:3: cannot include \"fifo\": is not a regular file\n"
          "c:4: @include needs the name of a file in quotes\n"
          "c:5: @include needs the name of a file in quotes" },
        { "\n@include \"c\"\n", "", "",
          "c:2: cannot include \"c\": files include each other too deeply (8 levels at most)" },
        /* each of these doubles at each level: the bound on all files together ends it */
        { "@include \"c\"\n@include \"c\"\n", "", "", NULL },
    };

    put(dir, "fifo", "");
    _cleanup_(freep) char *fifo = xasprintf("%s/fifo", dir), *folder = xasprintf("%s/dir", dir);
    unlink(fifo);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        put(dir, "c", cases[i].c);
        put(dir, "a", cases[i].a);
        put(dir, "b", cases[i].b);
        _cleanup_(freep) char *problems = load(dir, c, NULL);

        if (cases[i].problems)
            assert_string_equal(problems, cases[i].problems);
        else
            assert_non_null(strstr(problems, "too many files (64 at most)"));
    }

    /* an absolute name; a file in a folder below includes from beside the main file */
    put(dir, "c", absolute);
    put(dir, "a", "unti = 1;\n");
    _cleanup_(freep) char *by_absolute = load(dir, c, NULL);
    assert_string_equal(by_absolute, "a:1: unti: no setting named \"unti\" (did you mean \"unit\"?)\n"
                                     "c:2: unti2: no setting named \"unti2\" (did you mean \"unit\"?)");
    assert_int_equal(mkdir(sub, 0700), 0);
    put(dir, "c", "@include \"sub/x\"\n");
    put(dir, "sub/x", "@include \"b\"\n");
    put(dir, "b", "unit = 1;\n");
    _cleanup_(freep) char *below = load(dir, c, NULL);
    assert_string_equal(below, "b:1: unit: must be a string in double quotes, not 1");
}

/* ---- who could change them ---- */

enum { SOMEBODY = 4242 };

/* What a judged file is told of, as the installed one (`draft` false: problems) or as a draft (warnings). */
static char *judge(const char *dir, const char *path, const char *as, bool draft)
{
    Problems problems = { 0 }, warnings = { 0 };
    _cleanup_(config_freep) Config *config = NULL;
    int r = config_file_load_judged(path, as, &problems, draft ? &warnings : NULL, &config);
    char *text = text_of(dir, draft ? &warnings : &problems);

    assert_int_equal(r, problems.n > 0 ? -EINVAL : 0);
    assert_true((r == 0) == (config != NULL));
    if (draft)
        assert_int_equal(problems.n, 0);
    problems_clear(&problems);
    problems_clear(&warnings);
    return text;
}

static void test_who_could_change_it(void **state)
{
    const char *dir = *state;
    _cleanup_(freep) char *c = xasprintf("%s/c", dir), *sub = xasprintf("%s/sub", dir);
    static const struct {
        uid_t main_owner;
        mode_t main_mode;
        uid_t included_owner;
        mode_t included_mode, folder_mode;
        const char *problems;
    } cases[] = {
        { 0, 0644, 0, 0600, 0755, "" },
        { 0, 0600, 0, 0644, 01777, "" }, /* what is root's in a directory like /tmp stays root's */
        { SOMEBODY, 0644, 0, 0644, 0755,
          "c: can be changed by users other than root: it belongs to user 4242 (chown root c)" },
        { 0, 0666, 0, 0644, 0755,
          "c: can be changed by users other than root: it is writable by everybody, mode 0666 (chmod o-w "
          "c)" },
        { 0, 0644, SOMEBODY, 0644, 0755,
          "sub/x: can be changed by users other than root: it belongs to user 4242 (chown root sub/x)" },
        { 0, 0644, 0, 0646, 0755,
          "sub/x: can be changed by users other than root: it is writable by everybody, mode 0646 (chmod o-w "
          "sub/x)" },
        { 0, 0644, 0, 0644, 0757,
          "sub/x: can be changed by users other than root: sub is writable by everybody, mode 0757 (chmod "
          "o-w "
          "sub)" },
    };
    static const char end[] = "; it is refused if it is installed like this";

    if (geteuid() != 0)
        skip_because("only root has files that are root's");
    assert_int_equal(mkdir(sub, 0755), 0);
    put(dir, "sub/x", "sample = { interval = 30; };\n");
    _cleanup_(freep) char *x = xasprintf("%s/sub/x", dir);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        put(dir, "c", "@include \"sub/x\"\n");
        assert_int_equal(chmod(c, cases[i].main_mode) | chown(c, cases[i].main_owner, 0), 0);
        assert_int_equal(chmod(x, cases[i].included_mode) | chown(x, cases[i].included_owner, 0), 0);
        assert_int_equal(chmod(sub, cases[i].folder_mode), 0);
        _cleanup_(freep) char *problems = judge(dir, c, c, false), *warnings = judge(dir, c, c, true);
        _cleanup_(freep) char *unjudged = load(dir, c, NULL);

        _cleanup_(freep) char *expected = xasprintf("%s%s", cases[i].problems, *cases[i].problems ? end : "");
        assert_string_equal(problems, cases[i].problems);
        assert_string_equal(warnings, expected);
        assert_string_equal(unjudged, "");
    }
    assert_int_equal(chmod(sub, 0755), 0);

    /* A draft's own directory is not the one that it is for; that of an installed file counts. */
    assert_int_equal(chmod(dir, 0777), 0);
    _cleanup_(freep) char *in_place = judge(dir, c, c, false), *draft = judge(dir, c, c, true);
    assert_non_null(strstr(in_place, "c: can be changed by users other than root: "));
    assert_non_null(strstr(in_place, " is writable by everybody, mode 0777 (chmod o-w "));
    assert_string_equal(draft, "");
    assert_int_equal(chmod(dir, 0700), 0);

    /* A link leads to a file of somebody else. */
    _cleanup_(freep) char *link = xasprintf("%s/b", dir);
    assert_int_equal(symlink("sub/x", link) | chown(x, SOMEBODY, 0), 0);
    _cleanup_(freep) char *by_link = judge(dir, link, link, false);
    assert_string_equal(by_link,
                        "b: can be changed by users other than root: sub/x belongs to user 4242 (chown root "
                        "sub/x)");

    /* An editor's candidate is judged as the file that it will replace, what it includes as it is. */
    _cleanup_(freep) char *candidate = write_file(dir, "a", "@include \"sub/x\"\n", 17);
    _cleanup_(freep) char *later = judge(dir, candidate, c, false);
    assert_string_equal(later,
                        "sub/x: can be changed by users other than root: it belongs to user 4242 (chown root "
                        "sub/x)");
    assert_int_equal(chown(x, 0, 0) | chmod(c, 0602), 0);
    _cleanup_(freep) char *replaced = judge(dir, candidate, c, false);
    assert_string_equal(replaced,
                        "c: can be changed by users other than root: it is writable by everybody, mode 0602 "
                        "(chmod o-w c)");

    /* With all other problems in one run, and by a name that is relative. */
    put(dir, "c", "unti = 1;\n");
    assert_int_equal(chdir(dir), 0);
    _cleanup_(freep) char *all = judge(dir, "c", "c", false);
    assert_int_equal(chdir("/"), 0);
    assert_string_equal(all,
                        "c:1: unti: no setting named \"unti\" (did you mean \"unit\"?)\n"
                        "c: can be changed by users other than root: it is writable by everybody, mode 0602 "
                        "(chmod o-w c)");
}

/* ---- the files that we ship ---- */

static void assert_same_config(const Config *a, const Config *b)
{
    assert_string_equal(a->unit, b->unit);
    assert_string_equal(a->instances_dir, b->instances_dir);
    assert_string_equal(a->metrics_textfile, b->metrics_textfile);
    assert_int_equal(a->sample_interval, b->sample_interval);
    assert_int_equal(a->sample_entry, b->sample_entry);
    assert_int_equal(a->n_groups, b->n_groups);
    assert_int_equal(a->rollout.parallel.value, b->rollout.parallel.value);
    assert_int_equal(a->rollout.parallel.percent, b->rollout.parallel.percent);
    assert_int_equal(a->rollout.settle, b->rollout.settle);
    assert_int_equal(a->rollout.canary, b->rollout.canary);
    assert_int_equal(a->rollout.canary_settle, b->rollout.canary_settle);
    assert_int_equal(a->rollout.max_failed, b->rollout.max_failed);
    assert_int_equal(a->rollout.on_failure, b->rollout.on_failure);
    assert_int_equal(a->rollout.window.set, b->rollout.window.set);
    assert_int_equal(a->n_allocators, b->n_allocators);
    for (size_t i = 0; i < a->n_allocators; i++) {
        const Allocator *x = &a->allocators[i], *y = &b->allocators[i];
        assert_string_equal(x->name, y->name);
        assert_true(streq_null(x->library, y->library));
        assert_int_equal(x->n_environment, y->n_environment);
        for (size_t j = 0; j < x->n_environment; j++) {
            assert_string_equal(x->environment[j].name, y->environment[j].name);
            assert_string_equal(x->environment[j].value, y->environment[j].value);
        }
    }
}

/* As shipped it changes nothing, it names every setting, and what it shows as the defaults are the defaults.
 */
static void test_packaged_default(void **state)
{
    static const char path[] = SOURCE_DIR "/conf/relayalloc.conf";
    _cleanup_(config_freep) Config *defaults = config_new(path), *shipped = NULL, *uncommented = NULL;
    _cleanup_(freep) char *problems = load("", path, &shipped), *line = NULL, *text = NULL, *whole = NULL;
    size_t size = 0, whole_size = 0, capacity = 0, shown = 0;

    assert_string_equal(problems, "");
    assert_int_equal(shipped->n_groups, 0);
    assert_same_config(shipped, defaults);

    /* "#name = …" is a default, "# text" is prose */
    _cleanup_(fclosep) FILE *in = fopen(path, "re");
    FILE *out = open_memstream(&text, &size), *all = open_memstream(&whole, &whole_size);
    assert_non_null(in);
    while (getline(&line, &capacity, in) > 0) {
        bool is_default = line[0] == '#' && line[1] != ' ' && line[1] != '\n';
        /* within a group the lines are indented by two */
        bool is_inner = strncmp(line, "#  ", 3) == 0 && line[3] != ' ';
        bool is_wrapped = strncmp(line, "#          ", 11) == 0 && strstr(line, "= {") != NULL;

        fputs(line, all);
        if (is_default || is_inner || is_wrapped) {
            fputs(line + 1, out);
            shown++;
        } else {
            fputs("\n", out);
        }
    }
    fclose(out);
    fclose(all);
    assert_true(shown > 20);
    _cleanup_(freep) char *copy = write_file(*state, "c", text, size);
    _cleanup_(freep) char *uncommented_problems = load(*state, copy, &uncommented);
    assert_string_equal(uncommented_problems, "");
    assert_same_config(uncommented, defaults);

    for (size_t i = 0; config_settings[i]; i++) {
        const char *dot = strrchr(config_settings[i], '.');
        const char *name = dot ? dot + 1 : config_settings[i];
        _cleanup_(freep) char *assignment = xasprintf("%s = ", name);

        if (!strstr(whole, assignment))
            fail_msg("conf/relayalloc.conf does not show \"%s\"", config_settings[i]);
    }
}

static void test_examples(void **state)
{
    glob_t found = { 0 };

    (void)state;
    assert_int_equal(glob(SOURCE_DIR "/conf/examples/*.conf", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 5);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_(freep) char *problems = load("", found.gl_pathv[i], &config);

        assert_string_equal(problems, "");
        assert_true(config->n_groups > 0);
    }
    globfree(&found);
}

/* Nothing is known of the file then: systemd is to start the daemon again, and not to leave it down as it
 * does for a bad file. */
static void test_trouble_that_may_pass(void **state)
{
    _cleanup_(freep) char *path = write_file(*state, "c", "groups = ();\n", 13);
    _cleanup_(config_freep) Config *config = NULL;
    _cleanup_(problems_clear) Problems problems = { 0 };
    struct rlimit before, none;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int r = config_file_load(path, &problems, &config);
    int judged = config_file_load_judged(path, path, &problems, NULL, &config);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(r, -EMFILE);
    assert_int_equal(judged, -EMFILE);
    assert_int_equal(problems.n, 2);
    assert_non_null(strstr(problems.items[0].message, "Too many open files"));
    assert_int_equal(config_file_load(path, &problems, &config), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_problems_of_one_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_literal_example, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values_arrive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing_commas, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files_that_cannot_be_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trouble_that_may_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_could_change_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_include, setup, teardown),
        cmocka_unit_test_setup_teardown(test_packaged_default, setup, teardown),
        cmocka_unit_test(test_examples),
    };
    return cmocka_run_group_tests_name("config-file", tests, NULL, NULL);
}
