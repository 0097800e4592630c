/* SPDX-License-Identifier: BSD-3-Clause */
/* relayallocctl doctor: collects the facts and lets doctor/ judge them. Changes nothing, and reads files
 * only, so that it works without the daemon, without systemd, and under another root. */
#include "core/dropin.h"
#include "core/facts.h"
#include "core/relay.h"
#include "ctl/doctor-print.h"
#include "ctl/host.h"
#include "ctl/lib/survey.h"
#include "ctl/self-test.h"
#include "doctor/doctor-text.h"
#include "io/allocators.h"
#include "io/config-file.h"
#include "io/elf-file.h"
#include "io/instances.h"
#include "io/paths.h"
#include "io/process.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define RELAYS_MAX 10000

typedef struct DoctorRelay {
    RelayFacts facts; /* as far as files tell */
    char *torrc;      /* its text, never NULL */
} DoctorRelay;

typedef struct Doctor {
    const char *root;
    Config *config;
    AllocatorFacts *allocators; /* by index */
    DoctorRelay *relays;
    size_t n, capacity;
    Findings findings;
} Doctor;

static void doctor_clear(Doctor *d)
{
    for (size_t i = 0; i < d->n; i++) {
        relay_facts_clear(&d->relays[i].facts);
        free(d->relays[i].torrc);
    }
    free(d->relays);
    if (d->config)
        allocators_free(d->allocators, d->config->n_allocators);
    config_free(d->config);
    findings_clear(&d->findings);
    *d = (Doctor){ 0 };
}

/* ---- gathering ---- */

/* No file is as good as one without groups: there is still a host to examine. */
static int load_config(const char *path, Config **ret)
{
    _cleanup_(problems_clear) Problems problems = { 0 };
    const ConfNode empty = { .kind = CONF_GROUP };

    if (access(path, F_OK) < 0 && errno == ENOENT)
        return config_from_tree(&empty, path, &problems, ret);
    int r = config_file_load(path, &problems, ret);
    ctl_print_problems(&problems);
    return r;
}

/* Would the daemon accept it? load_config() reports its faults. */
static void judge_config(Doctor *d, const char *path)
{
    _cleanup_(problems_clear) Problems problems = { 0 };
    _cleanup_(config_freep) Config *config = NULL;
    Finding f = { 0 };

    if (!isempty(d->root) || access(path, F_OK) < 0 ||
        config_file_load_judged(path, path, &problems, NULL, &config) >= 0)
        return;
    for (size_t i = 0; i < problems.n; i++) {
        _cleanup_(freep) char *reason = xasprintf("%s %s", problems.items[i].file, problems.items[i].message);
        if (doctor_configuration(reason, &f))
            findings_add(&d->findings, NULL, &f);
    }
}

static int by_name(const void *a, const void *b)
{
    const DoctorRelay *x = a, *y = b;

    return name_compare(x->facts.name, y->facts.name);
}

/* NULL: the unit is no relay's. */
static DoctorRelay *add_relay(Doctor *d, const char *unit, const char *torrc)
{
    _cleanup_(freep) char *name = NULL, *dropin = xasprintf("/etc/systemd/system/%s.d/" DROPIN_NAME, unit);

    if (d->n >= RELAYS_MAX || relay_name_from_unit(d->config->unit, unit, &name) < 0)
        return NULL;
    char *text = host_read(d->root, torrc);
    GROW(d->relays, d->capacity, d->n);
    DoctorRelay *relay = &d->relays[d->n++];
    *relay = (DoctorRelay){ relay_facts_new(name, unit), text ? text : xstrdup("") };
    relay->facts.present = host_read(d->root, dropin);
    return relay;
}

/* Debian's tor@default.service has a torrc of its own, which exists even when nobody runs a relay with it:
 * one that opens a port for relays is assumed to run. */
