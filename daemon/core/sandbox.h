/* SPDX-License-Identifier: BSD-3-Clause */
/* Why a program that was tried in the sandbox of a relay's unit did not get to say anything. Pure. */
#pragma once

#include "core/unit.h"

/* "NAMESPACE" for 226: the step at which systemd gave up before the program itself ran (systemd.exec(5),
 * "Process Exit Codes"). NULL: the status is the program's own. */
const char *exec_step_to_string(int status);

/* One sentence without full stop, owned by the caller; NULL: the sandbox is not to blame, as far as one can
 * see. `end`: the transient unit after its end, NULL: it is not known any more; `program`: what was to run in
 * it; `like`: the unit that has this sandbox; `log`: the last lines that systemd logged of the transient unit
 * (io/unit-log), which name the path that is missing. */
char *sandbox_fault(const UnitInfo *end, const char *program, const char *like, const char *log);

/* Does the log already contain what sandbox_fault() would quote? It may come a moment later than the end. */
bool sandbox_log_complete(const UnitInfo *end, const char *log);
