/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of core/assign: exact numbers, values pinned for ever, and the promise that a relay that joins or
 * leaves moves at most one other in each sized group. */
#include "core/assign.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { FLEET_MAX = 64 };

static Group all(const char *name, char **patterns)
{
    return (Group){ .name = (char *)name, .patterns = patterns, .quota = QUOTA_ALL, .seed = (char *)"" };
}

static Group size(const char *name, double amount, const char *seed)
{
    return (Group){ .name = (char *)name, .quota = QUOTA_SIZE, .amount = amount, .seed = (char *)seed };
}

static Group share(const char *name, double amount, const char *seed)
{
    return (Group){ .name = (char *)name, .quota = QUOTA_SHARE, .amount = amount, .seed = (char *)seed };
}

static char **fleet_new(size_t n)
{
    char **names = xcalloc(n + 1, sizeof(char *));

    for (size_t i = 0; i < n; i++)
        names[i] = xasprintf("relay%zu", i + 1);
    return names;
}

static void assign(Group *groups, size_t n_groups, char *const *names, size_t n, size_t *ret)
{
    Config config = { .groups = groups, .n_groups = n_groups };

    assign_groups(&config, (const char *const *)names, n, ret);
}

static size_t count(const size_t *assigned, size_t n, size_t group)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        found += assigned[i] == group;
    return found;
}

/* Computed by another implementation. When this fails, an upgrade would restart the relays of every sized
 * group: the hash must stay. */
static void test_pinned(void **state)
{
    (void)state;
    _cleanup_(strv_freep) char **names = fleet_new(20);
    Group groups[] = { size("B", 5, ""), share("C", 40, ""), size("D", 2, "2") };
    static const size_t expected[20] = {
        GROUP_NONE, 1, 1,          GROUP_NONE, GROUP_NONE, GROUP_NONE, 0, 0,          0, GROUP_NONE,
        0,          1, GROUP_NONE, 2,          1,          1,          2, GROUP_NONE, 0, 1,
    };
    size_t assigned[20];

    assign(groups, ELEMENTSOF(groups), names, 20, assigned);
    for (size_t i = 0; i < 20; i++)
        if (assigned[i] != expected[i])
            fail_msg("%s is in group %zd", names[i], (ssize_t)assigned[i]);
}

/* Names whose scores have their upper 31 bits in common, so that the last step of the hash decides between
 * them; found, and decided, by another implementation. */
static void test_pinned_to_the_last_bit(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        size_t winner;
    } rows[] = {
        { "relay1952", "relay3463", 1 },    { "relay518", "relay123238", 0 },
        { "relay68206", "relay75541", 0 },  { "relay97032", "relay191819", 1 },
        { "relay35354", "relay137301", 1 }, { "relay60238", "relay273611", 1 },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        char *names[] = { (char *)rows[i].first, (char *)rows[i].second };
        Group groups[] = { size("A", 1, "") };
        size_t assigned[2];

        assign(groups, 1, names, 2, assigned);
        assert_int_equal(assigned[rows[i].winner], 0);
        assert_int_equal(assigned[!rows[i].winner], GROUP_NONE);
    }
}

static void test_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *relay;
        bool match;
    } rows[] = {
        { "relay1", "relay1", true },
        { "relay1", "relay10", false },
        { "relay1", "Relay1", false },
        { "guard*", "guard", true },
        { "guard*", "guard-7", true },
        { "guard*", "myguard", false },
        { "*", "anything", true },
        { "*", ".hidden", true },
        { "*", "a/b", true },
        { "a?b", "a/b", true },
        { "relay?", "relay10", false },
        { "relay[1-3]", "relay2", true },
        { "relay[!1-3]", "relay2", false },
        { "relay[!1-3]", "relay4", true },
        { "[a-z]*", "Relay", false },
        { "1.2.3.4_*", "1.2.3.4_9000", true },
        { "1.2.3.4_*", "1a2.3.4_9000", false },
        { "a\\*b", "a*b", true },
        { "a\\*b", "axb", false },
        { "my\\x2drelay", "my\\x2drelay", true }, /* a name that looks like a pattern names itself */
        { "a[b", "a[b", true },
        { "+(a)", "aa", false },       /* no extended patterns */
        { "r*??", "r\xc3\xa4", true }, /* bytes, whatever the locale */
        { "r?", "r\xc3\xa4", false },
        { "r\xc3\xa4*", "r\xc3\xa4lay", true },
    };
    static const char *const locales[] = { "C", "C.UTF-8" };

    for (size_t l = 0; l < ELEMENTSOF(locales); l++) {
        assert_non_null(setlocale(LC_ALL, locales[l]));
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
            char *patterns[] = { (char *)"nothing", (char *)rows[i].pattern, NULL };
            char *names[] = { (char *)rows[i].relay };
            Group group = all("A", patterns);
            size_t assigned = 7;
            assign(&group, 1, names, 1, &assigned);
            if (assigned != (rows[i].match ? 0 : GROUP_NONE))
                fail_msg("row %zu, locale %s: \"%s\", \"%s\"", i, locales[l], rows[i].pattern, rows[i].relay);
        }
    }
    assert_non_null(setlocale(LC_ALL, "C"));
}

