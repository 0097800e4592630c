/* SPDX-License-Identifier: BSD-3-Clause */
/* What a unit's own `--verify-config` command says of the relay's next start. Pure. */
#pragma once

#include "core/unit.h"

/* Tor's own words from what it printed: "Unknown option 'Fooo'". Owned by the caller; NULL: it named nothing.
 */
char *verify_config_words(const char *output);

/* Why the relay would not come up again: one sentence without full stop, owned by the caller; NULL: nothing
 * speaks against its start. `end`: the transient unit in which the command ran, after its end; NULL, or one
 * that does not exist: not known, which speaks against nothing. `program`: what ran in it; `like`: the
 * relay's unit; `output`: what it printed; `log`: the last lines that systemd logged of the transient unit.
 */
char *verify_config_fault(const UnitInfo *end, const char *program, const char *like, const char *output,
                          const char *log);
