/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns what the columns of a table of measurements mean. Must never guess at a number that does not parse. */
#include "report/measurements.h"

#include "core/timestamp.h"
#include "report/csv.h"

#include <errno.h>

static const char *const column_names[_MEASUREMENT_COLUMN_MAX] = {
    [MEASUREMENT_TIMESTAMP] = "timestamp", [MEASUREMENT_SERVER] = "server",
    [MEASUREMENT_TYPE] = "type",           [MEASUREMENT_FINGERPRINT] = "fingerprint",
    [MEASUREMENT_NICKNAME] = "nickname",   [MEASUREMENT_GROUP] = "group",
    [MEASUREMENT_RSS] = "rss_kb",          [MEASUREMENT_HWM] = "hwm_kb",
    [MEASUREMENT_ALLOCATOR] = "allocator", [MEASUREMENT_VERSION] = "version",
    [MEASUREMENT_STARTED] = "started",     [MEASUREMENT_FLAGS] = "flags",
    [MEASUREMENT_WRITE] = "write_bps",
};

/* A field as it can appear in a message: short, and without anything that a terminal would interpret. */
static char *shown(Span field)
{
    size_t n = field.n < 40 ? field.n : 40;
    char *s = xcalloc(n + 4, 1);

    for (size_t i = 0; i < n; i++)
        s[i] = (unsigned char)field.p[i] < ' ' || field.p[i] == 0x7f ? '?' : field.p[i];
    if (n < field.n)
        memcpy(s + n, "...", sizeof("..."));
    return s;
}

void measurement_table_clear(MeasurementTable *table)
{
    free(table->last_text);
    *table = (MeasurementTable){ 0 };
}

static int split(char *line, size_t n, Span *fields, size_t *ret_n, char **ret_error)
{
    int r = memchr(line, '\0', n) ? -EBADMSG : csv_split(line, n, fields, MEASUREMENT_COLUMNS_MAX, ret_n);

    if (r < 0)
        *ret_error = xstrdup(r == -E2BIG     ? "more than 64 columns"
                             : r == -EBADMSG ? "a NUL byte in the line"
                                             : "an unclosed quote, or text after a closing quote");
    return r < 0 ? -EINVAL : 0;
}

/* What separates the columns if it is not a comma, as in some spreadsheets and countries; NULL: commas, or
 * unknown. */
static const char *separator(const char *line, size_t n)
{
    if (memchr(line, ',', n))
        return NULL;
    return memchr(line, ';', n)    ? "semicolons"
           : memchr(line, '\t', n) ? "tabs"
           : memchr(line, '|', n)  ? "\"|\""
                                   : NULL;
}

static Span without_blanks(Span field)
{
    while (field.n > 0 && *field.p == ' ')
        field = (Span){ field.p + 1, field.n - 1 };
    while (field.n > 0 && field.p[field.n - 1] == ' ')
        field.n--;
    return field;
}

/* Finds a column by its exact name. A name that would match without its blanks is a typo, and must not be
 * overlooked. */
static int find_column(const Span *fields, size_t n, const char *name, ssize_t *ret, char **ret_error)
{
    *ret = -1;
    for (size_t i = 0; i < n; i++) {
        if (!span_is(without_blanks(fields[i]), name))
            continue;
        if (!span_is(fields[i], name)) {
            _cleanup_(freep) char *text = shown(fields[i]);
            *ret_error = xasprintf("the name of column %zu has a blank before or after it: \"%s\"; remove "
                                   "the blanks",
                                   i + 1, text);
            return -EINVAL;
        }
        if (*ret >= 0) {
            *ret_error = xasprintf("two columns are named \"%s\"", name);
            return -EINVAL;
        }
        *ret = (ssize_t)i;
    }
    return 0;
}

static bool has_column(const MeasurementTable *table, MeasurementColumn column)
{
    return table->at[column] >= 0;
}

