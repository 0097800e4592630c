/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration's types: their defaults, their ends, the words of their enums, and the list of problems.
 * Must never judge what a file says: that is up to config-read. */
#include "core/config.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>

/* A file with more problems than this is some other file. */
#define PROBLEMS_MAX 500

/* ---- the parsed file ---- */

void conf_node_clear(ConfNode *node)
{
    for (size_t i = 0; i < node->n_children; i++)
        conf_node_clear(&node->children[i]);
    free(node->children);
    free(node->name);
    free(node->string);
    free(node->pieces);
    *node = (ConfNode){ 0 };
}

/* ---- problems ---- */

void problems_add(Problems *problems, const char *file, unsigned line, const char *setting,
                  const char *format, ...)
{
    va_list ap;
    char *message = NULL;

    if (problems->n >= PROBLEMS_MAX)
        return;
    if (problems->n == PROBLEMS_MAX - 1) {
        message = xstrdup("too many problems; the rest is not shown");
    } else {
        va_start(ap, format);
        if (vasprintf(&message, format, ap) < 0)
            abort(); /* out of memory, as in xasprintf() */
        va_end(ap);
    }
    GROW(problems->items, problems->capacity, problems->n);
    problems->items[problems->n++] = (Problem){
        .file = xstrdup(file),
        .line = line,
        .setting = xstrdup(setting),
        .message = message,
    };
}

void problems_clear(Problems *problems)
{
    for (size_t i = 0; i < problems->n; i++) {
        free(problems->items[i].file);
        free(problems->items[i].setting);
        free(problems->items[i].message);
    }
    free(problems->items);
    *problems = (Problems){ 0 };
}

char *problem_to_string(const Problem *problem)
{
    _cleanup_(freep) char *place =
        problem->line > 0 ? xasprintf("%s:%u", problem->file, problem->line) : xstrdup(problem->file);

    if (isempty(problem->setting))
        return xasprintf("%s: %s", place, problem->message);
    return xasprintf("%s: %s: %s", place, problem->setting, problem->message);
}

char *problems_to_string(const Problems *problems)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        abort();
    for (size_t i = 0; i < problems->n; i++) {
        _cleanup_(freep) char *line = problem_to_string(&problems->items[i]);
        fprintf(f, "%s%s", i ? "\n" : "", line);
    }
    fclose(f);
    return text;
}

/* ---- words and amounts ---- */

static const char *const on_failure_words[_ON_FAILURE_MAX] = {
    [ON_FAILURE_ROLLBACK] = "rollback",
    [ON_FAILURE_STOP] = "stop",
};

static const char *const ready_words[_READY_MAX] = {
    [READY_ACTIVE] = "active",
    [READY_BOOTSTRAPPED] = "bootstrapped",
};

static const char *const sample_entry_words[_SAMPLE_ENTRY_MAX] = {
    [SAMPLE_ENTRY_RELAY] = "relay",
    [SAMPLE_ENTRY_FLEET] = "fleet",
};

const char *on_failure_to_string(OnFailure v)
{
    return v >= 0 && v < _ON_FAILURE_MAX ? on_failure_words[v] : NULL;
}

const char *ready_to_string(Ready v)
{
    return v >= 0 && v < _READY_MAX ? ready_words[v] : NULL;
}

const char *sample_entry_to_string(SampleEntry v)
{
    return v >= 0 && v < _SAMPLE_ENTRY_MAX ? sample_entry_words[v] : NULL;
}

size_t amount_of(Amount amount, size_t fleet)
{
    size_t n = amount.percent ? fleet / 100 * amount.value + fleet % 100 * amount.value / 100 : amount.value;

    return n > 0 ? n : 1;
}

/* ---- the configuration ---- */

/* The makers' settings as shipped, then those that return memory to the system early. A name stays in use in
 * files of operators, and its settings are those of running relays: they are never changed, and a name that
 * is given up goes to former_names. */
static const struct {
    const char *name, *library;
    struct {
        const char *name, *value;
    } environment[2];
} builtin_allocators[] = {
    { .name = "glibc" },
    { .name = "jemalloc", .library = "libjemalloc.so.2" },
    { .name = "mimalloc", .library = "libmimalloc.so.2" },
    { .name = "mimalloc3", .library = "libmimalloc.so.3" },
    { .name = "tcmalloc", .library = "libtcmalloc.so.4" },
    { .name = "glibc-tuned", .environment = { { "GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=131072" } } },
    { .name = "jemalloc-tuned",
      .library = "libjemalloc.so.2",
      .environment = { { "MALLOC_CONF", "background_thread:true" } } },
    { .name = "jemalloc-decay",
      .library = "libjemalloc.so.2",
      .environment = { { "MALLOC_CONF", "background_thread:true,dirty_decay_ms:1000" } } },
    /* The option was renamed between mimalloc 2.0 and 2.1; each version ignores the other's name. */
    { .name = "mimalloc-tuned",
      .library = "libmimalloc.so.2",
      .environment = { { "MIMALLOC_PURGE_DELAY", "0" }, { "MIMALLOC_DECOMMIT_DELAY", "0" } } },
    { .name = "mimalloc3-purge",
      .library = "libmimalloc.so.3",
      .environment = { { "MIMALLOC_PURGE_DELAY", "0" } } },
    { .name = "tcmalloc-tuned",
      .library = "libtcmalloc.so.4",
      .environment = { { "TCMALLOC_AGGRESSIVE_DECOMMIT", "1" } } },
};

