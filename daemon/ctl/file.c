/* SPDX-License-Identifier: BSD-3-Clause */
/* The verbs check and plan: what a configuration file says, and what it would do. They change nothing. */
#include "ctl/file.h"

#include "bus/api.h"
#include "core/gate.h"
#include "core/known.h"
#include "core/metrics.h"
#include "ctl/lib/fleet.h"
#include "ctl/lib/manager.h"
#include "ctl/lib/survey.h"
#include "io/allocators.h"
#include "io/config-file.h"
#include "io/paths.h"

#include <errno.h>
#include <json-c/json.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define STDIN_MAX ((size_t)1024 * 1024) /* what is longer is refused by who reads it */

void file_verdict_clear(FileVerdict *verdict)
{
    config_free(verdict->config);
    problems_clear(&verdict->problems);
    problems_clear(&verdict->warnings);
    *verdict = (FileVerdict){ 0 };
}

/* The libraries of the allocators that groups use, on this host. */
static void warn_of_libraries(const char *as, const Config *config, Problems *warnings)
{
    _cleanup_(freep) char *probe = path_of_probe();
    AllocatorFacts *facts = allocators_look(&(AllocatorsAsk){ .config = config, .probe = probe });

    for (size_t i = 0; i < config->n_allocators; i++) {
        _cleanup_(freep) char *setting = xasprintf("allocators.%s", config->allocators[i].name);
        STRV_FOREACH (warning, facts[i].settings) /* of all: who has written them means them */
            problems_add(warnings, as, 0, setting, "%s", *warning);
        if (!facts_allocator_in_use(config, i))
            continue;
        if (config->allocators[i].renamed)
            problems_add(warnings, as, 0, setting, "is called \"%s\" now; the old name keeps working",
                         config->allocators[i].renamed);
        _cleanup_(freep) char *known = known_warning(facts[i].family, facts[i].version);
        if (facts[i].refusal)
            problems_add(warnings, as, 0, setting, "%s", facts[i].refusal);
        else if (known)
            problems_add(warnings, as, 0, setting, "%s", known);
        if (facts[i].refusal || !facts[i].warnings)
            continue;
        _cleanup_(freep) char *printed = ctl_one_line(facts[i].warnings);
        problems_add(warnings, as, 0, setting, "it prints: %s", printed);
    }
    allocators_free(facts, config->n_allocators);
}

/* Whether it is a gate at all; how it is at the moment does not matter. false: systemd does not tell. */
static bool get_gate(sd_bus *bus, const char *gate, UnitInfo *ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    static const char service[] = "org.freedesktop.systemd1";
    const char *unit;
    int remains = 0;

    if (sd_bus_call_method(bus, service, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                           "LoadUnit", NULL, &reply, "s", gate) < 0 ||
        sd_bus_message_read(reply, "o", &unit) < 0 ||
        sd_bus_get_property_string(bus, service, unit, "org.freedesktop.systemd1.Unit", "LoadState", NULL,
                                   &ret->load_state) < 0)
        return false;
    ret->exists = streq(ret->load_state, "loaded");
    if (!ret->exists)
        return true;
    int r = sd_bus_get_property_string(bus, service, unit, "org.freedesktop.systemd1.Service", "Type", NULL,
                                       &ret->type);
    if (r >= 0)
        r = sd_bus_get_property_trivial(bus, service, unit, "org.freedesktop.systemd1.Service",
                                        "RemainAfterExit", NULL, 'b', &remains);
    ret->remain_after_exit = remains;
    return r >= 0;
}

/* A unit that cannot be the gate holds every rollout up; what it is, systemd knows. */
static void warn_of_gate(const char *as, const Config *config, Problems *warnings)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(unit_info_freep) UnitInfo *info = xcalloc(1, sizeof(*info));
    const char *gate = config->rollout.gate;

    info->active = ACTIVE_INACTIVE;
    if (isempty(gate) || ctl_bus_open(&(CtlOptions){ 0 }, true, &bus) < 0 || !get_gate(bus, gate, info))
        return;
    _cleanup_(freep) char *fault = gate_unfit(info);
    if (fault)
        problems_add(warnings, as, 0, "rollout.gate", "no rollout begins: %s %s", gate, fault);
}

