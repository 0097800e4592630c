/* SPDX-License-Identifier: BSD-3-Clause */
/* Turns the tree of a parsed file into a Config, or into the list of everything that is wrong with it, in the
 * file's order. Must never stop at the first problem, nor let an unknown setting pass. */
#include "core/config-value.h"
#include "core/config-word.h"
#include "core/relay.h"

#include <assert.h>
#include <errno.h>

#define RELAYS_MAX 100000

/* Reads one setting. `setting` is its dotted name as messages show it ("groups[1].share"). */
typedef void (*Reader)(Load *l, const ConfNode *node, const char *setting);

static void read_members(Load *l, const ConfNode *node, const char *level, const char *setting);

static void replace_string(char **s, const char *value)
{
    free(*s);
    *s = xstrdup(value);
}

static const ConfNode *find_member(const ConfNode *node, const char *name)
{
    for (size_t i = 0; i < node->n_children; i++)
        if (streq_null(node->children[i].name, name))
            return &node->children[i];
    return NULL;
}

/* ---- the top level ---- */

static void read_unit(Load *l, const ConfNode *node, const char *setting)
{
    const char *s = value_string(l, node, setting);

    if (!s)
        return;
    if (template_valid(s))
        replace_string(&l->config->unit, s);
    else
        value_must_be(l, node, setting, "the name of a service template such as \"tor@.service\"");
}

static void read_instances_dir(Load *l, const ConfNode *node, const char *setting)
{
    const char *s = value_string(l, node, setting);

    if (!s)
        return;
    l->instances_dir = true;
    if (*s == '/')
        replace_string(&l->config->instances_dir, s);
    else
        value_must_be(l, node, setting, "an absolute path such as \"/etc/tor/instances\"");
}

static void read_section(Load *l, const ConfNode *node, const char *setting)
{
    _cleanup_(freep) char *level = xasprintf("%s.", setting);

    read_members(l, node, level, setting);
}

/* ---- allocators ---- */

static void read_library(Load *l, const ConfNode *node, const char *setting)
{
    Allocator *a = l->allocator;
    const char *s = value_string(l, node, setting);

    if (!s)
        return;
    const char *problem = word_library_problem(s);
    if (problem)
        value_complain(l, node, setting, "%s", problem);
    else
        replace_string(&a->library, s);
}

static void read_variable(Load *l, const ConfNode *node, const char *setting)
{
    const char *problem = word_variable_problem(node->name);

    if (problem) {
        value_complain(l, node, setting, "%s", problem);
        return;
    }
    if (value_is_number(node) || node->kind == CONF_BOOL) {
        _cleanup_(freep) char *it = value_found(node);
        value_complain(l, node, setting, "must be a string: write \"%s\", with the quotes", it);
        return;
    }
    const char *value = value_string(l, node, setting);
    if (value)
        l->allocator->environment[l->allocator->n_environment++] =
            (EnvVar){ .name = xstrdup(node->name), .value = xstrdup(value) };
}

static void read_environment(Load *l, const ConfNode *node, const char *setting)
{
    Allocator *a = l->allocator;

    if (!value_is(l, node, setting, CONF_GROUP, "a group { NAME = \"value\"; … }"))
        return;
    if (node->n_children > CONFIG_ENVIRONMENT_MAX) {
        value_complain(l, node, setting, "has more than %d variables", CONFIG_ENVIRONMENT_MAX);
        return;
    }
    a->environment = xcalloc(node->n_children, sizeof(EnvVar));
    for (size_t i = 0; i < node->n_children; i++) {
        _cleanup_(freep) char *dotted = xasprintf("%s.%s", setting, node->children[i].name);
        read_variable(l, &node->children[i], dotted);
    }
}

/* A built-in that the file redefines is replaced completely. */
static void read_allocator(Load *l, const ConfNode *node, const char *setting)
{
    ssize_t i = config_find_allocator(l->config, node->name);

    assert(i >= 0); /* declare_allocators() has seen to it */
    l->allocator = &l->config->allocators[i];
    allocator_clear(l->allocator);
    l->allocator->name = xstrdup(node->name);
    read_members(l, node, "allocators.NAME.", setting);
}

