/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/state-file.h"

#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <sys/stat.h>

#define STATE_NAME "state"
#define STATE_TEMP ".state.new"

static const char *const hold_names[_HOLD_MAX] = {
    [HOLD_NONE] = "none",
    [HOLD_PAUSED] = "paused",
    [HOLD_HALTED] = "halted",
    [HOLD_ABORTED] = "aborted",
};

const char *hold_to_string(Hold h)
{
    return hold_names[h];
}

Hold hold_from_string(const char *s)
{
    for (int i = 0; i < _HOLD_MAX; i++)
        if (streq(s, hold_names[i]))
            return (Hold)i;
    return _HOLD_INVALID;
}

static void flight_clear(Flight *f)
{
    free(f->relay);
    free(f->previous);
    free(f->before);
}

State *state_free(State *s)
{
    if (!s)
        return NULL;
    for (size_t i = 0; i < s->n_flights; i++)
        flight_clear(&s->flights[i]);
    free(s->flights);
    state_clear_refusals(s);
    free(s->refusals);
    free(s->hold_reason);
    free(s->config_id);
    strv_free(s->reverted);
    free(s);
    return NULL;
}

Flight *state_find_flight(State *s, const char *relay)
{
    for (size_t i = 0; i < s->n_flights; i++)
        if (streq(s->flights[i].relay, relay))
            return &s->flights[i];
    return NULL;
}

void state_add_flight(State *s, const char *relay, const char *previous, const char *before)
{
    state_remove_flight(s, relay);
    GROW(s->flights, s->c_flights, s->n_flights);
    s->flights[s->n_flights++] =
        (Flight){ .relay = xstrdup(relay), .previous = xstrdup(previous), .before = xstrdup(before) };
}

void state_remove_flight(State *s, const char *relay)
{
    Flight *f = state_find_flight(s, relay);

    if (!f)
        return;
    flight_clear(f);
    *f = s->flights[--s->n_flights];
}

const Refusal *state_find_refusal(const State *s, const char *relay, const char *allocator, const char *build)
{
    for (size_t i = 0; i < s->n_refusals; i++)
        if (streq(s->refusals[i].relay, relay) && streq(s->refusals[i].allocator, allocator) &&
            streq(s->refusals[i].build, build))
            return &s->refusals[i];
    return NULL;
}

void state_add_refusal(State *s, const char *relay, const char *allocator, const char *build,
                       const char *reason)
{
    if (state_find_refusal(s, relay, allocator, build))
        return;
    GROW(s->refusals, s->c_refusals, s->n_refusals);
    s->refusals[s->n_refusals++] = (Refusal){ .relay = xstrdup(relay),
                                              .allocator = xstrdup(allocator),
                                              .build = xstrdup(build),
                                              .reason = xstrdup(reason) };
}

static void refusal_clear(Refusal *r)
{
    free(r->relay);
    free(r->allocator);
    free(r->build);
    free(r->reason);
}

void state_remove_refusal(State *s, const char *relay, const char *allocator, const char *build)
{
    Refusal *r = (Refusal *)state_find_refusal(s, relay, allocator, build);

    if (!r)
        return;
    refusal_clear(r);
    *r = s->refusals[--s->n_refusals];
}

void state_clear_refusals(State *s)
{
    for (size_t i = 0; i < s->n_refusals; i++)
        refusal_clear(&s->refusals[i]);
    s->n_refusals = 0;
}

/* ---- reading ---- */

static char *get(const config_setting_t *group, const char *name)
{
    const char *value = NULL;

    return config_setting_lookup_string(group, name, &value) ? xstrdup(value) : NULL;
}