/* Does the sandbox of the daemon's unit, as systemd knows it, let it write the file? True where nobody can
 * tell. */
static bool sandbox_allows(sd_bus *bus, const char *path)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    _cleanup_(freep) char *state = NULL, *protect = NULL;
    _cleanup_(strv_freep) char **writable = NULL;
    static const char service[] = "org.freedesktop.systemd1";
    const char *unit;

    if (sd_bus_call_method(bus, service, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                           "LoadUnit", NULL, &reply, "s", "relayallocd.service") < 0 ||
        sd_bus_message_read(reply, "o", &unit) < 0 ||
        sd_bus_get_property_string(bus, service, unit, "org.freedesktop.systemd1.Unit", "LoadState", NULL,
                                   &state) < 0 ||
        sd_bus_get_property_string(bus, service, unit, "org.freedesktop.systemd1.Service", "ProtectSystem",
                                   NULL, &protect) < 0 ||
        sd_bus_get_property_strv(bus, service, unit, "org.freedesktop.systemd1.Service", "ReadWritePaths",
                                 NULL, &writable) < 0)
        return true;
    return !streq(state, "loaded") || !streq(protect, "strict") || metrics_may_be_written(path, writable);
}

/* The unit of the daemon lets it write only to some directories, and they have to be there when it starts. */
static void warn_of_metrics(const char *as, const Config *config, Problems *warnings)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    const char *path = config->metrics_textfile, *slash = strrchr(path, '/');
    _cleanup_(freep) char *directory =
        slash ? xstrndup(path, slash > path ? (size_t)(slash - path) : 1) : NULL;
    int error = 0;

    if (!directory)
        return;
    if (access(directory, F_OK) < 0 && errno == ENOENT)
        error = -ENOENT;
    else if (ctl_bus_open(&(CtlOptions){ 0 }, true, &bus) >= 0 && !sandbox_allows(bus, path))
        error = -EROFS;
    if (error == 0)
        return;
    _cleanup_(freep) char *failure = metrics_failure(path, error);
    problems_add(warnings, as, 0, "metrics.textfile", "%s", failure);
}

/* The usual one is missing where only tor@default runs. Of another one somebody has written the name. */
static void warn_of_instances(const char *as, const Config *config, Problems *warnings)
{
    _cleanup_(config_freep) Config *usual = config_new(as);
    struct stat st = { 0 };
    const char *path = config->instances_dir;

    if (isempty(path) || streq(path, usual->instances_dir))
        return;
    const int error = stat(path, &st) < 0 ? errno : !S_ISDIR(st.st_mode) ? ENOTDIR : 0;
    if (error != 0 && error != EACCES)
        problems_add(warnings, as, 0, "instances_dir", "%s: %s; no relay that is stopped is found", path,
                     strerror(error));
}

/* Names that no relay has, while the relays that are meant leave their group. */
static void warn_of_names(const Config *config, Problems *warnings)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;

    if (ctl_bus_open(&(CtlOptions){ 0 }, true, &bus) < 0)
        bus = NULL;
    survey_judge_names(config, bus, warnings);
}

static void rename_file(Problems *problems, const char *file, const char *as)
{
    for (size_t i = 0; i < problems->n; i++) {
        Problem *p = &problems->items[i];
        if (streq(p->file, file)) {
            free(p->file);
            p->file = xstrdup(as);
        }
    }
}

/* Who could change what comes from a pipe is not asked. */
static int load(const char *file, const char *as, bool draft, FileVerdict *v)
{
    if (streq(file, CONFIG_STDIN))
        return config_file_load(file, &v->problems, &v->config);
    return config_file_load_judged(file, as, &v->problems, draft ? &v->warnings : NULL, &v->config);
}

void file_judge(const char *file, const char *as, bool draft, FileVerdict *ret)
{
    *ret = (FileVerdict){ 0 };
    if (load(file, as, draft, ret) >= 0) {
        warn_of_libraries(as, ret->config, &ret->warnings);
        warn_of_instances(as, ret->config, &ret->warnings);
        warn_of_metrics(as, ret->config, &ret->warnings);
        warn_of_gate(as, ret->config, &ret->warnings);
        warn_of_names(ret->config, &ret->warnings);
    }
    rename_file(&ret->problems, file, as);
    rename_file(&ret->warnings, file, as);
}

