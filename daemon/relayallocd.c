/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's main: options, then the manager until it ends. */
#include "bus/serve.h"
#include "manager/manager.h"

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <sys/stat.h>
#include <sysexits.h>

/* Is stderr the journal's own stream? systemd says which in $JOURNAL_STREAM (systemd.exec(5)). */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM"), *colon = stream ? strchr(stream, ':') : NULL;
    uint64_t device, inode;
    struct stat st;

    if (!colon || fstat(STDERR_FILENO, &st) < 0)
        return false;
    _cleanup_(freep) char *first = xstrndup(stream, (size_t)(colon - stream));
    return parse_u64(first, &device) == 0 && parse_u64(colon + 1, &inode) == 0 && st.st_dev == device &&
           st.st_ino == inode;
}

static void help(void)
{
    puts("relayallocd [OPTIONS…]\n\n"
         "Moves Tor relays onto the memory allocators that " CONFIG_DEFAULT_PATH
         " assigns to them, proves it,\n"
         "and logs their memory to the journal. Started by systemd: systemctl start relayallocd.\n\n"
         "  -h --help          Show this help\n"
         "     --version       Show the version\n"
         "     --config=FILE   Read FILE instead of " CONFIG_DEFAULT_PATH "\n"
         "     --log-target=journal|console\n"
         "                     Where to log; by default the journal when systemd started it, else the "
         "console\n\n"
         "See the relayallocd(8) man page for details.");
}

int main(int argc, char *argv[])
{
    enum { OPTION_VERSION = 256, OPTION_CONFIG, OPTION_LOG_TARGET };
    static const struct option options[] = {
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, OPTION_VERSION },
        { "config", required_argument, NULL, OPTION_CONFIG },
        { "log-target", required_argument, NULL, OPTION_LOG_TARGET },
        { 0 },
    };
    const char *config = CONFIG_DEFAULT_PATH;
    EventTarget target = stderr_is_journal() ? EVENT_TARGET_JOURNAL : EVENT_TARGET_CONSOLE;
    _cleanup_(manager_freep) Manager *m = NULL;
    int c;

    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C");
    while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
        switch (c) {
        case 'h':
            help();
            return EXIT_SUCCESS;
        case OPTION_VERSION:
            puts("relayalloc " VERSION);
            return EXIT_SUCCESS;
        case OPTION_CONFIG:
            config = optarg;
            break;
        case OPTION_LOG_TARGET:
            if (!streq(optarg, "journal") && !streq(optarg, "console")) {
                fprintf(stderr, "relayallocd: --log-target= must be \"journal\" or \"console\", not \"%s\"\n",
                        optarg);
                return EX_USAGE;
            }
            target = streq(optarg, "journal") ? EVENT_TARGET_JOURNAL : EVENT_TARGET_CONSOLE;
            break;
        default:
            return EX_USAGE;
        }
    if (optind < argc) {
        fprintf(stderr, "relayallocd: takes no arguments, but got \"%s\"\n", argv[optind]);
        return EX_USAGE;
    }
    eventlog_set_target(target);
    int r = manager_new(config, &bus_view, &m);
    if (r < 0)
        return r == -EINVAL ? EX_CONFIG : EXIT_FAILURE;
    r = manager_run(m);
    return r == -ESTALE ? EX_TEMPFAIL : r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
