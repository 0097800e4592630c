/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables: rows of typed cells, printed by libsmartcols for people and as an array of objects for programs.
 * Knows nothing of what the columns mean. */
#include "ctl/lib/ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <libsmartcols/libsmartcols.h>
#include <limits.h>
#include <wchar.h>

typedef struct Cell {
    bool set;
    char *text; /* what the table shows; for COLUMN_TEXT and COLUMN_PROSE also the value */
    uint64_t number;
    double real;
    int digits;
    const char *color;
} Cell;

typedef struct Row {
    Cell *cells; /* n_columns */
} Row;

struct CtlTable {
    const CtlOptions *options;
    const Column *columns;
    size_t n_columns;
    size_t *shown; /* indices of columns */
    size_t n_shown, shown_capacity;
    bool chosen; /* by -o */
    const size_t *drop;
    size_t n_drop;
    Row *rows;
    size_t n_rows, capacity;
};

/* Owned by the caller. */
static char *columns_text(const Column *columns, size_t n_columns)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        abort();
    fputs("The columns are:\n", f);
    for (size_t i = 0; i < n_columns; i++)
        fprintf(f, "  %-12s %s\n", columns[i].name, columns[i].help);
    fclose(f);
    return text;
}

static int unknown_column(const CtlTable *table, const char *name)
{
    _cleanup_(freep) const char **names = xcalloc(table->n_columns + 1, sizeof(char *));
    _cleanup_(freep) char *upper = xstrdup(name);

    for (size_t i = 0; i < table->n_columns; i++)
        names[i] = table->columns[i].name;
    for (char *p = upper; *p; p++)
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    const char *near = did_you_mean(upper, names);
    if (near)
        ctl_error("no column is named \"%s\" (did you mean %s?)", name, near);
    else
        ctl_error("no column is named \"%s\"", name);
    _cleanup_(freep) char *text = columns_text(table->columns, table->n_columns);
    fputs(text, stderr);
    return -EINVAL;
}

bool ctl_columns_help(const CtlOptions *options, const Column *columns, size_t n_columns)
{
    if (!streq_null(options->columns, "help"))
        return false;
    _cleanup_(freep) char *text = columns_text(columns, n_columns);
    (void)ctl_print(options, text);
    return true;
}

static void show_column(CtlTable *table, size_t column)
{
    GROW(table->shown, table->shown_capacity, table->n_shown);
    table->shown[table->n_shown++] = column;
}

static int choose_columns(CtlTable *table, const char *list, size_t n_default)
{
    if (!list || *list == '+')
        for (size_t i = 0; i < n_default; i++)
            show_column(table, i);
    if (!list)
        return 0;
    if (*list == '+')
        list++;
    table->chosen = true;

    _cleanup_(freep) char *copy = xstrdup(list);
    char *rest = copy;
    for (const char *name; (name = strsep(&rest, ","));) {
        size_t i = 0;
        while (i < table->n_columns && strcasecmp(table->columns[i].name, name) != 0)
            i++;
        if (i == table->n_columns)
            return unknown_column(table, name);
        show_column(table, i);
    }
    return 0;
}

int ctl_table_new(const CtlOptions *options, const Column *columns, size_t n_columns, size_t n_default,
                  CtlTable **ret)
{
    _cleanup_(ctl_table_freep) CtlTable *table = xcalloc(1, sizeof(*table));

    table->options = options;
    table->columns = columns;
    table->n_columns = n_columns;
    int r = choose_columns(table, options->columns, n_default);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(table);
    return 0;
}

void ctl_table_lead(CtlTable *table, size_t column)
{
    const char *list = table->options->columns;

    if ((list && *list != '+') || ctl_table_shows(table, column))
        return;
    show_column(table, column);
    memmove(table->shown + 1, table->shown, (table->n_shown - 1) * sizeof(*table->shown));
    table->shown[0] = column;
}

bool ctl_table_shows(const CtlTable *table, size_t column)
{
    for (size_t i = 0; i < table->n_shown; i++)
        if (table->shown[i] == column)
            return true;
    return false;
}

CtlTable *ctl_table_free(CtlTable *table)
{
    if (!table)
        return NULL;
    for (size_t i = 0; i < table->n_rows; i++) {
        for (size_t c = 0; c < table->n_columns; c++)
            free(table->rows[i].cells[c].text);
        free(table->rows[i].cells);
    }
    free(table->rows);
    free(table->shown);
    free(table);
    return NULL;
}

