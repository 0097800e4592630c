/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb allocators: what each of them is on this host, and how many relays run it. Changes nothing. */
#include "io/allocators.h"
#include "core/evidence.h"
#include "core/known.h"
#include "ctl/lib/fleet.h"
#include "io/config-file.h"
#include "io/library.h"
#include "io/paths.h"

#include <errno.h>
#include <getopt.h>

enum {
    ALLOCATORS_ALLOCATOR,
    ALLOCATORS_VERSION,
    ALLOCATORS_LIBRARY,
    ALLOCATORS_PACKAGE,
    ALLOCATORS_ASSIGNED,
    ALLOCATORS_RUNNING,
    ALLOCATORS_RSS,
    ALLOCATORS_WARNING,
    ALLOCATORS_EVIDENCE,
};
static const Column columns[] = {
    [ALLOCATORS_ALLOCATOR] = { "ALLOCATOR", COLUMN_TEXT, "its name in the configuration" },
    [ALLOCATORS_VERSION] = { "VERSION", COLUMN_TEXT, "version that it reports when it is tested" },
    [ALLOCATORS_LIBRARY] = { "LIBRARY", COLUMN_TEXT, "path of its library; empty for the C library" },
    [ALLOCATORS_PACKAGE] = { "PACKAGE", COLUMN_TEXT, "Debian's package of the library" },
    [ALLOCATORS_ASSIGNED] = { "ASSIGNED", COLUMN_NUMBER, "relays that it is assigned to" },
    [ALLOCATORS_RUNNING] = { "RUNNING", COLUMN_NUMBER, "relays that run it, proved" },
    [ALLOCATORS_RSS] = { "RSS", COLUMN_BYTES, "average resident memory of those relays" },
    [ALLOCATORS_WARNING] = { "WARNING", COLUMN_PROSE, "problems with it on this host" },
    [ALLOCATORS_EVIDENCE] = { "EVIDENCE", COLUMN_PROSE, "what was measured of it in the lab" },
};

/* The package is known by the library's own name, and only packages put libraries under /usr/lib. */
static const char *package_of(const Allocator *allocator, const AllocatorFacts *facts)
{
    const char *path = facts->path, *slash = NULL;

    if (!allocator || !allocator->library)
        return NULL;
    if (path && strncmp(path, "/usr/lib/", 9) != 0 && strncmp(path, "/lib/", 5) != 0)
        return NULL;
    slash = strrchr(allocator->library, '/');
    return library_package(slash ? slash + 1 : allocator->library);
}

/* Problems of allocators, in words: too long for a cell. */
typedef struct Note {
    char *allocators; /* "mimalloc, mimalloc-tuned" */
    char *text;
} Note;
typedef struct Notes {
    Note *items;
    size_t n, capacity;
    bool remarks; /* those as well that matter to no relay; and all allocators */
} Notes;

static void notes_clear(Notes *notes)
{
    for (size_t i = 0; i < notes->n; i++) {
        free(notes->items[i].allocators);
        free(notes->items[i].text);
    }
    free(notes->items);
}

static void add_note(Notes *notes, const char *allocator, const char *text)
{
    for (size_t i = 0; i < notes->n; i++)
        if (streq(notes->items[i].text, text)) {
            char *more = xasprintf("%s, %s", notes->items[i].allocators, allocator);
            free(notes->items[i].allocators);
            notes->items[i].allocators = more;
            return;
        }
    GROW(notes->items, notes->capacity, notes->n);
    notes->items[notes->n++] = (Note){ xstrdup(allocator), printable(text, SIZE_MAX) };
}

/* A line each; NULL: there is none. */
static char *notes_text(const Notes *notes)
{
    char *text = NULL;
    size_t size = 0;

    if (notes->n == 0)
        return NULL;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        abort();
    for (size_t i = 0; i < notes->n; i++)
        fprintf(f, "%s%s: %s", i > 0 ? "\n" : "", notes->items[i].allocators, notes->items[i].text);
    fclose(f);
    return text;
}

