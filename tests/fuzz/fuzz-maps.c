/* SPDX-License-Identifier: BSD-3-Clause */
/* libFuzzer: the text of maps and the value of LD_PRELOAD, both as a hostile relay might shape them. The
 * input is the two, with a NUL between them; without one it is maps alone. */
#include "core/maps.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char own[] = "/usr/local/lib/own/heap-2.0.9.so";
    static char *const ours[] = { own, NULL };
    _cleanup_(freep) char *maps = xstrndup((const char *)data, size);
    size_t n = strlen(maps);
    _cleanup_(freep) char *preload = n < size ? xstrndup((const char *)data + n + 1, size - n - 1) : NULL;
    MappedLibrary m;

    if (maps_find_allocator(maps, preload, ours, &m) == 0) {
        must((m.family == FAMILY_GLIBC) == !m.path);
        must(family_to_string(m.family));
        must(m.path || (m.inode == 0 && !m.deleted));
        if (m.path) { /* what was found is there, and is found without our help as well, if it bears a known
                         name */
            must(*m.path == '/');
            must(m.family == family_of_library(m.path));
            MappedLibrary plain;
            must(maps_find_allocator(maps, NULL, NULL, &plain) == 0);
            must(m.family == FAMILY_OTHER || plain.path);
            mapped_library_clear(&plain);
        }
        mapped_library_clear(&m);
    }
    return 0;
}
