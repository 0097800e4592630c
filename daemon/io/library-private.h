/* SPDX-License-Identifier: BSD-3-Clause */
/* What library.c and library-search.c share, and nobody else needs. */
#pragma once

/* `files` are a library and those that come with it, by the absolute names that the dynamic linker opens. 0;
 * -EPERM: others than root could put something where what they need is looked for; -ENOEXEC, -EBADMSG and
 * other errno: a file cannot be read; and *ret_reason, as of library_resolve(). `looked` gets all paths that
 * were looked at. */
int library_check_search(char *const *files, char ***looked, char **ret_reason);
