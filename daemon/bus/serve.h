/* SPDX-License-Identifier: BSD-3-Clause */
/* Serves org.relayalloc1 (bus/api.h) of a manager. */
#pragma once

#include "manager/model.h"

extern const ManagerView bus_view;
