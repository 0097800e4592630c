/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of findings, and the judgements about allocators and relays; those about the host are in
 * doctor-host.c. Must never report anything about a host on which all is well. */
#include "doctor/doctor.h"

#include "core/known.h"

#include "doctor/doctor-text.h"

#include <inttypes.h>

const char *const finding_ids[] = {
    "configuration-refused",
    "library-refused",
    "setting-unknown",
    "library-hidden",
    "library-denied",
    "mimalloc3-grows",
    "allocator-renamed",
    "tor-sandbox",
    "overridden",
    "also-set",
    "preload-missing",
    "secure-execution",
    "mappings-near-limit",
    "system-preload",
    "host-environment",
    "huge-pages",
    "queues-too-big",
    "journal-in-memory",
    "journal-too-small",
    "needrestart",
    "unattended-upgrades",
    "unit-files-read-only",
    "left-over",
    "gate-endless",
    NULL,
};

const char *severity_to_string(Severity severity)
{
    return severity == SEVERITY_WARNING ? "warning" : "note";
}

static void finding_clear(Finding *finding)
{
    free(finding->what);
    free(finding->why);
    free(finding->advice);
    strv_free(finding->relays);
    *finding = (Finding){ 0 };
}

void findings_add(Findings *findings, const char *relay, Finding *take)
{
    Finding *finding = NULL;

    for (size_t i = 0; i < findings->n && !finding; i++)
        if (streq(findings->items[i].id, take->id) && streq(findings->items[i].what, take->what))
            finding = &findings->items[i];
    if (finding) {
        finding_clear(take);
    } else {
        GROW(findings->items, findings->capacity, findings->n);
        finding = &findings->items[findings->n++];
        *finding = *take;
        *take = (Finding){ 0 };
    }
    if (relay && !strv_contains(finding->relays, relay))
        strv_push(&finding->relays, xstrdup(relay));
}

void findings_clear(Findings *findings)
{
    for (size_t i = 0; i < findings->n; i++)
        finding_clear(&findings->items[i]);
    free(findings->items);
    *findings = (Findings){ 0 };
}

size_t findings_warnings(const Findings *findings)
{
    size_t n = 0;

    for (size_t i = 0; i < findings->n; i++)
        n += findings->items[i].severity == SEVERITY_WARNING;
    return n;
}

/* ---- the configuration, and allocators ---- */

bool doctor_configuration(const char *reason, Finding *ret)
{
    if (isempty(reason))
        return false;
    *ret = (Finding){
        .id = "configuration-refused",
        .severity = SEVERITY_WARNING,
        .what = xasprintf("the configuration is refused: %s", reason),
        .why = xstrdup("Whoever can change it chooses what is loaded into every relay, even as root, in the "
                       "commands that run before tor starts. The daemon keeps the configuration that it has, "
                       "and does not start with this one."),
        .advice = xstrdup("Apply the fix in parentheses, then run \"relayallocctl check\"."),
    };
    return true;
}

bool doctor_library(const char *allocator, const char *reason, Finding *ret)
{
    if (isempty(reason))
        return false;
    *ret = (Finding){
        .id = "library-refused",
        .severity = SEVERITY_WARNING,
        .what = xasprintf("the library of allocator \"%s\" is refused: %s", allocator, reason),
        .why = xstrdup("No relay is moved to this allocator."),
        .advice =
            xstrdup("Install the library as this release has it, or correct its path in the configuration; "
                    "\"relayallocctl allocators\" shows what is found."),
    };
    return true;
}

bool doctor_setting(const char *allocator, const char *warning, Finding *ret)
{
    if (isempty(warning))
        return false;
    *ret = (Finding){
        .id = "setting-unknown",
        .severity = SEVERITY_WARNING,
        .what = xasprintf("allocator \"%s\": %s", allocator, warning),
        .why = xstrdup(
            "The allocator says nothing and runs without that setting, so what is measured is not what was "
            "meant."),
        .advice =
            xstrdup("Correct the setting in the configuration; that restarts the relays of its groups."),
    };
    return true;
}

/* "3.0" of "libmimalloc.so.3.0", "2.0.9" of "libmimalloc-secure-2.0.9.so"; "" when the name has none. */
static char *version_of_name(const char *path)
{
    const char *name = strrchr(path, '/'), *version = NULL;

    name = name ? name + 1 : path;
    version = strpbrk(name, "0123456789");
    size_t n = version ? strspn(version, "0123456789.") : 0;
    while (n > 0 && version[n - 1] == '.')
        n--;
    return n > 0 ? xstrndup(version, n) : xstrdup("");
}