static void read_allocators(Load *l, const ConfNode *node, const char *setting)
{
    if (!value_is(l, node, setting, CONF_GROUP, "a group { NAME = { … }; … }"))
        return;
    if (node->n_children > CONFIG_ALLOCATORS_MAX) {
        value_complain(l, node, setting, "has more than %d allocators", CONFIG_ALLOCATORS_MAX);
        return;
    }
    for (size_t i = 0; i < node->n_children; i++) {
        const ConfNode *child = &node->children[i];
        _cleanup_(freep) char *dotted = xasprintf("%s.%s", setting, child->name);
        const char *problem = word_name_problem(child->name);

        if (problem)
            value_complain(l, child, dotted, "the name %s", problem);
        else
            read_allocator(l, child, dotted);
    }
}

/* Makes every allocator of the file known by name before anything is read, since a group may name one that
 * is defined further down. */
static void declare_allocators(Config *config, const ConfNode *root)
{
    const ConfNode *node = find_member(root, "allocators");

    if (!node || node->kind != CONF_GROUP || node->n_children > CONFIG_ALLOCATORS_MAX)
        return;
    Allocator *all = xcalloc(config->n_allocators + node->n_children, sizeof(*all));
    memcpy(all, config->allocators, config->n_allocators * sizeof(*all));
    free(config->allocators);
    config->allocators = all;
    for (size_t i = 0; i < node->n_children; i++)
        if (!word_name_problem(node->children[i].name) &&
            config_find_allocator(config, node->children[i].name) < 0)
            all[config->n_allocators++].name = xstrdup(node->children[i].name);
}

/* ---- groups ---- */

static void read_group_name(Load *l, const ConfNode *node, const char *setting)
{
    Group *group = l->group;
    const char *s = value_string(l, node, setting), *problem = NULL;

    if (!s)
        return;
    problem = word_name_problem(s);
    if (problem) {
        value_complain(l, node, setting, "%s", problem);
        return;
    }
    for (size_t i = 0; i < l->config->n_groups; i++)
        if (streq_null(l->config->groups[i].name, s))
            value_complain(l, node, setting, "the name \"%s\" is taken by groups[%zu]", s, i);
    replace_string(&group->name, s);
}

/* The allocator that is meant by the name of its library, by a path, or by a name with a version in it; NULL:
 * none. */
static const char *allocator_meant(const Config *config, const char *s)
{
    const char *slash = strrchr(s, '/'), *file = slash ? slash + 1 : s, *meant = NULL;

    for (size_t i = 0; i < config->n_allocators; i++)
        if (config->allocators[i].library && streq(config->allocators[i].library, file))
            return config->allocators[i].name;
    for (size_t i = 0; i < config->n_allocators; i++) {
        const char *name = config->allocators[i].name;
        if (!config->allocators[i].renamed && strlen(name) > 3 && strcasestr(file, name) &&
            (!meant || strlen(name) > strlen(meant)))
            meant = name;
    }
    return meant;
}

static void read_group_allocator(Load *l, const ConfNode *node, const char *setting)
{
    Group *group = l->group;
    const char *s = value_string(l, node, setting);

    if (!s)
        return;
    ssize_t i = config_find_allocator(l->config, s);
    if (i >= 0) {
        group->allocator = (size_t)i;
        return;
    }
    _cleanup_(freep) const char **names = xcalloc(l->config->n_allocators + 1, sizeof(char *));
    for (size_t j = 0, n = 0; j < l->config->n_allocators; j++)
        if (!l->config->allocators[j].renamed)
            names[n++] = l->config->allocators[j].name;
    const char *near = allocator_meant(l->config, s);
    if (!near)
        near = did_you_mean(s, names);
    if (near)
        value_complain(l, node, setting, "no allocator named \"%s\" (did you mean \"%s\"?)", s, near);
    else
        value_complain(l, node, setting, "no allocator named \"%s\"; define it under \"allocators\"", s);
}

static FilePlace place_of(const Load *l, const ConfNode *node)
{
    return (FilePlace){ .file = xstrdup(node->file ? node->file : l->config->path), .line = node->line };
}

