/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb targets: where Prometheus finds what tor itself says of each relay. Only reads files. */
#include "core/relay.h"
#include "ctl/lib/fleet.h"
#include "io/torrc.h"

#include <json-c/json.h>
#include <sys/utsname.h>

/* Debian's units have --defaults-torrc with these. */
#define DEFAULTS_INSTANCE "/usr/share/tor/tor-service-defaults-torrc-instances"
#define DEFAULTS_DEFAULT "/usr/share/tor/tor-service-defaults-torrc"

static char *torrc_of(const Config *config, const FleetRow *row, const char **ret_defaults)
{
    _cleanup_(freep) char *instance = row->unit ? relay_instance(config->unit, row->unit) : NULL;
    const char *name = isempty(instance) ? row->relay : instance;
    char *torrc = xasprintf("%s/%s/torrc", config->instances_dir, name);

    *ret_defaults = DEFAULTS_INSTANCE;
    if (streq(name, "default") && access(torrc, F_OK) < 0) { /* tor@default.service, which has no folder */
        free(torrc);
        torrc = xstrdup("/etc/tor/torrc");
        *ret_defaults = DEFAULTS_DEFAULT;
    }
    return torrc;
}

static void add(struct json_object *o, const char *key, const char *value)
{
    json_object_object_add(o, key, json_object_new_string(value ? value : ""));
}

/* NULL: it serves none. */
static struct json_object *target_of(const Config *config, const FleetRow *row, const char *host)
{
    const char *defaults;
    _cleanup_(freep) char *torrc = torrc_of(config, row, &defaults);
    _cleanup_(metrics_ports_clear) MetricsPorts found = { 0 };

    torrc_metrics_ports(defaults, &found);
    metrics_ports_next(&found);
    torrc_metrics_ports(torrc, &found);
    if (strv_length(found.ports) == 0)
        return NULL;
    struct json_object *o = json_object_new_object(), *labels = json_object_new_object(),
                       *targets = json_object_new_array();
    STRV_FOREACH (port, found.ports) {
        _cleanup_(freep) char *target = metrics_port_target(*port, host);
        json_object_array_add(targets, json_object_new_string(target));
    }
    add(labels, "relay", row->relay);
    add(labels, "unit", row->unit);
    add(labels, "group", row->group);
    add(labels, "allocator", row->running);
    add(labels, "host", host);
    json_object_object_add(o, "targets", targets);
    json_object_object_add(o, "labels", labels);
    return o;
}

int ctl_targets(int argc, char *argv[], const CtlOptions *options)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(config_freep) Config *config = NULL;
    _cleanup_(fleet_clear) Fleet fleet = { 0 };
    char *const *operands = NULL;
    struct utsname name;

    int status = ctl_operands(argc, argv, SIZE_MAX, &operands);
    if (status != 0)
        return status;
    if (options->host || options->machine) {
        ctl_error("targets reads the torrcs of this host; omit --host and --machine");
        return EXIT_USAGE;
    }
    status = fleet_get(options, &fleet, &bus);
    if (status == 0 && fleet_select(&fleet, operands) < 0)
        status = EXIT_NO_RELAY;
    if (status != 0)
        return status;
    config = fleet_config(options, bus, fleet.survey != NULL);
    if (!config)
        config = config_new(options->config);
    if (uname(&name) < 0)
        return EXIT_FAILED;
    struct json_object *all = json_object_new_array();
    for (size_t i = 0; i < fleet.n; i++) {
        struct json_object *target =
            fleet_row_is_old(&fleet.rows[i]) ? NULL : target_of(config, &fleet.rows[i], name.nodename);
        if (target)
            json_object_array_add(all, target);
    }
    CtlOptions pretty = *options;
    pretty.json = options->json == JSON_OFF ? JSON_PRETTY : options->json;
    return ctl_print_json(&pretty, all) < 0 ? EXIT_FAILED : EXIT_FINE;
}
