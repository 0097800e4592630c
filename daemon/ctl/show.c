/* SPDX-License-Identifier: BSD-3-Clause */
/* The verbs that show the fleet as a table: list and groups. They show what the daemon knows, or what files
 * and systemd say without it; they change nothing. */
#include "core/state.h"
#include "ctl/lib/fleet.h"
#include "ctl/lib/hosts.h"
#include "ctl/lib/traffic.h"

#include <errno.h>
#include <getopt.h>

/* ---- list ---- */

enum {
    LIST_RELAY,
    LIST_GROUP,
    LIST_ASSIGNED,
    LIST_RUNNING,
    LIST_VERSION,
    LIST_STATE,
    LIST_RSS,
    LIST_PEAK,
    LIST_SINCE,
    _LIST_USUAL, /* those before it are shown when nobody asks for others */
    LIST_UNIT = _LIST_USUAL,
    LIST_FINGERPRINT,
    LIST_HOST,
    LIST_NRESTARTS,
    LIST_FLAGS,
    LIST_READY,
    LIST_TRAFFIC,
};
static const Column list_columns[] = {
    [LIST_RELAY] = { "RELAY", COLUMN_TEXT, "name of the relay" },
    [LIST_GROUP] = { "GROUP", COLUMN_TEXT, "the group that takes it" },
    [LIST_ASSIGNED] = { "ASSIGNED", COLUMN_TEXT, "allocator that the configuration assigns" },
    [LIST_RUNNING] = { "RUNNING", COLUMN_TEXT, "allocator that its process runs, proved" },
    [LIST_VERSION] = { "VERSION", COLUMN_TEXT, "version of that" },
    [LIST_STATE] = { "STATE", COLUMN_TEXT,
                     "ok, pending, restarting, settling, failed, drifted, down, stopped, observed, "
                     "reverted" },
    [LIST_RSS] = { "RSS", COLUMN_BYTES, "resident memory" },
    [LIST_PEAK] = { "PEAK", COLUMN_BYTES, "peak of resident memory" },
    [LIST_SINCE] = { "SINCE", COLUMN_TIME, "start of its process" },
    [LIST_UNIT] = { "UNIT", COLUMN_TEXT, "its unit" },
    [LIST_FINGERPRINT] = { "FINGERPRINT", COLUMN_TEXT, "what the relay says is its fingerprint" },
    [LIST_HOST] = { "HOST", COLUMN_TEXT, "the host on which it is" },
    [LIST_NRESTARTS] = { "NRESTARTS", COLUMN_NUMBER, "how often systemd has restarted it on its own" },
    [LIST_FLAGS] = { "FLAGS", COLUMN_TEXT, "flags of its consensus entry; \"none\": it is in no consensus" },
    [LIST_READY] = { "READY", COLUMN_TEXT, "yes: it is bootstrapped; else how far it is" },
    [LIST_TRAFFIC] = { "TRAFFIC/DAY", COLUMN_BYTES, "read and written in its last whole day" },
};
/* Columns that show a property of bus/api.h as it is. */
static const char *const list_properties[ELEMENTSOF(list_columns)] = {
    [LIST_FINGERPRINT] = "Fingerprint",
    [LIST_NRESTARTS] = "NRestarts",
    [LIST_FLAGS] = "Flags",
};

/* What the daemon is asked for besides what every list has; a strv. */
static void list_properties_shown(const CtlTable *table, const char **ret)
{
    for (size_t c = 0; c < ELEMENTSOF(list_columns); c++)
        if (list_properties[c] && ctl_table_shows(table, c))
            *ret++ = list_properties[c];
    if (ctl_table_shows(table, LIST_READY)) {
        *ret++ = "Ready";
        *ret++ = "Bootstrap";
    }
    *ret = NULL;
}