static void test_first_group_keeps(void **state)
{
    (void)state;
    _cleanup_(strv_freep) char **names = fleet_new(30);
    char *some[] = { (char *)"relay1", (char *)"relay2?", NULL };
    char *every[] = { (char *)"*", NULL };
    Group groups[] = { all("A", some), size("B", 10, ""), all("C", every), share("D", 100, "") };
    size_t assigned[30];

    assign(groups, ELEMENTSOF(groups), names, 30, assigned);
    assert_int_equal(count(assigned, 30, 0), 11);
    assert_int_equal(count(assigned, 30, 1), 10);
    assert_int_equal(count(assigned, 30, 2), 9);
    assert_int_equal(count(assigned, 30, 3), 0);
    assert_int_equal(assigned[0], 0);
    for (size_t i = 19; i < 29; i++)
        assert_int_equal(assigned[i], 0);
}

static void test_no_groups_no_relays(void **state)
{
    (void)state;
    _cleanup_(strv_freep) char **names = fleet_new(3);
    Group group = size("A", 2, "");
    size_t assigned[3] = { 0, 0, 0 };

    assign(NULL, 0, names, 3, assigned);
    assert_int_equal(count(assigned, 3, GROUP_NONE), 3);
    assign(&group, 1, NULL, 0, assigned);
}

static void test_quota(void **state)
{
    (void)state;
    static const struct {
        Quota quota;
        double amount;
        size_t fleet, expected;
    } rows[] = {
        { QUOTA_SIZE, 0, 10, 0 },      { QUOTA_SIZE, 1, 10, 1 },     { QUOTA_SIZE, 10, 10, 10 },
        { QUOTA_SIZE, 11, 10, 10 },    { QUOTA_SIZE, 1e9, 10, 10 },  { QUOTA_SIZE, 3, 0, 0 },
        { QUOTA_SHARE, 10, 40, 4 },    { QUOTA_SHARE, 10, 44, 4 },   { QUOTA_SHARE, 10, 45, 5 },
        { QUOTA_SHARE, 10, 4, 0 },     { QUOTA_SHARE, 10, 5, 1 },    { QUOTA_SHARE, 29, 50, 15 },
        { QUOTA_SHARE, 7, 50, 4 },     { QUOTA_SHARE, 100, 50, 50 }, { QUOTA_SHARE, 99, 50, 50 },
        { QUOTA_SHARE, 98.9, 50, 49 }, { QUOTA_SHARE, 12.5, 4, 1 },  { QUOTA_SHARE, 33.3, 3, 1 },
        { QUOTA_SHARE, 0, 50, 0 },     { QUOTA_SHARE, 50, 1, 1 },    { QUOTA_SHARE, 49.9, 1, 0 },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(strv_freep) char **names = fleet_new(rows[i].fleet);
        Group group = {
            .name = (char *)"A", .seed = (char *)"", .quota = rows[i].quota, .amount = rows[i].amount
        };
        size_t assigned[FLEET_MAX];
        assign(&group, 1, names, rows[i].fleet, assigned);
        if (count(assigned, rows[i].fleet, 0) != rows[i].expected)
            fail_msg("row %zu: %zu", i, count(assigned, rows[i].fleet, 0));
    }
}

