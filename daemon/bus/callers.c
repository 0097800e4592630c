/* SPDX-License-Identifier: BSD-3-Clause */
#include "bus/callers.h"

#include "core/budget.h"

#include <errno.h>

/* Connections that are remembered. dbus-daemon lets a user have 256. */
#define CALLERS_MAX 512
#define ASKING_MAX 64
#define USERS_MAX 64
/* What it takes to read a call and to answer it, at least. */
#define CALL_COST 50

/* Of one user: a twentieth of a processor, and a second at once. */
static const BudgetRule user_rule = { .most = 1000000, .per_second = 50000, .debt = 500000 };
#define IGNORED_BELOW (-250000)
/* Of all strangers. They are strangers for less than a millisecond. */
static const BudgetRule strangers_rule = { .most = 1000000, .per_second = 100000, .debt = 1 };

/* A connection, by its unique name: the bus never gives one again. */
typedef struct Caller {
    Callers *callers;
    char *name;
    sd_bus_slot *asking; /* NULL: the user is known */
    uid_t uid;
    usec_t used;
} Caller;

typedef struct User {
    uid_t uid;
    Budget budget;
} User;

struct Callers {
    sd_bus *bus;
    CallersKnown known;
    void *userdata;
    Caller *callers[CALLERS_MAX];
    size_t n, n_asking;
    User users[USERS_MAX];
    size_t n_users;
    Budget strangers;
};

Callers *callers_new(sd_bus *bus, CallersKnown known, void *userdata)
{
    Callers *c = xcalloc(1, sizeof(*c));

    c->bus = sd_bus_ref(bus);
    c->known = known;
    c->userdata = userdata;
    return c;
}

static void forget(Caller *caller)
{
    Callers *c = caller->callers;

    for (size_t i = 0; i < c->n; i++)
        if (c->callers[i] == caller)
            c->callers[i] = c->callers[--c->n];
    c->n_asking -= caller->asking != NULL;
    sd_bus_slot_unref(caller->asking);
    free(caller->name);
    free(caller);
}

Callers *callers_free(Callers *c)
{
    if (!c)
        return NULL;
    while (c->n > 0)
        forget(c->callers[0]);
    sd_bus_unref(c->bus);
    free(c);
    return NULL;
}

static Caller *find(const Callers *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (streq(c->callers[i]->name, name))
            return c->callers[i];
    return NULL;
}

/* ---- who it is ---- */

static int on_user(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
    Caller *caller = userdata;
    Callers *c = caller->callers;
    _cleanup_(freep) char *name = xstrdup(caller->name);
    uint32_t uid = 0;
    int r = sd_bus_message_is_method_error(reply, NULL) ? -ENXIO : sd_bus_message_read(reply, "u", &uid);

    (void)unused;
    caller->asking = sd_bus_slot_unref(caller->asking);
    c->n_asking--;
    caller->uid = (uid_t)uid;
    if (r < 0)
        forget(caller);
    c->known(c->userdata, name, r < 0 ? r : 0, (uid_t)uid);
    return 0;
}

/* One whose user is known can be asked for again. */
static bool make_room(Callers *c)
{
    Caller *oldest = NULL;

    if (c->n_asking >= ASKING_MAX)
        return false;
    if (c->n < CALLERS_MAX)
        return true;
    for (size_t i = 0; i < c->n; i++)
        if (!c->callers[i]->asking && (!oldest || c->callers[i]->used < oldest->used))
            oldest = c->callers[i];
    forget(oldest); /* there is one: fewer are being asked for */
    return true;
}

/* NULL: too many are being asked for at the moment. */
static Caller *meet(Callers *c, const char *name)
{
    Caller *caller = find(c, name);

    if (caller || !make_room(c))
        return caller;
    caller = xcalloc(1, sizeof(*caller));
    *caller = (Caller){ .callers = c, .name = xstrdup(name) };
    c->callers[c->n++] = caller;
    int r =
        sd_bus_call_method_async(c->bus, &caller->asking, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                 "org.freedesktop.DBus", "GetConnectionUnixUser", on_user, caller, "s", name);
    if (r >= 0) {
        c->n_asking++;
        return caller;
    }
    forget(caller);
    return NULL;
}

int callers_user(const Callers *c, const char *sender, uid_t *ret)
{
    const Caller *caller = find(c, sender);

    if (!caller || caller->asking)
        return -EAGAIN;
    *ret = caller->uid;
    return 0;
}

/* ---- what it may cost ---- */

/* The user with the most left gives way to a new one: it misses the least. */
static Budget *budget_of(Callers *c, uid_t uid, usec_t now)
{
    User *most = NULL;

    for (size_t i = 0; i < c->n_users; i++) {
        User *u = &c->users[i];
        if (u->uid == uid)
            return &u->budget;
        if (!most || budget_left(&u->budget, &user_rule, now) > budget_left(&most->budget, &user_rule, now))
            most = u;
    }
    if (c->n_users < USERS_MAX)
        most = &c->users[c->n_users++];
    *most = (User){ .uid = uid };
    return &most->budget;
}

static Admission admit_user(Callers *c, uid_t uid, usec_t now)
{
    if (callers_is_root(uid))
        return ADMITTED;
    Budget *budget = budget_of(c, uid, now);
    int64_t left = budget_left(budget, &user_rule, now);
    budget_spend(budget, &user_rule, now, CALL_COST);
    return left > 0 ? ADMITTED : left > IGNORED_BELOW ? REFUSED : IGNORED;
}

Admission callers_admit(Callers *c, const char *sender, usec_t now)
{
    Caller *caller = meet(c, sender);

    if (caller)
        caller->used = now;
    if (caller && !caller->asking)
        return admit_user(c, caller->uid, now);
    bool left = budget_left(&c->strangers, &strangers_rule, now) > 0;
    budget_spend(&c->strangers, &strangers_rule, now, CALL_COST);
    return caller && left ? ADMITTED : REFUSED;
}

void callers_charge(Callers *c, const char *sender, usec_t now, usec_t cost)
{
    uid_t uid;

    if (callers_user(c, sender, &uid) < 0)
        budget_spend(&c->strangers, &strangers_rule, now, cost);
    else if (!callers_is_root(uid))
        budget_spend(budget_of(c, uid, now), &user_rule, now, cost);
}
