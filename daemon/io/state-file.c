/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/state-file.h"

#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <sys/stat.h>

#define STATE_NAME "state"
#define STATE_TEMP ".state.new"

/* ---- reading ---- */

static char *get(const config_setting_t *group, const char *name)
{
    const char *value = NULL;

    return config_setting_lookup_string(group, name, &value) ? xstrdup(value) : NULL;
}

static void read_strv(const config_setting_t *root, const char *name, char ***strv)
{
    const config_setting_t *list = config_setting_get_member(root, name);

    for (int i = 0; list && i < config_setting_length(list); i++)
        if (config_setting_get_string_elem(list, i))
            strv_push(strv, xstrdup(config_setting_get_string_elem(list, i)));
}

/* An earlier version saved the names alone, as "reverted". */
static void read_reverts(const config_setting_t *root, State *s)
{
    _cleanup_(strv_freep) char **names = NULL;
    const config_setting_t *list = config_setting_get_member(root, "reverts"), *e;

    for (unsigned i = 0; list && (e = config_setting_get_elem(list, i)); i++) {
        _cleanup_(freep) char *relay = get(e, "relay"), *group = get(e, "group"),
                              *allocator = get(e, "allocator");

        if (relay)
            memory_add_revert(s, relay, group, allocator);
    }
    read_strv(root, "reverted", &names);
    STRV_FOREACH (name, names)
        memory_add_revert(s, *name, NULL, NULL);
}

static void read_causes(const config_setting_t *root, State *s)
{
    const config_setting_t *list = config_setting_get_member(root, "halted_by"), *e;

    for (unsigned i = 0; list && (e = config_setting_get_elem(list, i)); i++) {
        _cleanup_(freep) char *relay = get(e, "relay"), *allocator = get(e, "allocator"),
                              *build = get(e, "build");

        if (relay && allocator && build)
            memory_add_cause(s, relay, allocator, build);
    }
}

static void read_state(const config_t *file, State *s)
{
    const config_setting_t *root = config_root_setting(file), *list, *e;
    _cleanup_(freep) char *hold = get(root, "hold");
    Hold h = hold ? hold_from_string(hold) : HOLD_NONE;
    long long id = 0;
    int paused = 0;

    (void)config_setting_lookup_bool(root, "paused", &paused);
    s->paused = paused || streq_null(hold, "paused"); /* so it was saved before it was a thing of its own */
    s->hold = h == _HOLD_INVALID ? HOLD_NONE : h;
    s->hold_reason = get(root, "hold_reason");
    s->config_id = get(root, "config_id");
    s->reviewed_id = get(root, "reviewed_id");
    if (!s->reviewed_id) /* saved by an earlier version */
        s->reviewed_id = xstrdup(s->config_id);
    s->metrics = get(root, "metrics");
    s->started_for = get(root, "started_for");
    if (config_setting_lookup_int64(root, "rollout_id", &id) && id > 0)
        s->rollout_id = (uint64_t)id;
    list = config_setting_get_member(root, "flights");
    for (unsigned i = 0; list && (e = config_setting_get_elem(list, i)); i++) {
        _cleanup_(freep) char *relay = get(e, "relay"), *unit = get(e, "unit"),
                              *previous = get(e, "previous"), *before = get(e, "before"),
                              *allocator = get(e, "allocator"), *build = get(e, "build");

        if (!relay)
            continue;
        int canary = 0, ready = 0;
        (void)config_setting_lookup_bool(e, "canary", &canary);
        (void)config_setting_lookup_bool(e, "ready", &ready);
        memory_add_flight(s, &(Flight){ .relay = relay,
                                        .unit = unit,
                                        .previous = previous,
                                        .before = before,
                                        .allocator = allocator,
                                        .build = build,
                                        .canary = canary,
                                        .ready = ready,
                                        .left = true });
    }
    list = config_setting_get_member(root, "refusals");
    for (unsigned i = 0; list && (e = config_setting_get_elem(list, i)); i++) {
        _cleanup_(freep) char *relay = get(e, "relay"), *allocator = get(e, "allocator");
        _cleanup_(freep) char *build = get(e, "build"), *reason = get(e, "reason");

        if (relay && allocator && build)
            memory_add_refusal(s, relay, allocator, build, reason, false);
    }
    read_reverts(root, s);
    read_causes(root, s);
    read_strv(root, "waiting", &s->waiting);
    read_strv(root, "restarts", &s->restarts);
    read_strv(root, "written", &s->written);
    read_strv(root, "proved", &s->proved);
    s->from_before = s->config_id && !config_setting_get_member(root, "written");
}

