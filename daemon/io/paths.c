/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/paths.h"

#include "core/util.h"

char *path_of_probe(void)
{
    /* NULL after an upgrade replaced the running program: only an installed one is upgraded. */
    _cleanup_(freep) char *self = realpath("/proc/self/exe", NULL);
    const char *slash = self ? strrchr(self, '/') : NULL;

    if (slash) {
        _cleanup_(freep) char *beside = xasprintf("%.*s/relayalloc-probe", (int)(slash - self), self);
        if (access(beside, X_OK) == 0)
            return TAKE_PTR(beside);
    }
    return xstrdup(LIBEXECDIR "/relayalloc-probe");
}

static char *path_from_env(const char *name, const char *otherwise)
{
    const char *value = secure_getenv(name);

    return xstrdup(isempty(value) ? otherwise : value);
}

char *path_of_dropins(void)
{
    return path_from_env("RELAYALLOC_DROPIN_ROOT", "/etc/systemd/system");
}

char *path_of_state(void)
{
    return path_from_env("RELAYALLOC_STATE_DIR", "/var/lib/relayalloc");
}

char *path_of_proc(void)
{
    return path_from_env("RELAYALLOC_PROC", "/proc");
}
