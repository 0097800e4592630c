/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/identify.h"

#include <errno.h>

static bool has_environment(const Allocator *a, char *const *process_environ)
{
    for (size_t i = 0; i < a->n_environment; i++)
        if (!streq_null(strv_env_get(process_environ, a->environment[i].name), a->environment[i].value))
            return false;
    return true;
}

ssize_t identify_allocator(const Config *config, const char *const *realpaths, const MappedLibrary *running,
                           char *const *process_environ, size_t preferred)
{
    ssize_t best = -ENOENT;

    for (size_t i = 0; i < config->n_allocators; i++) {
        const Allocator *a = &config->allocators[i];

        if (!streq_null(realpaths[i], running->path) || (a->library && !realpaths[i]) ||
            !has_environment(a, process_environ))
            continue;
        if (best < 0 || a->n_environment > config->allocators[best].n_environment ||
            (i == preferred && a->n_environment == config->allocators[best].n_environment))
            best = (ssize_t)i;
    }
    return best;
}
