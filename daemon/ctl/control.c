/* SPDX-License-Identifier: BSD-3-Clause */
/* The verbs that make the daemon do something: pause, resume, abort, verify, revert, reload. The daemon
 * decides what it does and whether the caller may request it. */
#include "ctl/control.h"

#include "bus/api.h"
#include "ctl/lib/fleet.h"
#include "ctl/lib/follow.h"
#include "ctl/lib/manager.h"

#include "core/relay.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>

#define WISH_TIMEOUT (5 * USEC_PER_MINUTE)

int control_open(const CtlOptions *options, sd_bus **ret)
{
    int r = ctl_bus_open(options, false, ret);

    if (r < 0 || getenv("SYSTEMD_BUS_TIMEOUT")) /* sd-bus's own; whoever sets it knows how long */
        return r;
    return sd_bus_set_method_call_timeout(*ret, WISH_TIMEOUT);
}

/* Is there anything for which a turn will come? */
static bool has_turns(sd_bus *bus)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    const char *s;
    uint32_t wave = 0;

    int r = sd_bus_message_new_method_call(bus, &call, NULL, BUS_PATH, BUS_MANAGER_INTERFACE, "Plan");
    if (r >= 0)
        r = ctl_bus_send(bus, call, SAY_NOTHING, &reply);
    if (r >= 0)
        r = sd_bus_message_enter_container(reply, 'a', "(usssss)");
    while (r >= 0 && wave == 0 && (r = sd_bus_message_read(reply, "(usssss)", &wave, &s, &s, &s, &s, &s)) > 0)
        ;
    return wave > 0;
}

void control_tell_window(const CtlOptions *options, sd_bus *bus)
{
    _cleanup_(manager_status_clear) ManagerStatus m = { 0 };

    if (!ctl_chatty(options) || options->now || manager_status_get(bus, SAY_NOTHING, &m) < 0)
        return;
    _cleanup_(freep) char *words = manager_window_words(&m);
    if (!words || m.paused || !has_turns(bus))
        return;
    _cleanup_(freep) char *text =
        xasprintf("Relays are %s; \"relayallocctl resume --now\" does not wait.", words);
    ctl_write_wrapped(stdout, text, ctl_terminal_width(), 0, 0);
}

/* The connection and the call of a method without arguments; says `done` when it succeeded. */
static int simple_call(int argc, char *argv[], const CtlOptions *options, const char *method,
                       const char *done, bool may_wait)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    char *const *none = NULL;

    int status = ctl_operands(argc, argv, 0, &none);
    if (status != 0)
        return status;
    if (control_open(options, &bus) < 0 || ctl_bus_call(bus, method, NULL, NULL) < 0)
        return EXIT_FAILED;
    if (ctl_chatty(options))
        puts(done);
    if (may_wait)
        control_tell_window(options, bus);
    return EXIT_FINE;
}

int ctl_pause(int argc, char *argv[], const CtlOptions *options)
{
    return simple_call(argc, argv, options, "Pause",
                       "Paused: relays in progress are finished, no others are restarted.", false);
}

int ctl_abort(int argc, char *argv[], const CtlOptions *options)
{
    return simple_call(argc, argv, options, "Abort",
                       "Aborted: relays in progress are finished, the others stay as they are.", false);
}

/* ---- verify ---- */

enum { VERIFY_RELAY, VERIFY_STATE, VERIFY_REASON };
static const Column verify_columns[] = {
    [VERIFY_RELAY] = { "RELAY", COLUMN_TEXT, "name of the relay" },
    [VERIFY_STATE] = { "STATE", COLUMN_TEXT,
                       "ok, pending, restarting, settling, failed, drifted, down, stopped, observed, "
                       "reverted" },
    [VERIFY_REASON] = { "REASON", COLUMN_PROSE, "why it is not as assigned" },
};

