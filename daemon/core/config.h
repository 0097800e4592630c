/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration: its types, its defaults, and the one function that turns a parsed file into a valid
 * Config or into a list of problems. Pure: the file is read by io/config-file, which hands over a tree of
 * ConfNode. A Config is immutable once built; a reload builds a new one beside it. */
#pragma once

#include "core/util.h"

#define CONFIG_DEFAULT_PATH "/etc/relayalloc.conf"
/* Limits on what a file may contain; exceeding them is an error, never silently truncated. */
#define CONFIG_GROUPS_MAX 256
#define CONFIG_ALLOCATORS_MAX 256
#define CONFIG_PATTERNS_MAX 4096
#define CONFIG_ENVIRONMENT_MAX 64

/* ---- the parsed file, neutral of the library that parsed it ---- */

typedef enum ConfKind {
    CONF_GROUP, /* { name = value; … }: children have names */
    CONF_LIST,  /* ( value, … ) and [ value, … ]: children have no names */
    CONF_INT,
    CONF_FLOAT,
    CONF_BOOL,
    CONF_STRING,
} ConfKind;

typedef struct ConfNode {
    ConfKind kind;
    char *name; /* NULL in a list */
    const char
        *file; /* where it stands (an @include may differ from the main file); owned by the root's creator */
    unsigned line;
    int64_t integer; /* CONF_INT, CONF_BOOL */
    double real;     /* CONF_FLOAT */
    char *string;    /* CONF_STRING */
    char *pieces;    /* of a string in a list that stands there as several without a comma: "a", "b"; NULL */
    struct ConfNode *children;
    size_t n_children;
} ConfNode;

void conf_node_clear(ConfNode *node); /* frees what the node owns, not the node */

/* ---- problems ---- */

typedef struct Problem {
    char *file;
    unsigned line; /* 0: the file as a whole */
    char *setting; /* "groups[1].allocator"; NULL: a syntax error */
    char *message;
} Problem;

typedef struct Problems {
    Problem *items;
    size_t n, capacity;
} Problems;

void problems_add(Problems *problems, const char *file, unsigned line, const char *setting,
                  const char *format, ...) _printf_(5, 6);
void problems_clear(Problems *problems);
/* "/etc/relayalloc.conf:12: groups[1].allocator: no allocator named …"; owned by the caller. */
char *problem_to_string(const Problem *problem);
/* All of them, a line each. Owned by the caller. */
char *problems_to_string(const Problems *problems);

/* ---- the configuration ---- */

typedef struct EnvVar {
    char *name;
    char *value;
} EnvVar;

typedef struct Allocator {
    char *name;
    char *library; /* bare name or absolute path; NULL: glibc, nothing is preloaded */
    EnvVar *environment;
    size_t n_environment;
    bool builtin;        /* as the program has it; the file does not define it */
    const char *renamed; /* built in by a former name: the name that it has now, a constant; NULL */
} Allocator;
void allocator_clear(Allocator *allocator); /* frees what it owns, not itself */

typedef enum Quota {
    QUOTA_ALL,   /* every free relay that matches */
    QUOTA_SIZE,  /* `amount` relays */
    QUOTA_SHARE, /* `amount` percent, rounded to the nearest relay */
} Quota;

/* Where something stands in a file. */
typedef struct FilePlace {
    char *file;
    unsigned line;
} FilePlace;

/* A name or pattern as the file has it, for messages about it. */
typedef struct Wording {
    char *text;
    char *pieces; /* as in ConfNode; NULL */
    FilePlace place;
} Wording;

typedef struct Group {
    char *name;
    FilePlace place;
    size_t allocator;  /* index into Config.allocators */
    char **patterns;   /* strv of names and shell patterns; empty: all */
    Wording *wordings; /* of each of them, in this order */
    char **except;     /* strv likewise: relays that it does not take though `patterns` has them */
    Wording *except_wordings;
    Quota quota;
    double amount; /* relays or percent; 0 with QUOTA_ALL */
    char *seed;    /* never NULL; "" by default */
    bool hold;     /* who has its drop-in stays, whoever joins */
} Group;