static void list_row(CtlTable *table, const FleetRow *row, const char *host, const TrafficDays *days)
{
    uint64_t traffic;

    ctl_table_row(table);
    ctl_table_text(table, LIST_RELAY, row->relay);
    ctl_table_text(table, LIST_UNIT, row->unit);
    ctl_table_text(table, LIST_HOST, row->host ? row->host : host);
    ctl_table_text(table, LIST_GROUP, row->group);
    ctl_table_text(table, LIST_ASSIGNED, row->assigned);
    ctl_table_text(table, LIST_RUNNING, row->running);
    ctl_table_text(table, LIST_VERSION, row->version);
    ctl_table_text(table, LIST_STATE, row->state);
    ctl_table_color(table, LIST_STATE, state_color(row->state));
    if (row->rss > 0)
        ctl_table_number(table, LIST_RSS, row->rss);
    if (row->peak > 0)
        ctl_table_number(table, LIST_PEAK, row->peak);
    if (row->since > 0) {
        _cleanup_(freep) char *ago = ctl_format_ago(row->since);
        ctl_table_number(table, LIST_SINCE, row->since);
        ctl_table_show(table, LIST_SINCE, ago);
    }
    ctl_table_text(table, LIST_READY, fleet_ready(row));
    if (traffic_days_find(days, row->relay, &traffic))
        ctl_table_number(table, LIST_TRAFFIC, traffic);
    for (size_t c = 0; c < ELEMENTSOF(list_columns); c++) {
        const FleetField *field = list_properties[c] ? fleet_field(row, list_properties[c]) : NULL;
        if (field && field->text)
            ctl_table_text(table, c, field->text);
        else if (field)
            ctl_table_number(table, c, field->number);
    }
}

/* The states that --state= names, false: all. */
typedef struct States {
    bool chosen, wanted[_RELAY_STATE_MAX];
} States;

static int read_states(const char *list, States *ret)
{
    const char *words[_RELAY_STATE_MAX + 1] = { NULL };
    _cleanup_(freep) char *copy = xstrdup(list);
    char *rest = copy;

    for (RelayState s = 0; s < _RELAY_STATE_MAX; s++)
        words[s] = relay_state_to_string(s);
    for (const char *word; (word = strsep(&rest, ","));) {
        RelayState s = relay_state_from_string(word);
        if (s == _RELAY_STATE_INVALID) {
            const char *near = did_you_mean(word, words);
            ctl_error("--state=%s: \"%s\" is no state%s%s%s", list, word, near ? " (did you mean \"" : "",
                      near ? near : "", near ? "\"?)" : "");
            fputs("The states are:", stderr);
            for (s = 0; s < _RELAY_STATE_MAX; s++)
                fprintf(stderr, "%s %s", s > 0 ? "," : "", words[s]);
            fputs("\n", stderr);
            return EXIT_USAGE;
        }
        ret->chosen = ret->wanted[s] = true;
    }
    return 0;
}

static int list_arguments(int argc, char *argv[], States *ret_states, char *const **ret_patterns)
{
    static const struct option long_options[] = { { "state", required_argument, NULL, 's' }, { 0 } };

    optind = 0;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1;) {
        int r = c == 's' ? read_states(optarg, ret_states) : ctl_bad_option(c, argv);
        if (r != 0)
            return r;
    }
    *ret_patterns = argv + optind;
    return 0;
}

/* A FleetWant. */
static bool in_states(const FleetRow *row, void *userdata)
{
    const States *states = userdata;
    RelayState s = relay_state_from_string(row->state);

    return !states->chosen || (s != _RELAY_STATE_INVALID && states->wanted[s]);
}

