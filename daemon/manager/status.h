/* SPDX-License-Identifier: BSD-3-Clause */
/* How the daemon stands, in one line for "systemctl status", and to who shows the manager to others. */
#pragma once

#include "manager/model.h"

/* Says so, if it is new. */
void status_show(Manager *m);
