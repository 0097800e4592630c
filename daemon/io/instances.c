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

/* The unit of an entry: 1; 0: it is no instance; or an error that may pass. */
static int judge_entry(int dir, const struct dirent *e, const char *unit_template, char **ret)
{
    _cleanup_(freep) char *unit = NULL;

    if (e->d_name[0] == '.' || relay_unit_of_folder(unit_template, e->d_name, &unit) < 0)
        return 0;
    int r = is_instance(dir, e);
    if (r > 0)
        *ret = TAKE_PTR(unit);
    return r;
}

/* One entry that cannot be judged must not hide the others. */
static int list_entries(DIR *d, const char *unit_template, char ***ret)
{
    _cleanup_(strv_freep) char **units = NULL;
    size_t n = 0, capacity = 0;
    int error = 0;

    for (const struct dirent *e; errno = 0, (e = readdir(d));) {
        char *unit = NULL;
        int r = judge_entry(dirfd(d), e, unit_template, &unit);

        if (r < 0)
            error = r;
        if (r <= 0)
            continue;
        GROW(units, capacity, n + 1);
        units[n++] = unit;
        units[n] = NULL;
        if (n > INSTANCES_MAX)
            return -E2BIG;
    }
    if (errno != 0)
        error = -errno;
    *ret = TAKE_PTR(units);
    return error;
}

int instances_list(const char *dir, const char *unit_template, char ***ret_units)
{
    DIR *d = opendir(dir);

    *ret_units = NULL;
    if (!d)
        return errno == ENOENT ? 0 : -errno;
    int r = list_entries(d, unit_template, ret_units);
    closedir(d);
    return r;
}