bool doctor_known(const char *allocator, const char *realpath, const char *version, Finding *ret)
{
    _cleanup_(freep) char *named = realpath && isempty(version) ? version_of_name(realpath) : NULL;
    _cleanup_(freep) char *known =
        realpath ? known_warning(family_of_library(realpath), named ? named : version) : NULL;

    if (!known)
        return false;
    *ret = (Finding){
        .id = "mimalloc3-grows",
        .severity = SEVERITY_WARNING,
        .what = xasprintf("allocator \"%s\": %s", allocator, known),
        .why = xstrdup("The first days look harmless; what it holds after weeks is what counts."),
        .advice = xstrdup(
            "Prefer \"jemalloc\", which every release has. To measure mimalloc 3 anyway, give it only a few "
            "relays and watch \"relayallocctl report\", which says whether they still grow."),
    };
    return true;
}

bool doctor_renamed(const char *former, const char *name, Finding *ret)
{
    if (!name)
        return false;
    *ret = (Finding){
        .id = "allocator-renamed",
        .severity = SEVERITY_NOTE,
        .what = xasprintf("allocator \"%s\" is called \"%s\" now", former, name),
        .why = xstrdup("The former name keeps working and means the same settings."),
        .advice = xstrdup("Write the new name into the configuration when you next edit it; "
                          "\"relayallocctl plan\" shows what that would do."),
    };
    return true;
}

/* ---- the unit's sandbox ---- */

const char *const sandbox_settings[] = {
    "ProtectHome",         "PrivateTmp",    "InaccessiblePaths", "InaccessibleDirectories",
    "TemporaryFileSystem", "NoExecPaths",   "ExecPaths",         "BindPaths",
    "BindReadOnlyPaths",   "RootDirectory", "RootImage",         NULL,
};

/* The deepest rule about a path decides; of two about the same path the one that hides. */
typedef struct Rule {
    size_t depth; /* length of its path */
    bool hides;
    const UnitSetting *setting;
} Rule;

static void rule_apply(Rule *rule, const UnitSetting *setting, const char *path, size_t n, bool hides,
                       const char *library)
{
    while (n > 1 && path[n - 1] == '/')
        n--;
    if (strncmp(library, path, n) != 0 || (n > 1 && library[n] != '/' && library[n] != '\0'))
        return;
    if (rule->setting && (n < rule->depth || (n == rule->depth && rule->hides)))
        return;
    *rule = (Rule){ .depth = n, .hides = hides, .setting = setting };
}

/* Each path of a list: a leading "-" or "+", and what follows a colon, say how, not where. Of
 * "SOURCE:DESTINATION" the destination counts. */
static void rule_apply_list(Rule *rule, const UnitSetting *setting, bool binds, bool hides,
                            const char *library)
{
    for (const char *p = setting->value; *(p += strspn(p, " \t"));) {
        size_t n = strcspn(p, " \t");
        const char *path = p, *end = p + n, *colon = memchr(p, ':', n);
        if (binds && colon)
            path = colon + 1;
        path += strspn(path, "-+");
        size_t length = (size_t)(end - path);
        colon = memchr(path, ':', length);
        rule_apply(rule, setting, path, colon ? (size_t)(colon - path) : length, hides, library);
        p = end;
    }
}

static void rule_apply_folders(Rule *rule, const UnitSetting *setting, const char *const *folders,
                               const char *library)
{
    for (; *folders; folders++)
        rule_apply(rule, setting, *folders, strlen(*folders), true, library);
}

/* The last assignment of a setting that has one value; NULL: none. */
static const UnitSetting *last_of(const UnitSetting *settings, size_t n, const char *name)
{
    while (n-- > 0)
        if (streq(settings[n].name, name))
            return &settings[n];
    return NULL;
}

/* Has a later empty assignment removed this one? */
static bool taken_away(const UnitSetting *settings, size_t n, size_t i)
{
    for (size_t j = i + 1; j < n; j++)
        if (streq(settings[j].name, settings[i].name) && isempty(settings[j].value))
            return true;
    return false;
}

