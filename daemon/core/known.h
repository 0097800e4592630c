/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of an allocator's version under tor, in one table, so that everything that speaks of an
 * allocator says the same. Sources: the measurements of 1AEO (docs/report.md) and of a test network under
 * load. Pure. */
#pragma once

#include "core/maps.h"

/* What speaks against it, a sentence without full stop: measured to grow, or not measured although a version
 * near it grows. `version` "": not known. NULL: nothing is known against it. Owned by the caller. */
char *known_warning(Family family, const char *version);

/* What else was measured of it; NULL. Owned by the caller. */
char *known_remark(Family family, const char *version);