bool file_is_installed(const CtlOptions *options, const char *file)
{
    struct stat a, b;
    bool same = streq(file, options->config) || (stat(file, &a) == 0 && stat(options->config, &b) == 0 &&
                                                 a.st_dev == b.st_dev && a.st_ino == b.st_ino);

    return same && (!options->config_given || geteuid() == 0);
}

void file_verdict_print(const FileVerdict *verdict)
{
    ctl_print_problems(&verdict->problems);
    for (size_t i = 0; i < verdict->warnings.n; i++) {
        const Problem *p = &verdict->warnings.items[i];
        _cleanup_(freep) char *place = p->line > 0 ? xasprintf("%s:%u", p->file, p->line) : xstrdup(p->file);
        _cleanup_(freep) char *line = xasprintf("%s: %s%swarning: %s", place, p->setting ? p->setting : "",
                                                p->setting ? ": " : "", p->message);
        ctl_complain(line);
    }
}

/* ---- standard input ---- */

static const char *shown_name(const char *file)
{
    return streq(file, CONFIG_STDIN) ? "standard input" : file;
}

/* Puts a file in the place of standard input, which may be a pipe, and is read several times. */
static int keep_stdin(void)
{
    _cleanup_(closep) int fd = memfd_create("relayallocctl", MFD_CLOEXEC);
    char buffer[65536];
    size_t total = 0;
    ssize_t n = 0;

    while (fd >= 0 && total <= STDIN_MAX && (n = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0) {
        if (write(fd, buffer, (size_t)n) != n)
            return -EIO;
        total += (size_t)n;
    }
    return fd < 0 || n < 0 || dup2(fd, STDIN_FILENO) < 0 ? -errno : 0;
}

/* The file that an operand means. NULL after a message. */
static const char *file_operand(const char *operand)
{
    if (!*operand) { /* of a variable that is not set, most often */
        ctl_error("the name of the file is empty");
        return NULL;
    }
    if (!streq(operand, "-") && !streq(operand, CONFIG_STDIN))
        return ctl_not_into(operand) == 0 ? operand : NULL;
    int r = keep_stdin();
    if (r < 0)
        ctl_error("cannot read standard input: %s", strerror(-r));
    return r < 0 ? NULL : CONFIG_STDIN;
}

/* ---- check ---- */

static void add_problems(struct json_object *array, const Problems *problems, const char *severity)
{
    for (size_t i = 0; i < problems->n; i++) {
        const Problem *p = &problems->items[i];
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "file", ctl_json_text(p->file));
        json_object_object_add(o, "line", p->line > 0 ? json_object_new_uint64(p->line) : NULL);
        json_object_object_add(o, "setting", ctl_json_text(p->setting));
        json_object_object_add(o, "severity", ctl_json_text(severity));
        json_object_object_add(o, "message", ctl_json_text(p->message));
        json_object_array_add(array, o);
    }
}

static bool local_only(const CtlOptions *options, const char *verb)
{
    if (!options->host && !options->machine)
        return true;
    ctl_error("%s works only on files of this host; omit --host and --machine", verb);
    return false;
}

int ctl_check(int argc, char *argv[], const CtlOptions *options)
{
    _cleanup_(file_verdict_clear) FileVerdict verdict = { 0 };
    char *const *operands = NULL;

    int status = ctl_operands(argc, argv, 1, &operands);
    if (status != 0)
        return status;
    if (!local_only(options, "check"))
        return EXIT_USAGE;
    const char *file = file_operand(operands[0] ? operands[0] : options->config);
    if (!file)
        return EXIT_USAGE;
    file_judge(file, shown_name(file), !file_is_installed(options, file), &verdict);
    if (options->json != JSON_OFF) {
        struct json_object *array = json_object_new_array();
        add_problems(array, &verdict.problems, "error");
        add_problems(array, &verdict.warnings, "warning");
        if (ctl_print_json(options, array) < 0)
            return EXIT_FAILED;
    } else
        file_verdict_print(&verdict);
    if (!verdict.config)
        return EXIT_USAGE;
    if (ctl_chatty(options)) {
        size_t groups = verdict.config->n_groups, warnings = verdict.warnings.n;
        printf("%s: fine, %zu group%s, %zu allocators", shown_name(file), groups, groups == 1 ? "" : "s",
               facts_allocators_offered(verdict.config));
        if (warnings > 0)
            printf("; %zu warning%s", warnings, warnings == 1 ? "" : "s");
        putchar('\n');
    }
    return EXIT_FINE;
}