static void apply_lists(const UnitSetting *settings, size_t n, const char *library, Rule *ret_access,
                        Rule *ret_exec)
{
    static const struct {
        const char *name;
        bool exec, binds, hides;
    } lists[] = {
        { "InaccessiblePaths", false, false, true },   { "InaccessibleDirectories", false, false, true },
        { "TemporaryFileSystem", false, false, true }, { "BindPaths", false, true, false },
        { "BindReadOnlyPaths", false, true, false },   { "NoExecPaths", true, false, true },
        { "ExecPaths", true, false, false },
    };
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < ELEMENTSOF(lists); k++)
            if (streq(settings[i].name, lists[k].name) && !taken_away(settings, n, i))
                rule_apply_list(lists[k].exec ? ret_exec : ret_access, &settings[i], lists[k].binds,
                                lists[k].hides, library);
}

/* The setting that gives the unit another root, or NULL. */
static const UnitSetting *other_root(const UnitSetting *settings, size_t n)
{
    const UnitSetting *folder = last_of(settings, n, "RootDirectory"),
                      *image = last_of(settings, n, "RootImage");

    if (folder && !isempty(folder->value) && !streq(folder->value, "/"))
        return folder;
    return image && !isempty(image->value) ? image : NULL;
}

bool doctor_sandbox(const UnitSetting *settings, size_t n, const char *library, Finding *ret)
{
    static const char *const homes[] = { "/home", "/root", "/run/user", NULL };
    static const char *const temporary[] = { "/tmp", "/var/tmp", NULL };
    Rule access = { 0 }, exec = { 0 };
    const UnitSetting *home = last_of(settings, n, "ProtectHome"), *tmp = last_of(settings, n, "PrivateTmp");

    if (home && (systemd_bool(home->value) == 1 || streq(home->value, "tmpfs")))
        rule_apply_folders(&access, home, homes, library);
    if (tmp && systemd_bool(tmp->value) == 1)
        rule_apply_folders(&access, tmp, temporary, library);
    apply_lists(settings, n, library, &access, &exec);
    const UnitSetting *guilty = access.hides     ? access.setting
                                : exec.hides     ? exec.setting
                                : access.setting ? NULL /* mounted there on purpose */
                                                 : other_root(settings, n);
    if (!guilty)
        return false;
    *ret = (Finding){
        .id = "library-hidden",
        .severity = SEVERITY_WARNING,
        .what = xasprintf("%s=%s in %s keeps the relay from %s", guilty->name, guilty->value, guilty->file,
                          library),
        .why = xstrdup(
            "The dynamic linker would continue without the library, and the relay would run on glibc's "
            "allocator. relayallocd refuses such a move, so the relay stays as it is."),
        .advice =
            xstrdup("Install the library under /usr/lib, which no sandbox hides, and name that path in the "
                    "configuration; or remove the setting from that file."),
    };
    return true;
}

/* ---- AppArmor, tor's sandbox, other files ---- */

/* abstractions/base lets every profile map files with ".so" in their name under these. */
static bool common_library(const char *path)
{
    static const char *const folders[] = { "/usr/lib/", "/usr/lib32/", "/usr/lib64/",
                                           "/lib/",     "/lib32/",     "/lib64/" };

    for (size_t i = 0; i < ELEMENTSOF(folders); i++)
        if (strncmp(path, folders[i], strlen(folders[i])) == 0 && strstr(path, ".so"))
            return true;
    return false;
}

bool doctor_apparmor(const char *profile, const char *local_rules, const char *realpath, Finding *ret)
{
    if (isempty(profile) || !realpath || common_library(realpath) || apparmor_allows(local_rules, realpath))
        return false;
    *ret = (Finding){
        .id = "library-denied",
        .severity = SEVERITY_WARNING,
        .what = xasprintf("the AppArmor profile %s does not allow %s", profile, realpath),
        .why = xstrdup(
            "It allows only libraries under /usr/lib. The dynamic linker would continue without this one, "
            "and "
            "the relay would run on glibc's allocator. relayallocd refuses such a move, so the relay stays "
            "as it is."),
        .advice = xasprintf("Install the library under /usr/lib, or allow it with this line in "
                            "/etc/apparmor.d/local/%s\n  %s mr,\nand then, as root,\n  apparmor_parser -r "
                            "/etc/apparmor.d/%s",
                            profile, realpath, profile),
    };
    return true;
}

