/* SPDX-License-Identifier: BSD-3-Clause */
/* One request to systemd to read all unit files again: repeated while systemd limits how often it does that
 * or is not there, and over once it has answered, or has not for too long. */
#pragma once

#include "manager/model.h"

typedef struct Reload Reload;
/* Called once unless it is freed before, which the callback may do; `message`: why systemd did not reload. */
typedef void (*ReloadCallback)(void *userdata, bool ok, const char *message);

/* `userdata` outlives it. */
Reload *reload_new(Manager *m, ReloadCallback callback, void *userdata);
/* Asks systemd; without a bus when that is back. The answer may come at once. */
void reload_start(Reload *reload);
Reload *reload_free(Reload *reload);
void reload_forget_bus(Reload *reload);
void reload_bus_back(Reload *reload);
/* That no answer comes, in words; NULL: nothing of the kind is known. Belongs to the reload. */
const char *reload_trouble(const Reload *reload);