void ctl_table_row(CtlTable *table)
{
    GROW(table->rows, table->capacity, table->n_rows);
    table->rows[table->n_rows++].cells = xcalloc(table->n_columns, sizeof(Cell));
}

static Cell *cell(CtlTable *table, size_t column)
{
    return &table->rows[table->n_rows - 1].cells[column];
}

static void set_text(Cell *c, const char *text)
{
    free(c->text);
    c->text = xstrdup(text);
}

void ctl_table_text(CtlTable *table, size_t column, const char *text)
{
    if (isempty(text))
        return;
    cell(table, column)->set = true;
    set_text(cell(table, column), text);
}

void ctl_table_number(CtlTable *table, size_t column, uint64_t value)
{
    Cell *c = cell(table, column);

    if (table->columns[column].type == COLUMN_TIME && value == 0)
        return;
    c->set = true;
    c->number = value;
}

void ctl_table_real(CtlTable *table, size_t column, double value, int digits)
{
    *cell(table, column) = (Cell){ .set = true, .real = value, .digits = digits };
}

void ctl_table_color(CtlTable *table, size_t column, const char *sgr)
{
    cell(table, column)->color = sgr;
}

void ctl_table_show(CtlTable *table, size_t column, const char *text)
{
    set_text(cell(table, column), text);
}

void ctl_table_droppable(CtlTable *table, const size_t *order, size_t n)
{
    table->drop = order;
    table->n_drop = n;
}

size_t ctl_table_rows(const CtlTable *table)
{
    return table->n_rows;
}

/* ---- JSON ---- */

static struct json_object *cell_json(const Cell *c, ColumnType type)
{
    if (!c->set)
        return NULL;
    switch (type) {
    case COLUMN_TEXT:
    case COLUMN_PROSE:
        return ctl_json_text(c->text);
    case COLUMN_REAL: {
        _cleanup_(freep) char *digits = xasprintf("%.*f", c->digits, c->real);
        return json_object_new_double_s(c->real, digits);
    }
    case COLUMN_NUMBER:
    case COLUMN_BYTES:
    case COLUMN_TIME:
        break;
    }
    return json_object_new_uint64(c->number);
}

static int print_json(const CtlTable *table)
{
    struct json_object *array = json_object_new_array();

    for (size_t i = 0; i < table->n_rows; i++) {
        struct json_object *row = json_object_new_object();
        for (size_t s = 0; s < table->n_shown; s++) {
            const Column *column = &table->columns[table->shown[s]];
            _cleanup_(freep) char *key = xstrdup(column->name);
            for (char *p = key; *p; p++)
                if (*p >= 'A' && *p <= 'Z')
                    *p = (char)(*p - 'A' + 'a');
            json_object_object_add(row, key, cell_json(&table->rows[i].cells[table->shown[s]], column->type));
        }
        json_object_array_add(array, row);
    }
    return ctl_print_json(table->options, array);
}

/* ---- text ---- */

static char *cell_text(const Cell *c, ColumnType type)
{
    char bytes[FORMAT_BYTES_MAX];

    if (c->text)
        return xstrdup(c->text);
    if (!c->set)
        return xstrdup("-");
    switch (type) {
    case COLUMN_BYTES:
        return xstrdup(format_bytes(bytes, c->number));
    case COLUMN_TIME:
        return ctl_format_time(c->number);
    case COLUMN_REAL:
        return xasprintf("%.*f", c->digits, c->real);
    case COLUMN_TEXT:
    case COLUMN_PROSE:
    case COLUMN_NUMBER:
        break;
    }
    return xasprintf("%" PRIu64, c->number);
}

/* Columns that the text takes on the screen, where what cannot be shown becomes \xNN; *ret_cut: the bytes of
 * it that fit into `limit` columns. */