int ctl_list(int argc, char *argv[], const CtlOptions *options)
{
    static const size_t droppable[] = { LIST_SINCE, LIST_PEAK,     LIST_VERSION,
                                        LIST_GROUP, LIST_ASSIGNED, LIST_RSS };
    const char *wanted[ELEMENTSOF(list_columns) + 2] = { NULL };
    _cleanup_(traffic_days_clear) TrafficDays days = { 0 };
    _cleanup_(ctl_table_freep) CtlTable *table = NULL;
    _cleanup_(fleet_clear) Fleet fleet = { .properties = wanted };
    _cleanup_(freep) char *host = hosts_name(options);
    States states = { 0 };
    char *const *patterns = NULL;
    bool fine = true;

    int status = list_arguments(argc, argv, &states, &patterns);
    if (status == 0 && ctl_columns_help(options, list_columns, ELEMENTSOF(list_columns)))
        return EXIT_FINE;
    if (status == 0 &&
        ctl_table_new(options, list_columns, ELEMENTSOF(list_columns), _LIST_USUAL, &table) < 0)
        status = EXIT_USAGE;
    if (status == 0) {
        list_properties_shown(table, wanted);
        status = fleet_get(options, &fleet, NULL);
    }
    if (status != 0)
        return status;
    if (hosts_several(options))
        ctl_table_lead(table, LIST_HOST);
    bool missing = fleet_select(&fleet, patterns) < 0;
    fleet_keep(&fleet, in_states, &states);
    ctl_table_droppable(table, droppable, ELEMENTSOF(droppable));
    if (ctl_table_shows(table, LIST_TRAFFIC) && traffic_days_read(options, &days) < 0)
        fputs("TRAFFIC/DAY stays empty: it is in the journals of those hosts alone, which -H and -M do not "
              "read.\n",
              stderr);
    for (size_t i = 0; i < fleet.n; i++) {
        list_row(table, &fleet.rows[i], host, &days);
        fine = fine && state_is_fine(fleet.rows[i].state);
    }
    /* Of what nobody has told there is no number. */
    _cleanup_(freep) char *legend =
        fleet.incomplete && fleet.n == 0 ? NULL : fleet_summary(&fleet, " listed");
    if (ctl_table_print_legend(table, legend) < 0 || fleet.incomplete)
        return EXIT_FAILED;
    return missing ? EXIT_NO_RELAY : fine ? EXIT_FINE : EXIT_DIFFERS;
}

/* ---- groups ---- */

enum {
    GROUPS_GROUP,
    GROUPS_ALLOCATOR,
    GROUPS_RELAYS,
    GROUPS_OK,
    GROUPS_STOPPED,
    GROUPS_DIFFER,
    GROUPS_RSS,
    GROUPS_AVERAGE,
    _GROUPS_USUAL,
    GROUPS_HOST = _GROUPS_USUAL,
};
static const Column groups_columns[] = {
    [GROUPS_GROUP] = { "GROUP", COLUMN_TEXT,
                       "name of the group; empty for observed relays, which are in no group" },
    [GROUPS_ALLOCATOR] = { "ALLOCATOR", COLUMN_TEXT, "the allocator that it assigns" },
    [GROUPS_RELAYS] = { "RELAYS", COLUMN_NUMBER, "relays that it takes" },
    [GROUPS_OK] = { "OK", COLUMN_NUMBER, "of them, running what they are assigned" },
    [GROUPS_STOPPED] = { "STOPPED", COLUMN_NUMBER, "of them, stopped" },
    [GROUPS_DIFFER] = { "DIFFER", COLUMN_NUMBER, "of them, not as assigned (yet)" },
    [GROUPS_RSS] = { "RSS", COLUMN_BYTES, "resident memory of all of them" },
    [GROUPS_AVERAGE] = { "AVERAGE", COLUMN_BYTES, "average of that per running relay" },
    [GROUPS_HOST] = { "HOST", COLUMN_TEXT, "the host that the relays run on, as -H names it" },
};

typedef struct GroupSum {
    const char *host, *name, *allocator; /* host: NULL: the only one */
    uint64_t relays, ok, stopped, other, running, rss;
} GroupSum;

typedef struct GroupSums {
    GroupSum *items;
    size_t n, capacity;
} GroupSums;

