/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands in for relayallocd on a private bus, for what is hard to provoke on real relays: every state,
 * hundreds of them, rollouts that halt, errors. Tells what its script says, read again for every call, and
 * judges nothing.
 *
 * mock SCRIPT: lines, their fields separated by tabs:
 *   property NAME TYPE VALUE                       of the manager; "\n" in a value stands for a newline
 *   relay NAME GROUP ASSIGNED RUNNING VERSION STATE RSS PEAK SINCE REASON
 *   plan WAVE RELAY ACTION GROUP ALLOCATOR REASON
 *   error METHOD NAME TEXT                         what METHOD answers
 *   garble METHOD                                  METHOD answers with other types than it should
 *   field RELAY NAME TYPE VALUE                    one more in the dictionary of the relay, of any basic type
 *   untold NAME                                    what the dictionaries of the relays do not have
 * Calls that change something are noted in SCRIPT.calls. SCRIPT.after-METHOD becomes the script after such a
 * call. SIGUSR1: signals that the properties have changed. */
#include "bus/api.h"
#include "core/util.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#define FIELDS_MAX 12

typedef struct Line {
    char *text;
    char *fields[FIELDS_MAX];
} Line;

typedef struct Script {
    const char *path;
    Line *lines;
    size_t n, capacity;
} Script;

static void script_clear(Script *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->lines[i].text);
    free(s->lines);
    s->lines = NULL;
    s->n = s->capacity = 0;
}

static void script_read(Script *s)
{
    _cleanup_(fclosep) FILE *f = fopen(s->path, "re");
    char *line = NULL;
    size_t size = 0;

    script_clear(s);
    while (f && getline(&line, &size, f) > 0) {
        GROW(s->lines, s->capacity, s->n);
        Line *l = &s->lines[s->n++];
        *l = (Line){ .text = xstrdup(line) };
        l->text[strcspn(l->text, "\n")] = '\0';
        char *rest = l->text;
        for (size_t i = 0; i < FIELDS_MAX; i++) {
            l->fields[i] = strsep(&rest, "\t");
            if (!l->fields[i])
                l->fields[i] = (char *)"";
        }
    }
    free(line);
}

static uint64_t number(const char *s)
{
    uint64_t v = 0;

    return parse_u64(s, &v) == 0 ? v : 0;
}

static char *relay_path(const char *name)
{
    char *path = NULL;

    return sd_bus_path_encode(BUS_RELAY_PREFIX, name, &path) < 0 ? NULL : path;
}