static size_t text_width(const char *text, size_t limit, size_t *ret_cut)
{
    size_t width = 0, cut = 0;
    mbstate_t state = { 0 };

    for (const char *p = text; *p;) {
        wchar_t wc = 0;
        size_t n = mbrtowc(&wc, p, strlen(p), &state);
        int w = n == 0 || n > MB_LEN_MAX ? -1 : wcwidth(wc);
        if (n == 0 || n > MB_LEN_MAX) {
            state = (mbstate_t){ 0 };
            n = 1;
        }
        width += w < 0 ? 4 * n : (size_t)w;
        p += n;
        if (width <= limit)
            cut = (size_t)(p - text);
    }
    if (ret_cut)
        *ret_cut = cut;
    return width;
}

size_t ctl_text_width(const char *text)
{
    return text_width(text, SIZE_MAX, NULL);
}

void ctl_shorten(char **text, size_t width)
{
    const char *ellipsis = ctl_utf8() ? "…" : "..";
    size_t cut = 0, ellipsis_width = ctl_utf8() ? 1 : 2;

    if (text_width(*text, width > ellipsis_width ? width - ellipsis_width : 0, &cut) <= width)
        return;
    char *shorter = xasprintf("%.*s%s", (int)cut, *text, ellipsis);
    free(*text);
    *text = shorter;
}

static size_t total_width(const size_t *widths, const bool *hidden, size_t n)
{
    size_t total = 0;

    for (size_t s = 0; s < n; s++)
        if (!hidden[s])
            total += widths[s] + 1;
    return total > 0 ? total - 1 : 0;
}

/* Narrows texts, always the widest, down to the widths given. Does the table fit then? */
static bool narrow(const CtlTable *table, size_t *widths, const bool *hidden, size_t limit, size_t text,
                   size_t prose)
{
    for (;;) {
        size_t widest = SIZE_MAX;
        if (total_width(widths, hidden, table->n_shown) <= limit)
            return true;
        for (size_t s = 0; s < table->n_shown; s++) {
            ColumnType type = table->columns[table->shown[s]].type;
            size_t least = type == COLUMN_PROSE ? prose : type == COLUMN_TEXT ? text : SIZE_MAX;
            if (!hidden[s] && widths[s] > least && (widest == SIZE_MAX || widths[s] > widths[widest]))
                widest = s;
        }
        if (widest == SIZE_MAX)
            return false;
        widths[widest]--;
    }
}

/* Fits the columns into the terminal: narrows texts to a width at which they can still be told apart and
 * read; leaves columns out until that is enough; and if it never is, narrows further. */
static void fit(const CtlTable *table, size_t *widths, bool *hidden, size_t limit)
{
    size_t n = table->n_shown, n_drop = table->chosen ? 0 : table->n_drop;
    _cleanup_(freep) size_t *natural = xcalloc(n, sizeof(*natural));

    memcpy(natural, widths, n * sizeof(*natural));
    for (size_t d = 0; !narrow(table, widths, hidden, limit, 12, 40); d++) {
        if (d == n_drop) {
            if (!narrow(table, widths, hidden, limit, 5, 20))
                narrow(table, widths, hidden, limit, 2, 2);
            return;
        }
        for (size_t s = 0; s < n; s++)
            hidden[s] = hidden[s] || table->shown[s] == table->drop[d];
        memcpy(widths, natural, n * sizeof(*natural));
    }
}

/* All texts that will be shown, header first: (n_rows + 1) × n_shown. */
static char **render_cells(const CtlTable *table, size_t *widths)
{
    size_t n = table->n_shown;
    char **texts = xcalloc((table->n_rows + 1) * n, sizeof(char *));

    for (size_t s = 0; s < n; s++) {
        const Column *column = &table->columns[table->shown[s]];
        texts[s] = xstrdup(column->name);
        for (size_t i = 0; i < table->n_rows; i++)
            texts[(i + 1) * n + s] = cell_text(&table->rows[i].cells[table->shown[s]], column->type);
        for (size_t i = table->options->no_legend ? 1 : 0; i <= table->n_rows; i++) {
            size_t width = text_width(texts[i * n + s], SIZE_MAX, NULL);
            if (width > widths[s])
                widths[s] = width;
        }
    }
    return texts;
}

/* Takes a line of that width from the text, up to a blank where there is one. */
static char *take_line(const char **text, size_t width)
{
    size_t cut = 0, blank = 0;

    if (text_width(*text, width, &cut) <= width || cut == 0)
        cut = strlen(*text);
    else
        for (blank = cut; blank > 0 && (*text)[blank] != ' ';)
            blank--;
    char *line = xstrndup(*text, blank > 0 ? blank : cut);
    *text += strlen(line);
    *text += strspn(*text, " ");
    return line;
}

