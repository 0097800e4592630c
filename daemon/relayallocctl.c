/* SPDX-License-Identifier: BSD-3-Clause */
/* relayallocctl: reads the global options, which may stand before and after the verb, and hands the rest of
 * the command line to the verb. Does nothing itself but --help and --version. */
#include "ctl/lib/ctl.h"
#include "ctl/lib/hosts.h"

#include "core/config.h"

#include <getopt.h>
#include <locale.h>

typedef struct Verb {
    const char *name, *operands, *help;
    CtlVerb *run;
} Verb;

/* Also the order of --help; an entry without `run` is a heading. */
static CtlVerb ctl_help;
static const Verb verbs[] = {
    { "Relays", NULL, NULL, NULL },
    { "list", "[RELAY…]", "relays, what they are assigned and what they run (the default)", ctl_list },
    { "status", "[RELAY…]", "the daemon and the rollout, or relays in full", ctl_status },
    { "groups", "", "relays and memory by group", ctl_groups },
    { "allocators", "[-v]", "library, version and relays by allocator", ctl_allocators },
    { "top", "", "relays and their memory, live", ctl_top },
    { "targets", "[RELAY…]", "tor's MetricsPorts for Prometheus, with relay, group and allocator",
      ctl_targets },
    { "verify", "", "prove what every relay runs now", ctl_verify },
    { "Configuration", NULL, NULL, NULL },
    { "check", "[FILE]", "validate a file; - is standard input", ctl_check },
    { "plan", "[FILE]", "what would be done, in which wave, and why; changes nothing", ctl_plan },
    { "edit", "", "edit the file, check it, show the plan and ask before saving", ctl_edit },
    { "adopt", "", "print a file that describes what the relays run now", ctl_adopt },
    { "reload", "", "read the file again; with --wait, follow the rollout to its end", ctl_reload },
    { "doctor", "", "look for what makes allocators fail or figures mislead on this host", ctl_doctor },
    { "Rollout", NULL, NULL, NULL },
    { "pause", "", "restart no more relays until it is resumed", ctl_pause },
    { "resume", "[RELAY…]", "continue after a pause, halt or abort, or end a revert", ctl_resume },
    { "abort", "", "end the rollout where it stands", ctl_abort },
    { "restart", "[RELAY…]", "restart relays as they are, paced like any rollout", ctl_restart },
    { "revert", "[RELAY…]", "remove our drop-ins, paced like any rollout", ctl_revert },
    { "Measurements", NULL, NULL, NULL },
    { "report", "", "memory by allocator or group, compared", ctl_report },
    { "export", "", "the samples as CSV", ctl_export },
    { "experiment", "", "plan, start, judge and adopt a comparison of allocators", ctl_experiment },
    { "recommend", "", "the allocator that the measurements support", ctl_recommend },
    { "history", "RELAY", "samples of a relay", ctl_history },
    { "events", "[RELAY…]", "what the daemon did and saw", ctl_events },
    { "Help", NULL, NULL, NULL },
    { "help", "[VERB]", "show this, or what the manual says of a verb", ctl_help },
};

enum {
    OPTION_VERSION = 0x100,
    OPTION_JSON,
    OPTION_NO_PAGER,
    OPTION_NO_LEGEND,
    OPTION_CONFIG,
    OPTION_WAIT,
    OPTION_NOW,
};

static const struct option long_options[] = {
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, OPTION_VERSION },
    { "json", required_argument, NULL, OPTION_JSON },
    { "no-pager", no_argument, NULL, OPTION_NO_PAGER },
    { "no-legend", no_argument, NULL, OPTION_NO_LEGEND },
    { "quiet", no_argument, NULL, 'q' },
    { "columns", required_argument, NULL, 'o' },
    { "host", required_argument, NULL, 'H' },
    { "machine", required_argument, NULL, 'M' },
    { "config", required_argument, NULL, OPTION_CONFIG },
    { "yes", no_argument, NULL, 'y' },
    { "wait", no_argument, NULL, OPTION_WAIT },
    { "now", no_argument, NULL, OPTION_NOW },
    { 0 },
};

