/* SPDX-License-Identifier: BSD-3-Clause */
/* doctor's findings on the screen and as JSON. Prints nothing when there are none. */
#pragma once

#include "ctl/lib/ctl.h"
#include "doctor/doctor.h"

/* 0; negative errno after a message. */
int doctor_print(const CtlOptions *options, const Findings *findings);
