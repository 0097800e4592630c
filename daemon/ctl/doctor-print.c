/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/doctor-print.h"

#include <json-c/json.h>

/* "relay1, relay2, relay3 and 37 more" */
static char *some_relays(char *const *relays)
{
    const size_t shown = 3;
    size_t n = strv_length(relays), size = 0;
    char *text = NULL;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        abort();
    for (size_t i = 0; i < n && (i < shown || n == shown + 1); i++)
        fprintf(f, "%s%s", i == 0 ? "" : i == n - 1 ? " and " : ", ", relays[i]);
    if (n > shown + 1)
        fprintf(f, " and %zu more", n - shown);
    fclose(f);
    return text;
}

static int print_text(const CtlOptions *options, const Findings *findings)
{
    size_t terminal = ctl_terminal_width(), width = terminal >= 40 && terminal < 104 ? terminal : 104,
           size = 0;
    _cleanup_(freep) char *text = NULL;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        abort();
    for (size_t i = 0; i < findings->n; i++) {
        const Finding *finding = &findings->items[i];
        const char *color = finding->severity == SEVERITY_WARNING ? "1;33" : "1";
        _cleanup_(freep) char *severity = xasprintf("%s:", severity_to_string(finding->severity));
        _cleanup_(freep) char *painted = ctl_paint(options, color, severity);
        _cleanup_(freep) char *relays = finding->relays ? some_relays(finding->relays) : NULL;
        _cleanup_(freep) char *what =
            relays ? xasprintf("%s (%s)", finding->what, relays) : xstrdup(finding->what);
        _cleanup_(freep) char *clean =
            printable(what, SIZE_MAX); /* not all files that it speaks of are root's */
        fprintf(f, "%s%s", i > 0 ? "\n" : "", painted);
        /* one line for those who filter */
        ctl_write_wrapped(f, clean, terminal > 0 ? width : 0, 4, strlen(severity));
        ctl_write_wrapped(f, finding->why, width, 4, 0);
        ctl_write_wrapped(f, finding->advice, width, 4, 0);
    }
    fclose(f);
    return findings->n > 0 ? ctl_print(options, text) : 0;
}

static int print_json(const CtlOptions *options, const Findings *findings)
{
    struct json_object *array = json_object_new_array();

    for (size_t i = 0; i < findings->n; i++) {
        const Finding *finding = &findings->items[i];
        struct json_object *object = json_object_new_object(), *relays = json_object_new_array();
        STRV_FOREACH (relay, finding->relays)
            json_object_array_add(relays, ctl_json_text(*relay));
        json_object_object_add(object, "severity", ctl_json_text(severity_to_string(finding->severity)));
        json_object_object_add(object, "finding", ctl_json_text(finding->id));
        json_object_object_add(object, "what", ctl_json_text(finding->what));
        json_object_object_add(object, "why", ctl_json_text(finding->why));
        json_object_object_add(object, "advice", ctl_json_text(finding->advice));
        json_object_object_add(object, "relays", relays);
        json_object_array_add(array, object);
    }
    return ctl_print_json(options, array);
}

int doctor_print(const CtlOptions *options, const Findings *findings)
{
    return options->json != JSON_OFF ? print_json(options, findings) : print_text(options, findings);
}