bool doctor_tor_sandbox(const char *sandbox, const char *allocator, Family family, Finding *ret)
{
    if (!sandbox || !streq(sandbox, "1") || family == FAMILY_GLIBC)
        return false;
    *ret = (Finding){
        .id = "tor-sandbox",
        .severity = SEVERITY_NOTE,
        .what = xasprintf("tor's own sandbox (Sandbox 1 in torrc) is on, with allocator \"%s\"", allocator),
        .why = xasprintf("It lets tor make only the system calls that its authors thought of; an allocator "
                         "may need others, possibly long after the start. %s",
                         family == FAMILY_OTHER
                             ? "This one has not been tested with it."
                             : "jemalloc 5.3, mimalloc 2.0 to 3.0 and gperftools 2.10 to 2.16 are known to "
                               "start with it."),
        .advice = xstrdup("Leave rollout.canary at 1 or more and give the first relay a longer "
                          "rollout.canary_settle, so that only one relay is affected if it fails."),
    };
    return true;
}

bool doctor_override(const char *conflict, bool wins, Finding *ret)
{
    if (isempty(conflict))
        return false;
    *ret = (Finding){
        .id = wins ? "overridden" : "also-set",
        .severity = wins ? SEVERITY_WARNING : SEVERITY_NOTE,
        .what = xstrdup(conflict),
        .why =
            xstrdup(wins ? "That takes precedence over our drop-in, so the relay would not run what it is "
                           "assigned. relayallocd sees that before a restart, and leaves the relay as it is."
                         : "Our drop-in sorts after it and wins. Without our drop-in, for example after a "
                           "revert, that file takes effect again."),
        .advice = xstrdup("Remove the line from that file, so that only one place decides. relayallocd never "
                          "changes files of others."),
    };
    return true;
}

bool doctor_preload(const char *file, const char *entry, bool there, bool rest, Finding *ret)
{
    if (there)
        return false;
    *ret = (Finding){
        .id = "preload-missing",
        .severity = rest ? SEVERITY_NOTE : SEVERITY_WARNING,
        .what = xasprintf("LD_PRELOAD in %s names %s, which %s", file, entry,
                          strchr(entry, '/') && *entry != '/' ? "is not an absolute path" : "does not exist"),
        .why = xstrdup("The dynamic linker continues without it, so the relay starts anyway and runs without "
                       "what should be preloaded. A line from ld.so in the unit's journal is the only sign."),
        .advice = xstrdup(
            "Correct the name in that file, or remove it. relayallocd never changes files of others."),
    };
    return true;
}

bool doctor_secure(const char *program, bool has_capabilities, const char *user, Finding *ret)
{
    if (!has_capabilities || isempty(user) || streq(user, "root") || streq(user, "0"))
        return false;
    *ret = (Finding){
        .id = "secure-execution",
        .severity = SEVERITY_WARNING,
        .what = xasprintf("%s has file capabilities, and is started as user %s", program, user),
        .why = xstrdup("It then starts in secure-execution mode, in which the dynamic linker ignores "
                       "LD_PRELOAD, and the C library ignores its settings in the environment. relayallocd "
                       "does not restart such a relay."),
        .advice =
            xasprintf("Give the capabilities to the unit instead of to the file. First in the unit, since "
                      "without either the relay does not start again: for ports below 1024\n"
                      "  AmbientCapabilities=CAP_NET_BIND_SERVICE\nthen, as root,\n"
                      "  systemctl daemon-reload\n  setcap -r %s\n  relayallocctl verify",
                      program),
    };
    return true;
}

#define MAPPINGS_NEAR 0.8
#define MAPPINGS_ADVISED 1048576 /* what several distributions set by now */

bool doctor_mappings(uint64_t count, uint64_t limit, Finding *ret)
{
    if (limit == 0 || (double)count < MAPPINGS_NEAR * (double)limit)
        return false;
    const uint64_t advised = limit < MAPPINGS_ADVISED ? MAPPINGS_ADVISED : 2 * limit;
    *ret = (Finding){
        .id = "mappings-near-limit",
        .severity = SEVERITY_WARNING,
        .what = xasprintf("it has %" PRIu64 " memory mappings, and the kernel allows a process %" PRIu64
                          " (vm.max_map_count)",
                          count, limit),
        .why = xstrdup("At the limit the kernel refuses it more memory, however much is free, and tor ends. "
                       "An allocator that puts guard pages around what it allocates takes many of them: "
                       "hardened_malloc is known for it."),
        .advice = xasprintf("Raise the limit now with\n  sysctl -w vm.max_map_count=%" PRIu64 "\n"
                            "and for every boot with this line in /etc/sysctl.d/relayalloc.conf\n"
                            "  vm.max_map_count = %" PRIu64 "\n"
                            "It takes effect at once, without a restart.",
                            advised, advised),
    };
    return true;
}