/* The percentage is of those that are free and match. */
static void test_share_of_what(void **state)
{
    (void)state;
    _cleanup_(strv_freep) char **names = fleet_new(40);
    char *tens[] = { (char *)"relay??", NULL };
    Group groups[] = { size("A", 10, ""), share("B", 50, ""), share("C", 100, "") };
    size_t assigned[40];

    assign(groups, 3, names, 40, assigned);
    assert_int_equal(count(assigned, 40, 1), 15);
    assert_int_equal(count(assigned, 40, 2), 15);

    groups[0] = share("A", 50, "");
    groups[0].patterns = tens; /* 31 of them */
    assign(groups, 3, names, 40, assigned);
    assert_int_equal(count(assigned, 40, 0), 16);
    assert_int_equal(count(assigned, 40, 1), 12);
    for (size_t i = 0; i < 9; i++)
        assert_int_not_equal(assigned[i], 0);
}

static void test_seed_and_name_choose(void **state)
{
    (void)state;
    _cleanup_(strv_freep) char **names = fleet_new(60);
    Group variants[] = { size("B", 20, ""), size("B", 20, "x"), size("C", 20, ""), size("Bx", 20, ""),
                         size("x", 20, "B") };
    size_t assigned[ELEMENTSOF(variants)][60];

    for (size_t v = 0; v < ELEMENTSOF(variants); v++)
        assign(&variants[v], 1, names, 60, assigned[v]);
    for (size_t v = 0; v < ELEMENTSOF(variants); v++)
        for (size_t w = 0; w < v; w++)
            assert_memory_not_equal(assigned[v], assigned[w], sizeof(assigned[v]));
}

static uint64_t random_next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static void shuffle(char **names, size_t n, uint64_t *seed)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)(random_next(seed) % i);
        char *t = names[i - 1];
        names[i - 1] = names[j];
        names[j] = t;
    }
}

/* Random groups over names that end in a digit. With `patterned_shares`, share groups may have patterns of
 * their own, too, and not only the first of them. */
static size_t random_groups(Group groups[static 6], bool patterned_shares, uint64_t *seed)
{
    static char *const patterns[][3] = { { (char *)"*[0-4]", NULL },
                                         { (char *)"*[13579]", NULL },
                                         { (char *)"*[5-7]", (char *)"*1*", NULL },
                                         { (char *)"relay1", (char *)"relay2", NULL } };
    static const char *const names[] = { "A", "B", "C", "D", "E", "F" };
    size_t n = 1 + (size_t)(random_next(seed) % 6);
    bool shared = false;

    for (size_t g = 0; g < n; g++) {
        char **pattern = (char **)patterns[random_next(seed) % ELEMENTSOF(patterns)];
        bool with_pattern = random_next(seed) % 2;
        switch (random_next(seed) % 3) {
        case 0:
            groups[g] = all(names[g], pattern);
            break;
        case 1:
            groups[g] = size(names[g], (double)(random_next(seed) % 12), random_next(seed) % 2 ? "" : "s");
            groups[g].patterns = with_pattern ? pattern : NULL;
            break;
        default:
            groups[g] = share(names[g], (double)(random_next(seed) % 101), random_next(seed) % 2 ? "" : "s");
            groups[g].patterns = with_pattern && (!shared || patterned_shares) ? pattern : NULL;
            shared = true;
        }
    }
    return n;
}

static void test_order_does_not_matter(void **state)
{
    (void)state;
    uint64_t seed = 1;

    for (int round = 0; round < 500; round++) {
        Group groups[6];
        size_t n_groups = random_groups(groups, true, &seed), n = (size_t)(random_next(&seed) % FLEET_MAX);
        _cleanup_(strv_freep) char **names = fleet_new(n);
        size_t assigned[FLEET_MAX], shuffled[FLEET_MAX];
        char *order[FLEET_MAX];
        assign(groups, n_groups, names, n, assigned);
        memcpy(order, names, n * sizeof(*order));
        shuffle(order, n, &seed);
        assign(groups, n_groups, order, n, shuffled);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++)
                if (order[i] == names[j])
                    assert_int_equal(shuffled[i], assigned[j]);
    }
}

/* Of the n relays of a fleet the last one leaves (or, read backwards, joins): the most others that enter, or
 * that leave, any one sized group. */
