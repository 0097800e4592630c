/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/setup.h"

#include "core/known.h"
#include "io/allocators.h"
#include "io/config-file.h"
#include "manager/loop.h"

#include <errno.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

Setup *setup_free(Setup *s)
{
    if (!s)
        return NULL;
    if (s->config)
        allocators_free(s->allocators, s->config->n_allocators);
    strv_free(s->libraries);
    config_free(s->config);
    free(s->id);
    free(s->stamp);
    free(s);
    return NULL;
}

const Group *setup_group(const Setup *s, size_t group)
{
    return group == GROUP_NONE ? NULL : &s->config->groups[group];
}

void setup_look(Setup *setup)
{
    for (size_t i = 0; i < setup->config->n_allocators; i++) {
        AllocatorFacts *a = &setup->allocators[i];

        a->gone = a->path && access(a->path, F_OK) < 0;
    }
}

char *setup_changed(const Manager *m)
{
    const Setup *s = m->setup;
    char *stamp = allocators_stamp(s->config, s->allocators, m->probe);

    if (!streq(stamp, s->stamp))
        return stamp;
    free(stamp);
    return NULL;
}

/* A library that hangs costs some of the time that systemd gives us, ten of them all of it. */
static void on_progress(void *userdata)
{
    const Manager *m = userdata;

    sd_notify(0, m->ready ? "WATCHDOG=1" : "EXTEND_TIMEOUT_USEC=60000000");
}

bool setup_untested(const Setup *s)
{
    return allocators_untested(s->config, s->allocators);
}

static AllocatorFacts *look(const Manager *m, const Config *config)
{
    return allocators_look(&(AllocatorsAsk){
        .config = config,
        .probe = m->probe,
        .known_config = m->setup ? m->setup->config : NULL,
        .known = m->setup ? m->setup->allocators : NULL,
        .progress = on_progress,
        .userdata = (void *)m,
    });
}

/* It was found, and a program that ran with it did not get far enough to say what it is. */
static bool failed_when_tried(const Setup *s, size_t allocator)
{
    const AllocatorFacts *f = &s->allocators[allocator];

    return f->refusal && f->path && !f->unsafe && !f->tried && facts_allocator_in_use(s->config, allocator);
}

bool setup_can_be_tested(const Manager *m, bool refused)
{
    const Setup *s = m->setup;
    bool untested = false, tested = false;

    for (size_t i = 0; i < s->config->n_allocators; i++)
        untested = untested || s->allocators[i].untested || (refused && failed_when_tried(s, i));
    if (!untested)
        return false;
    AllocatorFacts *facts = look(m, s->config);
    for (size_t i = 0; i < s->config->n_allocators; i++)
        tested = tested || (s->allocators[i].untested && !facts[i].untested) ||
                 (refused && failed_when_tried(s, i) && !facts[i].refusal);
    allocators_free(facts, s->config->n_allocators);
    return tested;
}

/* Was the same logged of this build for the configuration in force? */
static bool warned_before(const Setup *s, const Allocator *a, const AllocatorFacts *f)
{
    ssize_t i = s ? config_find_allocator(s->config, a->name) : -ENOENT;

    return i >= 0 && facts_allocator_in_use(s->config, (size_t)i) &&
           streq(s->allocators[i].build, f->build) && streq_null(s->allocators[i].warnings, f->warnings) &&
           strv_equal(s->allocators[i].settings, f->settings);
}

static void log_allocators(const Manager *m, const Setup *s)
{
    for (size_t i = 0; i < s->config->n_allocators; i++) {
        const Allocator *a = &s->config->allocators[i];
        const AllocatorFacts *f = &s->allocators[i];

        if (!facts_allocator_in_use(s->config, i))
            continue;
        if (f->untested) {
            eventlog_line(LOG_WARNING,
                          "Allocator %s could not be tested yet: %s. It is tried again with each sample.",
                          a->name, f->refusal);
        } else if (f->refusal) {
            const Event e = { .allocator = a->name, .library = a->library, .reason = f->refusal };
            eventlog_write(MESSAGE_LIBRARY_REFUSED, &e, "Allocator %s is refused: %s.", a->name, f->refusal);
        } else if (!warned_before(m->setup, a, f)) {
            _cleanup_(freep) char *known = known_warning(f->family, f->version);
            if (known)
                eventlog_line(LOG_WARNING, "Allocator %s: %s.", a->name, known);
            if (f->warnings)
                eventlog_line(LOG_INFO, "Allocator %s: %s", a->name, f->warnings);
            STRV_FOREACH (warning, f->settings)
                eventlog_line(LOG_WARNING, "Allocator %s: %s.", a->name, *warning);
        }
    }
}

int setup_load(const Manager *m, const char *path, Setup **ret, char **ret_problems)
{
    _cleanup_(setup_freep) Setup *s = xcalloc(1, sizeof(*s));
    _cleanup_(problems_clear) Problems problems = { 0 };
    s->loaded = loop_realtime(); /* not when all libraries were tried: what is saved meanwhile is not in it */
    /* A daemon that is not root, as in a test, has nothing that others would want. */
    int r = geteuid() == 0 ? config_file_load_judged(path, path, &problems, NULL, &s->config)
                           : config_file_load(path, &problems, &s->config);

    if (r < 0) {
        *ret_problems = problems_to_string(&problems);
        return r;
    }
    s->allocators = look(m, s->config);
    for (size_t i = 0; i < s->config->n_allocators; i++)
        if (s->allocators[i].realpath)
            strv_push(&s->libraries, xstrdup(s->allocators[i].realpath));
    log_allocators(m, s);
    s->id = facts_identity(s->config, s->allocators);
    s->stamp = allocators_stamp(s->config, s->allocators, NULL);
    *ret = TAKE_PTR(s);
    return 0;
}

HostFacts setup_host(const Manager *m)
{
    return (HostFacts){
        .config = m->setup->config,
        .config_path = m->config_path,
        .allocators = m->setup->allocators,
        .state = m->state,
        .manager_environment = m->environment,
        .now = loop_realtime(),
    };
}
