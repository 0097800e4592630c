/* SPDX-License-Identifier: BSD-3-Clause */
/* What all verbs of relayallocctl share: the global options, the output (tables by libsmartcols, JSON by
 * json-c) and the connection to the daemon. The verbs are in ctl/, each in a file of its name, or beside
 * others that work like it; one function per verb. */
#pragma once

#include "core/config.h"
#include "core/util.h"

#include <systemd/sd-bus.h>

/* Exit statuses, fixed by the manual. */
typedef enum ExitStatus {
    EXIT_FINE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,   /* wrong usage or an invalid file */
    EXIT_DIFFERS = 3, /* something is not as assigned */
    EXIT_NO_RELAY = 4,
} ExitStatus;

typedef enum JsonMode {
    JSON_OFF,
    JSON_SHORT,
    JSON_PRETTY,
} JsonMode;

typedef struct CtlOptions {
    JsonMode json;
    bool no_pager, no_legend, quiet, yes, wait, now;
    bool color;          /* decided once: a terminal, NO_COLOR, SYSTEMD_COLORS */
    const char *columns; /* -o, or NULL */
    const char *host;    /* -H, or NULL */
    const char *machine; /* -M, or NULL */
    const char *config;  /* --config=FILE, CONFIG_DEFAULT_PATH by default */
    bool config_given;   /* --config was there */
} CtlOptions;

/* A verb: argv[0] is the verb, options of its own may follow (getopt_long with optind = 0). Returns an
 * ExitStatus. */
typedef int CtlVerb(int argc, char *argv[], const CtlOptions *options);

CtlVerb ctl_list, ctl_status, ctl_groups, ctl_allocators;                     /* ctl/show.c and neighbours */
CtlVerb ctl_check, ctl_plan, ctl_edit;                                        /* ctl/file.c, ctl/edit.c */
CtlVerb ctl_adopt;                                                            /* ctl/adopt.c */
CtlVerb ctl_pause, ctl_resume, ctl_abort, ctl_verify, ctl_revert, ctl_reload; /* ctl/control.c */
CtlVerb ctl_restart;                                                          /* ctl/restart.c */
CtlVerb ctl_targets;                                                          /* ctl/targets.c */
CtlVerb ctl_top;                                                              /* ctl/top.c */
CtlVerb ctl_history, ctl_events;                               /* ctl/history.c, ctl/events.c */
CtlVerb ctl_doctor;                                            /* ctl/doctor.c */
CtlVerb ctl_report, ctl_export, ctl_experiment, ctl_recommend; /* ctl/report.c and neighbours */

/* Prints what the manual says of the verb (ctl/help.c). An ExitStatus; EXIT_USAGE without a message: there is
 * no such verb. */
int ctl_help_verb(const CtlOptions *options, const char *verb);

/* ---- tables ---- */

typedef enum ColumnType {
    COLUMN_TEXT,
    COLUMN_PROSE, /* text that continues on further lines if the terminal is too narrow for it */
    COLUMN_NUMBER,
    COLUMN_BYTES, /* "1.16 GiB" in a table, bytes in JSON */
    COLUMN_TIME,  /* µs since 1970; in a table local time; 0: "-" and null */
    COLUMN_REAL,
} ColumnType;

typedef struct Column {
    const char *name; /* "RSS"; the JSON key is the same in lower case */
    ColumnType type;
    const char *help;
} Column;

/* Was "-o help" asked for? They are shown then, and there is nothing else to do: before anything is read that
 * may not be there. */
bool ctl_columns_help(const CtlOptions *options, const Column *columns, size_t n_columns);

typedef struct CtlTable CtlTable;

/* `columns` outlives the table. Which are shown, in which order: options->columns (comma-separated, in any
 * case; a leading "+" adds to the default), else the first n_default. -EINVAL after a message on stderr: an
 * unknown column. */
int ctl_table_new(const CtlOptions *options, const Column *columns, size_t n_columns, size_t n_default,
                  CtlTable **ret);
CtlTable *ctl_table_free(CtlTable *table);
DEFINE_CLEANUP(CtlTable, ctl_table_free)
/* Puts a column that is usually not shown before all others, unless -o says which there are. */
void ctl_table_lead(CtlTable *table, size_t column);
bool ctl_table_shows(const CtlTable *table, size_t column); /* was it asked for, or is it one of the usual? */
/* Begins a row; the setters below fill it. A cell that is not set shows as "-", null in JSON. */
void ctl_table_row(CtlTable *table);
void ctl_table_text(CtlTable *table, size_t column, const char *text); /* copied; "" and NULL: not set */
void ctl_table_number(CtlTable *table, size_t column, uint64_t value); /* NUMBER, BYTES, TIME */
void ctl_table_real(CtlTable *table, size_t column, double value, int digits);
void ctl_table_color(CtlTable *table, size_t column, const char *sgr); /* "31"; a constant */
/* What a table shows in place of the value ("2 days 3h ago"); JSON keeps the value. Copied. */
void ctl_table_show(CtlTable *table, size_t column, const char *text);
/* On a terminal too narrow for all columns these are left out, in this order, unless -o asked for columns.
 * Outlives the table. Before, down to a readable width, and after it, long texts are shortened with an
 * ellipsis, and prose is wrapped. */