static int append_plan(const Script *s, sd_bus_message *reply)
{
    int r = sd_bus_message_open_container(reply, 'a', "(usssss)");

    for (size_t i = 0; r >= 0 && i < s->n; i++) {
        char *const *f = s->lines[i].fields;
        if (streq(f[0], "plan"))
            r = sd_bus_message_append(reply, "(usssss)", (uint32_t)number(f[1]), f[2], f[3], f[4], f[5],
                                      f[6]);
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_verdicts(const Script *s, sd_bus_message *reply)
{
    int r = sd_bus_message_open_container(reply, 'a', "(sss)");

    for (size_t i = 0; r >= 0 && i < s->n; i++) {
        char *const *f = s->lines[i].fields;
        if (streq(f[0], "relay"))
            r = sd_bus_message_append(reply, "(sss)", f[1], f[6], f[10]);
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_property(sd_bus_message *reply, const char *name, const char *type, const char *value)
{
    if (*type == 'u')
        return sd_bus_message_append(reply, "{sv}", name, "u", (uint32_t)number(value));
    if (*type == 'b')
        return sd_bus_message_append(reply, "{sv}", name, "b", (int)number(value));
    if (*type == 't')
        return sd_bus_message_append(reply, "{sv}", name, "t", number(value));
    if (*type == 'a')
        return sd_bus_message_append(reply, "{sv}", name, "as", *value ? 1 : 0, value);
    _cleanup_(freep) char *text = xstrdup(value);
    for (char *p; (p = strstr(text, "\\n"));) {
        *p = '\n';
        memmove(p + 1, p + 2, strlen(p + 2) + 1);
    }
    return sd_bus_message_append(reply, "{sv}", name, "s", text);
}

static int append_manager(const Script *s, sd_bus_message *reply)
{
    int r = sd_bus_message_open_container(reply, 'a', "{sv}");

    for (size_t i = 0; r >= 0 && i < s->n; i++) {
        char *const *f = s->lines[i].fields;
        if (streq(f[0], "property"))
            r = append_property(reply, f[1], f[2], f[3]);
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static bool told(const Script *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (streq(s->lines[i].fields[0], "untold") && streq(s->lines[i].fields[1], name))
            return false;
    return true;
}

static int append_fields(const Script *s, const char *relay, sd_bus_message *reply)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < s->n; i++) {
        char *const *f = s->lines[i].fields;
        if (!streq(f[0], "field") || !streq(f[1], relay))
            continue;
        if (streq(f[3], "a{sas}")) /* something that no version knows */
            r = sd_bus_message_append(reply, "{sv}", f[2], f[3], 1, "key", 2, f[4], f[4]);
        else
            r = append_property(reply, f[2], f[3], f[4]);
    }
    return r;
}

static int append_relay(const Script *s, const Line *l, sd_bus_message *reply)
{
    char *const *f = l->fields;
    _cleanup_(freep) char *unit = xasprintf("tor@%s.service", f[1]);
    _cleanup_(freep) char *dropin = xasprintf("/etc/systemd/system/%s.d/zz-relayalloc.conf", unit);

    int r = sd_bus_message_open_container(reply, 'a', "{sv}");
    const char *texts[][2] = {
        { "Name", f[1] },     { "Unit", unit },    { "Group", f[2] },
        { "Assigned", f[3] }, { "Running", f[4] }, { "Version", f[5] },
        { "State", f[6] },    { "Reason", f[10] }, { "DropIn", streq(f[6], "observed") ? "" : dropin },
        { "Library", "" }
    };
    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(texts); i++)
        if (told(s, texts[i][0]))
            r = sd_bus_message_append(reply, "{sv}", texts[i][0], "s", texts[i][1]);
    const char *numbers[][2] = { { "RSS", f[7] }, { "Peak", f[8] }, { "Since", f[9] }, { "Sampled", f[9] } };
    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(numbers); i++)
        if (told(s, numbers[i][0]))
            r = sd_bus_message_append(reply, "{sv}", numbers[i][0], "t", number(numbers[i][1]));
    if (r >= 0)
        r = sd_bus_message_append(reply, "{sv}", "MainPID", "u", (uint32_t)(number(f[9]) > 0 ? 4242 : 0));
    if (r >= 0)
        r = sd_bus_message_append(reply, "{sv}", "DropIns", "as", 1, dropin);
    if (r >= 0)
        r = sd_bus_message_append(reply, "{sv}", "Notes", "as", streq(f[1], "drifter"),
                                  "its LD_PRELOAD names x.so, which it has not loaded");
    if (r >= 0)
        r = append_fields(s, f[1], reply);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_relays(const Script *s, sd_bus_message *reply)
{
    int r = sd_bus_message_open_container(reply, 'a', "(oa{sv})");

    for (size_t i = 0; r >= 0 && i < s->n; i++) {
        if (!streq(s->lines[i].fields[0], "relay"))
            continue;
        _cleanup_(freep) char *path = relay_path(s->lines[i].fields[1]);
        r = sd_bus_message_open_container(reply, 'r', "oa{sv}");
        if (r >= 0)
            r = sd_bus_message_append(reply, "o", path);
        if (r >= 0)
            r = append_relay(s, &s->lines[i], reply);
        if (r >= 0)
            r = sd_bus_message_close_container(reply);
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_properties(const Script *s, const char *path, sd_bus_message *reply)
{
    if (streq(path, BUS_PATH))
        return append_manager(s, reply);
    for (size_t i = 0; i < s->n; i++) {
        _cleanup_(freep) char *own =
            streq(s->lines[i].fields[0], "relay") ? relay_path(s->lines[i].fields[1]) : NULL;
        if (own && streq(own, path))
            return append_relay(s, &s->lines[i], reply);
    }
    return -ENOENT;
}

/* Notes the call, with the names that it has, and continues with the next script. */
static int note(Script *s, sd_bus_message *m, const char *method, uint32_t *ret_names)
{
    _cleanup_(freep) char *calls = xasprintf("%s.calls", s->path),
                          *next = xasprintf("%s.after-%s", s->path, method);
    _cleanup_(fclosep) FILE *f = fopen(calls, "ae");
    const char *name = NULL;

    *ret_names = 0;
    if (!f)
        return -errno;
    fputs(method, f);
    if (sd_bus_message_enter_container(m, 'a', "s") > 0)
        for (; sd_bus_message_read(m, "s", &name) > 0; (*ret_names)++)
            fprintf(f, " %s", name);
    fputc('\n', f);
    rename(next, s->path); /* there need not be one */
    return 0;
}

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Script *s = userdata;
    const char *method = sd_bus_message_get_member(m);
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    uint32_t names = 0;

    script_read(s);
    for (size_t i = 0; i < s->n; i++)
        if (streq(s->lines[i].fields[0], "error") && streq(s->lines[i].fields[1], method)) {
            _cleanup_(freep) char *text = xstrdup(s->lines[i].fields[3]);
            for (char *p; (p = strstr(text, "\\n"));) {
                *p = '\n';
                memmove(p + 1, p + 2, strlen(p + 2) + 1);
            }
            return sd_bus_error_set(error, s->lines[i].fields[2], text);
        }
    int r = sd_bus_message_new_method_return(m, &reply);
    if (r < 0)
        return r;
    for (size_t i = 0; i < s->n; i++)
        if (streq(s->lines[i].fields[0], "garble") && streq(s->lines[i].fields[1], method))
            return sd_bus_message_append(reply, "a(is)", 1, 42, "garbage") < 0
                       ? -EINVAL
                       : sd_bus_send(NULL, reply, NULL);
    if (streq(method, "GetRelays"))
        r = append_relays(s, reply);
    else if (streq(method, "Plan"))
        r = append_plan(s, reply);
    else if (streq(method, "Verify"))
        r = append_verdicts(s, reply);
    else if (streq(method, "GetAll"))
        r = append_properties(s, sd_bus_message_get_path(m), reply);
    else {
        r = note(s, m, method, &names);
        if (r >= 0 && (streq(method, "Revert") || streq(method, "RevertNow") || streq(method, "Restart")))
            r = sd_bus_message_append(reply, "u", names);
    }
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int on_usr1(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    sd_bus *bus = userdata;

    (void)source;
    (void)info;
    return sd_bus_emit_signal(bus, BUS_PATH, "org.freedesktop.DBus.Properties", "PropertiesChanged",
                              "sa{sv}as", BUS_MANAGER_INTERFACE, 0, 1, "Rollout");
}

int main(int argc, char *argv[])
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    Script script = { 0 };

    if (argc != 2)
        return EXIT_FAILURE;
    script.path = argv[1];
    int r = sd_event_default(&event);
    if (r >= 0)
        r = sd_bus_open_system(&bus);
    if (r >= 0)
        r = sd_bus_add_fallback(bus, NULL, BUS_PATH, on_call, &script);
    if (r >= 0)
        r = sd_bus_attach_event(bus, event, 0);
    if (r >= 0)
        r = sd_event_add_signal(event, NULL, SIGUSR1 | SD_EVENT_SIGNAL_PROCMASK, on_usr1, bus);
    if (r >= 0)
        r = sd_event_add_signal(event, NULL, SIGTERM | SD_EVENT_SIGNAL_PROCMASK, NULL, NULL);
    if (r >= 0)
        r = sd_bus_request_name(bus, BUS_NAME, 0);
    if (r >= 0 && !getenv("MOCK_ONE_NAME")) /* as an earlier version had it */
        r = sd_bus_request_name(bus, BUS_CONTROL_NAME, 0);
    if (r < 0) {
        fprintf(stderr, "mock: %s\n", strerror(-r));
        return EXIT_FAILURE;
    }
    puts("ready");
    fflush(stdout);
    r = sd_event_loop(event);
    script_clear(&script);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