static void add_pattern(const Load *l, const ConfNode *node, char ***patterns, Wording *wordings)
{
    wordings[strv_length(*patterns)] = (Wording){
        .text = xstrdup(node->string),
        .pieces = xstrdup(node->pieces),
        .place = place_of(l, node),
    };
    strv_push(patterns, xstrdup(node->string));
}

/* `unit` may stand below the groups, so this comes last. */
static void understand(const char *unit, char **names)
{
    for (; names && *names; names++) {
        char *typed = *names;

        *names = relay_name_typed(unit, typed);
        free(typed);
    }
}

static void understand_names(Config *config)
{
    for (size_t g = 0; g < config->n_groups; g++) {
        understand(config->unit, config->groups[g].patterns);
        understand(config->unit, config->groups[g].except);
    }
}

/* `empty`: what to say of a list without names. */
static void read_patterns(Load *l, const ConfNode *node, const char *setting, const char *empty,
                          char ***patterns, Wording **wordings)
{
    if (node->kind == CONF_STRING) {
        _cleanup_(freep) char *it = value_found(node);
        value_complain(l, node, setting, "must be a list: write [ %s ]", it);
        return;
    }
    if (!value_is(l, node, setting, CONF_LIST, "a list of names and patterns such as [ \"guard*\" ]"))
        return;
    /* An empty list in a Group means all, which is the last thing that whoever wrote [ ] wants. */
    if (node->n_children == 0)
        value_complain(l, node, setting, "is empty; %s", empty);
    if (node->n_children > CONFIG_PATTERNS_MAX) {
        value_complain(l, node, setting, "has more than %d names and patterns", CONFIG_PATTERNS_MAX);
        return;
    }
    *wordings = xcalloc(node->n_children, sizeof(**wordings));
    for (size_t i = 0; i < node->n_children; i++) {
        _cleanup_(freep) char *dotted = xasprintf("%s[%zu]", setting, i);
        const char *s = value_string(l, &node->children[i], dotted);
        const char *problem = s ? word_pattern_problem(s) : NULL;

        if (problem)
            value_complain(l, &node->children[i], dotted, "%s", problem);
        else if (s)
            add_pattern(l, &node->children[i], patterns, *wordings);
    }
}

/* An empty list in a Group means all, which is the last thing that somebody who wrote [ ] wants. */
static void read_relays(Load *l, const ConfNode *node, const char *setting)
{
    read_patterns(l, node, setting, "write [ \"*\" ] for all relays, or remove the group",
                  &l->group->patterns, &l->group->wordings);
}

static void read_except(Load *l, const ConfNode *node, const char *setting)
{
    read_patterns(l, node, setting, "leave it out", &l->group->except, &l->group->except_wordings);
}

static void set_quota(Load *l, const ConfNode *node, const char *setting, Group *group, Quota quota)
{
    if (group->quota != QUOTA_ALL && group->quota != quota)
        value_complain(l, node, setting, "\"size\" and \"share\" cannot be combined; keep one of them");
    group->quota = quota;
}

static void read_size(Load *l, const ConfNode *node, const char *setting)
{
    Group *group = l->group;
    unsigned v = 0;

    set_quota(l, node, setting, group, QUOTA_SIZE);
    if (value_integer(l, node, setting, 1, RELAYS_MAX, &v))
        group->amount = v;
}

static void read_share(Load *l, const ConfNode *node, const char *setting)
{
    Group *group = l->group;

    set_quota(l, node, setting, group, QUOTA_SHARE);
    if (value_is_number(node) && value_number(node) > 0 && value_number(node) <= 100)
        group->amount = value_number(node);
    else
        value_must_be(l, node, setting, "a percentage above 0 and up to 100");
}

static void read_seed(Load *l, const ConfNode *node, const char *setting)
{
    Group *group = l->group;
    const char *s = value_string(l, node, setting);

    if (s)
        replace_string(&group->seed, s);
}

static void read_hold(Load *l, const ConfNode *node, const char *setting)
{
    if (value_is(l, node, setting, CONF_BOOL, "true or false"))
        l->group->hold = node->integer != 0;
}

