/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration as it is on this host: the file, and each allocator's library found, judged safe and tried.
 * Blocks for the moment that this takes: at the start and at a reload only. */
#include "io/config-file.h"
#include "io/probe.h"
#include "manager/manager.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>

static void resolved_clear(Resolved *r)
{
    library_clear(&r->library);
    free(r->refusal);
    free(r->version);
    free(r->build);
}

Setup *setup_free(Setup *s)
{
    if (!s)
        return NULL;
    for (size_t i = 0; s->config && i < s->config->n_allocators; i++)
        resolved_clear(&s->resolved[i]);
    free(s->resolved);
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

static bool in_use(const Config *config, size_t allocator)
{
    for (size_t g = 0; g < config->n_groups; g++)
        if (config->groups[g].allocator == allocator)
            return true;
    return false;
}

static Library library_copy(const Library *l)
{
    Library copy = *l;

    copy.path = xstrdup(l->path);
    copy.realpath = xstrdup(l->realpath);
    return copy;
}

/* An earlier allocator with the same library: "jemalloc" for "jemalloc-tuned". */
static const Resolved *same_library(const Setup *s, size_t allocator)
{
    for (size_t i = 0; i < allocator; i++)
        if (streq_null(s->config->allocators[i].library, s->config->allocators[allocator].library))
            return &s->resolved[i];
    return NULL;
}

/* Finds the library, once for all allocators that share it. */
static bool find_library(const Manager *m, const Setup *s, size_t allocator, Resolved *ret)
{
    const char *name = s->config->allocators[allocator].library;
    const Resolved *same = same_library(s, allocator);

    if (!name)
        return true;
    if (same && !same->library.path) {
        ret->refusal = xstrdup(same->refusal);
        return false;
    }
    if (same)
        ret->library = library_copy(&same->library);
    else if (library_resolve(name, m->probe, &ret->library, &ret->refusal) < 0)
        return false;
    free(ret->build);
    ret->build = library_build_id(&ret->library);
    return true;
}

static bool same_environment(const Allocator *a, const Allocator *b)
{
    if (a->n_environment != b->n_environment)
        return false;
    for (size_t i = 0; i < a->n_environment; i++)
        if (!streq(a->environment[i].name, b->environment[i].name) ||
            !streq(a->environment[i].value, b->environment[i].value))
            return false;
    return true;
}

/* Is the file still the one that was looked at? */
static bool unchanged(const Library *l)
{
    struct stat st;

    return stat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->inode &&
           st.st_mtim.tv_sec == l->mtime.tv_sec && st.st_mtim.tv_nsec == l->mtime.tv_nsec &&
           (uint64_t)st.st_size == l->size;
}

/* The same allocator of the configuration in force, if what was found out about it still holds: a reload then
 * costs nothing. What was refused is always looked at anew. */
static const Resolved *already_known(const Manager *m, const Setup *s, size_t allocator)
{
    const Allocator *a = &s->config->allocators[allocator];

    for (size_t i = 0; m->setup && i < m->setup->config->n_allocators; i++) {
        const Allocator *b = &m->setup->config->allocators[i];
        const Resolved *r = &m->setup->resolved[i];

        if (streq_null(a->library, b->library) && same_environment(a, b) && !r->refusal && r->tried &&
            (!a->library || unchanged(&r->library)))
            return r;
    }
    return NULL;
}

static void resolved_copy(const Resolved *r, Resolved *ret)
{
    *ret = *r;
    ret->library = library_copy(&r->library);
    ret->version = xstrdup(r->version);
    ret->build = xstrdup(r->build);
}

static void resolve(const Manager *m, const Setup *s, size_t allocator, Resolved *ret)
{
    const Allocator *a = &s->config->allocators[allocator];
    const Resolved *same = same_library(s, allocator), *known = already_known(m, s, allocator);
    _cleanup_(probe_result_clear) ProbeResult probe = { 0 };

    if (known) {
        resolved_copy(known, ret);
        return;
    }
    ret->version = xstrdup("");
    ret->build = xstrdup(a->library ? a->library : "glibc");
    if (!find_library(m, s, allocator, ret))
        return;
    if (same && !in_use(s->config, allocator)) {
        /* Nobody is to run it: it is here so that a relay that runs it can be called by its name. */
        ret->family = same->family;
        free(ret->version);
        ret->version = xstrdup(same->version);
        return;
    }
    if (probe_run(m->probe, ret->library.path, a->environment, a->n_environment, &probe, &ret->refusal) < 0)
        return;
    ret->tried = true;
    ret->family = probe.family;
    free(ret->version);
    ret->version = xstrdup(probe.version);
    if (a->library && !streq_null(probe.library, ret->library.realpath))
        ret->refusal = xasprintf("%s was preloaded, but %s serves malloc", ret->library.path,
                                 probe.library ? probe.library : "something else");
    else if (probe.warnings && in_use(s->config, allocator))
        eventlog_line(LOG_INFO, "Allocator %s: %s", a->name, probe.warnings);
}

static char *setup_identity(const Setup *s)
{
    uint64_t libraries = HASH_BEGIN;

    for (size_t i = 0; i < s->config->n_allocators; i++)
        if (in_use(s->config, i)) /* each build with its NUL */
            libraries = hash_bytes(libraries, s->resolved[i].build, strlen(s->resolved[i].build) + 1);
    return xasprintf("%016" PRIx64 "-%016" PRIx64, s->config->digest, libraries);
}

static void stamp_file(FILE *f, const char *path)
{
    struct stat st;

    if (path && *path == '/' && stat(path, &st) == 0)
        fprintf(f, "%ju:%ju:%jd.%09ld:%jd ", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino,
                (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (intmax_t)st.st_size);
    else
        fputs("- ", f);
}

char *setup_stamp(const Setup *s)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        return xstrdup("");
    stamp_file(
        f, "/etc/ld.so.cache"); /* ldconfig writes it anew whenever a package with a library comes or goes */
    for (size_t i = 0; i < s->config->n_allocators; i++)
        if (s->config->allocators[i].library)
            stamp_file(f, s->resolved[i].library.path ? s->resolved[i].library.path
                                                      : s->config->allocators[i].library);
    fclose(f);
    return text;
}

static char *problems_text(const Problems *problems)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    for (size_t i = 0; f && i < problems->n; i++) {
        _cleanup_(freep) char *line = problem_to_string(&problems->items[i]);
        fprintf(f, "%s%s", i ? "\n" : "", line);
    }
    if (f)
        fclose(f);
    return text;
}