static void add_default(Doctor *d)
{
    _cleanup_(host_files_clear) HostFiles files = { 0 };
    _cleanup_(freep) char *unit = NULL;

    if (relay_unit_of_folder(d->config->unit, "default", &unit) < 0)
        return;
    host_unit_files(d->root, unit, &files);
    DoctorRelay *relay = files.n > 0 ? add_relay(d, unit, "/etc/tor/torrc") : NULL;
    if (!relay)
        return;
    _cleanup_(freep) char *port = torrc_value(relay->torrc, "ORPort");
    relay->facts.has_file = true;
    relay->facts.info = xcalloc(1, sizeof(UnitInfo));
    relay->facts.info->active = port ? ACTIVE_ACTIVE : ACTIVE_INACTIVE;
}

static void add_instances(Doctor *d)
{
    _cleanup_(freep) char *folder = xasprintf("%s%s", d->root, d->config->instances_dir);
    _cleanup_(strv_freep) char **units = NULL;

    (void)instances_list(folder, d->config->unit, &units);
    STRV_FOREACH (unit, units) {
        const char *at = strchr(*unit, '@') + 1, *end = strrchr(*unit, '.');
        _cleanup_(freep) char *torrc =
            xasprintf("%s/%.*s/torrc", d->config->instances_dir, (int)(end - at), at);
        DoctorRelay *relay = add_relay(d, *unit, torrc);
        if (!relay)
            continue;
        relay->facts.has_instance = true;
        relay->facts.info = xcalloc(1, sizeof(UnitInfo)); /* Debian's generator makes tor.service want it */
        relay->facts.info->wanted = true;
    }
}

/* Those that count; the others belong to no relay. */
static void find_relays(Doctor *d)
{
    size_t n = 0;

    add_instances(d);
    add_default(d);
    for (size_t i = 0; i < d->n; i++)
        if (facts_counts(d->config, &d->relays[i].facts)) {
            d->relays[n++] = d->relays[i];
        } else {
            relay_facts_clear(&d->relays[i].facts);
            free(d->relays[i].torrc);
        }
    d->n = n;
    if (n > 0)
        qsort(d->relays, n, sizeof(*d->relays), by_name);
    _cleanup_(freep) const RelayFacts **relays = xcalloc(n, sizeof(*relays));
    _cleanup_(freep) size_t *groups = xcalloc(n, sizeof(size_t));
    for (size_t i = 0; i < n; i++)
        relays[i] = &d->relays[i].facts;
    facts_assign(d->config, relays, n, groups);
    for (size_t i = 0; i < n; i++)
        d->relays[i].facts.group = groups[i];
}

/* Under another root nothing can be preloaded and tested; the file has to do. */
static void find_library(const char *root, const char *name, AllocatorFacts *facts)
{
    _cleanup_(freep) char *found = host_find_library(root, name);

    if (!found) {
        facts->refusal = xasprintf("%s is not installed", name);
        return;
    }
    _cleanup_(freep) char *full = xasprintf("%s%s", root, found), *real = realpath(full, NULL);
    size_t n = strlen(root);
    facts->path = xstrdup(found);
    facts->realpath = xstrdup(real && strncmp(real, root, n) == 0 ? real + n : facts->path);
}

static void read_libraries(Doctor *d)
{
    if (isempty(d->root)) {
        _cleanup_(freep) char *probe = path_of_probe();
        d->allocators = allocators_look(&(AllocatorsAsk){ .config = d->config, .probe = probe });
        return;
    }
    d->allocators = xcalloc(d->config->n_allocators, sizeof(*d->allocators));
    for (size_t g = 0; g < d->config->n_groups; g++) {
        size_t i = d->config->groups[g].allocator;
        AllocatorFacts *facts = &d->allocators[i];
        if (d->config->allocators[i].library && !facts->refusal && !facts->path)
            find_library(d->root, d->config->allocators[i].library, facts);
    }
}

/* ---- looking ---- */

static void report_if(Doctor *d, bool found, const char *relay, Finding *finding)
{
    if (found)
        findings_add(&d->findings, relay, finding);
}