static size_t most_moved(const Group *groups, size_t n_groups, const size_t *before, const size_t *after,
                         size_t others)
{
    size_t most = 0;

    for (size_t g = 0; g < n_groups; g++) {
        size_t entered = 0, left = 0;
        for (size_t i = 0; i < others; i++) {
            entered += after[i] == g && before[i] != g;
            left += after[i] != g && before[i] == g;
        }
        if (groups[g].quota != QUOTA_ALL && entered > most)
            most = entered;
        if (groups[g].quota != QUOTA_ALL && left > most)
            most = left;
    }
    return most;
}

static size_t most_moved_in_rounds(int rounds, bool patterned_shares, size_t *ret_moves)
{
    uint64_t seed = 2;
    size_t most = 0, moves = 0;

    for (int round = 0; round < rounds; round++) {
        Group groups[6];
        size_t n_groups = random_groups(groups, patterned_shares, &seed);
        size_t n = 1 + (size_t)(random_next(&seed) % FLEET_MAX);
        _cleanup_(strv_freep) char **names = fleet_new(n);
        size_t with[FLEET_MAX], without[FLEET_MAX];
        shuffle(names, n, &seed);
        assign(groups, n_groups, names, n, with);
        assign(groups, n_groups, names, n - 1, without);
        size_t moved = most_moved(groups, n_groups, with, without, n - 1);
        moves += moved > 0;
        if (moved > most)
            most = moved;
    }
    *ret_moves = moves;
    return most;
}

static void test_stability(void **state)
{
    (void)state;
    size_t moves = 0;

    assert_int_equal(most_moved_in_rounds(20000, false, &moves), 1);
    assert_in_range(moves, 5000, 19000); /* there was something to move */
}

/* Several share groups whose patterns overlap can round up together for one relay that joins, and each then
 * draws one more from the groups behind it. */
static void test_stability_of_overlapping_shares(void **state)
{
    (void)state;
    size_t moves = 0;

    assert_in_range(most_moved_in_rounds(20000, true, &moves), 1, 2);
}

/* Each relay is as likely to be chosen as any other, however alike their names: over many groups, the
 * chi-square of the counts stays near its degrees of freedom. */
static void test_uniform(void **state)
{
    (void)state;
    enum { RELAYS = 100, GROUPS = 2000, CHOSEN = 10 };
    _cleanup_(strv_freep) char **names = fleet_new(RELAYS);
    size_t counts[RELAYS] = { 0 }, assigned[RELAYS];
    double expected = (double)GROUPS * CHOSEN / RELAYS, chi_square = 0;

    for (int g = 0; g < GROUPS; g++) {
        _cleanup_(freep) char *name = xasprintf("group%d", g);
        Group group = size(name, CHOSEN, "");
        assign(&group, 1, names, RELAYS, assigned);
        for (size_t i = 0; i < RELAYS; i++)
            counts[i] += assigned[i] == 0;
    }
    for (size_t i = 0; i < RELAYS; i++) {
        double d = (double)counts[i] - expected;
        chi_square += d * d / expected;
    }
    /* 90 % of 99: drawn without putting back. Five standard deviations to each side. */
    assert_true(chi_square > 26 && chi_square < 153);
}

/* Each name that means nobody, and each group that gets nobody for another reason, with its place. */
static void check_judged(const char *const *relays, Group *groups, size_t n_groups, const char *expected)
{
    Wording wordings[2][4] = { 0 };
    _cleanup_(problems_clear) Problems problems = { 0 };
    Config config = { .groups = groups, .n_groups = n_groups };
    size_t assigned[FLEET_MAX], n = 0;

    while (relays[n])
        n++;
    for (size_t g = 0; g < n_groups; g++) {
        groups[g].place = (FilePlace){ (char *)"f", (unsigned)g + 1 };
        groups[g].wordings = wordings[g];
        for (size_t i = 0; i < strv_length(groups[g].patterns); i++)
            wordings[g][i] = (Wording){ .text = groups[g].patterns[i], .place = groups[g].place };
    }
    if (groups[0].patterns && streq(groups[0].patterns[0], "relay1relay2"))
        wordings[0][0].pieces = (char *)"\"relay1\", \"relay2\"";
    assign_groups(&config, relays, n, assigned);
    assign_judge(&config, relays, n, assigned, &problems);
    _cleanup_(freep) char *text = problems_to_string(&problems);
    assert_string_equal(text, expected);
}

