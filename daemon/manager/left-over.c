/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/left-over.h"

#include "core/relay.h"
#include "io/eventlog.h"
#include "manager/relay.h"

#include <syslog.h>

#define LEFT_OVER_NAMED 10

/* The names of those that are left over, of units of this template (NULL: of relays). Owned by the caller. */
static char *names_left_over(const Manager *m, const char *unit_template, size_t *ret_n)
{
    char *names = xstrdup("");

    *ret_n = 0;
    for (size_t i = 0; i < m->n_relays; i++) {
        const RelayFacts *f = &m->relays[i]->facts;
        bool left = unit_template ? f->old_unit && unit_is_instance(unit_template, f->unit)
                                  : !f->old_unit && !strv_contains(m->state->written, f->name);
        if (!left || !f->present || relay_target(m->relays[i]) || (*ret_n)++ >= LEFT_OVER_NAMED)
            continue;
        char *more = xasprintf("%s%s%s", names, *names ? ", " : "", f->name);
        free(names);
        names = more;
    }
    return names;
}

/* What an earlier installation left is kept, and named once. */
static void log_left_over(const Manager *m)
{
    size_t n = 0;
    _cleanup_(freep) char *names = names_left_over(m, NULL, &n);

    if (n > 0)
        eventlog_line(
            LOG_NOTICE,
            "%zu drop-in%s left over from an earlier installation and kept (%s%s); \"relayallocctl revert "
            "RELAY\" removes them.",
            n, n == 1 ? " is" : "s are", names, n > LEFT_OVER_NAMED ? ", …" : "");
}

/* The same of those that another `unit` left, a line for each template. */
static void log_old_units(const Manager *m)
{
    _cleanup_(strv_freep) char **told = NULL;

    for (size_t i = 0; i < m->n_relays; i++) {
        _cleanup_(freep) char *unit_template = relay_template_of(m->relays[i]->facts.unit);
        size_t n = 0;
        if (!m->relays[i]->facts.old_unit || strv_contains(told, unit_template))
            continue;
        _cleanup_(freep) char *names = names_left_over(m, unit_template, &n);
        if (n > 0)
            eventlog_line(LOG_WARNING,
                          "%zu drop-in%s left over from before `unit` was changed and kept (%s%s); "
                          "\"relayallocctl revert --unit=%s\" removes them.",
                          n, n == 1 ? " is" : "s are", names, n > LEFT_OVER_NAMED ? ", …" : "",
                          unit_template);
        strv_push(&told, TAKE_PTR(unit_template));
    }
}

void left_over_log(const Manager *m)
{
    if (!m->state->from_before)
        log_left_over(m);
    log_old_units(m);
}