static void look_at_allocators(Doctor *d)
{
    for (size_t i = 0; i < d->config->n_allocators; i++) {
        const AllocatorFacts *facts = &d->allocators[i];
        const char *name = d->config->allocators[i].name;
        Finding f = { 0 };
        if (!facts_allocator_in_use(d->config, i))
            continue;
        report_if(d, doctor_library(name, facts->refusal, &f), NULL, &f);
        STRV_FOREACH (warning, facts->settings)
            report_if(d, doctor_setting(name, *warning, &f), NULL, &f);
        report_if(d, doctor_renamed(name, d->config->allocators[i].renamed, &f), NULL, &f);
        report_if(d, doctor_known(name, facts->realpath, facts->version, &f), NULL, &f);
    }
}

/* Does the library define malloc? false also for one that cannot be read: *ret_found. */
static bool serves_malloc(const Doctor *d, const char *library, bool *ret_found)
{
    _cleanup_(object_facts_clear) ObjectFacts facts = { 0 };
    _cleanup_(freep) char *found = host_find_library(d->root, library);
    _cleanup_(freep) char *full = found ? xasprintf("%s%s", d->root, found) : NULL;

    *ret_found = full && elf_file_read(full, &facts) >= 0;
    return *ret_found && facts.serves;
}

/* What the file preloads besides an allocator, and our drop-in keeps: a strv. */
static char **preloads_kept(const Doctor *d, const SettingFile *file)
{
    _cleanup_(strv_freep) char **environment = dropin_environment(file->text);
    _cleanup_(preloads_clear) Preloads preloads =
        preloads_parse(strv_env_get(environment, "LD_PRELOAD"), NULL);
    char **kept = NULL;
    bool found;

    for (size_t i = 0; i < preloads.n; i++)
        if (!serves_malloc(d, preloads.items[i].name, &found) && found)
            strv_push(&kept, xstrdup(preloads.items[i].name));
    return kept;
}

static void look_at_file(Doctor *d, const DoctorRelay *relay, const SettingFile *file, const char *own)
{
    const Allocator *allocator = &d->config->allocators[d->config->groups[relay->facts.group].allocator];
    const char *name = strrchr(file->path, '/');
    _cleanup_(strv_freep) char **kept = preloads_kept(d, file);
    const VerdictFacts facts = {
        .kept = kept,
        .environment = allocator->environment,
        .n_environment = allocator->n_environment,
        .files = file,
        .n_files = 1,
        .own_dropin = own,
    };
    _cleanup_(strv_freep) char **conflicts = verdict_conflicts(&facts);
    STRV_FOREACH (conflict, conflicts) {
        Finding f = { 0 };
        /* systemd unsets last of all. */
        bool wins = file->environment_file || strstr(*conflict, " unsets ") ||
                    (strstr(file->path, ".d/") && name && strcmp(name + 1, DROPIN_NAME) > 0);
        report_if(d, doctor_override(*conflict, wins, &f), relay->facts.name, &f);
    }
}

static void look_at_files(Doctor *d, const DoctorRelay *relay, const HostFiles *files)
{
    _cleanup_(freep) char *own = xasprintf("/etc/systemd/system/%s.d/" DROPIN_NAME, relay->facts.unit);
    _cleanup_(strv_freep) char **environment_files = host_environment_files(files, relay->facts.unit);

    for (size_t i = 0; i < files->n; i++)
        look_at_file(d, relay, &(SettingFile){ .path = files->items[i].path, .text = files->items[i].text },
                     own);
    STRV_FOREACH (path, environment_files) {
        _cleanup_(freep) char *text = host_read(d->root, *path);
        if (text)
            look_at_file(d, relay, &(SettingFile){ .path = *path, .text = text, .environment_file = true },
                         own);
    }
}

