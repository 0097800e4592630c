/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/known.h"

#include "core/util.h"

typedef struct Known {
    Family family;
    const char *from, *before; /* versions, as strverscmp(3) orders them; the first row that has it counts */
    bool warns;
    const char *what; /* behind "mimalloc 3.0.1 " */
} Known;

static const Known table[] = {
    { FAMILY_MIMALLOC, "3", "3.0.2", true,
      "grows without bound under tor: with 3.0.1 a relay held 10.4 GB after ten days, and "
      "MIMALLOC_PURGE_DELAY=0 only slows it down; jemalloc and mimalloc 2 do not grow" },
    { FAMILY_MIMALLOC, "3.0.2", "4", true,
      "has not been measured under tor for days, and 3.0.1 grows without bound; give it a few relays and "
      "watch them with \"relayallocctl report\"" },
    { FAMILY_MIMALLOC, "2.1.2", "2.1.3", false,
      "was measured under tor for two weeks: 80 % less memory than glibc, no growth" },
    /* rss_mib as a share of glibc's, row "mimalloc 2.0.9" of the table of all trials in docs/lab.md: least in
     * trixie-5 (140 minutes, late_growth_mib_h -6.3), most in trixie-9, in which tor has two workers. */
    { FAMILY_MIMALLOC, "2.0.9", "2.0.10", false,
      "was measured in a test network for at most 140 minutes: 23 to 68 % of glibc's memory, no growth" },
    { FAMILY_JEMALLOC, "5.3.0", "5.3.1", false,
      "was measured under tor for two weeks: 71 % less memory than glibc, no growth" },
};

static const Known *find(Family family, const char *version)
{
    for (size_t i = 0; !isempty(version) && i < ELEMENTSOF(table); i++)
        if (table[i].family == family && strverscmp(version, table[i].from) >= 0 &&
            strverscmp(version, table[i].before) < 0)
            return &table[i];
    return NULL;
}

static char *sentence(const Known *known, const char *version)
{
    return xasprintf("%s %s %s", family_to_string(known->family), version, known->what);
}

char *known_warning(Family family, const char *version)
{
    const Known *known = find(family, version);

    return known && known->warns ? sentence(known, version) : NULL;
}

char *known_remark(Family family, const char *version)
{
    const Known *known = find(family, version);

    return known && !known->warns ? sentence(known, version) : NULL;
}
