/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/top.h"

#include <inttypes.h>
#include <ncurses.h>

#define HEAD_LINES 4 /* two of summary, one empty, the titles */

/* `key` sorts by it. A column that does not fit is left out, the last ones of `order` first. */
static const struct {
    const char *title;
    int width;
    char key;
    bool right, descending;
} columns[_TOP_COLUMN_MAX] = {
    [TOP_RELAY] = { "RELAY", 10, 'n', false, false },
    [TOP_GROUP] = { "GROUP", 8, 'g', false, false },
    [TOP_RUNNING] = { "RUNNING", 9, 'a', false, false },
    [TOP_VERSION] = { "VERSION", 7, 'v', false, false },
    [TOP_STATE] = { "STATE", 10, 's', false, false },
    [TOP_RSS] = { "RSS", 8, 'm', true, true },
    [TOP_PEAK] = { "PEAK", 8, 'p', true, true },
    [TOP_SINCE] = { "SINCE", 16, 't', true, false },
    [TOP_READY] = { "READY", 6, 'b', false, false },
    [TOP_TRAFFIC] = { "TRAFFIC/DAY", 11, 'd', true, true },
    [TOP_FLAGS] = { "FLAGS", 16, 'f', false, false },
    [TOP_HOUR] = { "LAST HOUR", 12, '\0', false, false },
};
static const TopColumn order[] = { TOP_RELAY, TOP_RSS,   TOP_STATE, TOP_RUNNING,
                                   TOP_HOUR,  TOP_GROUP, TOP_PEAK,  TOP_VERSION };
/* When all of those fit, and long names do. */
static const TopColumn extra[] = { TOP_SINCE, TOP_READY, TOP_TRAFFIC, TOP_FLAGS };

int top_sort_key(int key)
{
    for (int c = 0; c < _TOP_COLUMN_MAX; c++)
        if (columns[c].key && columns[c].key == key)
            return c;
    return -1;
}

size_t top_page(void)
{
    return LINES > HEAD_LINES ? (size_t)(LINES - HEAD_LINES) : 1;
}

/* ---- sorting ---- */

