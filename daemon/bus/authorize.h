/* SPDX-License-Identifier: BSD-3-Clause */
/* May this caller change something? Root may; others when polkit lets them. Knows nothing of what is
 * requested. */
#pragma once

#include "bus/request.h"

/* Runs `allowed` if the caller may, and fails the request if not, when polkit has been asked over `bus`,
 * which may take as long as a person needs to type a password. Without polkit only root may. */
void authorize(Request *request, sd_bus *bus, RequestReady allowed);
