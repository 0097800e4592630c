/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb adopt: a configuration that describes what the relays run now, so that saving it restarts nobody.
 * It is planned by the daemon's own code before it is printed: whom it would restart is left out, with the
 * reason. */
#include "core/dropin.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/survey.h"
#include "io/setting-files.h"

#include <errno.h>
#include <sys/stat.h>

typedef struct Adopted { /* relays that run the same */
    char *name;          /* of the group and of the allocator */
    char *library;       /* NULL: glibc */
    char **environment;  /* strv of NAME=VALUE */
    bool defined;        /* by the configuration that lies there, or built in */
    char **relays;       /* strv */
} Adopted;

typedef struct Adoption {
    Survey survey;
    Adopted *groups;
    size_t n, capacity;
    char **left;  /* strv of "NAME: why it is in no group" */
    char **files; /* strv of what is to be said of others' files */
} Adoption;

static void adoption_clear(Adoption *a)
{
    for (size_t i = 0; i < a->n; i++) {
        free(a->groups[i].name);
        free(a->groups[i].library);
        strv_free(a->groups[i].environment);
        strv_free(a->groups[i].relays);
    }
    free(a->groups);
    strv_free(a->left);
    strv_free(a->files);
    survey_clear(&a->survey);
}

/* ---- what each relay runs ---- */

/* What its process has that an allocator reads, without LD_PRELOAD; a strv. */
static char **environment_of(const RelayFacts *r)
{
    char **settings = verdict_host_settings(r->process.environ), **environment = NULL;

    STRV_FOREACH (e, settings)
        if (strncmp(*e, "LD_PRELOAD=", strlen("LD_PRELOAD=")) != 0)
            strv_push(&environment, xstrdup(*e));
    strv_free(settings);
    return environment;
}

/* Does this allocator of the configuration set just that? */
static bool sets_just(const Allocator *a, char *const *environment)
{
    if (a->n_environment != strv_length(environment))
        return false;
    for (size_t i = 0; i < a->n_environment; i++)
        if (!streq_null(strv_env_get(environment, a->environment[i].name), a->environment[i].value))
            return false;
    return true;
}

static bool name_taken(const Adoption *a, const char *name)
{
    for (size_t i = 0; i < a->n; i++)
        if (streq(a->groups[i].name, name))
            return true;
    return config_find_allocator(a->survey.config, name) >= 0;
}

static Adopted *add_group(Adoption *a, const RelayFacts *r, char **take_environment)
{
    const ssize_t known = config_find_allocator(a->survey.config, r->running);
    const char *family = family_to_string(r->process.running.family);
    Adopted g = { .environment = take_environment, .library = xstrdup(r->process.running.path) };

    g.defined = known >= 0 && sets_just(&a->survey.config->allocators[known], take_environment);
    if (g.defined)
        g.name = xstrdup(r->running);
    for (unsigned n = 1; !g.name; n++) {
        char *name = n == 1 ? xasprintf("%s-own", family) : xasprintf("%s-own%u", family, n);
        if (name_taken(a, name))
            free(name);
        else
            g.name = name;
    }
    GROW(a->groups, a->capacity, a->n);
    a->groups[a->n] = g;
    return &a->groups[a->n++];
}

static void leave_out(Adoption *a, const RelayFacts *r, const char *why)
{
    strv_push(&a->left, xasprintf("%s: %s", r->name, why));
}

static void take_relay(Adoption *a, const RelayFacts *r)
{
    if (!unit_up(r->info)) {
        leave_out(a, r,
                  r->present ? "it is not up, and without a group it loses our drop-in: name it below before "
                               "it is started"
                             : "it is not up, so what it would run is not known");
        return;
    }
    char **environment = environment_of(r);
    Adopted *group = NULL;
    for (size_t i = 0; i < a->n; i++)
        if (streq_null(a->groups[i].library, r->process.running.path) &&
            strv_equal(a->groups[i].environment, environment))
            group = &a->groups[i];
    if (group)
        strv_free(environment);
    else
        group = add_group(a, r, environment);
    strv_push(&group->relays, xstrdup(r->name));
}

/* ---- files of others ---- */

