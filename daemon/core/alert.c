/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/alert.h"

#include "core/relay.h"

#include <assert.h>

#define PREFIX "relayalloc-alert@"
#define SUFFIX ".service"

/* Each is one word without "-". */
static const char *const kind_names[_ALERT_MAX] = {
    [ALERT_HALTED] = "halted", [ALERT_DOWN] = "down",   [ALERT_LOST] = "lost",
    [ALERT_FULL] = "full",     [ALERT_LARGE] = "large",
};

/* Stays as it is in systemd-escape(1)? "-" does not, since it stands for "/". A dot does not where an escaped
 * text begins, and here the event's name does. */
static bool stays(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':' ||
           c == '_' || c == '.';
}

char *alert_unit(AlertKind kind, const char *relay)
{
    char unit[UNIT_NAME_LONGEST + 1];
    const size_t room = sizeof(unit) - strlen(SUFFIX);
    assert(kind < _ALERT_MAX);
    size_t n = (size_t)snprintf(unit, sizeof(unit), PREFIX "%s-", kind_names[kind]);

    for (const char *p = relay; *p; p++) {
        char piece[sizeof("\\x00")] = { *p == '/' ? '-' : *p };
        if (*p != '/' && !stays(*p))
            snprintf(piece, sizeof(piece), "\\x%02x", (unsigned char)*p);
        if (n + strlen(piece) >= room)
            break;
        n = (size_t)(stpcpy(unit + n, piece) - unit);
    }
    return xasprintf("%.*s" SUFFIX, (int)n, unit);
}

void alerts_clear(Alerts *alerts)
{
    for (size_t i = 0; i < alerts->n; i++)
        free(alerts->past[i].unit);
    free(alerts->past);
    *alerts = (Alerts){ 0 };
}

static void forget(Alerts *alerts, size_t i)
{
    free(alerts->past[i].unit);
    alerts->past[i] = alerts->past[--alerts->n];
}

void alerts_forget(Alerts *alerts, const char *unit)
{
    for (size_t i = alerts->n; i-- > 0;)
        if (streq(alerts->past[i].unit, unit))
            forget(alerts, i);
}

static usec_t pause_of(AlertKind kind)
{
    return kind == ALERT_HALTED ? ALERT_HALTED_PAUSE : ALERT_PAUSE;
}

AlertTurn alerts_add(Alerts *alerts, AlertKind kind, const char *unit, usec_t now)
{
    for (size_t i = alerts->n; i-- > 0;)
        if (now - alerts->past[i].at >= pause_of(alerts->past[i].kind))
            forget(alerts, i);
    for (size_t i = 0; i < alerts->n; i++)
        if (streq(alerts->past[i].unit, unit))
            return ALERT_TOO_SOON;
    const bool many = alerts->n >= ALERTS_AN_HOUR, told = alerts->told_many;
    alerts->told_many = many;
    if (many && kind != ALERT_HALTED)
        return told ? ALERT_STILL_MANY : ALERT_TOO_MANY;
    GROW(alerts->past, alerts->capacity, alerts->n);
    alerts->past[alerts->n++] = (AlertPast){ .unit = xstrdup(unit), .kind = kind, .at = now };
    return ALERT_START;
}