static int help(const CtlOptions *options)
{
    _cleanup_(freep) char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        abort();
    fputs("relayallocctl [OPTIONS…] VERB …\n\nMoves Tor relays onto other memory allocators, and shows what "
          "they run.\n",
          f);
    for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
        if (!verbs[i].run)
            fprintf(f, "\n%s:\n", verbs[i].name);
        else
            fprintf(f, "  %s %-*s %s\n", verbs[i].name,
                    (int)(22 - strlen(verbs[i].name)) + (strstr(verbs[i].operands, "…") ? 2 : 0),
                    verbs[i].operands, verbs[i].help);
    fputs("\n"
          "Options:\n"
          "  -h --help                show this help\n"
          "     --version             show the version\n"
          "     --json=MODE           print JSON: short or pretty\n"
          "     --no-pager            do not start a pager\n"
          "     --no-legend           print no column titles and no closing line\n"
          "  -q --quiet               print no hints and no closing line\n"
          "  -o --columns=LIST        show these columns, in this order; +LIST adds to the default\n"
          "  -H --host=[USER@]HOST    operate on another host, by SSH; list, status and groups\n"
          "                           take several: a,b,c\n"
          "  -M --machine=CONTAINER   operate on a local container\n"
          "     --config=FILE         the configuration, for verbs that read it themselves\n                 "
          "          (" CONFIG_DEFAULT_PATH ")\n"
          "  -y --yes                 answer yes to every question\n"
          "     --wait                reload, restart, revert: wait for the end of the rollout\n"
          "     --now                 resume, reload, revert: do not wait for the window\n"
          "\nExit status: 0 fine, 1 failed, 2 wrong usage or invalid file, 3 something is not as assigned,\n"
          "4 no such relay. More in relayallocctl(1).\n",
          f);
    fclose(f);
    return ctl_print(options, text) < 0 ? EXIT_FAILED : EXIT_FINE;
}

static int unknown_verb(const char *name);

static int ctl_help(int argc, char *argv[], const CtlOptions *options)
{
    char *const *operands = NULL;

    int status = ctl_operands(argc, argv, 1, &operands);
    if (status != 0)
        return status;
    if (!operands[0])
        return help(options);
    status = ctl_help_verb(options, operands[0]);
    return status == EXIT_USAGE ? unknown_verb(operands[0]) : status;
}

/* As systemctl decides it. */
static bool want_color(void)
{
    const char *systemd = getenv("SYSTEMD_COLORS"), *term = getenv("TERM");

    if (!isempty(systemd))
        return !streq(systemd, "0") && strcasecmp(systemd, "no") != 0 && strcasecmp(systemd, "n") != 0 &&
               strcasecmp(systemd, "false") != 0 && strcasecmp(systemd, "f") != 0 &&
               strcasecmp(systemd, "off") != 0;
    return isempty(getenv("NO_COLOR")) && isatty(STDOUT_FILENO) && !isempty(term) && !streq(term, "dumb");
}

typedef struct Asked {
    bool help, version;
} Asked;

/* One option that getopt_long found. 0, or EXIT_USAGE after a message. */
static int take_option(int c, const char *value, CtlOptions *options, Asked *asked)
{
    switch (c) {
    case 'h':
        asked->help = true;
        break;
    case OPTION_VERSION:
        asked->version = true;
        break;
    case OPTION_JSON:
        if (streq(value, "short"))
            options->json = JSON_SHORT;
        else if (streq(value, "pretty"))
            options->json = JSON_PRETTY;
        else if (streq(value, "off"))
            options->json = JSON_OFF;
        else {
            ctl_error("--json=%s: must be \"short\", \"pretty\" or \"off\"", value);
            return EXIT_USAGE;
        }
        break;
    case OPTION_NO_PAGER:
        options->no_pager = true;
        break;
    case OPTION_NO_LEGEND:
        options->no_legend = true;
        break;
    case 'q':
        options->quiet = true;
        break;
    case 'o':
        options->columns = value;
        break;
    case 'H':
        options->host = value;
        break;
    case 'M':
        options->machine = value;
        break;
    case OPTION_CONFIG:
        options->config = value;
        options->config_given = true;
        break;
    case 'y':
        options->yes = true;
        break;
    case OPTION_WAIT:
        options->wait = true;
        break;
    case OPTION_NOW:
        options->now = true;
        break;
    default:
        break;
    }
    return 0;
}

/* Removes the global options from argv and leaves the verb and its own arguments in rest[], in order.
 *
 * Verbs have options that are unknown here, some with a separate argument, so each word is shown to
 * getopt_long by itself (with the next one, which may be its argument): what it does not know goes to the
 * verb unchanged. */
static int read_options(int argc, char *argv[], CtlOptions *options, Asked *asked, int *ret_n, char *rest[])
{
    int n = 0;

    opterr = 0;
    for (int i = 1; i < argc;) {
        if (streq(argv[i], "--")) {
            /* Useless before the verb; after it, it keeps the verb from reading operands as options. */
            for (i += n == 0; i < argc; i++)
                rest[n++] = argv[i];
            break;
        }
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            rest[n++] = argv[i++];
            continue;
        }
        char *word[] = { argv[0], argv[i], i + 1 < argc ? argv[i + 1] : NULL, NULL };
        int words = i + 1 < argc ? 3 : 2, used = 1;
        bool unknown = false;
        optind = 0;
        while (optind < 2 && !unknown) {
            int c = getopt_long(words, word, "+:hqyo:H:M:", long_options, NULL);
            if (c == -1)
                break;
            used = optind - 1;
            if (c == ':') {
                ctl_error("option \"%s\" needs an argument", argv[i]);
                return EXIT_USAGE;
            }
            unknown = c == '?';
            int r = unknown ? 0 : take_option(c, optarg, options, asked);
            if (r != 0)
                return r;
        }
        if (unknown && n == 0) {
            ctl_error("unknown option \"%s\"; see relayallocctl --help", argv[i]);
            return EXIT_USAGE;
        }
        if (unknown) {
            rest[n++] = argv[i++];
            continue;
        }
        i += used > 0 ? used : 1;
    }
    rest[n] = NULL;
    *ret_n = n;
    return 0;
}

