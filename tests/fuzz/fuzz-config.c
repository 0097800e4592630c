/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a configuration file: it is refused with at least one problem, or gives a Config whose every
 * promise holds. Reads nothing but a file of its own and what an input includes beside it. */
#include "io/config-file.h"

#include <errno.h>
#include <limits.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): this must hold however the library was built. */
static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_text(const char *s)
{
    for (; *s; s++)
        must((unsigned char)*s >= 0x20);
}

static void check_problems(const Problems *problems)
{
    for (size_t i = 0; i < problems->n; i++) {
        char *line = problem_to_string(&problems->items[i]);
        must(line != NULL);
        free(line);
    }
}

/* What assignment, drop-ins and rollout take for granted. */
static void check_config(const Config *c)
{
    must(c->n_groups <= CONFIG_GROUPS_MAX && c->unit && *c->instances_dir == '/');
    for (size_t i = 0; i < c->n_allocators; i++) {
        const Allocator *a = &c->allocators[i];

        must(config_find_allocator(c, a->name) == (ssize_t)i);
        must(!a->library || !strpbrk(a->library, ": "));
        for (size_t j = 0; j < a->n_environment; j++) {
            must(strncmp(a->environment[j].name, "LD_", 3) != 0 && !strchr(a->environment[j].name, '='));
            check_text(a->environment[j].value);
        }
    }
    for (size_t i = 0; i < c->n_groups; i++) {
        const Group *g = &c->groups[i];

        must(g->name && g->seed && g->allocator < c->n_allocators);
        must(g->quota != QUOTA_ALL || (strv_length(g->patterns) > 0 && !(g->amount > 0)));
        must(g->quota != QUOTA_SIZE || g->amount >= 1);
        must(g->quota != QUOTA_SHARE || (g->amount > 0 && g->amount <= 100));
        STRV_FOREACH (p, g->patterns)
            check_text(*p);
    }
    must(c->rollout.parallel.value >= 1 && c->rollout.max_failed >= 1);
    must(c->rollout.settle <= USEC_PER_DAY && c->rollout.canary_settle <= USEC_PER_DAY);
    must(!c->rollout.window.set || c->rollout.window.from != c->rollout.window.to);
    must(c->sample_interval >= USEC_PER_SEC && c->sample_interval <= USEC_PER_HOUR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char *path;
    Problems problems = { 0 };
    Config *config = NULL;

    if (fd < 0) {
        fd = memfd_create("relayalloc.conf", MFD_CLOEXEC);
        must(fd >= 0);
        path = xasprintf("/proc/self/fd/%d", fd);
    }
    must(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    int r = config_file_load(path, &problems, &config);
    if (r == 0) {
        must(config && problems.n == 0);
        check_config(config);
    } else {
        must(r == -EINVAL && !config && problems.n > 0);
    }
    check_problems(&problems);
    problems_clear(&problems);
    config_free(config);
    return 0;
}
