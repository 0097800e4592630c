/* SPDX-License-Identifier: BSD-3-Clause */
/* The connection to the system bus, and what systemd announces on it. */
#pragma once

#include "manager/model.h"

/* 0, or a negative errno: there is none then. One that is lost later is opened again by itself. */
int connection_open(Manager *m);
/* Also when there is none. */
void connection_close(Manager *m);