static bool is_one_of(CtlVerb *verb, CtlVerb *const *those)
{
    for (; *those; those++)
        if (verb == *those)
            return true;
    return false;
}

/* Those that have a place for the host in what they print; and those that read the journal, or a table, where
 * --host= chooses among the hosts that are in it. */
static int check_hosts(const Verb *verb, const CtlOptions *options)
{
    static CtlVerb *const print[] = { ctl_list, ctl_status, ctl_groups, NULL };
    static CtlVerb *const choose[] = { ctl_history,   ctl_events, ctl_report, ctl_experiment,
                                       ctl_recommend, ctl_export, NULL };

    if (!options->host || is_one_of(verb->run, choose))
        return 0;
    if (hosts_several(options) && !is_one_of(verb->run, print)) {
        ctl_error("\"%s\" takes one host with -H; list, status and groups take several", verb->name);
        return EXIT_USAGE;
    }
    return hosts_check(options->host);
}

/* Whoever writes them elsewhere believes that something was waited for, or was not. */
static int check_waiting(const Verb *verb, const CtlOptions *options)
{
    static CtlVerb *const now[] = { ctl_resume, ctl_reload, ctl_revert, ctl_restart, NULL };
    static CtlVerb *const wait[] = { ctl_reload, ctl_restart, ctl_revert, NULL };

    if (options->now && !is_one_of(verb->run, now)) /* restart refuses it with better words */
        ctl_error("%s takes no --now; resume, reload and revert do", verb->name);
    else if (options->wait && !is_one_of(verb->run, wait))
        ctl_error("%s takes no --wait, and does not wait; reload, restart and revert do", verb->name);
    else
        return 0;
    return EXIT_USAGE;
}

static int run_verb(const Verb *verb, int argc, char *argv[], const CtlOptions *options)
{
    int r = check_waiting(verb, options);

    if (r == 0)
        r = check_hosts(verb, options);
    return r != 0 ? r : verb->run(argc, argv, options);
}

static int unknown_verb(const char *name)
{
    const char *names[ELEMENTSOF(verbs) + 1];
    size_t n = 0;

    for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
        if (verbs[i].run)
            names[n++] = verbs[i].name;
    names[n] = NULL;
    const char *near = did_you_mean(name, names);
    if (near)
        ctl_error("unknown verb \"%s\" (did you mean \"%s\"?)", name, near);
    else
        ctl_error("unknown verb \"%s\"; see relayallocctl --help", name);
    return EXIT_USAGE;
}

int main(int argc, char *argv[])
{
    CtlOptions options = { .config = CONFIG_DEFAULT_PATH };
    Asked asked = { 0 };
    char *list[] = { (char *)"list", NULL };
    _cleanup_(freep) char **rest = xcalloc((size_t)argc + 1, sizeof(char *));
    int n = 0;

    /* Not LC_ALL: reading the files of all categories takes longer than most verbs do. Numbers stay as they
     * are, because JSON, CSV and gnuplot know no decimal comma. */
    setlocale(LC_CTYPE, "");
    setlocale(LC_MESSAGES, "");
    int r = read_options(argc, argv, &options, &asked, &n, rest);
    if (r != 0)
        return r;
    options.color = want_color();
    if (asked.help)
        return n > 0 && ctl_help_verb(&options, rest[0]) == EXIT_FINE ? EXIT_FINE : help(&options);
    if (asked.version)
        return ctl_print(&options, "relayallocctl " VERSION "\n") < 0 ? EXIT_FAILED : EXIT_FINE;
    if (options.host && options.machine) {
        ctl_error("--host and --machine cannot be combined");
        return EXIT_USAGE;
    }
    if (ctl_not_into(options.config) != 0)
        return EXIT_USAGE;
    if (n == 0)
        return run_verb(&(Verb){ .name = "list", .run = ctl_list }, 1, list, &options);
    for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
        if (verbs[i].run && streq(verbs[i].name, rest[0]))
            return run_verb(&verbs[i], n, rest, &options);
    return unknown_verb(rest[0]);
}