static void look_at_library(Doctor *d, const DoctorRelay *relay, const HostFiles *files,
                            const char *allocator, const AllocatorFacts *library)
{
    _cleanup_(strv_freep) char **values = NULL;
    _cleanup_(freep) char *profile = host_apparmor_profile(d->root, files);
    _cleanup_(freep) char *local = profile ? xasprintf("/etc/apparmor.d/local/%s", profile) : NULL;
    _cleanup_(freep) char *rules = local ? host_read(d->root, local) : NULL;
    _cleanup_(freep) char *sandbox = torrc_value(relay->torrc, "Sandbox");
    size_t n = 0;
    _cleanup_(freep) UnitSetting *settings = host_sandbox(files, &values, &n);
    Finding f = { 0 };

    /* Both names have to be visible: the one that is preloaded, and the file that it leads to. */
    bool hidden =
        doctor_sandbox(settings, n, library->path, &f) || doctor_sandbox(settings, n, library->realpath, &f);
    report_if(d, hidden, relay->facts.name, &f);
    report_if(d, doctor_apparmor(profile, rules ? rules : "", library->realpath, &f), relay->facts.name, &f);
    report_if(d, doctor_tor_sandbox(sandbox, allocator, family_of_library(library->realpath), &f),
              relay->facts.name, &f);
}

/* What ld.so expands ($LIB) is passed over: only it knows to what. */
static void look_at_preload(Doctor *d, const DoctorRelay *relay, const HostFiles *files)
{
    _cleanup_(freep) char *file = NULL,
                          *value = host_variable(d->root, files, relay->facts.unit, "LD_PRELOAD",
                                                 relay->facts.group != GROUP_NONE, &file);
    _cleanup_(preloads_clear) Preloads preloads = preloads_parse(value, NULL);
    bool any = false;

    for (size_t i = 0; i < preloads.n; i++) {
        PreloadEntry *entry = &preloads.items[i];
        entry->target =
            strchr(entry->name, '$') ? xstrdup(entry->name) : host_find_library(d->root, entry->name);
        any = any || entry->target;
    }
    for (size_t i = 0; i < preloads.n; i++) {
        const PreloadEntry *entry = &preloads.items[i];
        Finding f = { 0 };
        report_if(d, doctor_preload(file, entry->name, entry->target, any, &f), relay->facts.name, &f);
    }
}

static void look_at_program(Doctor *d, const DoctorRelay *relay, const HostFiles *files)
{
    _cleanup_(freep) char *program = host_program(files), *user = host_user(files);
    _cleanup_(freep) char *full = program ? xasprintf("%s%s", d->root, program) : NULL;
    Finding f = { 0 };

    if (full)
        report_if(d, doctor_secure(program, program_has_capabilities(full), user, &f), relay->facts.name, &f);
}

static void look_at_relays(Doctor *d)
{
    for (size_t i = 0; i < d->n; i++) {
        const DoctorRelay *relay = &d->relays[i];
        _cleanup_(host_files_clear) HostFiles files = { 0 };
        host_unit_files(d->root, relay->facts.unit, &files);
        look_at_preload(d, relay, &files);
        if (relay->facts.group == GROUP_NONE)
            continue;
        size_t allocator = d->config->groups[relay->facts.group].allocator;
        const AllocatorFacts *library = &d->allocators[allocator];
        look_at_files(d, relay, &files);
        if (d->config->allocators[allocator].library || d->config->allocators[allocator].n_environment > 0)
            look_at_program(d, relay, &files);
        if (library->path && library->realpath)
            look_at_library(d, relay, &files, d->config->allocators[allocator].name, library);
    }
}

static void look_at_mappings(Doctor *d)
{
    const uint64_t limit = host_mappings_limit(d->root);
    _cleanup_(freep) const char **units = xcalloc(d->n, sizeof(*units));
    _cleanup_(freep) size_t *counts = xcalloc(d->n, sizeof(*counts));
    Finding f = { 0 };

    if (d->n == 0 || limit == 0)
        return;
    for (size_t i = 0; i < d->n; i++)
        units[i] = d->relays[i].facts.unit;
    host_mappings(d->root, units, d->n, counts);
    for (size_t i = 0; i < d->n; i++)
        report_if(d, doctor_mappings(counts[i], limit, &f), d->relays[i].facts.name, &f);
}

