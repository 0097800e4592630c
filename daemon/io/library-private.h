/* SPDX-License-Identifier: BSD-3-Clause */
/* What library.c and library-walk.c share, and nobody else needs. */
#pragma once

#include "core/util.h"

#include <assert.h>

/* Sets the reason, gives the error: `return REFUSE(-EPERM, ret_reason, "…", …)`. */
#define REFUSE(error, ret_reason, ...)                                                                       \
    ({                                                                                                       \
        int _error = (error);                                                                                \
        assert(_error < 0);                                                                                  \
        *(ret_reason) = xasprintf(__VA_ARGS__);                                                              \
        _error;                                                                                              \
    })

/* " (apt install …)" for a library of a known package, else "". Owned by the caller. */
char *library_package_hint(const char *name);
