/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/instances.h"

#include "core/relay.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#define INSTANCES_MAX 10000

/* As for Debian's tor-generator, an instance is what has a torrc. What we may not see counts. */
static bool has_torrc(int dir, const struct dirent *e)
{
    _cleanup_(freep) char *path = xasprintf("%s/torrc", e->d_name);

    return faccessat(dir, path, F_OK, 0) == 0 || errno == EACCES;
}

/* A link whose target we may not see counts: our own sandbox must not make relays disappear. */
static bool is_folder(int dir, const struct dirent *e)
{
    struct stat st;

    if (e->d_type != DT_LNK && e->d_type != DT_UNKNOWN)
        return e->d_type == DT_DIR;
    return fstatat(dir, e->d_name, &st, 0) == 0 ? S_ISDIR(st.st_mode) : errno == EACCES;
}

int instances_list(const char *dir, const char *unit_template, char ***ret_units)
{
    _cleanup_(strv_freep) char **units = NULL;
    size_t n = 0, capacity = 0;
    DIR *d = opendir(dir);
    int r = 0;

    if (!d && errno != ENOENT)
        return -errno;
    while (d && r == 0) {
        errno = 0;
        const struct dirent *e = readdir(d);
        char *unit = NULL;

        if (!e) {
            r = -errno;
            break;
        }
        if (e->d_name[0] == '.' || relay_unit_of_folder(unit_template, e->d_name, &unit) < 0)
            continue;
        if (!is_folder(dirfd(d), e) || !has_torrc(dirfd(d), e)) {
            free(unit);
            continue;
        }
        GROW(units, capacity, n + 1);
        units[n++] = unit;
        units[n] = NULL;
        if (n > INSTANCES_MAX)
            r = -E2BIG;
    }
    if (d)
        closedir(d);
    if (r < 0)
        return r;
    *ret_units = TAKE_PTR(units);
    return 0;
}