static void look_at_queues(Doctor *d)
{
    _cleanup_(freep) char *meminfo = host_read(d->root, "/proc/meminfo");
    _cleanup_(freep) uint64_t *configured = xcalloc(d->n, sizeof(*configured));
    Finding f = { 0 };

    for (size_t i = 0; i < d->n; i++) {
        _cleanup_(freep) char *value = torrc_value(d->relays[i].torrc, "MaxMemInQueues");
        if (value && torrc_memory(value, &configured[i]) < 0)
            configured[i] = 0;
    }
    report_if(d, doctor_queues(configured, d->n, meminfo ? meminfo_total(meminfo) : 0, &f), NULL, &f);
}

static void look_at_system_preload(Doctor *d)
{
    _cleanup_(freep) char *text = host_read(d->root, SYSTEM_PRELOAD);
    _cleanup_(preloads_clear) Preloads preloads = preloads_parse(NULL, text);

    for (size_t i = 0; i < preloads.n; i++) {
        PreloadEntry *entry = &preloads.items[i];
        bool found;
        entry->serves = serves_malloc(d, entry->name, &found);
    }
    const PreloadEntry *allocator = preloads_system_allocator(&preloads);
    Finding f = { 0 };
    report_if(d, doctor_system_preload(allocator ? allocator->name : NULL, &f), NULL, &f);
}

/* By systemd itself, and by its files, which count from its next start on. */
static void look_at_environment(Doctor *d, const CtlOptions *options)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(strv_freep) char **asked = NULL, **filed = host_default_environment(d->root);
    Finding f = { 0 };

    if (isempty(d->root) && ctl_bus_open(options, true, &bus) >= 0)
        (void)survey_environment(bus, &asked);
    STRV_FOREACH (variable, filed)
        if (!strv_contains(asked, *variable))
            strv_push(&asked, xstrdup(*variable));
    _cleanup_(strv_freep) char **settings = verdict_host_settings(asked);
    STRV_FOREACH (setting, settings)
        report_if(d, doctor_host_setting(*setting, &f), NULL, &f);
}

static int by_text(const void *a, const void *b)
{
    return name_compare(*(char *const *)a, *(char *const *)b);
}

/* The units that have a drop-in directory here; a strv, in order. */
static char **units_with_dropins(const char *path)
{
    DIR *dir = opendir(path);
    char **units = NULL;

    for (const struct dirent *e; dir && (e = readdir(dir));) {
        size_t n = strlen(e->d_name);
        _cleanup_(freep) char *unit =
            n > 2 && streq(e->d_name + n - 2, ".d") ? xstrndup(e->d_name, n - 2) : NULL;
        if (unit && unit_is_service_instance(unit))
            strv_push(&units, TAKE_PTR(unit));
    }
    if (dir)
        closedir(dir);
    if (units)
        qsort(units, strv_length(units), sizeof(*units), by_text);
    return units;
}

/* What a former `unit` left. */
static void look_at_old_units(Doctor *d, const char *directory)
{
    _cleanup_(freep) char *path = xasprintf("%s%s", d->root, directory);
    _cleanup_(strv_freep) char **units = units_with_dropins(path);
    Finding f = { 0 };

    STRV_FOREACH (unit, units) {
        _cleanup_(freep) char *dropin = xasprintf("%s/%s.d/" DROPIN_NAME, directory, *unit);
        _cleanup_(freep) char *text = host_read(d->root, dropin);
        _cleanup_(freep) char *unit_template = relay_template_of(*unit);
        if (text && dropin_is_ours(text))
            report_if(d, doctor_left_over(unit_template, d->config->unit, &f), *unit, &f);
    }
}

static void look_at_unit_files(Doctor *d)
{
    static const char directory[] = "/etc/systemd/system";
    _cleanup_(freep) char *path = xasprintf("%s%s", d->root, directory);
    struct statvfs fs;
    Finding f = { 0 };

    if (statvfs(path, &fs) == 0)
        report_if(d, doctor_unit_files(directory, fs.f_flag & ST_RDONLY, &f), NULL, &f);
    look_at_old_units(d, directory);
}