static int check_columns(const MeasurementTable *table, char **ret_error)
{
    static const MeasurementColumn memory[] = { MEASUREMENT_TIMESTAMP, MEASUREMENT_NICKNAME,
                                                MEASUREMENT_RSS };
    static const MeasurementColumn bandwidth[] = { MEASUREMENT_TIMESTAMP, MEASUREMENT_WRITE };
    const MeasurementColumn *needed = table->bandwidth ? bandwidth : memory;
    const size_t n = table->bandwidth ? ELEMENTSOF(bandwidth) : ELEMENTSOF(memory);

    for (size_t i = 0; i < n; i++)
        if (!has_column(table, needed[i])) {
            *ret_error = xasprintf(
                "no column \"%s\"; the first line must name the columns as in %s", column_names[needed[i]],
                table->bandwidth ? "bandwidth_measurements.csv: timestamp,fingerprint,nickname,…,write_bps,…"
                                 : "memory_measurements.csv: timestamp,server,type,fingerprint,nickname,"
                                   "group,rss_kb,vmsize_kb,hwm_kb,…");
            return -EINVAL;
        }
    if (has_column(table, MEASUREMENT_NICKNAME) || has_column(table, MEASUREMENT_FINGERPRINT))
        return 0;
    *ret_error = xstrdup("neither a column \"fingerprint\" nor one \"nickname\" says whose rows these are");
    return -EINVAL;
}

int measurement_table_header(MeasurementTable *table, char *line, size_t n, char **ret_error)
{
    Span fields[MEASUREMENT_COLUMNS_MAX];
    size_t n_fields = 0;

    if (n >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) { /* the byte order mark of spreadsheets */
        line += 3;
        n -= 3;
    }
    const char *other = separator(line, n);
    if (other) {
        *ret_error = xasprintf(
            "the columns are separated by %s; save the table as CSV with commas between them", other);
        return -EINVAL;
    }
    int r = split(line, n, fields, &n_fields, ret_error);
    if (r < 0)
        return r;
    *table = (MeasurementTable){ .bandwidth = table->bandwidth, .n_columns = n_fields };
    for (size_t c = 0; c < _MEASUREMENT_COLUMN_MAX; c++) {
        r = find_column(fields, n_fields, column_names[c], &table->at[c], ret_error);
        if (r < 0)
            return r;
    }
    return check_columns(table, ret_error);
}

static Span field_of(const MeasurementTable *table, const Span *fields, MeasurementColumn column)
{
    return table->at[column] >= 0 ? fields[table->at[column]] : (Span){ 0 };
}