#define NAMES(...) ((char *[]){ __VA_ARGS__, NULL })
#define JUDGED(relays, expected, ...)                                                                        \
    check_judged((relays), (Group[]){ __VA_ARGS__ }, ELEMENTSOF(((Group[]){ __VA_ARGS__ })), (expected))

static void test_names_that_no_relay_has(void **state)
{
    (void)state;
    static const char *const relays[] = { "guard1", "guard2", "relay1", "relay2", NULL };

    JUDGED(relays, "", all("A", NAMES((char *)"relay1", (char *)"guard*")), size("B", 2, ""));
    JUDGED(relays,
           "f:1: groups[0].relays[0]: no relay of this host is called \"realy1\" (did you mean \"relay1\"?)\n"
           "f:1: groups[0].relays[1]: no relay of this host matches \"gaurd*\" (did you mean \"guard*\"?)\n"
           "f:1: groups[0].relays[2]: no relay of this host is called \"zzzz\"",
           all("A", NAMES((char *)"realy1", (char *)"gaurd*", (char *)"zzzz")), size("B", 2, ""));
    JUDGED(relays,
           "f:1: groups[0].relays[0]: no relay of this host is called \"relay1relay2\": a comma is missing "
           "between \"relay1\", \"relay2\"",
           all("A", NAMES((char *)"relay1relay2", (char *)"relay2")));
    JUDGED(relays,
           "f:1: groups[0].relays[0]: no relay of this host is called "
           "\"FC06B52C9F6F114921EF0D82009A180BDE662022\": this is a fingerprint, and relays go by the names "
           "that "
           "\"relayallocctl list\" shows",
           all("A", NAMES((char *)"FC06B52C9F6F114921EF0D82009A180BDE662022", (char *)"relay2")));
    JUDGED(relays,
           "f:1: groups[0].relays[0]: no relay of this host is called \"relays@relay1\" (did you mean "
           "\"relay1\"?)",
           all("A", NAMES((char *)"relays@relay1", (char *)"relay2")));
}

static void test_names_of_which_earlier_groups_leave_nothing(void **state)
{
    (void)state;
    static const char *const relays[] = { "guard1", "guard2", "relay1", NULL }, *nobody[] = { NULL };

    JUDGED(relays,
           "f:2: groups[1].relays[0]: group A comes before and takes \"relay1\"\n"
           "f:2: groups[1].relays[1]: earlier groups take all 2 relays that match \"guard*\"",
           all("A", NAMES((char *)"*")), all("B", NAMES((char *)"relay1", (char *)"guard*")));
    JUDGED(relays, "f:2: groups[1]: group B takes no relay: earlier groups take them all",
           all("A", NAMES((char *)"*")), share("B", 50, ""));
    JUDGED(relays, "f:1: groups[0]: group A takes no relay: its share of 3 is less than half a relay",
           share("A", 10, ""));
    Group none = all("A", NAMES((char *)"*"));
    none.except = NAMES((char *)"relay*", (char *)"guard*");
    JUDGED(relays, "f:1: groups[0]: group A takes no relay: its \"except\" leaves out all that it names",
           none);
    JUDGED(nobody, "", all("A", NAMES((char *)"*")), all("B", NAMES((char *)"relay1")));
}