static void read_groups(Load *l, const ConfNode *node, const char *setting)
{
    if (!value_is(l, node, setting, CONF_LIST, "a list of groups ( { … }, { … } )"))
        return;
    if (node->n_children > CONFIG_GROUPS_MAX) {
        value_complain(l, node, setting, "has more than %d groups", CONFIG_GROUPS_MAX);
        return;
    }
    l->config->groups = xcalloc(node->n_children, sizeof(Group));
    for (size_t i = 0; i < node->n_children; i++) {
        const ConfNode *child = &node->children[i];
        _cleanup_(freep) char *dotted = xasprintf("%s[%zu]", setting, i);

        if (child->kind == CONF_GROUP) {
            if (!find_member(child, "name"))
                value_complain(l, child, dotted, "has no \"name\"");
            if (!find_member(child, "allocator"))
                value_complain(l, child, dotted, "has no \"allocator\"");
            if (!find_member(child, "relays") && !find_member(child, "size") && !find_member(child, "share"))
                value_complain(
                    l, child, dotted,
                    "takes no relay: add \"relays\", \"size\" or \"share\" (relays = [ \"*\" ] takes all)");
        }
        l->group = &l->config->groups[i];
        l->group->seed = xstrdup("");
        l->group->place = place_of(l, child);
        read_members(l, child, "groups[].", dotted);
        l->config->n_groups = i + 1;
    }
}

/* ---- rollout, sample, metrics ---- */

static void read_parallel(Load *l, const ConfNode *node, const char *setting)
{
    Amount *parallel = &l->config->rollout.parallel;

    if (node->kind == CONF_INT && node->integer >= 1 && node->integer <= RELAYS_MAX)
        *parallel = (Amount){ .value = (unsigned)node->integer };
    else if (node->kind != CONF_STRING || percent_parse(node->string, parallel) < 0)
        value_must_be(l, node, setting,
                      "a whole number of relays from 1 on, or a percentage from \"1%\" to \"100%\"");
}

static void read_settle(Load *l, const ConfNode *node, const char *setting)
{
    value_seconds(l, node, setting, &l->config->rollout.settle);
}

static void read_canary(Load *l, const ConfNode *node, const char *setting)
{
    value_integer(l, node, setting, 0, RELAYS_MAX, &l->config->rollout.canary);
}

static void read_canary_settle(Load *l, const ConfNode *node, const char *setting)
{
    l->canary_settle = true;
    value_seconds(l, node, setting, &l->config->rollout.canary_settle);
}

static void read_max_failed(Load *l, const ConfNode *node, const char *setting)
{
    value_integer(l, node, setting, 1, RELAYS_MAX, &l->config->rollout.max_failed);
}

static void read_on_failure(Load *l, const ConfNode *node, const char *setting)
{
    const char *const words[] = { on_failure_to_string(0), on_failure_to_string(1), NULL };
    int v = value_word(l, node, setting, words);

    if (v >= 0)
        l->config->rollout.on_failure = (OnFailure)v;
}

static void read_window(Load *l, const ConfNode *node, const char *setting)
{
    if (node->kind != CONF_STRING || window_parse(node->string, &l->config->rollout.window) < 0)
        value_must_be(l, node, setting,
                      "\"\" or a span of local time such as \"02:00-06:00\" or \"23:00-05:00\"");
}

static void read_ready(Load *l, const ConfNode *node, const char *setting)
{
    const char *const words[] = { ready_to_string(0), ready_to_string(1), NULL };
    int v = value_word(l, node, setting, words);

    if (v >= 0)
        l->config->rollout.ready = (Ready)v;
}

static void read_ready_timeout(Load *l, const ConfNode *node, const char *setting)
{
    value_seconds(l, node, setting, &l->config->rollout.ready_timeout);
}

static void read_gate(Load *l, const ConfNode *node, const char *setting)
{
    const char *s = value_string(l, node, setting);

    if (!s)
        return;
    if (!*s || unit_is_service(s))
        replace_string(&l->config->rollout.gate, s);
    else
        value_must_be(l, node, setting, "\"\" or the name of a service such as \"relayalloc-gate.service\"");
}