/* Names that were given up, in the order of their allocators: what they mean is still the allocator of the
 * other name, under the former one, so that no drop-in changes. */
static const struct {
    const char *former, *name;
} former_names[] = {
    { "mimalloc3-tuned", "mimalloc3-purge" }, /* it grows, which is not tuned */
};

static Allocator builtin_allocator(size_t i, const char *name)
{
    Allocator a = {
        .name = xstrdup(name),
        .library = xstrdup(builtin_allocators[i].library),
        .environment = xcalloc(ELEMENTSOF(builtin_allocators[i].environment), sizeof(EnvVar)),
        .builtin = true,
    };

    for (size_t j = 0; j < ELEMENTSOF(builtin_allocators[i].environment); j++)
        if (builtin_allocators[i].environment[j].name)
            a.environment[a.n_environment++] =
                (EnvVar){ .name = xstrdup(builtin_allocators[i].environment[j].name),
                          .value = xstrdup(builtin_allocators[i].environment[j].value) };
    return a;
}

/* Those by their names, and behind them those by their former names. */
static void add_builtin(Config *config)
{
    for (size_t i = 0; i < ELEMENTSOF(builtin_allocators); i++)
        config->allocators[config->n_allocators++] = builtin_allocator(i, builtin_allocators[i].name);
    for (size_t i = 0; i < ELEMENTSOF(former_names); i++) {
        const ssize_t k = config_find_allocator(config, former_names[i].name);
        assert(k >= 0);
        config->allocators[config->n_allocators] = builtin_allocator((size_t)k, former_names[i].former);
        config->allocators[config->n_allocators++].renamed = former_names[i].name;
    }
}

Config *config_new(const char *path)
{
    Config *config = xcalloc(1, sizeof(*config));

    *config = (Config){
        .path = xstrdup(path),
        .unit = xstrdup("tor@.service"),
        .instances_dir = xstrdup("/etc/tor/instances"),
        .allocators =
            xcalloc(ELEMENTSOF(builtin_allocators) + ELEMENTSOF(former_names), sizeof(Allocator)),
        .rollout = {
            .parallel = { .value = 1 },
            .settle = 30 * USEC_PER_SEC,
            .canary = 1,
            .canary_settle = 30 * USEC_PER_SEC,
            .max_failed = 1,
            .on_failure = ON_FAILURE_ROLLBACK,
            .ready = READY_BOOTSTRAPPED,
            .ready_timeout = 300 * USEC_PER_SEC,
            .gate = xstrdup(""),
        },
        .sample_interval = USEC_PER_MINUTE,
        .sample_entry = SAMPLE_ENTRY_RELAY,
        .sample_tor = true,
        .watch_full_in = 3,
        .tor_control = xstrdup(""),
        .metrics_textfile = xstrdup(""),
    };
    add_builtin(config);
    return config;
}

void allocator_clear(Allocator *allocator)
{
    for (size_t i = 0; i < allocator->n_environment; i++) {
        free(allocator->environment[i].name);
        free(allocator->environment[i].value);
    }
    free(allocator->environment);
    free(allocator->library);
    free(allocator->name);
    *allocator = (Allocator){ 0 };
}

static void wordings_free(Wording *wordings, char *const *patterns)
{
    for (size_t i = 0; wordings && i < strv_length(patterns); i++) {
        free(wordings[i].text);
        free(wordings[i].pieces);
        free(wordings[i].place.file);
    }
    free(wordings);
}

static void group_clear(Group *group)
{
    wordings_free(group->wordings, group->patterns);
    strv_free(group->patterns);
    wordings_free(group->except_wordings, group->except);
    strv_free(group->except);
    free(group->name);
    free(group->seed);
    free(group->place.file);
}

Config *config_free(Config *config)
{
    if (!config)
        return NULL;
    for (size_t i = 0; i < config->n_allocators; i++)
        allocator_clear(&config->allocators[i]);
    for (size_t i = 0; i < config->n_groups; i++)
        group_clear(&config->groups[i]);
    free(config->allocators);
    free(config->groups);
    free(config->path);
    free(config->unit);
    free(config->instances_dir);
    free(config->rollout.gate);
    free(config->tor_control);
    free(config->metrics_textfile);
    free(config);
    return NULL;
}

ssize_t config_find_allocator(const Config *config, const char *name)
{
    for (size_t i = 0; i < config->n_allocators; i++)
        if (streq(config->allocators[i].name, name))
            return (ssize_t)i;
    return -ENOENT;
}

bool window_contains(Window w, unsigned minute)
{
    if (!w.set)
        return true;
    return w.from < w.to ? minute >= w.from && minute < w.to : minute >= w.from || minute < w.to;
}

unsigned window_opens_in(Window w, unsigned minute)
{
    return window_contains(w, minute) ? 0 : (w.from + 24 * 60 - minute) % (24 * 60);
}

const char *window_to_string(char buf[static WINDOW_TEXT_MAX], Window w)
{
    *buf = '\0';
    if (w.set)
        snprintf(buf, WINDOW_TEXT_MAX, "%02u:%02u-%02u:%02u", w.from / 60 % 24, w.from % 60, w.to / 60 % 24,
                 w.to % 60);
    return buf;
}