static void append(char **text, const char *sentence)
{
    _cleanup_(freep) char *before = *text;

    *text =
        sentence ? xasprintf("%s%s%s", before ? before : "", before ? "; " : "", sentence) : TAKE_PTR(before);
}

/* What is known against it, what it printed, and what it does not understand of its settings, on one line;
 * NULL: nothing. Owned by the caller. */
static char *warning_of(const AllocatorFacts *facts)
{
    char *text = known_warning(facts->family, facts->version);
    _cleanup_(freep) char *printed = facts->warnings ? ctl_one_line(facts->warnings) : NULL;

    append(&text, printed);
    STRV_FOREACH (setting, facts->settings)
        append(&text, *setting);
    return text;
}

/* What matters to no relay; NULL: nothing. Owned by the caller. */
static char *remark_of(const AllocatorFacts *facts)
{
    char *text = known_remark(facts->family, facts->version);

    append(&text, facts->remark);
    return text;
}

/* An allocator by its name: how many relays, and how much they hold. `facts` NULL: not known here. */
static void add_row(CtlTable *table, const char *name, const Allocator *allocator,
                    const AllocatorFacts *facts, const Fleet *fleet, Notes *notes)
{
    uint64_t assigned = 0, running = 0, rss = 0;
    const char *version = facts ? facts->version : NULL;

    for (size_t i = 0; i < fleet->n; i++) {
        const FleetRow *row = &fleet->rows[i];
        assigned += streq(row->assigned, name);
        if (streq(row->running, name)) {
            running++;
            rss += row->rss;
            if (isempty(version))
                version = row->version;
        }
    }
    ctl_table_row(table);
    ctl_table_text(table, ALLOCATORS_ALLOCATOR, name);
    ctl_table_text(table, ALLOCATORS_VERSION, version);
    _cleanup_(freep) char *evidence = allocator ? evidence_text(evidence_table, evidence_n, allocator) : NULL;
    ctl_table_text(table, ALLOCATORS_EVIDENCE, evidence);
    if (facts) {
        ctl_table_text(table, ALLOCATORS_LIBRARY, facts->path);
        ctl_table_text(table, ALLOCATORS_PACKAGE, package_of(allocator, facts));
        _cleanup_(freep) char *said = warning_of(facts);
        const char *warning = facts->refusal ? facts->refusal : said;
        ctl_table_text(table, ALLOCATORS_WARNING, warning);
        if (warning)
            add_note(notes, name, warning);
        _cleanup_(freep) char *remark = notes->remarks ? remark_of(facts) : NULL;
        if (remark)
            add_note(notes, name, remark);
        if (notes->remarks && evidence)
            add_note(notes, name, evidence);
        if (assigned > 0 && warning)
            ctl_table_color(table, ALLOCATORS_ALLOCATOR, facts->refusal ? "1;31" : "33");
    }
    ctl_table_number(table, ALLOCATORS_ASSIGNED, assigned);
    ctl_table_number(table, ALLOCATORS_RUNNING, running);
    if (running > 0)
        ctl_table_number(table, ALLOCATORS_RSS, rss / running);
}

static bool in_fleet(const Fleet *fleet, const char *name)
{
    for (size_t i = 0; i < fleet->n; i++)
        if (streq(fleet->rows[i].assigned, name) || streq(fleet->rows[i].running, name))
            return true;
    return false;
}

/* Settings that the lab does not bear out are no offer; who uses them sees them all the same. */
static bool is_listed(const Config *config, size_t i, const Fleet *fleet, const Notes *notes)
{
    const Allocator *allocator = &config->allocators[i];

    return notes->remarks || evidence_justifies(evidence_table, evidence_n, allocator) ||
           facts_allocator_in_use(config, i) || in_fleet(fleet, allocator->name);
}

static bool named(const Config *config, const char *name)
{
    const ssize_t i = config ? config_find_allocator(config, name) : -ENOENT;

    return i >= 0 && facts_allocator_offered(config, (size_t)i);
}