static void read_interval(Load *l, const ConfNode *node, const char *setting)
{
    unsigned seconds = 0;

    if (value_integer(l, node, setting, 1, 3600, &seconds))
        l->config->sample_interval = seconds * USEC_PER_SEC;
}

static void read_entry(Load *l, const ConfNode *node, const char *setting)
{
    const char *const words[] = { sample_entry_to_string(0), sample_entry_to_string(1), NULL };
    int v = value_word(l, node, setting, words);

    if (v >= 0)
        l->config->sample_entry = (SampleEntry)v;
}

static void read_sample_tor(Load *l, const ConfNode *node, const char *setting)
{
    if (value_is(l, node, setting, CONF_BOOL, "true or false"))
        l->config->sample_tor = node->integer != 0;
}

/* "" or an absolute path. */
static void read_path(Load *l, const ConfNode *node, const char *setting, char **path)
{
    const char *s = value_string(l, node, setting);

    if (!s)
        return;
    if (!*s || *s == '/')
        replace_string(path, s);
    else
        value_must_be(l, node, setting, "\"\" or an absolute path");
}

static void read_textfile(Load *l, const ConfNode *node, const char *setting)
{
    read_path(l, node, setting, &l->config->metrics_textfile);
}

static void read_control(Load *l, const ConfNode *node, const char *setting)
{
    read_path(l, node, setting, &l->config->tor_control);
}

/* "" or a number of bytes as systemd takes it: "512M", "4G". */
static void read_watch_rss(Load *l, const ConfNode *node, const char *setting)
{
    static const char units[] = "KMGT";
    const char *s = value_string(l, node, setting), *unit;
    uint64_t n = 0;

    if (!s)
        return;
    const size_t digits = strspn(s, "0123456789");
    _cleanup_(freep) char *number = xstrndup(s, digits);
    const unsigned shift =
        s[digits] && (unit = strchr(units, s[digits])) ? 10 * (unsigned)(unit - units + 1) : 0;
    const bool whole = s[digits] == '\0' || (shift > 0 && s[digits + 1] == '\0');
    if (*s && (!whole || parse_u64(number, &n) < 0 || n == 0 || n > (UINT64_MAX >> shift)))
        value_must_be(l, node, setting, "\"\" or a size such as \"512M\" or \"4G\"");
    else
        l->config->watch_rss = n << shift;
}

static void read_full_in(Load *l, const ConfNode *node, const char *setting)
{
    if (value_is_number(node) && value_number(node) >= 0 && value_number(node) <= 365)
        l->config->watch_full_in = value_number(node);
    else
        value_must_be(l, node, setting, "a number of days from 0 (never) to 365");
}

/* ---- the one table of all settings ---- */

/* clang-format off */
#define SETTINGS(X)                                      \
    X("unit", read_unit)                                 \
    X("instances_dir", read_instances_dir)               \
    X("allocators", read_allocators)                     \
    X("allocators.NAME.library", read_library)           \
    X("allocators.NAME.environment", read_environment)   \
    X("groups", read_groups)                             \
    X("groups[].name", read_group_name)                  \
    X("groups[].allocator", read_group_allocator)        \
    X("groups[].relays", read_relays)                    \
    X("groups[].except", read_except)                    \
    X("groups[].size", read_size)                        \
    X("groups[].share", read_share)                      \
    X("groups[].seed", read_seed)                        \
    X("groups[].hold", read_hold)                        \
    X("rollout", read_section)                           \
    X("rollout.parallel", read_parallel)                 \
    X("rollout.settle", read_settle)                     \
    X("rollout.canary", read_canary)                     \
    X("rollout.canary_settle", read_canary_settle)       \
    X("rollout.max_failed", read_max_failed)             \
    X("rollout.on_failure", read_on_failure)             \
    X("rollout.window", read_window)                     \
    X("rollout.ready", read_ready)                       \
    X("rollout.ready_timeout", read_ready_timeout)       \
    X("rollout.gate", read_gate)                         \
    X("sample", read_section)                            \
    X("sample.interval", read_interval)                  \
    X("sample.entry", read_entry)                        \
    X("sample.tor", read_sample_tor)                     \
    X("metrics", read_section)                           \
    X("metrics.textfile", read_textfile)                 \
    X("tor", read_section)                               \
    X("tor.control", read_control)                       \
    X("watch", read_section)                             \
    X("watch.rss", read_watch_rss)                       \
    X("watch.full_in", read_full_in)                     