/* What is to become of a file that sets an allocator; NULL: it sets none, or is ours. Owned by the caller. */
static char *words_of_file(const SettingFile *file)
{
    const char *slash = strrchr(file->path, '/');
    _cleanup_(strv_freep) char **all = !file->text              ? NULL
                                       : file->environment_file ? environment_file_parse(file->text)
                                                                : dropin_environment(file->text);
    _cleanup_(strv_freep) char **settings = verdict_host_settings(all);
    const bool later = slash && strstr(file->path, ".d/") && strcmp(slash + 1, DROPIN_NAME) > 0;

    if (!settings || streq_null(slash ? slash + 1 : NULL, DROPIN_NAME))
        return NULL;
    _cleanup_(freep) char *name = xstrndup(settings[0], strcspn(settings[0], "="));
    if (file->environment_file || later)
        return xasprintf(
            "%s sets %s and is read after our drop-in: remove it before you give these relays another "
            "allocator",
            file->path, name);
    return xasprintf(
        "%s sets %s: our drop-in overrides it, so you can remove it once the file below is in force",
        file->path, name);
}

static void look_at_files(Adoption *a, const RelayFacts *r)
{
    _cleanup_(setting_files_clear) SettingFiles files = { 0 };

    if (!r->info)
        return;
    setting_files_read(r->info, &files);
    for (size_t i = 0; i < files.n; i++) {
        char *words = words_of_file(&files.files[i]);
        if (words && !strv_contains(a->files, words))
            strv_push(&a->files, words);
        else
            free(words);
    }
}

/* ---- the text ---- */

static void print_string(FILE *f, const char *s)
{
    fputc('"', f);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            fputc('\\', f);
        fputc(*s, f);
    }
    fputc('"', f);
}

static void print_comments(FILE *f, const char *title, char *const *lines)
{
    if (lines)
        fprintf(f, "# %s\n", title);
    STRV_FOREACH (line, lines) {
        _cleanup_(freep) char *text = printable(*line, SIZE_MAX);
        fprintf(f, "#   %s\n", text);
    }
}

static void print_allocator(FILE *f, const Adopted *g)
{
    fprintf(f, "  %s = {", g->name);
    if (g->library) {
        fputs(" library = ", f);
        print_string(f, g->library);
        fputc(';', f);
    }
    if (g->environment)
        fputs(" environment = {", f);
    STRV_FOREACH (e, g->environment) {
        size_t n = strcspn(*e, "=");
        fprintf(f, " %.*s = ", (int)n, *e);
        print_string(f, *e + n + 1);
        fputc(';', f);
    }
    fputs(g->environment ? " }; };\n" : " };\n", f);
}

static void print_group(FILE *f, const Adopted *g, bool first)
{
    fprintf(f, "%s  { name = \"%s\"; allocator = \"%s\";\n    relays = [ ", first ? "" : ",\n", g->name,
            g->name);
    STRV_FOREACH (relay, g->relays) {
        fputs(relay == g->relays ? "" : ", ", f);
        print_string(f, *relay);
    }
    fputs(" ]; }", f);
}

static void print_config(FILE *f, const Adoption *a)
{
    const Config *c = a->survey.config;
    bool any = false, first = true;

    if (!streq(c->unit, "tor@.service"))
        fprintf(f, "unit = \"%s\";\n", c->unit);
    for (size_t i = 0; i < a->n; i++)
        if (a->groups[i].relays && !a->groups[i].defined) {
            fputs(any ? "" : "allocators = {\n", f);
            print_allocator(f, &a->groups[i]);
            any = true;
        }
    fputs(any ? "};\n" : "", f);
    fputs("groups = (\n", f);
    for (size_t i = 0; i < a->n; i++)
        if (a->groups[i].relays) {
            print_group(f, &a->groups[i], first);
            first = false;
        }
    fputs("\n);\n", f);
}

static char *text_of(const Adoption *a, bool comments)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        abort();
    if (comments) {
        fputs(
            "# What the relays of this host run now, by relayallocctl adopt: saving it restarts no relay.\n",
            f);
        print_comments(f, "Other files that set an allocator:", a->files);
        print_comments(f, "In no group:", a->left);
    }
    print_config(f, a);
    fclose(f);
    return text;
}

/* ---- proved by its plan ---- */

static void drop_relay(Adoption *a, const RelayFacts *r, const char *why)
{
    for (size_t i = 0; i < a->n; i++) {
        if (!strv_contains(a->groups[i].relays, r->name))
            continue;
        strv_remove(a->groups[i].relays, r->name);
        if (!a->groups[i].relays[0])
            a->groups[i].relays = strv_free(a->groups[i].relays);
        leave_out(a, r, why);
    }
}

