/* SPDX-License-Identifier: BSD-3-Clause */
/* What every unit test starts with: cmocka and what it wants included before it. And what a test begins with
 * that needs more than the product does: it is skipped with the reason, never passed; `make check`, which
 * installs all of it, counts a skip as a failure. */
#pragma once

#include "core/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
/* cmocka wants the four above first */
#include <cmocka.h>

/* tests/unit/run repeats these lines at its end. */
#define skip_because(...)                                                                                    \
    do {                                                                                                     \
        print_message("skipped: " __VA_ARGS__);                                                              \
        print_message("\n");                                                                                 \
        skip();                                                                                              \
    } while (0)

static inline bool is_in_path(const char *program)
{
    const char *path = getenv("PATH");

    while (path && *path) {
        size_t n = strcspn(path, ":");
        _cleanup_(freep) char *file = xasprintf("%.*s/%s", (int)n, path, program);

        if (access(file, X_OK) == 0)
            return true;
        path += n;
        path += *path == ':';
    }
    return false;
}

/* `program`: a path, or a name to be found in PATH. */
static inline void need_program(const char *program, const char *package)
{
    if (*program == '/' ? access(program, X_OK) < 0 : !is_in_path(program))
        skip_because("%s is not installed (apt install %s)", program, package);
}
