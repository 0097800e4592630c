/* SPDX-License-Identifier: BSD-3-Clause */
/* The relays as the listing verbs see them: by the daemon, or without it by files and systemd. Owns the rows;
 * prints nothing but why there are none. */
#pragma once

#include "ctl/lib/ctl.h"
#include "ctl/lib/survey.h"

/* A property of a relay that has no member of its own in FleetRow. */
typedef struct FleetField {
    char *name;      /* as in bus/api.h */
    char *text;      /* NULL: it is a number */
    uint64_t number; /* in the unit of the property */
} FleetField;

typedef struct FleetRow {
    char *host; /* whose relay it is, without the user of -H; NULL: of the only one that was asked */
    char *relay;
    char *group, *assigned, *running, *version; /* never NULL; "": none, unknown */
    char *state;                                /* "": unknown without the daemon */
    uint64_t rss, peak;                         /* bytes; 0: not running */
    usec_t since;                               /* realtime start of the process; 0 */
    char *path;                                 /* D-Bus object; NULL without the daemon */
    char *unit;                                 /* NULL: an earlier daemon that does not tell */
    char *reason;                               /* why it is not as assigned; NULL and "": nothing is known */
    FleetField *fields;                         /* what else was asked for and is known */
    size_t n_fields, c_fields;
} FleetRow;

typedef struct Fleet {
    const char *const *properties; /* set before it is filled: what else is wanted of a relay, by the names in
                                      bus/api.h; "Reason" comes as row->reason. A strv; NULL: nothing */
    FleetRow *rows;                /* sorted by relay, as name_compare() has it */
    size_t n, capacity;
    bool incomplete; /* not every host of -H has answered */
    Survey *survey;  /* what the rows were made of when the daemon does not run; else NULL */
} Fleet;

void fleet_clear(Fleet *fleet);
const FleetRow *fleet_find(const Fleet *fleet, const char *relay);

/* What else is known of the row's relay, by the property's name in bus/api.h; NULL: not told. */
const FleetField *fleet_field(const FleetRow *row, const char *property);

/* "yes", or how far it is bootstrapped, by its properties Ready and Bootstrap; NULL: not known. */
const char *fleet_ready(const FleetRow *row);

/* The daemon's relays, with the members of FleetRow and ret->properties. What it does not tell is unknown: ""
 * and 0 in the rows, no field. 0; -ENXIO: it does not run; other errno. Messages as `say` has it. */
int fleet_from_daemon(sd_bus *bus, Say say, Fleet *ret);

/* The daemon's relays, as above, or what files and systemd say when it does not run, which is said on stderr
 * then; those of all hosts, where -H names several. `ret_bus` (may be NULL): the connection, NULL when there
 * is none. 0, or an ExitStatus after a message. */
int fleet_get(const CtlOptions *options, Fleet *ret, sd_bus **ret_bus);

/* The file gives the groups' order, and those that take no relay (a pattern with a typo in it). NULL unless
 * the file that lies here is the one that the groups come from; quiet. */
Config *fleet_config(const CtlOptions *options, sd_bus *bus, bool offline);

/* Says on stderr that the daemon does not run, unless -q. */
void fleet_say_offline(const CtlOptions *options);

/* Is a relay in this state as it should be? */
bool state_is_fine(const char *state);
/* SGR parameters of a state, NULL: none. */
const char *state_color(const char *state);
/* "40 relays: 38 ok, 1 pending, 1 failed"; owned by the caller. `noun`: "40 relays listed: …" with " listed".
 */
char *fleet_summary(const Fleet *fleet, const char *noun);

/* Is it no relay, but a unit of another template that has a drop-in of ours from a former `unit`? */
static inline bool fleet_row_is_old(const FleetRow *row)
{
    return streq_null(row->relay, row->unit);
}

/* What a former `unit` left, in a sentence for each template; NULL: nothing. Owned by the caller. */
char *fleet_left_over(const Fleet *fleet);

/* Leaves only the rows that match one of the names and shell patterns (none: all), which may be of units:
 * "tor@relay1.service", "relay1.service". 0; -ENOENT after a message: one without wildcards names no relay.
 */
int fleet_select(Fleet *fleet, char *const *patterns);

/* Leaves only the rows that are wanted. */
typedef bool FleetWant(const FleetRow *row, void *userdata);
void fleet_keep(Fleet *fleet, FleetWant *want, void *userdata);

/* The name of a relay that is most like what was typed; NULL: none is like it. */
const char *fleet_near(const Fleet *fleet, const char *typed);

/* What is meant by what was typed, where no relay need be known: by the template of the configuration. Owned
 * by the caller. */
char *fleet_name_typed(const CtlOptions *options, const char *typed);
