/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb status over several hosts: a line for each. Changes nothing. */
#include "ctl/status.h"

#include "ctl/lib/hosts.h"
#include "ctl/lib/manager.h"

#include <json-c/json.h>

enum {
    STATUS_HOST,
    STATUS_VERSION,
    STATUS_CONFIG,
    STATUS_RELAYS,
    STATUS_OK,
    STATUS_PENDING,
    STATUS_FAILED,
    STATUS_DRIFTED,
    STATUS_DOWN,
    STATUS_ROLLOUT,
    STATUS_REASON
};
static const Column columns[] = {
    [STATUS_HOST] = { "HOST", COLUMN_TEXT, "the host, as -H names it" },
    [STATUS_VERSION] = { "VERSION", COLUMN_TEXT, "version of its daemon" },
    [STATUS_CONFIG] = { "CONFIG", COLUMN_TEXT,
                        "its configuration on disk: in force, refused, or changed and not read yet "
                        "(unread), or in force when the rollout in progress has ended (waits)" },
    [STATUS_RELAYS] = { "RELAYS", COLUMN_NUMBER, "its relays" },
    [STATUS_OK] = { "OK", COLUMN_NUMBER, "of them, running what they are assigned" },
    [STATUS_PENDING] = { "PENDING", COLUMN_NUMBER, "of them, waiting for their turn" },
    [STATUS_FAILED] = { "FAILED", COLUMN_NUMBER, "of them, could not be moved" },
    [STATUS_DRIFTED] = { "DRIFTED", COLUMN_NUMBER, "of them, not as assigned any more" },
    [STATUS_DOWN] = { "DOWN", COLUMN_NUMBER, "of them, should be up and are not" },
    [STATUS_ROLLOUT] = { "ROLLOUT", COLUMN_TEXT,
                         "idle, running, waiting, paused, ending, halted or aborted" },
    [STATUS_REASON] = { "REASON", COLUMN_PROSE, "why it is halted or aborted" },
};

static bool is_fine(const ManagerStatus *m)
{
    return m->pending + m->failed_relays + m->drifted + m->down == 0;
}

static void add_count(CtlTable *table, size_t column, uint32_t value, const char *sgr)
{
    ctl_table_number(table, column, value);
    if (value > 0)
        ctl_table_color(table, column, sgr);
}

static void add_row(CtlTable *table, const char *host, const ManagerStatus *m)
{
    const char *config = !isempty(m->config_error) ? "refused"
                         : m->config_changed       ? "unread"
                         : m->config_waits         ? "waits"
                                                   : "in force";

    ctl_table_row(table);
    ctl_table_text(table, STATUS_HOST, host);
    ctl_table_text(table, STATUS_VERSION, m->version);
    ctl_table_text(table, STATUS_CONFIG, config);
    if (!streq(config, "in force"))
        ctl_table_color(table, STATUS_CONFIG, "31");
    ctl_table_number(table, STATUS_RELAYS, m->relays);
    ctl_table_number(table, STATUS_OK, m->ok);
    add_count(table, STATUS_PENDING, m->pending, "33");
    add_count(table, STATUS_FAILED, m->failed_relays, "1;31");
    add_count(table, STATUS_DRIFTED, m->drifted, "31");
    add_count(table, STATUS_DOWN, m->down, "1;31");
    ctl_table_text(table, STATUS_ROLLOUT, m->rollout);
    if (streq_null(m->rollout, "halted") || streq_null(m->rollout, "aborted"))
        ctl_table_color(table, STATUS_ROLLOUT, "1;31");
    ctl_table_text(table, STATUS_REASON, m->reason);
}

/* Into the table, or in full into `list` when there is one. */
static bool add_answer(CtlTable *table, struct json_object *list, const HostAnswer *a, bool *fine)
{
    _cleanup_(manager_status_clear) ManagerStatus m = { 0 };
    int r = manager_status_read(a->reply, &m);

    if (r < 0) {
        ctl_error("%s: its answer cannot be read (%s); do the versions of both programs differ?", a->host,
                  strerror(-r));
        return false;
    }
    *fine = *fine && is_fine(&m);
    if (list) {
        struct json_object *o = manager_status_json(&m);
        json_object_object_add(o, "host", ctl_json_text(hosts_label(a->host)));
        json_object_array_add(list, o);
    } else
        add_row(table, hosts_label(a->host), &m);
    return true;
}

static int make_call(sd_bus *bus, const void *userdata, sd_bus_message **ret)
{
    (void)userdata;
    return manager_status_call(bus, ret);
}

int status_hosts(const CtlOptions *options)
{
    static const size_t droppable[] = { STATUS_VERSION, STATUS_CONFIG, STATUS_PENDING };
    _cleanup_(host_answers_clear) HostAnswers answers = { 0 };
    _cleanup_(ctl_table_freep) CtlTable *table = NULL;
    bool fine = true;

    if (ctl_columns_help(options, columns, ELEMENTSOF(columns)))
        return EXIT_FINE;
    if (ctl_table_new(options, columns, ELEMENTSOF(columns), ELEMENTSOF(columns), &table) < 0)
        return EXIT_USAGE;
    if (hosts_ask(options, make_call, NULL, &answers) < 0)
        return EXIT_FAILED;
    struct json_object *list =
        options->json != JSON_OFF && !options->columns ? json_object_new_array() : NULL;
    bool complete = answers.complete;
    for (size_t i = 0; i < answers.n; i++)
        if (answers.items[i].reply)
            complete = add_answer(table, list, &answers.items[i], &fine) && complete;
    ctl_table_droppable(table, droppable, ELEMENTSOF(droppable));
    int r = list ? ctl_print_json(options, list) : ctl_table_print(table);
    return r < 0 || !complete ? EXIT_FAILED : fine ? EXIT_FINE : EXIT_DIFFERS;
}
