/* SPDX-License-Identifier: BSD-3-Clause */
/* Saves what must outlive a crash (core/memory). */
#pragma once

#include "manager/model.h"

/* The error was logged, and is kept in m->state_error. */
int memory_save(Manager *m);
/* Soon, with what else comes by then: for what would only be looked at once more if it were lost. */
void memory_save_soon(Manager *m);
void memory_save_pending(Manager *m); /* now, if one is pending */
