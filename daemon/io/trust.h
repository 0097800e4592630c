/* SPDX-License-Identifier: BSD-3-Clause */
/* Who could change a file: the walk along its path. Changes nothing, and trusts no path that it has not
 * examined from "/" on. Like eventlog and subprocess, a building block that other modules of io may include.
 */
#pragma once

#include "core/util.h"

#include <sys/stat.h>

typedef struct TrustRules {
    uid_t owner;         /* whose everything must be */
    const char *trusted; /* a path without links: it and what is above it is not looked at; NULL: nothing is
                            trusted */
    bool directory;      /* the path is one of a directory, not of a regular file */
    bool shared;         /* users other than root use it: directories must be open, and the file readable, to
                            everybody */
    bool sticky; /* what lies in a directory with the sticky bit cannot be renamed or removed by others
                    (inode(7)): enough for a file that is judged each time it is read, not for one whose
                    name others could take as soon as it is free */
    const char *elsewhere; /* what to do instead where a directory is somebody's by right, such as /tmp or a
                            home; NULL: "move it to a directory that only root can change" */
    char **
        *looked; /* a strv that gets each path that was examined, including the one that is missing; NULL */
} TrustRules;

/* Follows the absolute `path` as the kernel would, including each link, and examines every directory, link
 * and file on the way, "/" first: owned by the owner and writable by nobody else. Writable by others is
 * refused, so is writable by an access control list, and by a group, unless the group is known and nobody but
 * root is in it: /usr/local/lib of older Debian installations is root:staff, mode 2775, and staff empty.
 * (Passwords of groups are not considered.) 0 and the path without links, "." or "..", and what stat(2) says
 * of it; -EPERM: somebody else could change it; -EACCES: not open to everybody; -ENOENT: it does not exist,
 * and nobody else could make it; -ENOTDIR, -ELOOP; -EINVAL: not the kind of file that was asked for; other
 * errno; and *ret_reason what is wrong and how to fix it, to follow the path: "can be changed by users other
 * than root: it belongs to user "eve" (chown root /x)". */
int trust_walk(const char *path, const TrustRules *rules, char **ret_realpath, struct stat *ret_stat,
               char **ret_reason);

/* Sets the reason, gives the error: `return REFUSE(-EPERM, ret_reason, "…", …)`. */
#define REFUSE(error, ret_reason, ...)                                                                       \
    ({                                                                                                       \
        int _error = (error);                                                                                \
        *(ret_reason) = xasprintf(__VA_ARGS__);                                                              \
        _error;                                                                                              \
    })