static int bad_field(MeasurementColumn column, Span field, const char *problem, char **ret_error)
{
    _cleanup_(freep) char *text = shown(field);

    *ret_error = xasprintf("%s \"%s\": %s", column_names[column], text, problem);
    return -EINVAL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Only digits, with others of these characters between them. */
static bool is_number_with(Span field, const char *others)
{
    bool has_other = false;

    if (field.n == 0 || !is_digit(field.p[0]) || !is_digit(field.p[field.n - 1]))
        return false;
    for (size_t i = 0; i < field.n; i++) {
        if (is_digit(field.p[i]))
            continue;
        if (field.p[i] == '\0' || !strchr(others, field.p[i]))
            return false;
        has_other = true;
    }
    return has_other;
}

/* What a spreadsheet makes of a number, and what it would take to be sure of it; NULL: it is something else.
 */
static const char *number_format(Span field)
{
    if (is_number_with(field, "eE.+-"))
        return memchr(field.p, 'e', field.n) || memchr(field.p, 'E', field.n)
                   ? "a number with an exponent, which has lost digits; format the column as whole numbers"
                   : "a number with a fraction, or with a dot between its thousands; format the column as "
                     "whole "
                     "numbers";
    /* Also U+00A0, U+202F and U+2019, as they stand between thousands in Europe. */
    if (is_number_with(field, ", '_\xc2\xa0\xe2\x80\xaf\x99"))
        return "a number with something between its thousands; format the column as whole numbers";
    return NULL;
}

/* As many rows have it as there are: the caller may stop at the first. */
static int bad_format(MeasurementColumn column, Span field, const char *problem, char **ret_error)
{
    (void)bad_field(column, field, problem, ret_error);
    return -ENOTSUP;
}

/* pandas writes a column of whole numbers that has an empty field as floats. */
static Span without_zero_fraction(Span field)
{
    if (field.n > 2 && memcmp(field.p + field.n - 2, ".0", 2) == 0 && is_digit(field.p[field.n - 3]))
        field.n -= 2;
    return field;
}

/* KiB as bytes. Empty is 0. */
static int read_kib(MeasurementColumn column, Span field, uint64_t *ret, char **ret_error)
{
    const Span digits = without_zero_fraction(field);
    uint64_t v = 0;

    for (size_t i = 0; i < digits.n; i++)
        if (!is_digit(digits.p[i]) || __builtin_mul_overflow(v, 10U, &v) ||
            __builtin_add_overflow(v, (unsigned)(digits.p[i] - '0'), &v)) {
            const char *format = number_format(field);
            return format ? bad_format(column, field, format, ret_error)
                          : bad_field(column, field, "not a whole number of KiB", ret_error);
        }
    if (v > UINT64_C(1) << 43)
        return bad_field(column, field, "more memory than a machine can have", ret_error);
    *ret = v * 1024;
    return 0;
}

static int check_name(MeasurementColumn column, Span field, char **ret_error)
{
    if (field.n > MEASUREMENT_NAME_MAX)
        return bad_field(column, field, "longer than 255 bytes", ret_error);
    for (size_t i = 0; i < field.n; i++)
        if ((unsigned char)field.p[i] < ' ' || field.p[i] == 0x7f)
            return bad_field(column, field, "a control character", ret_error);
    return 0;
}

/* Converts it to capitals in place, as tor does. Empty is none. */
static int read_fingerprint(Span field, Span *ret, char **ret_error)
{
    static const char hex[] = "0123456789ABCDEF";
    Span digits = field;

    if (digits.n > 0 && *digits.p == '$')
        digits = (Span){ digits.p + 1, digits.n - 1 };
    for (size_t i = 0; i < digits.n; i++) {
        char *c = (char *)&digits.p[i]; /* of the line, which is changed by being read */
        if (*c >= 'a' && *c <= 'f')
            *c = (char)(*c - 'a' + 'A');
        if (*c == '\0' || !strchr(hex, *c))
            digits.n = 0;
    }
    if (field.n > 0 && digits.n != 40)
        return bad_field(MEASUREMENT_FINGERPRINT, field, "not 40 hexadecimal digits", ret_error);
    *ret = digits;
    return 0;
}

/* What a spreadsheet makes of a time, as number_format(). */
static const char *time_format(Span field)
{
    Span date = { field.p, 0 };
    size_t dots = 0;
    bool number = field.n > 0;

    while (date.n < field.n && date.p[date.n] != ' ')
        dots += date.p[date.n++] == '.';
    if (is_number_with(date, "/") || (dots == 2 && is_number_with(date, ".")))
        return "a date whose day and month cannot be distinguished; format the column like "
               "2026-01-08T06:00:01";
    for (size_t i = 0; i < field.n; i++)
        number = number && (is_digit(field.p[i]) || field.p[i] == '.');
    return number ? "a number, not a date and time; write it like 2026-01-08T06:00:01" : NULL;
}

static int read_time(MeasurementColumn column, Span field, usec_t after, usec_t *ret, bool *ret_offset,
                     char **ret_error)
{
    int r = timestamp_parse_row(field.p, field.n, after, ret, ret_offset);

    if (r == 0)
        return 0;
    const char *format = time_format(field);
    if (format)
        return bad_format(column, field, format, ret_error);
    return bad_field(column, field,
                     r == -EDOM     ? "the clocks skipped this local time; is the zone (TZ) right?"
                     : r == -ERANGE ? "before 1970"
                                    : "not a date and time like 2026-01-08T06:00:01 or …T06:00:01+01:00",
                     ret_error);
}

/* All rows of one collection have the same text: mktime(3) is asked once. */
static int read_timestamp(MeasurementTable *table, Span field, usec_t *ret, char **ret_error)
{
    bool offset = false;
    usec_t t;

    if (table->last_text && field.n > 0 && field.n == table->last_length &&
        memcmp(field.p, table->last_text, field.n) == 0) {
        *ret = table->last;
        return 0;
    }
    int r = read_time(MEASUREMENT_TIMESTAMP, field, table->last, &t, &offset, ret_error);
    if (r < 0)
        return r;
    free(table->last_text);
    table->last_text = xstrndup(field.p, field.n);
    table->last_length = field.n;
    table->last = *ret = t;
    table->last_offset = offset;
    return 0;
}

/* Cut off in its last column, a line still has all of them: it can be trusted when that column is none of
 * those we read. */
static bool whole(const MeasurementTable *table, size_t n_fields)
{
    for (size_t c = 0; c < _MEASUREMENT_COLUMN_MAX; c++)
        if (table->at[c] == (ssize_t)table->n_columns - 1)
            return false;
    return n_fields == table->n_columns;
}

static int read_names(const MeasurementTable *table, const Span *fields, Measurement *m, char **ret_error)
{
    const struct {
        MeasurementColumn column;
        Span *to;
    } names[] = {
        { MEASUREMENT_SERVER, &m->server },       { MEASUREMENT_NICKNAME, &m->row.relay },
        { MEASUREMENT_GROUP, &m->row.group },     { MEASUREMENT_ALLOCATOR, &m->row.allocator },
        { MEASUREMENT_VERSION, &m->row.version },
    };

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        *names[i].to = field_of(table, fields, names[i].column);
        int r = check_name(names[i].column, *names[i].to, ret_error);
        if (r < 0)
            return r;
    }
    if (m->row.relay.n == 0 && !table->bandwidth)
        return bad_field(MEASUREMENT_NICKNAME, m->row.relay, "empty", ret_error);
    return 0;
}