#define NAME_OF(name, reader) name,
#define READER_OF(name, reader) reader,
/* clang-format on */

const char *const config_settings[] = { SETTINGS(NAME_OF) NULL };
static const Reader readers[] = { SETTINGS(READER_OF) };

_Static_assert(ELEMENTSOF(readers) + 1 == ELEMENTSOF(config_settings), "one reader a setting");

/* The name that the i-th setting has on `level` ("rollout."), or NULL when it is not of that level. */
static const char *name_on_level(size_t i, const char *level)
{
    if (strncmp(config_settings[i], level, strlen(level)) != 0)
        return NULL;
    const char *name = config_settings[i] + strlen(level);
    return strpbrk(name, ".[") ? NULL : name;
}

/* Right name, wrong place? The full name of the first setting whose last part it is. */
static const char *elsewhere(const char *name)
{
    for (size_t i = 0; i < ELEMENTSOF(readers); i++) {
        const char *dot = strrchr(config_settings[i], '.');
        if (dot && streq(dot + 1, name))
            return config_settings[i];
    }
    return NULL;
}

static void complain_unknown(Load *l, const ConfNode *node, const char *setting, const char *level)
{
    const char *here[ELEMENTSOF(readers) + 1] = { 0 };
    size_t n = 0;

    for (size_t i = 0; i < ELEMENTSOF(readers); i++)
        if (name_on_level(i, level))
            here[n++] = name_on_level(i, level);
    const char *near = elsewhere(node->name);
    if (!near)
        near = did_you_mean(node->name, here);
    if (near)
        value_complain(l, node, setting, "no setting named \"%s\" (did you mean \"%s\"?)", node->name, near);
    else
        value_complain(l, node, setting, "no setting named \"%s\"", node->name);
}

/* Reads the settings of one level: of the file ("", setting ""), of one of its groups ("groups[].",
 * "groups[1]"), … */
static void read_members(Load *l, const ConfNode *node, const char *level, const char *setting)
{
    bool seen[ELEMENTSOF(readers)] = { false };

    if (!value_is(l, node, setting, CONF_GROUP, "a group { … }"))
        return;
    for (size_t i = 0; i < node->n_children; i++) {
        const ConfNode *child = &node->children[i];
        _cleanup_(freep) char *dotted =
            *setting ? xasprintf("%s.%s", setting, child->name) : xstrdup(child->name);
        size_t k = 0;

        while (k < ELEMENTSOF(readers) && !streq_null(name_on_level(k, level), child->name))
            k++;
        if (k == ELEMENTSOF(readers))
            complain_unknown(l, child, dotted, level);
        else if (seen[k])
            value_complain(l, child, dotted, "is set twice");
        else
            readers[k](l, child, dotted);
        if (k < ELEMENTSOF(readers))
            seen[k] = true;
    }
}

int config_from_tree(const ConfNode *root, const char *path, Problems *problems, Config **ret)
{
    _cleanup_(config_freep) Config *config = config_new(path);
    Load l = { .config = config, .problems = problems };
    size_t before = problems->n;

    assert(root->kind == CONF_GROUP);
    declare_allocators(config, root);
    read_members(&l, root, "", "");
    /* Debian's directories are those of tor@.service: those of another template are somewhere else, if any.
     */
    if (!l.instances_dir && !streq(config->unit, "tor@.service"))
        replace_string(&config->instances_dir, "");
    if (!l.canary_settle)
        config->rollout.canary_settle = config->rollout.settle;
    if (problems->n > before)
        return -EINVAL;
    understand_names(config);
    *ret = TAKE_PTR(config);
    return 0;
}