/* The part of the cell that goes into the next line; *text is the rest. */
static char *next_line(ColumnType type, const char **text, size_t width)
{
    if (type == COLUMN_PROSE)
        return take_line(text, width);
    char *all = xstrdup(*text);
    ctl_shorten(&all, width);
    *text += strlen(*text);
    return all;
}

static void fill_row(const CtlTable *table, struct libscols_table *tb, const Row *row, char *const *texts,
                     const size_t *widths, const bool *hidden)
{
    size_t n = table->n_shown;
    _cleanup_(freep) const char **left = xcalloc(n, sizeof(*left));
    bool more = true;

    for (size_t s = 0; s < n; s++)
        left[s] = texts[s];
    while (more) {
        struct libscols_line *line = scols_table_new_line(tb, NULL);
        more = false;
        for (size_t s = 0, c = 0; s < n; s++) {
            if (hidden[s])
                continue;
            _cleanup_(freep) char *text =
                next_line(table->columns[table->shown[s]].type, &left[s], widths[s]);
            const char *color = row->cells[table->shown[s]].color;
            more = more || *left[s];
            if (scols_line_set_data(line, c, text) < 0)
                abort();
            if (color) {
                _cleanup_(freep) char *sequence = xasprintf("\033[%sm", color);
                scols_cell_set_color(scols_line_get_cell(line, c), sequence);
            }
            c++;
        }
    }
}

static void fill(const CtlTable *table, struct libscols_table *tb, char **texts, const size_t *widths,
                 const bool *hidden)
{
    size_t n = table->n_shown;

    for (size_t s = 0; s < n; s++) {
        ColumnType type = table->columns[table->shown[s]].type;
        bool left = type == COLUMN_TEXT || type == COLUMN_PROSE || type == COLUMN_TIME;
        ctl_shorten(&texts[s], widths[s]);
        if (!hidden[s] && !scols_table_new_column(tb, texts[s], 0, left ? 0 : SCOLS_FL_RIGHT))
            abort();
    }
    for (size_t i = 0; i < table->n_rows; i++)
        fill_row(table, tb, &table->rows[i], texts + (i + 1) * n, widths, hidden);
}

static int print_text(const CtlTable *table, const char *legend)
{
    size_t n = table->n_shown, width = ctl_terminal_width(), size = 0;
    _cleanup_(freep) size_t *widths = xcalloc(n, sizeof(*widths));
    _cleanup_(freep) bool *hidden = xcalloc(n, sizeof(*hidden));
    _cleanup_(freep) char *body = NULL, *text = NULL;
    char **texts = render_cells(table, widths);
    struct libscols_table *tb = scols_new_table();

    if (!tb)
        abort();
    if (width > 0)
        fit(table, widths, hidden, width);
    scols_table_set_termforce(tb, SCOLS_TERMFORCE_NEVER); /* its width is known already */
    scols_table_enable_noheadings(tb, table->options->no_legend);
    scols_table_enable_colors(tb, table->options->color);
    fill(table, tb, texts, widths, hidden);
    if (table->n_rows > 0 && scols_print_table_to_string(tb, &body) < 0)
        abort();
    scols_unref_table(tb);
    for (size_t i = 0; i < (table->n_rows + 1) * n; i++)
        free(texts[i]);
    free(texts);

    FILE *f = open_memstream(&text, &size);
    if (!f)
        abort();
    if (!isempty(body)) /* some versions end it with a newline, some do not */
        fprintf(f, "%s%s", body, body[strlen(body) - 1] == '\n' ? "" : "\n");
    if (legend && !table->options->no_legend && !table->options->quiet) {
        fputs(table->n_rows > 0 ? "\n" : "", f);
        ctl_write_wrapped(f, legend, width, 0, 0);
    }
    fclose(f);
    return ctl_print(table->options, text);
}

int ctl_table_print_legend(CtlTable *table, const char *legend)
{
    return table->options->json != JSON_OFF ? print_json(table) : print_text(table, legend);
}

int ctl_table_print(CtlTable *table)
{
    return ctl_table_print_legend(table, NULL);
}