/* ---- plan ---- */

enum { PLAN_WAVE, PLAN_RELAY, PLAN_ACTION, PLAN_GROUP, PLAN_ALLOCATOR, PLAN_REASON };
static const Column plan_columns[] = {
    [PLAN_WAVE] = { "WAVE", COLUMN_NUMBER, "its wave; empty if nothing may be done" },
    [PLAN_RELAY] = { "RELAY", COLUMN_TEXT, "name of the relay" },
    [PLAN_ACTION] = { "ACTION", COLUMN_TEXT,
                      "write, remove: only the drop-in; restart: the relay as well; refused: needed, but not "
                      "allowed" },
    [PLAN_GROUP] = { "GROUP", COLUMN_TEXT, "the group that takes it" },
    [PLAN_ALLOCATOR] = { "ALLOCATOR", COLUMN_TEXT, "the allocator that it gets" },
    [PLAN_REASON] = { "REASON", COLUMN_PROSE, "why" },
};

typedef struct PlanRow {
    uint32_t wave;
    size_t order; /* in which they came */
    const char *relay, *action, *group, *allocator, *reason;
} PlanRow;

typedef struct PlanRows {
    PlanRow *items;
    size_t n, capacity;
    usec_t ends;  /* realtime, if it begins now; 0: not known */
    char *window; /* what it waits for first, in words; NULL: nothing */
    char *gate;   /* rollout.gate; NULL, "": none */
} PlanRows;

static void plan_rows_clear(PlanRows *rows)
{
    free(rows->items);
    free(rows->window);
    free(rows->gate);
}