/* Groups that hold keep whom they have, and take nobody from each other; only free places are drawn. */
static void test_hold(void **state)
{
    (void)state;
    enum { N = 60 };
    char **names = fleet_new(N);
    Group groups[] = {
        { .name = (char *)"A", .quota = QUOTA_SIZE, .amount = 20, .seed = (char *)"", .hold = true },
        { .name = (char *)"B", .quota = QUOTA_SIZE, .amount = 20, .seed = (char *)"", .hold = true },
    };
    Config config = { .groups = groups, .n_groups = 2 };
    size_t before[N], after[N], moved = 0, sizes[2] = { 0 };
    const char *has[N] = { NULL };
    bool unknown[N] = { false };

    assign(groups, 2, names, 40, before);
    for (size_t i = 0; i < 40; i++)
        has[i] = before[i] == GROUP_NONE ? NULL : groups[before[i]].name;
    assign_groups_holding(&config, (const char *const *)names, has, NULL, N, after); /* 20 have joined */
    for (size_t i = 0; i < 40; i++)
        assert_int_equal(after[i], before[i]);
    assign(groups, 2, names, N, after); /* without what they have */
    for (size_t i = 0; i < 40; i++)
        moved += after[i] != before[i];
    assert_true(moved > 5);
    groups[0].amount = 10; /* fewer: who stays is one that it had */
    groups[1].amount = 30; /* more: it keeps its own */
    assign_groups_holding(&config, (const char *const *)names, has, NULL, N, after);
    for (size_t i = 0; i < N; i++) {
        assert_true(after[i] != 0 || (i < 40 && before[i] == 0));
        assert_true(i >= 40 || before[i] != 1 || after[i] == 1);
        if (after[i] != GROUP_NONE)
            sizes[after[i]]++;
    }
    assert_true(sizes[0] == 10 && sizes[1] == 30);
    for (size_t i = 40; i < N; i++) { /* who was copied from one of them has its file, and stands back */
        has[i] = groups[0].name;
        unknown[i] = true;
    }
    assign_groups_holding(&config, (const char *const *)names, has, unknown, N, before);
    assert_memory_equal(before, after, sizeof(before));
    groups[0].hold = groups[1].hold = false; /* then the past does not matter */
    assign_groups_holding(&config, (const char *const *)names, has, NULL, N, after);
    assign(groups, 2, names, N, before);
    assert_memory_equal(before, after, sizeof(before));
    strv_free(names);
}

static uint64_t random_state = 1;

static size_t below(size_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(random_state >> 33) % n;
}

static void some_groups(Group *groups, size_t n, char ***pattern)
{
    static const char *const names[] = { "A", "B", "C", "D" };

    for (size_t g = 0; g < n; g++) {
        groups[g] = (Group){ .name = (char *)names[g],
                             .quota = below(2) ? QUOTA_SIZE : QUOTA_SHARE,
                             .seed = (char *)"",
                             .patterns = below(3) ? NULL : pattern[below(2)],
                             .except = below(4) ? NULL : pattern[2],
                             .hold = below(2) };
        groups[g].amount = groups[g].quota == QUOTA_SIZE ? (double)below(6) : (double)(5 * below(21));
    }
}

/* Once every relay has what was drawn for it, the same is drawn: else a rollout would be followed by one that
 * no plan announced. */
static void test_draw_lasts(void **state)
{
    (void)state;
    enum { N = 8, GROUPS = 4 };
    char **names = fleet_new(N);
    char *first[] = { (char *)"relay[1-5]", NULL }, *last[] = { (char *)"relay[4-8]", NULL },
         *two[] = { (char *)"relay2", (char *)"relay5", NULL }, **patterns[] = { first, last, two };
    size_t drawn[N], after[N];
    const char *has[N];

    for (size_t round = 0; round < 20000; round++) {
        Group groups[GROUPS];
        Config config = { .groups = groups, .n_groups = 1 + below(GROUPS) };

        some_groups(groups, GROUPS, patterns);
        for (size_t i = 0; i < N; i++)
            has[i] = below(3) ? groups[below(GROUPS)].name : NULL;
        assign_groups_holding(&config, (const char *const *)names, has, NULL, N, drawn);
        for (size_t i = 0; i < N; i++)
            has[i] = drawn[i] == GROUP_NONE ? NULL : groups[drawn[i]].name;
        assign_groups_holding(&config, (const char *const *)names, has, NULL, N, after);
        assert_memory_equal(drawn, after, sizeof(drawn));
    }
    strv_free(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pinned),
        cmocka_unit_test(test_pinned_to_the_last_bit),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_first_group_keeps),
        cmocka_unit_test(test_no_groups_no_relays),
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_share_of_what),
        cmocka_unit_test(test_seed_and_name_choose),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_stability),
        cmocka_unit_test(test_stability_of_overlapping_shares),
        cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_names_that_no_relay_has),
        cmocka_unit_test(test_names_of_which_earlier_groups_leave_nothing),
        cmocka_unit_test(test_hold),
        cmocka_unit_test(test_draw_lasts),
    };

    return cmocka_run_group_tests_name("assign", tests, NULL, NULL);
}
