/* SPDX-License-Identifier: BSD-3-Clause */
/* Saves what must outlive a crash (core/memory). */
#pragma once

#include "manager/model.h"

/* The error was logged, and is kept in m->state_error. */
int memory_save(Manager *m);