/* By wave, those without one last; else in the order that they had. */
static int by_wave(const void *a, const void *b)
{
    const PlanRow *x = a, *y = b;
    uint32_t v = x->wave - 1, w = y->wave - 1; /* 0 wraps to the end */

    if (v != w)
        return v < w ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

#define NAMES_SHOWN 12

/* Whom the file takes out of all groups: by a typo, most often. NULL: nobody. Owned by the caller. */
static char *going_home(const PlanRows *rows)
{
    char *text = NULL;
    size_t size = 0, n = 0;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        abort();
    for (size_t i = 0; i < rows->n; i++) {
        const PlanRow *row = &rows->items[i];
        if (!streq(row->action, "restart") || !isempty(row->group))
            continue;
        if (++n <= NAMES_SHOWN)
            fprintf(f, "%s%s", n > 1 ? ", " : "", row->relay);
    }
    if (n > NAMES_SHOWN)
        fprintf(f, " and %zu more", n - NAMES_SHOWN);
    fclose(f);
    _cleanup_(freep) char *names = text;
    return n == 0 ? NULL : xasprintf("%zu relay%s back to glibc: %s.", n, n == 1 ? " goes" : "s go", names);
}

/* "; takes about 4min, would end 2025-03-07 14:03:22", "" when nobody knows. Owned by the caller. */
static char *plan_length(const PlanRows *rows)
{
    usec_t now = ctl_now();
    char span[FORMAT_SPAN_MAX];

    if (rows->ends < now + USEC_PER_SEC) /* files alone are written in no time */
        return xstrdup("");
    _cleanup_(freep) char *end = ctl_format_time(rows->ends);
    _cleanup_(freep) char *gate =
        isempty(rows->gate) ? xstrdup("") : xasprintf(", plus the gate %s before each wave", rows->gate);
    return xasprintf("; takes about %s, would end %s%s%s%s", format_span(span, rows->ends - now), end, gate,
                     rows->window ? "; " : "", rows->window ? rows->window : "");
}

/* Of rows that are sorted. */
static char *plan_legend(const PlanRows *rows)
{
    size_t restarts = 0, writes = 0, refused = 0, waves = 0;
    char *text = NULL;
    size_t size = 0;

    for (size_t i = 0; i < rows->n; i++) {
        const PlanRow *row = &rows->items[i];
        restarts += streq(row->action, "restart");
        writes += streq(row->action, "write") || streq(row->action, "remove");
        refused += streq(row->action, "refused");
        waves += row->wave > 0 && (i == 0 || rows->items[i - 1].wave != row->wave);
    }
    FILE *f = open_memstream(&text, &size);
    if (!f)
        abort();
    fprintf(f, "%zu relay%s to be restarted", restarts, restarts == 1 ? "" : "s");
    if (writes > 0)
        fprintf(f, ", %zu without a restart", writes);
    if (waves > 0)
        fprintf(f, ", in %zu wave%s", waves, waves == 1 ? "" : "s");
    if (refused > 0)
        fprintf(f, "; %zu refused", refused);
    _cleanup_(freep) char *length = plan_length(rows);
    fputs(length, f);
    _cleanup_(freep) char *home = going_home(rows);
    if (home)
        fprintf(f, "\n%s", home);
    fclose(f);
    return text;
}

/* How many rows from the i-th on differ in nothing but the relay, and may not be done: for people they are
 * one line. */
static size_t alike(const CtlOptions *options, const PlanRows *rows, size_t i)
{
    const PlanRow *row = &rows->items[i];
    size_t n = 1;

    if (options->json != JSON_OFF || row->wave > 0)
        return 1;
    for (; i + n < rows->n; n++) {
        const PlanRow *next = &rows->items[i + n];
        if (!streq(next->action, row->action) || !streq_null(next->group, row->group) ||
            !streq_null(next->allocator, row->allocator) || !streq_null(next->reason, row->reason))
            break;
    }
    return n;
}

/* "12 relays", and in the reason which. */
static void show_alike(CtlTable *table, const PlanRow *rows, size_t n)
{
    _cleanup_(freep) char *relays = xasprintf("%zu relays", n), *reason = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&reason, &size);

    if (!f)
        abort();
    fprintf(f, "%s (", rows->reason ? rows->reason : "");
    for (size_t i = 0; i < n && i < NAMES_SHOWN; i++)
        fprintf(f, "%s%s", i > 0 ? ", " : "", rows[i].relay);
    if (n > NAMES_SHOWN)
        fprintf(f, " and %zu more", n - NAMES_SHOWN);
    fputc(')', f);
    fclose(f);
    ctl_table_text(table, PLAN_RELAY, relays);
    ctl_table_text(table, PLAN_REASON, reason);
}

static int print_rows(const CtlOptions *options, PlanRows *rows)
{
    static const size_t droppable[] = { PLAN_GROUP, PLAN_ALLOCATOR, PLAN_WAVE };
    _cleanup_(ctl_table_freep) CtlTable *table = NULL;

    if (ctl_table_new(options, plan_columns, ELEMENTSOF(plan_columns), ELEMENTSOF(plan_columns), &table) < 0)
        return EXIT_USAGE;
    if (rows->n > 0)
        qsort(rows->items, rows->n, sizeof(*rows->items), by_wave);
    ctl_table_droppable(table, droppable, ELEMENTSOF(droppable));
    for (size_t i = 0, n; i < rows->n; i += n) {
        const PlanRow *row = &rows->items[i];
        n = alike(options, rows, i);
        ctl_table_row(table);
        if (row->wave > 0)
            ctl_table_number(table, PLAN_WAVE, row->wave);
        ctl_table_text(table, PLAN_RELAY, row->relay);
        ctl_table_text(table, PLAN_ACTION, row->action);
        ctl_table_color(table, PLAN_ACTION, streq(row->action, "refused") ? "1;31" : NULL);
        ctl_table_text(table, PLAN_GROUP, row->group);
        ctl_table_text(table, PLAN_ALLOCATOR, row->allocator);
        ctl_table_text(table, PLAN_REASON, row->reason);
        if (n > 1)
            show_alike(table, row, n);
    }
    _cleanup_(freep) char *legend =
        rows->n > 0 ? plan_legend(rows) : xstrdup("Nothing to do: no drop-in to write, no relay to restart.");
    return ctl_table_print_legend(table, legend) < 0 ? EXIT_FAILED : 0;
}