/* Names that relays run or are assigned but that no configuration read here has: of another host, of a newer
 * file, or a family without a name here. */
static void add_others(CtlTable *table, const Config *config, const Fleet *fleet, Notes *notes)
{
    char **done = NULL;

    for (size_t i = 0; i < 2 * fleet->n; i++) {
        const char *name = i % 2 == 0 ? fleet->rows[i / 2].assigned : fleet->rows[i / 2].running;
        if (isempty(name) || named(config, name) || strv_contains(done, name))
            continue;
        strv_push(&done, xstrdup(name));
        add_row(table, name, NULL, NULL, fleet, notes);
    }
    strv_free(done);
}

static int take_options(int argc, char *argv[], Notes *notes)
{
    static const struct option options[] = { { "verbose", no_argument, NULL, 'v' }, { 0 } };

    optind = 0;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":v", options, NULL)) != -1;) {
        if (c != 'v')
            return ctl_bad_option(c, argv);
        notes->remarks = true;
    }
    if (optind < argc) {
        ctl_error("%s takes no operand \"%s\"", argv[0], argv[optind]);
        return EXIT_USAGE;
    }
    return 0;
}

int ctl_allocators(int argc, char *argv[], const CtlOptions *options)
{
    static const size_t droppable[] = { ALLOCATORS_LIBRARY, ALLOCATORS_PACKAGE, ALLOCATORS_RSS,
                                        ALLOCATORS_ASSIGNED };
    _cleanup_(ctl_table_freep) CtlTable *table = NULL;
    _cleanup_(problems_clear) Problems problems = { 0 };
    _cleanup_(config_freep) Config *config = NULL;
    _cleanup_(fleet_clear) Fleet fleet = { 0 };
    _cleanup_(notes_clear) Notes notes = { 0 };
    bool local = !options->host && !options->machine;
    /* Below the table for people, where there is room to read it. */
    bool below = ctl_chatty(options) && !options->no_legend;

    int status = take_options(argc, argv, &notes);
    if (status == 0 && ctl_columns_help(options, columns, ELEMENTSOF(columns)))
        return EXIT_FINE;
    if (status == 0 && ctl_table_new(options, columns, ELEMENTSOF(columns),
                                     below           ? ALLOCATORS_WARNING
                                     : notes.remarks ? ELEMENTSOF(columns)
                                                     : ALLOCATORS_EVIDENCE,
                                     &table) < 0)
        status = EXIT_USAGE;
    if (status == 0)
        status = fleet_get(options, &fleet, NULL);
    if (status != 0)
        return status;
    if (local && config_file_load(options->config, &problems, &config) < 0) {
        ctl_print_problems(&problems); /* the daemon runs with an earlier version; its names follow below */
        ctl_error("libraries are left out, because the file is invalid");
    }
    ctl_table_droppable(table, droppable, ELEMENTSOF(droppable));
    _cleanup_(freep) char *probe = path_of_probe();
    AllocatorFacts *facts =
        config ? allocators_look(&(AllocatorsAsk){ .config = config, .probe = probe, .try_all = true })
               : NULL;
    for (size_t i = 0; config && i < config->n_allocators; i++) {
        const char *name = config->allocators[i].name;

        if (!facts_allocator_offered(config, i))
            continue;
        if (is_listed(config, i, &fleet, &notes))
            add_row(table, name, &config->allocators[i], &facts[i], &fleet, &notes);
        else
            add_note(
                &notes, name,
                "not listed, because trials do not bear out the settings, or are too few; can be used all "
                "the same, and -v has the evidence");
    }
    add_others(table, config, &fleet, &notes);
    allocators_free(facts, config ? config->n_allocators : 0);
    _cleanup_(freep) char *legend = notes_text(&notes);
    return ctl_table_print_legend(table, options->columns ? NULL : legend) < 0 ? EXIT_FAILED : EXIT_FINE;
}