int setup_load(const Manager *m, const char *path, Setup **ret, char **ret_problems)
{
    _cleanup_(setup_freep) Setup *s = xcalloc(1, sizeof(*s));
    _cleanup_(problems_clear) Problems problems = { 0 };
    /* Who is not root, as in a test, has nothing that others would want. */
    int r = geteuid() == 0 ? config_file_load_judged(path, path, &problems, NULL, &s->config)
                           : config_file_load(path, &problems, &s->config);

    if (r < 0) {
        *ret_problems = problems_text(&problems);
        return -EINVAL;
    }
    s->resolved = xcalloc(s->config->n_allocators, sizeof(*s->resolved));
    for (size_t i = 0; i < s->config->n_allocators; i++) {
        const Allocator *a = &s->config->allocators[i];
        Resolved *resolved = &s->resolved[i];

        resolve(m, s, i, resolved);
        /* A library that hangs costs some of the time that systemd gives us, ten of them all of it. */
        sd_notify(0, m->ready ? "WATCHDOG=1" : "EXTEND_TIMEOUT_USEC=60000000");
        if (resolved->library.realpath)
            strv_push(&s->libraries, xstrdup(resolved->library.realpath));
        if (resolved->refusal && in_use(s->config, i)) {
            const Event e = { .allocator = a->name, .library = a->library, .reason = resolved->refusal };
            eventlog_write(MESSAGE_LIBRARY_REFUSED, &e, "Allocator %s is refused: %s.", a->name,
                           resolved->refusal);
        }
    }
    s->id = setup_identity(s);
    s->stamp = setup_stamp(s);
    s->loaded = now_realtime();
    *ret = TAKE_PTR(s);
    return 0;
}
