/* SPDX-License-Identifier: BSD-3-Clause */
/* What all verbs of relayallocctl share: the global options, the output (tables by libsmartcols, JSON by json-c) and
 * the connection to the daemon. Each verb group is a file ctl-*.c with one function a verb. */
#pragma once

#include "core/util.h"

#include <systemd/sd-bus.h>

/* Exit statuses, fixed by the manual. */
typedef enum ExitStatus {
    EXIT_FINE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,      /* wrong usage or an invalid file */
    EXIT_DIFFERS = 3,    /* something is not as assigned */
    EXIT_NO_RELAY = 4,
} ExitStatus;

typedef enum JsonMode {
    JSON_OFF,
    JSON_SHORT,
    JSON_PRETTY,
} JsonMode;

typedef struct CtlOptions {
    JsonMode json;
    bool no_pager, no_legend, quiet, yes, wait;
    bool color;          /* decided once: a terminal, NO_COLOR, SYSTEMD_COLORS */
    const char *columns; /* -o, or NULL */
    const char *host;    /* -H, or NULL */
    const char *machine; /* -M, or NULL */
    const char *config;  /* --config=FILE, CONFIG_DEFAULT_PATH by default */
} CtlOptions;

/* A verb: argv[0] is the verb, options of its own may follow (getopt_long with optind = 0). Returns an ExitStatus. */
typedef int CtlVerb(int argc, char *argv[], const CtlOptions *options);

CtlVerb ctl_list, ctl_status, ctl_groups, ctl_allocators;            /* ctl-show.c and neighbours */
CtlVerb ctl_check, ctl_plan, ctl_edit;                               /* ctl-file.c */
CtlVerb ctl_pause, ctl_resume, ctl_abort, ctl_verify, ctl_revert, ctl_reload; /* ctl-control.c */
CtlVerb ctl_top;                                                     /* ctl-top.c */
CtlVerb ctl_history, ctl_events;                                     /* ctl-journal.c */
CtlVerb ctl_doctor;                                                  /* ctl-doctor.c */
CtlVerb ctl_report, ctl_export, ctl_experiment, ctl_recommend;       /* ctl-report.c and neighbours */

/* ---- tables ---- */

typedef enum ColumnType {
    COLUMN_TEXT,
    COLUMN_NUMBER,
    COLUMN_BYTES, /* "1.16 GiB" in a table, bytes in JSON; 0 with COLUMN_ZERO_IS_NONE: "-" and null */
    COLUMN_TIME,  /* µs since 1970; in a table local time; 0: "-" and null */
    COLUMN_REAL,
} ColumnType;

typedef struct Column {
    const char *name; /* "RSS"; the JSON key is the same in lower case */
    ColumnType type;
    const char *help;
} Column;

typedef struct CtlTable CtlTable;

/* `columns` outlives the table. Which are shown, in which order: options->columns (case-insensitive, comma-separated,
 * "+NAME" adds to the default), else the first n_default. -EINVAL after a message on stderr: an unknown column. */
int ctl_table_new(const CtlOptions *options, const Column *columns, size_t n_columns, size_t n_default, CtlTable **ret);
CtlTable *ctl_table_free(CtlTable *table);
DEFINE_CLEANUP(CtlTable, ctl_table_free)
void ctl_table_row(CtlTable *table);                            /* begins a row; the setters below fill it */
void ctl_table_text(CtlTable *table, size_t column, const char *text); /* copied; "" and NULL show as "-", null in JSON */
void ctl_table_number(CtlTable *table, size_t column, uint64_t value); /* NUMBER, BYTES, TIME */
void ctl_table_real(CtlTable *table, size_t column, double value, int digits);
void ctl_table_color(CtlTable *table, size_t column, const char *sgr); /* e.g. "31", only used when options->color */
size_t ctl_table_rows(const CtlTable *table);
/* Prints it: a table (through a pager when stdout is a terminal and the table is longer than it), or a JSON array. */
int ctl_table_print(CtlTable *table);

/* ---- messages and the bus ---- */

/* "relayallocctl: …" on stderr. */
void ctl_error(const char *format, ...) _printf_(1, 2);

/* The daemon's bus (-H, -M honoured). 0; negative errno after a message on stderr unless `quietly`. */
int ctl_bus_open(const CtlOptions *options, bool quietly, sd_bus **ret);
/* One call on the manager; 0, or negative errno after a message made of the bus error. -ENOENT: no such relay. -ENXIO:
 * the daemon does not run (said so). */
int ctl_bus_call(sd_bus *bus, const char *method, sd_bus_message **ret_reply, const char *types, ...);
