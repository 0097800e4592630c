/* SPDX-License-Identifier: BSD-3-Clause */
/* One relay: what its unit says, what its process runs, proved. */
#pragma once

#include "manager/model.h"

Relay *relay_new(Manager *m, const char *name, const char *unit);
Relay *relay_free(Relay *relay);

bool relay_up(const Relay *relay);
const Group *relay_target(const Relay *relay); /* facts_target() */

void relay_watch(Relay *relay);          /* reads its unit, now and whenever it changes */
void relay_unit_changed(Relay *relay);   /* reads its unit again */
void relay_look_again(Relay *relay);     /* the same, and proves even if nothing is new */
void relay_unit_signalled(Relay *relay); /* the same, at once or soon: it says so as often as it likes */
void relay_take_info(Relay *relay, UnitInfo *take_info); /* what was read; notices new processes */
void relay_read_dropin(Relay *relay); /* from disk, into its facts; proved again if it is another */
void relay_prove(Relay *relay);       /* reads the process again and judges */
/* What could not be watched, opened or read the last time, and what was in its way and may be gone. */
void relay_retry(Relay *relay);
void relay_forget_bus(Relay *relay); /* the bus is gone: slots and calls with it */

/* The last lines that the relay's unit left in the journal; NULL: none. */
char *relay_unit_log(const Relay *relay);
/* Logs which files of others set what its drop-in sets, each once. A proof does so, too. */
void relay_tell_conflicts(Relay *relay);
Event relay_event(const Relay *relay); /* the fields that every event about it has */