void ctl_table_droppable(CtlTable *table, const size_t *order, size_t n);
size_t ctl_table_rows(const CtlTable *table);
/* Prints it: a table, or a JSON array of objects. Below the table stands the legend (a line without newline;
 * NULL: none), unless -q or --no-legend. */
int ctl_table_print_legend(CtlTable *table, const char *legend);
int ctl_table_print(CtlTable *table);

/* ---- output ---- */

/* Prints text on stdout, through a pager when stdout is a terminal and the text is longer than it. */
int ctl_print(const CtlOptions *options, const char *text);
/* One JSON value in the form that options->json asks for, and a newline. Takes ownership. */
struct json_object;
int ctl_print_json(const CtlOptions *options, struct json_object *take);
/* A JSON string; NULL and "" give null. Bytes that are not UTF-8 become U+FFFD. */
struct json_object *ctl_json_text(const char *text);
struct json_object *ctl_json_strv(char *const *strv); /* an array of texts */
/* The text in a colour ("31"; NULL: none) where colours are wanted, else as it is; owned by the caller. */
char *ctl_paint(const CtlOptions *options, const char *sgr, const char *text);
/* Are characters of all kinds understood where we write? */
bool ctl_utf8(void);
/* Columns of the terminal on stdout; 0: it is no terminal. */
size_t ctl_terminal_width(void);
/* Words up to `width` (0: of any length), in lines that begin with `indent` blanks, of which the first has
 * `column` columns already; a line of the text that begins with two blanks stands as it is. */
void ctl_write_wrapped(FILE *f, const char *text, size_t width, int indent, size_t column);
/* The lines of the text joined by "; ". Owned by the caller. */
char *ctl_one_line(const char *text);
/* Columns that the text takes on the screen. */
size_t ctl_text_width(const char *text);
/* Makes the text no wider than that on the screen, by cutting it off with an ellipsis. */
void ctl_shorten(char **text, size_t width);
/* "2025-03-07 14:03:22" in local time; owned by the caller. */
char *ctl_format_time(usec_t realtime);
/* "2 days 3h ago"; owned by the caller. */
char *ctl_format_ago(usec_t realtime);
usec_t ctl_now(void); /* realtime */

/* ---- messages and the bus ---- */

/* Is standard output that file ("> FILE")? The shell has emptied it before we could read it. EXIT_USAGE after
 * a message; 0: it is not. */
int ctl_not_into(const char *path);

/* The operands of a verb that has no options of its own: argv without the verb. 0; EXIT_USAGE after a
 * message: an option that nobody knows, or more than `most` operands. */
int ctl_operands(int argc, char *argv[], size_t most, char *const **ret);

/* Asks on stderr and reads the answer from stdin; true at once with --yes. */
bool ctl_confirm(const CtlOptions *options, const char *question);
/* The same; an empty answer is the usual one. No answer at all, where the input has ended, is no. */
bool ctl_ask(const CtlOptions *options, const char *question, bool usual);

/* May sentences for people go to stdout? Not with -q, nor if JSON is expected. */
static inline bool ctl_chatty(const CtlOptions *options)
{
    return !options->quiet && options->json == JSON_OFF;
}

/* "relayallocctl: …" on stderr; as with everything that goes there, what others wrote cannot control the
 * terminal. */
void ctl_error(const char *format, ...) _printf_(1, 2);
/* A line on stderr as it stands: "FILE:LINE: …" and hints. */
void ctl_complain(const char *line);
/* The problems of a file, one per line on stderr. */
void ctl_print_problems(const Problems *problems);
/* Reports what getopt_long() did not accept; its short options begin with ":", and opterr is 0. EXIT_USAGE.
 */
int ctl_bad_option(int c, char *argv[]);

/* The daemon's bus (-H, -M honoured). 0; negative errno after a message on stderr unless `quietly`. */
int ctl_bus_open(const CtlOptions *options, bool quietly, sd_bus **ret);
/* One call on the manager; 0, or negative errno after a message made of the bus error. -ENOENT: no such
 * relay. -ENXIO: the daemon is not running (reported). */
int ctl_bus_call(sd_bus *bus, const char *method, sd_bus_message **ret_reply, const char *types, ...);
/* The same for a call that the caller made without a destination, to whatever object; with SAY_ALL the
 * message that ctl_bus_call() gives, else -ENXIO without one, with SAY_NOTHING none at all. */
typedef enum Say {
    SAY_NOTHING,
    SAY_FAILURES, /* all but that the daemon is not running */
    SAY_ALL,
} Say;
int ctl_bus_send(sd_bus *bus, sd_bus_message *call, Say say, sd_bus_message **ret_reply);
/* Reports that the reply to `method` has other types than it should. Returns -EBADMSG. */
int ctl_bus_unreadable(const char *method, int r);