typedef enum OnFailure {
    ON_FAILURE_ROLLBACK, /* put the failed relay back, then count it against max_failed */
    ON_FAILURE_STOP,     /* leave it as it is, to be examined, and halt */
    _ON_FAILURE_MAX,
    _ON_FAILURE_INVALID = -1,
} OnFailure;
const char *on_failure_to_string(OnFailure v);

/* What a restarted relay must be before it settles. */
typedef enum Ready {
    READY_ACTIVE,       /* systemd calls it active, and its allocator is proved */
    READY_BOOTSTRAPPED, /* and tor calls it bootstrapped, if it was so before */
    _READY_MAX,
    _READY_INVALID = -1,
} Ready;
const char *ready_to_string(Ready v);

/* A number of relays, or a percentage of the fleet (at least one relay). */
typedef struct Amount {
    unsigned value;
    bool percent;
} Amount;
/* A percentage is rounded down, so that it is never exceeded, but one relay may always move. */
size_t amount_of(Amount amount, size_t fleet);

/* Local time of day in minutes since midnight; from > to spans midnight; from == to is refused by config. */
typedef struct Window {
    bool set; /* false: always open */
    unsigned from, to;
} Window;
/* Is it open at that minute of the local day (0 … 1439)? */
bool window_contains(Window window, unsigned minute);
/* Minutes from that minute of the local day until it opens; 0: it is open. */
unsigned window_opens_in(Window window, unsigned minute);
/* "02:00-06:00"; "" when none is set. */
#define WINDOW_TEXT_MAX sizeof("00:00-00:00")
const char *window_to_string(char buf[static WINDOW_TEXT_MAX], Window window);

typedef struct RolloutConfig {
    Amount parallel;      /* default 1 */
    usec_t settle;        /* default 30 s */
    unsigned canary;      /* relays of each allocator that go first and alone; default 1 */
    usec_t canary_settle; /* default: settle */
    unsigned max_failed;  /* halt when this many have failed; default 1 */
    OnFailure on_failure; /* default rollback */
    Window window;        /* default none */
    Ready ready;          /* default bootstrapped */
    usec_t ready_timeout; /* default 300 s */
    char *gate;           /* a service unit that must succeed before each wave; "": none */
} RolloutConfig;

typedef enum SampleEntry {
    SAMPLE_ENTRY_RELAY, /* one journal entry per relay */
    SAMPLE_ENTRY_FLEET, /* one journal entry for all */
    _SAMPLE_ENTRY_MAX,
    _SAMPLE_ENTRY_INVALID = -1,
} SampleEntry;
const char *sample_entry_to_string(SampleEntry v);

typedef struct Config {
    char *path;
    uint64_t digest; /* of all text that it was read from; 0: from no file */
    char *unit;      /* the template, "tor@.service" */
    char *instances_dir;
    Allocator
        *allocators; /* built-in first (redefined in place by the file), then the file's own, in its order */
    size_t n_allocators;
    Group *groups;
    size_t n_groups;
    RolloutConfig rollout;
    usec_t sample_interval; /* default 60 s */
    SampleEntry sample_entry;
    bool sample_tor;        /* are the relays themselves asked? default true */
    char *tor_control;      /* their control sockets, %i for the instance; "": Debian's place */
    char *metrics_textfile; /* "" : none */
    uint64_t watch_rss;     /* bytes: a relay above that is told of; 0: none is */
    double watch_full_in;   /* days: likewise when the host is full by then; 0: never. Default 3 */
} Config;

/* The defaults alone: the built-in allocators and no groups. */
Config *config_new(const char *path);
Config *config_free(Config *config);
DEFINE_CLEANUP(Config, config_free)

/* Builds a Config from the file's root group. All problems of the file are collected; with any of them,
 * -EINVAL is returned and no Config. `path` names the file in the Config and where a node has no file. */
int config_from_tree(const ConfNode *root, const char *path, Problems *problems, Config **ret);

/* Index of the allocator of that name, or -ENOENT. */
ssize_t config_find_allocator(const Config *config, const char *name);

/* Names of all settings, dotted ("rollout.settle", "groups[].share", "allocators.NAME.library"),
 * NULL-terminated: for tests that compare the man page and the default file with the code. */
extern const char *const config_settings[];