/* What the file says of relays that nobody is shows in no row, nor how long it takes. */
static void print_warnings_of_daemon(const CtlOptions *options, sd_bus *bus, PlanRows *rows)
{
    _cleanup_(manager_status_clear) ManagerStatus m = { 0 };

    if (!ctl_chatty(options) || manager_status_get(bus, SAY_NOTHING, &m) < 0)
        return;
    rows->ends = m.plan_ends;
    rows->window = manager_window_words(&m);
    rows->gate = xstrdup(m.gate);
    for (const char *p = m.config_warnings; !isempty(p);) {
        size_t n = strcspn(p, "\n");
        _cleanup_(freep) char *line = xstrndup(p, n);
        ctl_complain(line);
        p += n + (p[n] == '\n');
    }
}

static int plan_of_daemon(const CtlOptions *options, sd_bus *bus)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    _cleanup_(plan_rows_clear) PlanRows rows = { 0 };
    PlanRow row = { 0 };

    int r = sd_bus_message_new_method_call(bus, &call, NULL, BUS_PATH, BUS_MANAGER_INTERFACE, "Plan");
    if (r >= 0)
        r = ctl_bus_send(bus, call, SAY_FAILURES, &reply);
    if (r < 0)
        return r == -ENXIO ? r : EXIT_FAILED;
    r = sd_bus_message_enter_container(reply, 'a', "(usssss)");
    while (r >= 0 && (r = sd_bus_message_read(reply, "(usssss)", &row.wave, &row.relay, &row.action,
                                              &row.group, &row.allocator, &row.reason)) > 0) {
        GROW(rows.items, rows.capacity, rows.n);
        row.order = rows.n;
        rows.items[rows.n++] = row; /* strings of the reply */
    }
    if (r < 0) {
        ctl_bus_unreadable("Plan", r);
        return EXIT_FAILED;
    }
    print_warnings_of_daemon(options, bus, &rows);
    return print_rows(options, &rows);
}

static void hint_unreadable(const CtlOptions *options, const Survey *survey)
{
    size_t unreadable = 0;
    int error = 0;

    for (size_t i = 0; i < survey->n; i++) {
        const RelayFacts *f = &survey->relays[i]->facts;
        if (!survey->asked_systemd || !unit_up(f->info) || f->process.readable)
            continue;
        unreadable++;
        error = error == -EACCES ? error : f->process.error; /* what can be done about it goes first */
    }
    if (options->quiet)
        return;
    if (!survey->asked_systemd)
        fputs("Cannot reach systemd; which relays run, and with which allocator, is not known.\n", stderr);
    if (unreadable == 0)
        return;
    _cleanup_(freep) char *why = survey_unread_words(error);
    fprintf(stderr, "Cannot read what %zu relay%s run%s%s.\n", unreadable, unreadable == 1 ? "" : "s",
            unreadable == 1 ? "s" : "", why);
}

/* What check says of it. EXIT_FINE; EXIT_USAGE: the daemon would not accept it from where it is. */
static int judge_before_plan(const CtlOptions *options, const char *file)
{
    _cleanup_(file_verdict_clear) FileVerdict verdict = { 0 };

    file_judge(file, shown_name(file), !file_is_installed(options, file), &verdict);
    file_verdict_print(&verdict);
    return verdict.config ? EXIT_FINE : EXIT_USAGE;
}

/* What a file that changes `unit` leaves behind. */
static void tell_left_over(const CtlOptions *options, const Survey *survey)
{
    _cleanup_(fleet_clear) Fleet fleet = { 0 };

    for (size_t i = 0; i < survey->n; i++) {
        const RelayFacts *r = &survey->relays[i]->facts;
        GROW(fleet.rows, fleet.capacity, fleet.n);
        fleet.rows[fleet.n++] = (FleetRow){ .relay = xstrdup(r->name), .unit = xstrdup(r->unit) };
    }
    _cleanup_(freep) char *text = fleet_left_over(&fleet);
    _cleanup_(freep) char *line =
        text ? xasprintf("Left over from before `unit` was changed: %s.", text) : NULL;
    if (line && ctl_chatty(options))
        ctl_complain(line);
}