int ctl_verify(int argc, char *argv[], const CtlOptions *options)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    _cleanup_(ctl_table_freep) CtlTable *table = NULL;
    const char *relay, *state, *reason;
    char *const *none = NULL;
    size_t differ = 0, settling = 0;

    int status = ctl_operands(argc, argv, 0, &none);
    if (status != 0)
        return status;
    if (ctl_columns_help(options, verify_columns, ELEMENTSOF(verify_columns)))
        return EXIT_FINE;
    if (ctl_table_new(options, verify_columns, ELEMENTSOF(verify_columns), ELEMENTSOF(verify_columns),
                      &table) < 0)
        return EXIT_USAGE;
    if (ctl_bus_open(options, false, &bus) < 0 || ctl_bus_call(bus, "Verify", &reply, NULL) < 0)
        return EXIT_FAILED;
    int r = sd_bus_message_enter_container(reply, 'a', "(sss)");
    while (r >= 0 && (r = sd_bus_message_read(reply, "(sss)", &relay, &state, &reason)) > 0) {
        ctl_table_row(table);
        ctl_table_text(table, VERIFY_RELAY, relay);
        ctl_table_text(table, VERIFY_STATE, state);
        ctl_table_color(table, VERIFY_STATE, state_color(state));
        ctl_table_text(table, VERIFY_REASON, reason);
        differ += !state_is_fine(state) || (streq(state, "settling") && !isempty(reason));
        settling += streq(state, "settling");
    }
    if (r < 0) {
        ctl_bus_unreadable("Verify", r);
        return EXIT_FAILED;
    }
    size_t n = ctl_table_rows(table);
    _cleanup_(freep) char *more = settling > 0 ? xasprintf("; %zu still settling", settling) : xstrdup("");
    _cleanup_(freep) char *legend =
        differ > 0 ? xasprintf("%zu of %zu relays are not as assigned%s.", differ, n, more)
                   : xasprintf("%zu relay%s verified, all as assigned%s.", n, n == 1 ? "" : "s", more);
    if (ctl_table_print_legend(table, legend) < 0)
        return EXIT_FAILED;
    return differ > 0 ? EXIT_DIFFERS : EXIT_FINE;
}

/* ---- revert ---- */

bool ctl_ask(const CtlOptions *options, const char *question, bool usual)
{
    _cleanup_(freep) char *line = NULL;
    size_t size = 0;

    if (options->yes)
        return true;
    fprintf(stderr, "%s [%s] ", question, usual ? "Y/n" : "y/N");
    fflush(stderr);
    ssize_t n = getline(&line, &size, stdin);
    if (n <= 0)
        fputc('\n', stderr);
    if (n > 0 && *line == '\n')
        return usual;
    return n > 0 && (*line == 'y' || *line == 'Y');
}

bool ctl_confirm(const CtlOptions *options, const char *question)
{
    return ctl_ask(options, question, false);
}

int control_relays(sd_bus *bus, const char *method, char *const *relays, uint32_t *ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;

    int r = sd_bus_message_new_method_call(bus, &call, NULL, BUS_PATH, BUS_MANAGER_INTERFACE, method);
    if (r >= 0)
        r = sd_bus_message_append_strv(call, (char **)relays);
    if (r < 0) {
        ctl_error("cannot call %s: %s", method, strerror(-r));
        return r;
    }
    r = ctl_bus_send(bus, call, SAY_ALL, &reply);
    if (r >= 0 && sd_bus_message_read(reply, "u", ret) < 0)
        *ret = 0;
    return r;
}

static int resume_relays(char *const *patterns, const CtlOptions *options)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(strv_freep) char **relays = NULL;
    _cleanup_(fleet_clear) Fleet fleet = { 0 };
    uint32_t count = 0;

    if (options->now) {
        ctl_error("resume takes no --now with relays; when they wait for the window, \"relayallocctl resume "
                  "--now\" does not");
        return EXIT_USAGE;
    }
    if (control_open(options, &bus) < 0 || fleet_from_daemon(bus, SAY_ALL, &fleet) < 0)
        return EXIT_FAILED;
    if (fleet_select(&fleet, patterns) < 0)
        return EXIT_NO_RELAY;
    if (fleet.n == 0) {
        ctl_error("no relay matches");
        return EXIT_NO_RELAY;
    }
    for (size_t i = 0; i < fleet.n; i++)
        strv_push(&relays, xstrdup(fleet.rows[i].relay));
    int r = control_relays(bus, "ResumeRelays", relays, &count);
    if (r < 0)
        return r == -ENOENT ? EXIT_NO_RELAY : EXIT_FAILED;
    if (ctl_chatty(options))
        printf("%u relay%s to be moved to what the file assigns.\n", count, count == 1 ? "" : "s");
    control_tell_window(options, bus);
    return EXIT_FINE;
}

int ctl_resume(int argc, char *argv[], const CtlOptions *options)
{
    char *const *patterns = NULL;

    int status = ctl_operands(argc, argv, SIZE_MAX, &patterns);
    if (status == 0 && *patterns)
        return resume_relays(patterns, options);
    return simple_call(argc, argv, options, options->now ? "ResumeNow" : "Resume",
                       options->now ? "Resumed: the rollout continues, and does not wait for its window."
                                    : "Resumed: the rollout continues.",
                       true);
}

typedef struct RevertChoice {
    char *unit_template; /* NULL: of any */
    char *const *patterns;
} RevertChoice;

static void revert_choice_clear(RevertChoice *choice)
{
    free(choice->unit_template);
}

