/* SPDX-License-Identifier: BSD-3-Clause */
/* Which package of this release of the system has an allocator's library. Pure: os-release(5) is read by
 * io/library. */
#pragma once

/* `os_release`: the text of /etc/os-release; NULL: it could not be read. The package, a constant; NULL: none,
 * or not known. */
const char *release_package(const char *os_release, const char *library);

/* The release's name, as in "Debian 13"; "this system" where it is not known. Owned by the caller. */
char *release_name(const char *os_release);

/* What to install for a library that is missing, in parentheses and with a blank before them, or what works
 * on this release instead if it has no package of the library; "" for a library that is in no package. Owned
 * by the caller. */
char *release_advice(const char *os_release, const char *library);