/* Which relays are bootstrapped, as the daemon knows. Owned by the caller; NULL: it does not run. */
static bool *ask_ready(sd_bus *bus, const Survey *survey)
{
    static const char *const wanted[] = { "Ready", NULL };
    _cleanup_(fleet_clear) Fleet fleet = { .properties = wanted };

    if (!bus || fleet_from_daemon(bus, SAY_NOTHING, &fleet) < 0)
        return NULL;
    bool *ready = xcalloc(survey->n, sizeof(*ready));
    for (size_t i = 0; i < survey->n; i++) {
        const FleetRow *row = fleet_find(&fleet, survey->relays[i]->facts.name);
        const FleetField *known = row ? fleet_field(row, "Ready") : NULL;
        ready[i] = !known || known->number > 0;
    }
    return ready;
}

static int plan_of_file(const CtlOptions *options, sd_bus *bus, const char *file, const char *as,
                        size_t *ret_changes)
{
    _cleanup_(survey_clear) Survey survey = { 0 };
    _cleanup_(plan_freep) Plan *plan = NULL;
    _cleanup_(plan_rows_clear) PlanRows rows = { 0 };

    int r = survey_load(file, as, bus, &survey);
    if (r != 0)
        return r;
    const HostFacts host = survey_host(&survey);
    plan = survey_plan(&survey);
    hint_unreadable(options, &survey);
    tell_left_over(options, &survey);
    for (size_t i = 0; i < plan->n; i++) {
        const PlanItem *item = &plan->items[i];
        const RelayFacts *relay = &survey.relays[item->relay]->facts;
        const Group *group = facts_target(&host, relay);
        GROW(rows.items, rows.capacity, rows.n);
        rows.items[rows.n++] = (PlanRow){
            .wave = (uint32_t)item->wave,
            .order = i,
            .relay = relay->name,
            .action = action_to_string(item->action),
            .group = group ? group->name : NULL,
            .allocator = group ? survey.config->allocators[group->allocator].name : NULL,
            .reason = item->reason,
        };
    }
    *ret_changes = rows.n;
    _cleanup_(freep) bool *ready = ask_ready(bus, &survey);
    usec_t length = survey_plan_length(&survey, plan, ready);
    rows.ends = length == USEC_INFINITY ? 0 : ctl_now() + length;
    rows.window = config_window_words(survey.config);
    rows.gate = xstrdup(survey.config->rollout.gate);
    return print_rows(options, &rows);
}

int file_print_plan(const CtlOptions *options, const char *file, const char *as, size_t *ret_changes)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;

    if (ctl_bus_open(options, true, &bus) < 0)
        bus = NULL;
    return plan_of_file(options, bus, file, as, ret_changes);
}

int ctl_plan(int argc, char *argv[], const CtlOptions *options)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    bool remote = options->host || options->machine;
    char *const *operands = NULL;
    size_t changes = 0;

    int status = ctl_operands(argc, argv, 1, &operands);
    if (status != 0)
        return status;
    if (ctl_columns_help(options, plan_columns, ELEMENTSOF(plan_columns)))
        return EXIT_FINE;
    /* A draft that is named in the other way is still not what the daemon has. */
    const char *operand = operands[0] ? operands[0] : options->config_given ? options->config : NULL;
    if (operand) {
        const char *file = local_only(options, "plan FILE") ? file_operand(operand) : NULL;
        if (!file)
            return EXIT_USAGE;
        status = judge_before_plan(options, file);
        return status == EXIT_FINE ? file_print_plan(options, file, options->config, &changes) : status;
    }
    int r = ctl_bus_open(options, !remote, &bus);
    if (r >= 0)
        r = plan_of_daemon(options, bus);
    if (r >= 0)
        return r;
    if (remote) {
        if (r == -ENXIO)
            ctl_error("relayallocd is not running on %s", options->host ? options->host : options->machine);
        return EXIT_FAILED;
    }
    status = judge_before_plan(options, options->config);
    if (status != EXIT_FINE)
        return status;
    fleet_say_offline(options);
    return plan_of_file(options, bus, options->config, options->config, &changes);
}