/* Leaves out whom the file would restart, or could not take. 0, or an ExitStatus after a message. */
static int prove(Adoption *a, const CtlOptions *options, sd_bus *bus)
{
    char path[] = "/tmp/relayalloc-adopt-XXXXXX";
    _cleanup_(freep) char *text = text_of(a, false);
    _cleanup_(survey_clear) Survey planned = { 0 };
    _cleanup_(plan_freep) Plan *plan = NULL;
    const mode_t before = umask(077);
    int fd = mkstemp(path);

    umask(before);
    if (fd < 0 || dprintf(fd, "%s", text) < 0) {
        ctl_error("cannot write %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return EXIT_FAILED;
    }
    close(fd);
    int status = survey_load(path, options->config, bus, &planned);
    unlink(path);
    if (status != 0)
        return status;
    planned.state->restarts = strv_free(planned.state->restarts); /* no doing of the file's */
    plan = survey_plan(&planned);
    for (size_t i = 0; i < plan->n; i++) {
        const PlanItem *item = &plan->items[i];
        if (item->action == ACTION_RESTART || item->action == ACTION_REFUSED)
            drop_relay(a, &planned.relays[item->relay]->facts, item->reason);
    }
    return 0;
}

static void tell_silent_faults(Adoption *a, const RelayFacts *r)
{
    for (char **entry = r->process.readable ? r->process.not_loaded : NULL; entry && *entry; entry++)
        strv_push(&a->files, xasprintf("%s: its LD_PRELOAD names %s, which it has not loaded: it runs %s",
                                       r->name, *entry, isempty(r->running) ? "something else" : r->running));
}

/* Whoever has lost the file gets one back that says what the relays run. 0, or an ExitStatus after a message.
 */
static int survey_now(const CtlOptions *options, sd_bus *bus, Survey *ret)
{
    if (options->config_given || access(options->config, F_OK) == 0 || errno != ENOENT)
        return survey_load(options->config, options->config, bus, ret);
    if (!options->quiet)
        fprintf(stderr, "%s does not exist; the defaults are in its place.\n", options->config);
    *ret = survey_without_file(options->config, bus);
    return 0;
}

/* A relay that cannot be read would stand in no group, lose our drop-in, and be restarted for that. 0;
 * EXIT_FAILED after a message. */
static int check_readable(const Survey *s)
{
    size_t unreadable = 0;
    int error = 0;

    for (size_t i = 0; i < s->n; i++) {
        const RelayFacts *r = &s->relays[i]->facts;
        if (!facts_counts(s->config, r) || !unit_up(r->info) || r->process.readable)
            continue;
        unreadable++;
        error = error == -EACCES ? error : r->process.error; /* what can be done about it goes first */
    }
    if (unreadable == 0)
        return 0;
    if (!s->asked_systemd) {
        ctl_error("cannot reach systemd, so which relays run is not known");
        return EXIT_FAILED;
    }
    _cleanup_(freep) char *why = survey_unread_words(error);
    ctl_error("cannot read what %zu relay%s run%s%s", unreadable, unreadable == 1 ? "" : "s",
              unreadable == 1 ? "s" : "", why);
    return EXIT_FAILED;
}

int ctl_adopt(int argc, char *argv[], const CtlOptions *options)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(adoption_clear) Adoption a = { 0 };
    char *const *none = NULL;

    int status = ctl_operands(argc, argv, 0, &none);
    if (status != 0)
        return status;
    if (options->host || options->machine) {
        ctl_error("adopt works only on this host; omit --host and --machine");
        return EXIT_USAGE;
    }
    if (ctl_bus_open(options, true, &bus) < 0) {
        ctl_error("cannot reach systemd, so which relays run is not known");
        return EXIT_FAILED;
    }
    status = survey_now(options, bus, &a.survey);
    if (status == 0)
        status = check_readable(&a.survey);
    if (status != 0)
        return status;
    for (size_t i = 0; i < a.survey.n; i++) {
        const RelayFacts *r = &a.survey.relays[i]->facts;
        if (!facts_counts(a.survey.config, r))
            continue;
        take_relay(&a, r);
        look_at_files(&a, r);
        tell_silent_faults(&a, r);
    }
    status = prove(&a, options, bus);
    if (status != 0)
        return status;
    _cleanup_(freep) char *text = text_of(&a, true);
    return ctl_print(options, text) < 0 ? EXIT_FAILED : EXIT_FINE;
}