static void look_at_gate(Doctor *d)
{
    const char *unit = d->config->rollout.gate;
    _cleanup_(host_files_clear) HostFiles files = { 0 };
    Finding f = { 0 };

    if (isempty(unit))
        return;
    host_unit_files(d->root, unit, &files);
    _cleanup_(freep) char *type = host_service_type(&files), *timeout = host_start_timeout(&files);
    report_if(d, doctor_gate(unit, type, timeout, &f), NULL, &f);
}

static void look_at_host(Doctor *d)
{
    _cleanup_(freep) char *huge = host_read(d->root, "/sys/kernel/mm/transparent_hugepage/enabled");
    _cleanup_(strv_freep) char **blacklist = NULL;
    JournalFacts journal = {
        .relays = d->n,
        .interval = d->config->sample_interval,
        .fleet = d->config->sample_entry == SAMPLE_ENTRY_FLEET,
    };
    bool spared = false;
    Finding f = { 0 };

    report_if(d, doctor_hugepages(huge, &f), NULL, &f);
    look_at_unit_files(d);
    look_at_gate(d);
    look_at_queues(d);
    host_journal(d->root, &journal);
    report_if(d, doctor_journal(&journal, &f), NULL, &f);
    if (d->n == 0)
        return; /* nobody to be restarted */
    look_at_system_preload(d);
    char mode = host_needrestart(d->root, d->relays[0].facts.unit, &spared);
    report_if(d, doctor_needrestart(mode, spared, &f), NULL, &f);
    bool upgrades = host_unattended_upgrades(d->root, &blacklist);
    report_if(d, doctor_upgrades(upgrades, blacklist, &f), NULL, &f);
}

/* ---- the verb ---- */

/* Nothing is found below what is not there, which looks like a host where all is well. */
static int check_root(const char *root)
{
    struct stat st = { 0 };
    const int error = stat(root, &st) < 0 ? errno : !S_ISDIR(st.st_mode) ? ENOTDIR : 0;

    if (error == 0)
        return 0;
    ctl_error("--root=%s: must be the root directory of a host: %s", root, strerror(error));
    return EXIT_USAGE;
}

static int read_options(int argc, char *argv[], const char **ret, bool *ret_self_test)
{
    static const struct option long_options[] = { { "root", required_argument, NULL, 'R' },
                                                  { "self-test", no_argument, NULL, 'T' },
                                                  { 0 } };
    const char *root = "/";

    optind = 0;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1;)
        if (c == 'R')
            root = optarg;
        else if (c == 'T')
            *ret_self_test = true;
        else
            return ctl_bad_option(c, argv);
    if (optind < argc) {
        ctl_error("%s takes no operand", argv[0]);
        return EXIT_USAGE;
    }
    if (*ret_self_test && !streq(root, "/")) {
        ctl_error("--self-test runs what is installed here, so it cannot be combined with --root");
        return EXIT_USAGE;
    }
    *ret = streq(root, "/") ? "" : root;
    return check_root(root);
}

int ctl_doctor(int argc, char *argv[], const CtlOptions *options)
{
    _cleanup_(doctor_clear) Doctor d = { 0 };
    bool self_test = false;

    int r = read_options(argc, argv, &d.root, &self_test);
    if (r != 0)
        return r;
    if (options->host || options->machine) {
        ctl_error("doctor examines the host that it runs on; run it there");
        return EXIT_USAGE;
    }
    /* a file that was named is taken as it is, whatever the root */
    _cleanup_(freep) char *file = xasprintf("%s%s", options->config_given ? "" : d.root, options->config);
    if (load_config(file, &d.config) < 0)
        return EXIT_USAGE;
    if (self_test)
        return self_test_print(options, d.config);
    judge_config(&d, file);
    find_relays(&d);
    read_libraries(&d);
    look_at_allocators(&d);
    look_at_relays(&d);
    look_at_mappings(&d);
    look_at_environment(&d, options);
    look_at_host(&d);
    if (doctor_print(options, &d.findings) < 0)
        return EXIT_FAILED;
    return findings_warnings(&d.findings) > 0 ? EXIT_FAILED : EXIT_FINE;
}