static GroupSum *group_sum(GroupSums *sums, const char *host, const char *name, const char *allocator)
{
    for (size_t i = 0; i < sums->n; i++)
        if (streq(sums->items[i].name, name) && streq_null(sums->items[i].host, host))
            return &sums->items[i];
    GROW(sums->items, sums->capacity, sums->n);
    sums->items[sums->n] = (GroupSum){ .host = host, .name = name, .allocator = allocator };
    return &sums->items[sums->n++];
}

static void add_to_group(GroupSums *sums, const FleetRow *row)
{
    GroupSum *sum = group_sum(sums, row->host, row->group, row->assigned);
    /* One that was reverted need not run what its group assigns. */
    bool reverted = streq(row->state, "reverted") && !streq_null(row->running, sum->allocator);

    sum->relays++;
    sum->ok += streq(row->state, "ok") || streq(row->state, "settling") || streq(row->state, "observed") ||
               (streq(row->state, "reverted") && !reverted);
    sum->stopped += streq(row->state, "stopped");
    sum->other += reverted || !state_is_fine(row->state);
    sum->running += row->rss > 0;
    sum->rss += row->rss;
}

int ctl_groups(int argc, char *argv[], const CtlOptions *options)
{
    static const size_t droppable[] = { GROUPS_STOPPED, GROUPS_RSS, GROUPS_ALLOCATOR };
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(ctl_table_freep) CtlTable *table = NULL;
    _cleanup_(config_freep) Config *config = NULL;
    _cleanup_(fleet_clear) Fleet fleet = { 0 };
    GroupSums sums = { 0 };
    char *const *none = NULL;

    int status = ctl_operands(argc, argv, 0, &none);
    if (status == 0 && ctl_columns_help(options, groups_columns, ELEMENTSOF(groups_columns)))
        return EXIT_FINE;
    if (status == 0 &&
        ctl_table_new(options, groups_columns, ELEMENTSOF(groups_columns), _GROUPS_USUAL, &table) < 0)
        status = EXIT_USAGE;
    if (status == 0)
        status = fleet_get(options, &fleet, &bus);
    if (status != 0)
        return status;
    config = fleet_config(options, bus, fleet.survey != NULL);
    for (size_t i = 0; config && i < config->n_groups; i++)
        group_sum(&sums, NULL, config->groups[i].name, config->allocators[config->groups[i].allocator].name);
    for (int observed = 0; observed < 2; observed++) /* those without a group come last */
        for (size_t i = 0; i < fleet.n; i++)
            if (isempty(fleet.rows[i].group) == (observed == 1))
                add_to_group(&sums, &fleet.rows[i]);

    if (hosts_several(options))
        ctl_table_lead(table, GROUPS_HOST);
    _cleanup_(freep) char *only_host = hosts_name(options);
    ctl_table_droppable(table, droppable, ELEMENTSOF(droppable));
    for (size_t i = 0; i < sums.n; i++) {
        const GroupSum *sum = &sums.items[i];
        ctl_table_row(table);
        ctl_table_text(table, GROUPS_HOST, sum->host ? sum->host : only_host);
        ctl_table_text(table, GROUPS_GROUP, sum->name);
        ctl_table_text(table, GROUPS_ALLOCATOR, sum->allocator);
        ctl_table_number(table, GROUPS_RELAYS, sum->relays);
        ctl_table_number(table, GROUPS_OK, sum->ok);
        ctl_table_number(table, GROUPS_STOPPED, sum->stopped);
        ctl_table_number(table, GROUPS_DIFFER, sum->other);
        if (sum->other > 0)
            ctl_table_color(table, GROUPS_DIFFER, "33");
        if (sum->running > 0) {
            ctl_table_number(table, GROUPS_RSS, sum->rss);
            ctl_table_number(table, GROUPS_AVERAGE, sum->rss / sum->running);
        }
    }
    free(sums.items);
    _cleanup_(freep) char *legend = fleet_summary(&fleet, "");
    return ctl_table_print_legend(table, legend) < 0 || fleet.incomplete ? EXIT_FAILED : EXIT_FINE;
}
