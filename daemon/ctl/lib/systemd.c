/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/systemd.h"

#include <errno.h>

#define SYSTEMD "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"

void unit_list_clear(UnitList *units)
{
    for (size_t i = 0; i < units->n; i++) {
        UnitFacts *u = &units->items[i];
        free(u->unit);
        free(u->fragment);
        strv_free(u->environment);
        strv_free(u->dropins);
        strv_free(u->environment_files);
    }
    free(units->items);
    *units = (UnitList){ 0 };
}

static int get_environment_files(sd_bus *bus, const char *path, char ***ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    _cleanup_(strv_freep) char **files = NULL;
    const char *file = NULL;
    int optional = 0;

    int r = sd_bus_get_property(bus, SYSTEMD, path, SYSTEMD ".Service", "EnvironmentFiles", NULL, &reply,
                                "a(sb)");
    if (r >= 0)
        r = sd_bus_message_enter_container(reply, 'a', "(sb)");
    while (r >= 0 && (r = sd_bus_message_read(reply, "(sb)", &file, &optional)) > 0)
        strv_push(&files, xstrdup(file));
    if (r < 0)
        return r;
    *ret = TAKE_PTR(files);
    return 0;
}

static int unit_facts(sd_bus *bus, const char *path, UnitFacts *u)
{
    int r =
        sd_bus_get_property_trivial(bus, SYSTEMD, path, SYSTEMD ".Service", "MainPID", NULL, 'u', &u->pid);

    if (r >= 0)
        r = sd_bus_get_property_strv(bus, SYSTEMD, path, SYSTEMD ".Service", "Environment", NULL,
                                     &u->environment);
    if (r >= 0)
        r = sd_bus_get_property_string(bus, SYSTEMD, path, SYSTEMD ".Unit", "FragmentPath", NULL,
                                       &u->fragment);
    if (r >= 0)
        r = sd_bus_get_property_strv(bus, SYSTEMD, path, SYSTEMD ".Unit", "DropInPaths", NULL, &u->dropins);
    if (r >= 0)
        r = get_environment_files(bus, path, &u->environment_files);
    return r;
}

static UnitFacts *add_unit(UnitList *units, const char *unit)
{
    for (size_t i = 0; i < units->n; i++)
        if (streq(units->items[i].unit, unit))
            return &units->items[i];
    GROW(units->items, units->capacity, units->n);
    UnitFacts *u = &units->items[units->n++];
    *u = (UnitFacts){ .unit = xstrdup(unit) };
    return u;
}

static int list_loaded(sd_bus *bus, const char *pattern, UnitList *units)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    const char *unit, *loaded, *active, *path;

    int r = sd_bus_call_method(bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD ".Manager", "ListUnitsByPatterns", NULL,
                               &reply, "asas", 0, 1, pattern);
    if (r >= 0)
        r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
    while (r >= 0 && (r = sd_bus_message_read(reply, "(ssssssouso)", &unit, NULL, &loaded, &active, NULL,
                                              NULL, &path, NULL, NULL, NULL)) > 0) {
        if (streq(loaded, "not-found"))
            continue;
        UnitFacts *u = add_unit(units, unit);
        u->up = streq(active, "active") || streq(active, "reloading");
        r = unit_facts(bus, path, u);
    }
    return r;
}

/* Those with a unit file of their own (tor@default.service) are there when they are not loaded, too. */
static int list_files(sd_bus *bus, const char *pattern, UnitList *units)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    const char *path;

    int r = sd_bus_call_method(bus, SYSTEMD, SYSTEMD_PATH, SYSTEMD ".Manager", "ListUnitFilesByPatterns",
                               NULL, &reply, "asas", 0, 1, pattern);
    if (r >= 0)
        r = sd_bus_message_enter_container(reply, 'a', "(ss)");
    while (r >= 0 && (r = sd_bus_message_read(reply, "(ss)", &path, NULL)) > 0)
        add_unit(units, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
    return r;
}

int systemd_units(sd_bus *bus, const char *pattern, UnitList *ret)
{
    _cleanup_(unit_list_clear) UnitList units = { 0 };

    int r = list_loaded(bus, pattern, &units);
    if (r >= 0)
        r = list_files(bus, pattern, &units);
    if (r < 0)
        return r;
    *ret = units;
    units = (UnitList){ 0 };
    return 0;
}
