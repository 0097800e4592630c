/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/instances.h"

#include "core/relay.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#define INSTANCES_MAX 10000

/* What we may not see counts: our own sandbox must not make relays disappear. An error that may pass says
 * neither. */
static int judge_unseen(int error)
{
    return error_is_passing(error) ? error : error == -EACCES;
}

/* As for Debian's tor-generator, an instance is what has a torrc. 1, 0, or an error that may pass. */
static int has_torrc(int dir, const struct dirent *e)
{
    _cleanup_(freep) char *path = xasprintf("%s/torrc", e->d_name);

    return faccessat(dir, path, F_OK, 0) == 0 ? 1 : judge_unseen(-errno);
}

/* Or a link to one. 1, 0, or an error that may pass. */
static int is_folder(int dir, const struct dirent *e)
{
    struct stat st;

    if (e->d_type != DT_LNK && e->d_type != DT_UNKNOWN)
        return e->d_type == DT_DIR;
    return fstatat(dir, e->d_name, &st, 0) == 0 ? S_ISDIR(st.st_mode) : judge_unseen(-errno);
}

static int is_instance(int dir, const struct dirent *e)
{
    int r = is_folder(dir, e);

    return r > 0 ? has_torrc(dir, e) : r;
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
        r = is_instance(dirfd(d), e);
        if (r <= 0) {
            free(unit);
            continue;
        }
        r = 0;
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
