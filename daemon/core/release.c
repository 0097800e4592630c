/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/release.h"

#include "core/dropin.h"
#include "core/util.h"

#include <limits.h>
#include <stdlib.h>

/* Packages of Debian and Ubuntu by the release that has them first, and the first that has them no more (0:
 * all). Versions are in hundredths: 1200 is Debian 12, 2404 Ubuntu 24.04. */
typedef struct Package {
    const char *library, *id;
    unsigned from, before;
    const char *package;
} Package;

static const Package packages[] = {
    { "libjemalloc.so.2", "debian", 0, 0, "libjemalloc2" },
    { "libjemalloc.so.2", "ubuntu", 0, 0, "libjemalloc2" },
    { "libmimalloc.so.2", "debian", 1100, 1300, "libmimalloc2.0" },
    { "libmimalloc.so.2", "ubuntu", 2204, 2410, "libmimalloc2.0" },
    { "libmimalloc.so.3", "debian", 1300, 0, "libmimalloc3" },
    { "libtcmalloc.so.4", "debian", 0, 1300, "libgoogle-perftools4" },
    { "libtcmalloc.so.4", "debian", 1300, 0, "libgoogle-perftools4t64" },
    { "libtcmalloc.so.4", "ubuntu", 0, 2404, "libgoogle-perftools4" },
    { "libtcmalloc.so.4", "ubuntu", 2404, 0, "libgoogle-perftools4t64" },
    { "libtcmalloc_minimal.so.4", "debian", 0, 1300, "libtcmalloc-minimal4" },
    { "libtcmalloc_minimal.so.4", "debian", 1300, 0, "libtcmalloc-minimal4t64" },
    { "libtcmalloc_minimal.so.4", "ubuntu", 0, 2404, "libtcmalloc-minimal4" },
    { "libtcmalloc_minimal.so.4", "ubuntu", 2404, 0, "libtcmalloc-minimal4t64" },
};

typedef struct Release {
    char **fields; /* strv of NAME=VALUE */
    const char *id;
    unsigned version; /* UINT_MAX: not released yet (Debian's testing and unstable have none) */
} Release;

static unsigned version_of(const char *text)
{
    char *end = NULL;

    if (isempty(text))
        return UINT_MAX;
    unsigned long major = strtoul(text, &end, 10), minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
    return major < 10000 && minor < 100 ? (unsigned)(major * 100 + minor) : UINT_MAX;
}

static Release release_parse(const char *os_release)
{
    char **fields = os_release ? environment_file_parse(os_release) : NULL;
    const char *id = strv_env_get(fields, "ID");

    return (Release){
        .fields = fields,
        .id = id ? id : "",
        .version = version_of(strv_env_get(fields, "VERSION_ID")),
    };
}

static const char *find(const Release *r, const char *library)
{
    for (size_t i = 0; i < ELEMENTSOF(packages); i++) {
        const Package *p = &packages[i];

        if (streq(p->library, library) && streq(p->id, r->id) && r->version >= p->from &&
            (p->before == 0 || r->version < p->before))
            return p->package;
    }
    return NULL;
}

/* Is the library in some package, of whatever release? */
static bool known(const char *library)
{
    for (size_t i = 0; i < ELEMENTSOF(packages); i++)
        if (streq(packages[i].library, library))
            return true;
    return false;
}

/* "Debian 13", "Fedora Linux". */
static char *name_of(const Release *r)
{
    const char *version = strv_env_get(r->fields, "VERSION_ID"), *name = strv_env_get(r->fields, "NAME");

    if (streq(r->id, "debian"))
        name = "Debian";
    return xasprintf("%s%s%s", isempty(name) ? "this system" : name, isempty(version) ? "" : " ",
                     version ? version : "");
}

char *release_name(const char *os_release)
{
    const Release r = release_parse(os_release);
    char *name = name_of(&r);

    strv_free(r.fields);
    return name;
}

const char *release_package(const char *os_release, const char *library)
{
    const Release r = release_parse(os_release);
    const char *package = find(&r, library);

    strv_free(r.fields);
    return package;
}

char *release_advice(const char *os_release, const char *library)
{
    const Release r = release_parse(os_release);
    const char *package = find(&r, library), *instead = find(&r, "libjemalloc.so.2");
    _cleanup_(freep) char *name = name_of(&r);
    char *advice = NULL;

    if (package)
        advice = xasprintf(" (apt install %s)", package);
    else if (known(library) && instead)
        advice = xasprintf(" (%s %s; allocator \"jemalloc\" works there: apt install %s)", name,
                           streq(r.id, "debian") ? "has no package of it"
                                                 : "has no package of it that is known here",
                           instead);
    else if (known(library))
        advice = xasprintf(" (install it from a package of %s, if there is one)", name);
    else
        advice = xstrdup("");
    strv_free(r.fields);
    return advice;
}