static void read_flags(Span field, SampleRow *row)
{
    if (field.n > 0)
        sample_take_flags(row, span_is(field, "none") ? (Span){ field.p, 0 } : field);
}

/* Bytes in a second, with a fraction. Empty is 0. */
static int read_rate(Span field, double *ret, char **ret_error)
{
    _cleanup_(freep) char *text = xstrndup(field.n > 0 ? field.p : "0", field.n > 0 ? field.n : 1);
    char *end;

    for (const char *p = text; *p; p++)
        if (!is_digit(*p) && !strchr(".eE+-", *p))
            return bad_field(MEASUREMENT_WRITE, field, "not a number of bytes in a second", ret_error);
    const double v = strtod(text, &end);
    if (*end || !(v >= 0 && v < 1e15))
        return bad_field(MEASUREMENT_WRITE, field, "not a number of bytes in a second", ret_error);
    *ret = v;
    return 0;
}

static int read_values(const MeasurementTable *table, const Span *fields, Measurement *m, char **ret_error)
{
    const Span started = field_of(table, fields, MEASUREMENT_STARTED);
    bool offset = false;
    int r;

    if (table->bandwidth)
        return read_rate(field_of(table, fields, MEASUREMENT_WRITE), &m->written, ret_error);
    read_flags(field_of(table, fields, MEASUREMENT_FLAGS), &m->row);
    r = read_kib(MEASUREMENT_RSS, field_of(table, fields, MEASUREMENT_RSS), &m->row.memory.rss, ret_error);
    if (r == 0)
        r = read_kib(MEASUREMENT_HWM, field_of(table, fields, MEASUREMENT_HWM), &m->row.memory.hwm,
                     ret_error);
    if (r == 0 && started.n > 0)
        r = read_time(MEASUREMENT_STARTED, started, 0, &m->row.since, &offset, ret_error);
    return r;
}

int measurement_table_row(MeasurementTable *table, char *line, size_t n, bool torn, Measurement *ret,
                          char **ret_error)
{
    Span fields[MEASUREMENT_COLUMNS_MAX];
    Measurement m = { 0 };
    size_t n_fields = 0;

    if (n == 0 || (n == 1 && *line == '\r'))
        return 0;
    int r = split(line, n, fields, &n_fields, ret_error);
    if (r < 0)
        return r;
    if (torn && !whole(table, n_fields)) {
        *ret_error = xasprintf("the file ends within this line (no newline)");
        return -EINVAL;
    }
    if (n_fields != table->n_columns) {
        *ret_error = xasprintf("%zu columns, but the first line names %zu", n_fields, table->n_columns);
        return -EINVAL;
    }
    Span time = field_of(table, fields, MEASUREMENT_TIMESTAMP);
    Span type = field_of(table, fields, MEASUREMENT_TYPE);
    if (span_is(time, column_names[MEASUREMENT_TIMESTAMP])) { /* another file begins, earlier perhaps */
        free(TAKE_PTR(table->last_text));
        table->last = 0;
        return 0;
    }
    if (span_is(type, "aggregate"))
        return 0;
    if (table->at[MEASUREMENT_TYPE] >= 0 && !table->bandwidth && !span_is(type, "relay"))
        return bad_field(MEASUREMENT_TYPE, type, "neither \"relay\" nor \"aggregate\"", ret_error);
    r = read_names(table, fields, &m, ret_error);
    if (r == 0)
        r = read_fingerprint(field_of(table, fields, MEASUREMENT_FINGERPRINT), &m.row.fingerprint, ret_error);
    if (r == 0)
        r = read_values(table, fields, &m, ret_error);
    if (r == 0)
        r = read_timestamp(table, time, &m.time, ret_error);
    if (r < 0)
        return r;
    if (table->bandwidth && field_of(table, fields, MEASUREMENT_WRITE).n == 0)
        return 0; /* a row of another kind: what was advertised */
    if (m.row.memory.rss == 0 && !table->bandwidth) {
        table->not_running++;
        return 0;
    }
    *(table->last_offset ? &table->with_offset : &table->without_offset) += 1;
    *ret = m;
    return 1;
}
