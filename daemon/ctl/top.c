/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb top: the relays live on a terminal. Changes nothing. */
#include "ctl/top.h"

#include <errno.h>
#include <locale.h>
#include <ncurses.h>
#include <term.h>

#define REFRESH (2 * USEC_PER_SEC)

/* 0; negative errno: the connection is lost. */
static int update(Top *top, sd_bus *bus)
{
    static const char *const wanted[] = { "Ready", "Bootstrap", "Flags", NULL };
    _cleanup_(fleet_clear) Fleet fleet = { .properties = wanted };
    _cleanup_(manager_status_clear) ManagerStatus manager = { 0 };

    int r = manager_status_get(bus, SAY_NOTHING, &manager);
    if (r >= 0)
        r = fleet_from_daemon(bus, SAY_NOTHING, &fleet);
    top->gone = r < 0;
    if (r < 0) /* what is not the connection may be better the next time */
        return r == -ENOTCONN || r == -ECONNRESET || r == -EPIPE ? r : 0;
    top->now = ctl_now();
    for (size_t i = 0; i < fleet.n; i++) {
        const FleetRow *row = &fleet.rows[i];
        if (row->rss > 0)
            sparks_add(&top->sparks, row->relay, strlen(row->relay), top->now, row->rss);
    }
    fleet_clear(&top->fleet);
    top->fleet = fleet;
    fleet = (Fleet){ 0 };
    if (top->now - top->days_read > USEC_PER_HOUR || top->now < top->days_read) {
        traffic_days_clear(&top->days);
        (void)traffic_days_read(top->options, &top->days);
        top->days_read = top->now;
    }
    manager_status_clear(&top->manager);
    top->manager = manager;
    manager = (ManagerStatus){ 0 };
    return 0;
}

/* false: quit. */
static bool take_key(Top *top, int key)
{
    int column = top_sort_key(key);
    size_t page = top_page();

    if (key == 'q' || key == 'Q')
        return false;
    if (top->help) {
        top->help = false;
        return true;
    }
    if (column >= 0) {
        top->sort = (TopColumn)column;
        top->reverse = false;
        top->offset = 0;
        return true;
    }
    switch (key) {
    case 'r':
        top->reverse = !top->reverse;
        break;
    case 'h':
    case '?':
        top->help = true;
        break;
    case KEY_UP:
        top->offset -= top->offset > 0;
        break;
    case KEY_DOWN:
        top->offset++; /* drawing keeps it within the list */
        break;
    case KEY_PPAGE:
        top->offset -= top->offset < page ? top->offset : page;
        break;
    case KEY_NPAGE:
        top->offset += page;
        break;
    case KEY_HOME:
        top->offset = 0;
        break;
    case KEY_END:
        top->offset = top->fleet.n;
        break;
    default: /* KEY_RESIZE: drawn again, as after every key */
        break;
    }
    return true;
}

/* newterm() does not free all that it took when it finds that the terminal is not known. */
static bool terminal_known(void)
{
    int error = 0;

    if (setupterm(NULL, STDOUT_FILENO, &error) == ERR)
        return false;
    del_curterm(cur_term);
    return true;
}

static void start_colors(Top *top)
{
    if (!top->color || !has_colors()) {
        top->color = false;
        return;
    }
    start_color();
    use_default_colors();
    init_pair(1, COLOR_GREEN, -1);
    init_pair(2, COLOR_RED, -1);
    init_pair(3, COLOR_YELLOW, -1);
}

static int watch(Top *top, sd_bus *bus)
{
    usec_t due = ctl_now() + REFRESH;

    for (;;) {
        top_draw(top);
        usec_t now = ctl_now();
        timeout(due > now ? (int)((due - now) / USEC_PER_MSEC) + 1 : 0);
        int key = getch();
        if (key != ERR && !take_key(top, key))
            return 0;
        /* Without a terminal any more, getch() fails at once and for ever. */
        if (key == ERR && !isatty(STDIN_FILENO))
            return -EIO;
        now = ctl_now();
        if (now >= due || due > now + REFRESH) { /* the latter: the clock was set back */
            int r = update(top, bus);
            if (r < 0)
                return r;
            due = now + REFRESH;
        }
    }
}

int ctl_top(int argc, char *argv[], const CtlOptions *options)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    Top top = { .options = options, .sort = TOP_RSS, .color = options->color };
    bool local = !options->host && !options->machine;
    char *const *none = NULL;

    int status = ctl_operands(argc, argv, 0, &none);
    if (status != 0)
        return status;
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        ctl_error("top needs a terminal; use \"relayallocctl list\" instead");
        return EXIT_USAGE;
    }
    if (ctl_bus_open(options, false, &bus) < 0)
        return EXIT_FAILED;
    int r = update(&top, bus);
    if (r >= 0 && top.gone) {
        ctl_error("relayallocd is not running; start it with \"systemctl start relayallocd\"");
        return EXIT_FAILED;
    }
    if (r >= 0 && local && sparks_read_journal(&top.sparks, top.now) < 0)
        sparks_clear(&top.sparks); /* not for this user's eyes: the line grows from now on */
    SCREEN *screen = r >= 0 && terminal_known() ? newterm(NULL, stdout, stdin) : NULL;
    if (r >= 0 && !screen) {
        ctl_error("cannot use this terminal (TERM=%s)", getenv("TERM") ? getenv("TERM") : "");
        r = -EINVAL;
        status = EXIT_USAGE;
    }
    if (r >= 0) {
        start_colors(&top);
        cbreak();
        noecho();
        nonl();
        keypad(stdscr, TRUE);
        curs_set(0);
        r = watch(&top, bus);
        endwin();
        if (r < 0)
            ctl_error("lost the connection to the daemon: %s", strerror(-r));
    }
    if (screen)
        delscreen(screen);
    fleet_clear(&top.fleet);
    manager_status_clear(&top.manager);
    sparks_clear(&top.sparks);
    traffic_days_clear(&top.days);
    return status != 0 ? status : r < 0 ? EXIT_FAILED : EXIT_FINE;
}