static void read_state(const config_t *file, State *s)
{
    const config_setting_t *root = config_root_setting(file), *list, *e;
    _cleanup_(freep) char *hold = get(root, "hold");
    Hold h = hold ? hold_from_string(hold) : HOLD_NONE;
    long long id = 0;

    s->hold = h == _HOLD_INVALID ? HOLD_NONE : h;
    s->hold_reason = get(root, "hold_reason");
    s->config_id = get(root, "config_id");
    if (config_setting_lookup_int64(root, "rollout_id", &id) && id > 0)
        s->rollout_id = (uint64_t)id;
    list = config_setting_get_member(root, "flights");
    for (unsigned i = 0; list && (e = config_setting_get_elem(list, i)); i++) {
        _cleanup_(freep) char *relay = get(e, "relay"), *previous = get(e, "previous"),
                              *before = get(e, "before");

        if (!relay)
            continue;
        state_add_flight(s, relay, previous, before);
        s->flights[s->n_flights - 1].left = true;
    }
    list = config_setting_get_member(root, "refusals");
    for (unsigned i = 0; list && (e = config_setting_get_elem(list, i)); i++) {
        _cleanup_(freep) char *relay = get(e, "relay"), *allocator = get(e, "allocator");
        _cleanup_(freep) char *build = get(e, "build"), *reason = get(e, "reason");

        if (relay && allocator && build)
            state_add_refusal(s, relay, allocator, build, reason);
    }
    list = config_setting_get_member(root, "reverted");
    for (int i = 0; list && i < config_setting_length(list); i++)
        if (config_setting_get_string_elem(list, i))
            strv_push(&s->reverted, xstrdup(config_setting_get_string_elem(list, i)));
}

int state_file_load(const char *dir, State **ret)
{
    _cleanup_(freep) char *path = xasprintf("%s/" STATE_NAME, dir);
    _cleanup_(state_freep) State *s = xcalloc(1, sizeof(*s));
    _cleanup_(fclosep) FILE *f = NULL;
    config_t file;
    int r = 0;

    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0)
        f = fdopen(fd, "r");
    if (!f && errno != ENOENT)
        return -errno;
    if (f) {
        config_init(&file);
        if (config_read(&file, f))
            read_state(&file, s);
        else
            r = -EBADMSG;
        config_destroy(&file);
    }
    *ret = TAKE_PTR(s);
    return r;
}

/* ---- writing ---- */

static void put(config_setting_t *group, const char *name, const char *value)
{
    if (value)
        config_setting_set_string(config_setting_add(group, name, CONFIG_TYPE_STRING), value);
}

static void write_state(config_t *file, const State *s)
{
    config_setting_t *root = config_root_setting(file), *list, *e;

    put(root, "hold", hold_to_string(s->hold));
    put(root, "hold_reason", s->hold_reason);
    put(root, "config_id", s->config_id);
    config_setting_set_int64(config_setting_add(root, "rollout_id", CONFIG_TYPE_INT64),
                             (long long)s->rollout_id);
    list = config_setting_add(root, "flights", CONFIG_TYPE_LIST);
    for (size_t i = 0; i < s->n_flights; i++) {
        e = config_setting_add(list, NULL, CONFIG_TYPE_GROUP);
        put(e, "relay", s->flights[i].relay);
        put(e, "previous", s->flights[i].previous);
        put(e, "before", s->flights[i].before);
    }
    list = config_setting_add(root, "refusals", CONFIG_TYPE_LIST);
    for (size_t i = 0; i < s->n_refusals; i++) {
        e = config_setting_add(list, NULL, CONFIG_TYPE_GROUP);
        put(e, "relay", s->refusals[i].relay);
        put(e, "allocator", s->refusals[i].allocator);
        put(e, "build", s->refusals[i].build);
        put(e, "reason", s->refusals[i].reason);
    }
    list = config_setting_add(root, "reverted", CONFIG_TYPE_ARRAY);
    STRV_FOREACH (relay, s->reverted)
        config_setting_set_string_elem(list, -1, *relay);
}

static int write_whole(int dir, const State *s)
{
    _cleanup_(fclosep) FILE *f = NULL;
    config_t file;

    int fd = openat(dir, STATE_TEMP, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    f = fdopen(fd, "w");
    if (!f) {
        close(fd);
        return -ENOMEM;
    }
    config_init(&file);
    write_state(&file, s);
    config_write(&file, f);
    config_destroy(&file);
    if (fflush(f) != 0 || ferror(f) || fsync(fd) < 0)
        return errno ? -errno : -EIO;
    if (renameat(dir, STATE_TEMP, dir, STATE_NAME) < 0 || fsync(dir) < 0)
        return -errno;
    return 0;
}

int state_file_save(const char *path, const State *s)
{
    _cleanup_(closep) int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return -errno;
    int r = write_whole(dir, s);
    if (r < 0)
        (void)unlinkat(dir, STATE_TEMP, 0);
    return r;
}