int state_file_load(const char *dir, State **ret)
{
    _cleanup_(freep) char *path = xasprintf("%s/" STATE_NAME, dir);
    _cleanup_(memory_freep) State *s = xcalloc(1, sizeof(*s));
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

static void put_strv(config_setting_t *root, const char *name, char *const *strv)
{
    config_setting_t *list = config_setting_add(root, name, CONFIG_TYPE_ARRAY);

    STRV_FOREACH (s, strv)
        config_setting_set_string_elem(list, -1, *s);
}

static void write_state(config_t *file, const State *s)
{
    config_setting_t *root = config_root_setting(file), *list, *e;

    put(root, "hold", hold_to_string(s->hold));
    config_setting_set_bool(config_setting_add(root, "paused", CONFIG_TYPE_BOOL), s->paused);
    put(root, "hold_reason", s->hold_reason);
    put(root, "config_id", s->config_id);
    put(root, "reviewed_id", s->reviewed_id);
    put(root, "metrics", s->metrics);
    put(root, "started_for", s->started_for);
    config_setting_set_int64(config_setting_add(root, "rollout_id", CONFIG_TYPE_INT64),
                             (long long)s->rollout_id);
    list = config_setting_add(root, "flights", CONFIG_TYPE_LIST);
    for (size_t i = 0; i < s->n_flights; i++) {
        e = config_setting_add(list, NULL, CONFIG_TYPE_GROUP);
        put(e, "relay", s->flights[i].relay);
        put(e, "unit", s->flights[i].unit);
        put(e, "previous", s->flights[i].previous);
        put(e, "before", s->flights[i].before);
        put(e, "allocator", s->flights[i].allocator);
        put(e, "build", s->flights[i].build);
        config_setting_set_bool(config_setting_add(e, "canary", CONFIG_TYPE_BOOL), s->flights[i].canary);
        config_setting_set_bool(config_setting_add(e, "ready", CONFIG_TYPE_BOOL), s->flights[i].ready);
    }
    list = config_setting_add(root, "refusals", CONFIG_TYPE_LIST);
    for (size_t i = 0; i < s->n_refusals; i++) {
        if (s->refusals[i].untouched)
            continue;
        e = config_setting_add(list, NULL, CONFIG_TYPE_GROUP);
        put(e, "relay", s->refusals[i].relay);
        put(e, "allocator", s->refusals[i].allocator);
        put(e, "build", s->refusals[i].build);
        put(e, "reason", s->refusals[i].reason);
    }
    list = config_setting_add(root, "reverts", CONFIG_TYPE_LIST);
    for (size_t i = 0; i < s->n_reverts; i++) {
        e = config_setting_add(list, NULL, CONFIG_TYPE_GROUP);
        put(e, "relay", s->reverts[i].relay);
        put(e, "group", s->reverts[i].group);
        put(e, "allocator", s->reverts[i].allocator);
    }
    list = config_setting_add(root, "halted_by", CONFIG_TYPE_LIST);
    for (size_t i = 0; i < s->n_causes; i++) {
        e = config_setting_add(list, NULL, CONFIG_TYPE_GROUP);
        put(e, "relay", s->causes[i].relay);
        put(e, "allocator", s->causes[i].allocator);
        put(e, "build", s->causes[i].build);
    }
    put_strv(root, "waiting", s->waiting);
    put_strv(root, "restarts", s->restarts);
    put_strv(root, "written", s->written);
    put_strv(root, "proved", s->proved);
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