static int revert_arguments(int argc, char *argv[], RevertChoice *ret)
{
    static const struct option long_options[] = { { "unit", required_argument, NULL, 'u' }, { 0 } };

    optind = 0;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1;) {
        if (c != 'u')
            return ctl_bad_option(c, argv);
        free(ret->unit_template);
        ret->unit_template = relay_template_of(optarg);
        /* "tor@relay1.service" means one relay, and would be taken for all of them. */
        const char *at = strchr(optarg, '@');
        if (!at || (at[1] && !streq(at, "@.service")) || !template_valid(ret->unit_template)) {
            ctl_error("--unit=%s: must be the name of a service template such as \"tor@.service\"", optarg);
            return EXIT_USAGE;
        }
    }
    ret->patterns = argv + optind;
    return 0;
}

/* A FleetWant. */
static bool is_of_template(const FleetRow *row, void *userdata)
{
    return row->unit && unit_is_instance(userdata, row->unit);
}

/* Whom to revert. Nobody is an error: an empty list would mean all. */
static int revert_choose(const RevertChoice *choice, Fleet *fleet)
{
    if (fleet_select(fleet, choice->patterns) < 0)
        return EXIT_NO_RELAY;
    if (choice->unit_template)
        fleet_keep(fleet, is_of_template, choice->unit_template);
    if (fleet->n > 0 || (!*choice->patterns && !choice->unit_template))
        return 0;
    if (choice->unit_template)
        ctl_error("no unit of %s is a relay or has a drop-in of ours", choice->unit_template);
    else
        ctl_error("no relay matches");
    return EXIT_NO_RELAY;
}

int ctl_revert(int argc, char *argv[], const CtlOptions *options)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(follow_freep) Follow *follow = NULL;
    _cleanup_(strv_freep) char **relays = NULL;
    _cleanup_(fleet_clear) Fleet fleet = { 0 };
    _cleanup_(freep) char *question = NULL;
    _cleanup_(revert_choice_clear) RevertChoice choice = { .patterns = argv + argc };
    uint32_t count = 0;

    int status = revert_arguments(argc, argv, &choice);
    if (status != 0)
        return status;
    if (control_open(options, &bus) < 0)
        return EXIT_FAILED;
    if (fleet_from_daemon(bus, SAY_ALL, &fleet) < 0)
        return EXIT_FAILED;
    status = revert_choose(&choice, &fleet);
    if (status != 0)
        return status;
    const bool some = *choice.patterns || choice.unit_template;
    for (size_t i = 0; some && i < fleet.n; i++)
        strv_push(&relays, xstrdup(fleet.rows[i].relay));
    question = some ? xasprintf("Remove our drop-in%s from %zu relay%s and restart %s, paced like a rollout?",
                                fleet.n == 1 ? "" : "s", fleet.n, fleet.n == 1 ? "" : "s",
                                fleet.n == 1 ? "it" : "them")
                    : xstrdup("Remove our drop-ins from all relays and restart them, paced like a rollout?");
    if (isatty(STDIN_FILENO) && !ctl_confirm(options, question)) {
        ctl_error("nothing was changed");
        return EXIT_FAILED;
    }
    if (options->wait && follow_new(options, bus, &follow) < 0)
        return EXIT_FAILED;
    int r = control_relays(bus, options->now ? "RevertNow" : "Revert", relays, &count);
    if (r < 0)
        return r == -ENOENT ? EXIT_NO_RELAY : EXIT_FAILED;
    if (ctl_chatty(options))
        printf("%u relay%s to be put back.\n", count, count == 1 ? "" : "s");
    if (count > 0)
        control_tell_window(options, bus);
    return follow ? follow_to_end(follow) : EXIT_FINE;
}

/* ---- reload ---- */

/* Relays in progress are finished under the file before it. */
static void tell_in_force(sd_bus *bus)
{
    _cleanup_(manager_status_clear) ManagerStatus m = { 0 };

    if (manager_status_get(bus, SAY_NOTHING, &m) >= 0 && m.config_waits)
        printf("The configuration was read; it is in force when rollout %" PRIu64 " has ended.\n", m.id);
    else
        puts("The configuration is in force.");
}

int ctl_reload(int argc, char *argv[], const CtlOptions *options)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(follow_freep) Follow *follow = NULL;
    char *const *none = NULL;

    int status = ctl_operands(argc, argv, 0, &none);
    if (status != 0)
        return status;
    if (control_open(options, &bus) < 0)
        return EXIT_FAILED;
    if (options->wait && follow_new(options, bus, &follow) < 0)
        return EXIT_FAILED;
    int r = ctl_bus_call(bus, options->now ? "ReloadNow" : "Reload", NULL, NULL);
    if (r < 0)
        return r == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
    if (follow)
        return follow_to_end(follow);
    if (ctl_chatty(options))
        tell_in_force(bus);
    control_tell_window(options, bus);
    return EXIT_FINE;
}
