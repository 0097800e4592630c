/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb restart: chooses the relays; the daemon restarts them, paced and gated like a rollout. */
#include "ctl/control.h"
#include "ctl/lib/fleet.h"
#include "ctl/lib/follow.h"

#include <errno.h>
#include <getopt.h>

typedef struct Choice {
    const char *group; /* NULL: of any */
    bool replaced;     /* only those whose library was replaced on disk */
    char *const *patterns;
} Choice;

enum { OPTION_GROUP = 256, OPTION_REPLACED };

static int read_arguments(int argc, char *argv[], Choice *ret)
{
    static const struct option long_options[] = { { "group", required_argument, NULL, OPTION_GROUP },
                                                  { "replaced", no_argument, NULL, OPTION_REPLACED },
                                                  { 0 } };

    optind = 0;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1;)
        if (c == OPTION_GROUP)
            ret->group = optarg;
        else if (c == OPTION_REPLACED)
            ret->replaced = true;
        else
            return ctl_bad_option(c, argv);
    ret->patterns = argv + optind;
    if (!*ret->patterns && !ret->group && !ret->replaced) {
        ctl_error("restart requires relays, --group=NAME or --replaced (all relays: restart '*')");
        return EXIT_USAGE;
    }
    return 0;
}

/* Whatever was replaced a moment ago counts as well. */
static int look(sd_bus *bus, const Choice *choice, Fleet *fleet, bool *ret_group_exists)
{
    if (choice->replaced && ctl_bus_call(bus, "Verify", NULL, NULL) < 0)
        return EXIT_FAILED;
    if (fleet_from_daemon(bus, SAY_ALL, fleet) < 0)
        return EXIT_FAILED;
    for (size_t i = 0; choice->group && i < fleet->n; i++)
        *ret_group_exists = *ret_group_exists || streq(fleet->rows[i].group, choice->group);
    return fleet_select(fleet, choice->patterns) < 0 ? EXIT_NO_RELAY : 0;
}

static char **choose(const Fleet *fleet, const Choice *choice)
{
    char **relays = NULL;

    for (size_t i = 0; i < fleet->n; i++) {
        const FleetRow *row = &fleet->rows[i];
        const FleetField *replaced = fleet_field(row, "Replaced");

        if ((!choice->group || streq(row->group, choice->group)) &&
            (!choice->replaced || (replaced && replaced->number > 0)))
            strv_push(&relays, xstrdup(row->relay));
    }
    return relays;
}

static int say_none(const CtlOptions *options, const Choice *choice, bool group_exists)
{
    if (choice->group && !group_exists) {
        ctl_error("no relay is in a group named \"%s\"; \"relayallocctl groups\" shows all of them",
                  choice->group);
        return EXIT_NO_RELAY;
    }
    if (!choice->replaced) {
        ctl_error("no relay matches");
        return EXIT_NO_RELAY; /* an empty list would mean all */
    }
    if (ctl_chatty(options))
        puts("No relay runs a library that was replaced on disk.");
    return EXIT_FINE;
}

int ctl_restart(int argc, char *argv[], const CtlOptions *options)
{
    static const char *const properties[] = { "Replaced", NULL };
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(follow_freep) Follow *follow = NULL;
    _cleanup_(fleet_clear) Fleet fleet = { .properties = properties };
    Choice choice = { 0 };
    bool group_exists = false;
    uint32_t count = 0;

    if (options->now) {
        ctl_error(
            "restart takes no --now; when it waits for the window, \"relayallocctl resume --now\" does not");
        return EXIT_USAGE;
    }
    int status = read_arguments(argc, argv, &choice);
    if (status == 0 && control_open(options, &bus) < 0)
        status = EXIT_FAILED;
    if (status == 0)
        status = look(bus, &choice, &fleet, &group_exists);
    if (status != 0)
        return status;
    _cleanup_(strv_freep) char **relays = choose(&fleet, &choice);
    size_t n = strv_length(relays);
    if (n == 0)
        return say_none(options, &choice, group_exists);
    _cleanup_(freep) char *question =
        xasprintf("Restart %zu relay%s, paced like a rollout?", n, n == 1 ? "" : "s");
    if (isatty(STDIN_FILENO) && !ctl_confirm(options, question)) {
        ctl_error("nothing was changed");
        return EXIT_FAILED;
    }
    if (options->wait && follow_new(options, bus, &follow) < 0)
        return EXIT_FAILED;
    int r = control_relays(bus, "Restart", relays, &count);
    if (r < 0)
        return r == -ENOENT ? EXIT_NO_RELAY : EXIT_FAILED;
    if (ctl_chatty(options))
        printf("%u relay%s to be restarted.\n", count, count == 1 ? "" : "s");
    if (count > 0)
        control_tell_window(options, bus);
    return follow ? follow_to_end(follow) : EXIT_FINE;
}