static int compare_numbers(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static const char *ready_of(const FleetRow *row)
{
    const char *ready = fleet_ready(row);

    return ready ? ready : "-"; /* before digits, which are before "yes" */
}

static const char *flags_of(const FleetRow *row)
{
    const FleetField *field = fleet_field(row, "Flags");

    return field && field->text ? field->text : "";
}

static uint64_t traffic_of(const Top *top, const FleetRow *row)
{
    uint64_t bytes;

    return traffic_days_find(&top->days, row->relay, &bytes) ? bytes : 0;
}

static int compare_rows(const void *a, const void *b, void *userdata)
{
    const FleetRow *x = a, *y = b;
    const Top *top = userdata;
    int c = 0;

    switch (top->sort) {
    case TOP_GROUP:
        c = name_compare(x->group, y->group);
        break;
    case TOP_RUNNING:
        c = strcmp(x->running, y->running);
        break;
    case TOP_VERSION:
        c = strcmp(x->version, y->version);
        break;
    case TOP_STATE: /* what needs a look first */
        c = compare_numbers(state_is_fine(x->state), state_is_fine(y->state));
        c = c != 0 ? c : strcmp(x->state, y->state);
        break;
    case TOP_RSS:
        c = compare_numbers(x->rss, y->rss);
        break;
    case TOP_PEAK:
        c = compare_numbers(x->peak, y->peak);
        break;
    case TOP_SINCE:
        c = compare_numbers(y->since, x->since);
        break;
    case TOP_READY: /* likewise */
        c = strcmp(ready_of(x), ready_of(y));
        break;
    case TOP_FLAGS:
        c = strcmp(flags_of(x), flags_of(y));
        break;
    case TOP_TRAFFIC:
        c = compare_numbers(traffic_of(top, x), traffic_of(top, y));
        break;
    default:
        break;
    }
    if (columns[top->sort].descending != top->reverse)
        c = -c;
    if (c == 0)
        c = top->sort == TOP_RELAY && top->reverse ? name_compare(y->relay, x->relay)
                                                   : name_compare(x->relay, y->relay);
    return c;
}

/* ---- cells ---- */

/* Writes the text at most `width` wide, and fills up with blanks. */
static void put(const char *text, int width, bool right)
{
    _cleanup_(freep) char *fitting = xstrdup(text);

    ctl_shorten(&fitting, (size_t)width);
    int blanks = width - (int)ctl_text_width(fitting);
    if (right)
        printw("%*s", blanks > 0 ? blanks : 0, "");
    addstr(fitting);
    if (!right)
        printw("%*s", blanks > 0 ? blanks : 0, "");
}

static char *bytes_or_dash(uint64_t bytes)
{
    char buf[FORMAT_BYTES_MAX];

    return xstrdup(bytes > 0 ? format_bytes(buf, bytes) : "-");
}

static char *cell_text(const Top *top, const FleetRow *row, TopColumn c, int width)
{
    const char *text = "";

    switch (c) {
    case TOP_RELAY:
        text = row->relay;
        break;
    case TOP_GROUP:
        text = row->group;
        break;
    case TOP_RUNNING:
        text = row->running;
        break;
    case TOP_VERSION:
        text = row->version;
        break;
    case TOP_STATE:
        text = row->state;
        break;
    case TOP_RSS:
        return bytes_or_dash(row->rss);
    case TOP_PEAK:
        return bytes_or_dash(row->peak);
    case TOP_SINCE:
        return row->since > 0 ? ctl_format_ago(row->since) : xstrdup("-");
    case TOP_READY:
        text = ready_of(row);
        break;
    case TOP_FLAGS:
        text = flags_of(row);
        break;
    case TOP_TRAFFIC:
        return bytes_or_dash(traffic_of(top, row));
    default:
        return sparks_draw(&top->sparks, row->relay, top->now, (size_t)width);
    }
    return xstrdup(isempty(text) ? "-" : text);
}

static int attributes(const Top *top, const FleetRow *row, TopColumn c)
{
    if (c != TOP_STATE || !top->color)
        return 0;
    if (!state_is_fine(row->state))
        return (int)COLOR_PAIR(streq(row->state, "failed") || streq(row->state, "drifted") ? 2 : 3);
    return streq(row->state, "ok") ? (int)COLOR_PAIR(1) : (int)A_DIM;
}

/* ---- the screen ---- */

/* Gives a column what its longest text wants, as far as there is room. */
static void widen(int *width, int *room, const Fleet *fleet, size_t text_of_row)
{
    int longest = 0;

    for (size_t i = 0; i < fleet->n; i++) {
        char *const *text = (char *const *)((const char *)&fleet->rows[i] + text_of_row);
        int n = (int)ctl_text_width(*text);
        longest = n > longest ? n : longest;
    }
    int more = longest - *width < *room ? longest - *width : *room;
    if (*width == 0 || more <= 0)
        return;
    *width += more;
    *room -= more;
}

static bool place(int *widths, int *room, TopColumn column)
{
    int need = columns[column].width + (column != order[0]);

    if (need > *room && column != order[0])
        return false;
    widths[column] = columns[column].width;
    *room -= need;
    return true;
}

/* The widths of the columns that fit; 0: left out. What is over goes to long names, then to more columns,
 * then to the hour. */
static void lay_out(const Top *top, int *widths)
{
    int room = COLS;
    bool fits = true;

    memset(widths, 0, _TOP_COLUMN_MAX * sizeof(*widths));
    for (size_t i = 0; fits && i < ELEMENTSOF(order); i++)
        fits = place(widths, &room, order[i]);
    widen(&widths[TOP_RUNNING], &room, &top->fleet, offsetof(FleetRow, running));
    widen(&widths[TOP_RELAY], &room, &top->fleet, offsetof(FleetRow, relay));
    for (size_t i = 0; fits && i < ELEMENTSOF(extra); i++)
        fits = place(widths, &room, extra[i]);
    if (widths[TOP_HOUR] > 0 && room > 0)
        widths[TOP_HOUR] = widths[TOP_HOUR] + room < SPARK_MINUTES ? widths[TOP_HOUR] + room : SPARK_MINUTES;
}

static void draw_head(const Top *top)
{
    _cleanup_(freep) char *summary = fleet_summary(&top->fleet, ""), *rollout = NULL, *line = NULL;
    const ManagerStatus *m = &top->manager;
    char buf[FORMAT_BYTES_MAX];
    uint64_t rss = 0;

    for (size_t i = 0; i < top->fleet.n; i++)
        rss += top->fleet.rows[i].rss;
    move(0, 0);
    if (top->gone)
        attron(A_BOLD);
    line = top->gone ? xstrdup("relayallocd is not running or not answering; this is its last answer")
                     : TAKE_PTR(summary);
    put(line, COLS, false);
    attroff(A_BOLD);
    if (isempty(m->rollout) || streq(m->rollout, "idle"))
        rollout = xstrdup("");
    else
        rollout =
            xasprintf("; rollout %s: %u of %u moved, %u failed", m->rollout, m->done, m->total, m->failed);
    free(line);
    line = xasprintf("%s resident%s; h: keys", format_bytes(buf, rss), rollout);
    mvaddstr(1, 0, "");
    put(line, COLS, false);
}

static void draw_titles(const Top *top, const int *widths)
{
    bool first = true;

    move(HEAD_LINES - 1, 0);
    attron(A_REVERSE);
    for (int c = 0; c < _TOP_COLUMN_MAX; c++) {
        if (widths[c] == 0)
            continue;
        if (!first)
            addch(' ');
        first = false;
        if ((TopColumn)c == top->sort)
            attron(A_BOLD | A_UNDERLINE);
        put(columns[c].title, widths[c], columns[c].right);
        attroff(A_BOLD | A_UNDERLINE);
    }
    for (int x = getcurx(stdscr); x > 0 && x < COLS; x++)
        addch(' ');
    attroff(A_REVERSE);
}

static void draw_row(const Top *top, const FleetRow *row, const int *widths)
{
    bool first = true;

    for (int c = 0; c < _TOP_COLUMN_MAX; c++) {
        if (widths[c] == 0)
            continue;
        if (!first)
            addch(' ');
        first = false;
        _cleanup_(freep) char *text = cell_text(top, row, (TopColumn)c, widths[c]);
        int a = attributes(top, row, (TopColumn)c);
        attron(a);
        put(text, widths[c], columns[c].right);
        attroff(a);
    }
}

static void draw_help(void)
{
    static const char *const lines[] = {
        "Sort by",
        "  m  memory (RSS)    p  peak",
        "  n  name            g  group",
        "  a  allocator       v  version",
        "  s  state           t  start",
        "  b  bootstrapped    f  flags",
        "  d  traffic a day",
        "  r  reverse order",
        "",
        "Move: arrows, page keys, Home, End",
        "q: quit   any other key: back",
    };

    for (int i = 0; i < (int)ELEMENTSOF(lines) && i < LINES; i++)
        mvaddnstr(i, 0, lines[i], COLS);
}

void top_draw(Top *top)
{
    int widths[_TOP_COLUMN_MAX];
    size_t page = top_page();

    erase();
    if (top->help) {
        draw_help();
        refresh();
        return;
    }
    if (top->fleet.n > 0)
        qsort_r(top->fleet.rows, top->fleet.n, sizeof(*top->fleet.rows), compare_rows, top);
    if (top->offset + page > top->fleet.n)
        top->offset = top->fleet.n > page ? top->fleet.n - page : 0;
    lay_out(top, widths);
    draw_head(top);
    draw_titles(top, widths);
    for (size_t i = 0; i < page && top->offset + i < top->fleet.n; i++) {
        move(HEAD_LINES + (int)i, 0);
        draw_row(top, &top->fleet.rows[top->offset + i], widths);
    }
    refresh();
}
