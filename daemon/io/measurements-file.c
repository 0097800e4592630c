/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/measurements-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define BUFFER_SIZE (4 * MEASUREMENTS_LINE_MAX)
#define COPY_MAX ((size_t)8 * 1024 * 1024 * 1024)

struct MeasurementsFile {
    int fd;
    char *name; /* as messages call it */
    char *buffer;
    size_t begin, end; /* what is in the buffer */
    bool eof;
};

MeasurementsFile *measurements_file_free(MeasurementsFile *file)
{
    if (!file)
        return NULL;
    closep(&file->fd);
    free(file->name);
    free(file->buffer);
    free(file);
    return NULL;
}

/* A pipe can be read only once: into a file without a name. */
static int copy_to_temporary(int from, int *ret)
{
    _cleanup_(fclosep) FILE *f = tmpfile();
    _cleanup_(freep) char *buffer = xcalloc(1, BUFFER_SIZE);
    size_t total = 0;

    if (!f)
        return -errno;
    for (;;) {
        ssize_t n = read(from, buffer, BUFFER_SIZE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        total += (size_t)n;
        if (total > COPY_MAX)
            return -EFBIG;
        if (fwrite(buffer, 1, (size_t)n, f) != (size_t)n)
            return -errno;
    }
    if (fflush(f) == EOF)
        return -errno;
    int fd = fcntl(fileno(f), F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return -errno;
    *ret = fd;
    return 0;
}

static int open_file(const char *path, int *ret)
{
    struct stat st;
    _cleanup_(closep) int fd = streq(path, "-") ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                                : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (!S_ISREG(st.st_mode) && !streq(path, "-"))
        return -EINVAL;
    if (!S_ISREG(st.st_mode))
        return copy_to_temporary(fd, ret);
    *ret = TAKE_FD(fd);
    return 0;
}

int measurements_file_open(const char *path, MeasurementsFile **ret)
{
    int fd = -1;
    int r = open_file(path, &fd);

    if (r < 0)
        return r;
    MeasurementsFile *file = xcalloc(1, sizeof(*file));
    file->fd = fd;
    file->name = xstrdup(streq(path, "-") ? "standard input" : path);
    file->buffer = xcalloc(1, BUFFER_SIZE);
    *ret = file;
    return 0;
}

/* Moves what is left to the front and reads on. 0; negative errno. */
static int fill(MeasurementsFile *file)
{
    memmove(file->buffer, file->buffer + file->begin, file->end - file->begin);
    file->end -= file->begin;
    file->begin = 0;
    while (!file->eof && file->end < BUFFER_SIZE) {
        ssize_t n = read(file->fd, file->buffer + file->end, BUFFER_SIZE - file->end);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            file->eof = true;
        file->end += (size_t)n;
    }
    return 0;
}

typedef struct Line {
    char *text;
    size_t n;
    bool torn;     /* the file ends here without a newline */
    bool overlong; /* and its text is not all of it */
} Line;

/* 1: a line; 0: no more; negative errno. */
static int next_line(MeasurementsFile *file, Line *ret)
{
    bool overlong = false;

    for (;;) {
        char *from = file->buffer + file->begin;
        size_t n = file->end - file->begin;
        char *newline = memchr(from, '\n', n);
        if (newline) {
            *ret = (Line){ from, (size_t)(newline - from), false,
                           overlong || (size_t)(newline - from) > MEASUREMENTS_LINE_MAX };
            file->begin += (size_t)(newline - from) + 1;
            return 1;
        }
        if (file->eof) {
            *ret = (Line){ from, n, true, overlong || n > MEASUREMENTS_LINE_MAX };
            file->begin = file->end;
            return n > 0 || overlong;
        }
        if (n > MEASUREMENTS_LINE_MAX) { /* its text is of no use: only its end matters */
            overlong = true;
            file->begin = file->end;
        }
        int r = fill(file);
        if (r < 0)
            return r;
    }
}

typedef struct Reading {
    MeasurementsFile *file;
    MeasurementTable table;
    MeasurementFunc *func;
    void *userdata;
    Problems *problems;
    uint64_t bad;
    unsigned line;
    bool measured; /* a row was read well */
} Reading;

static void complain(Reading *reading, char *take)
{
    if (reading->problems && reading->bad < MEASUREMENTS_PROBLEMS_MAX)
        problems_add(reading->problems, reading->file->name, reading->line, NULL, "%s", take);
    reading->bad++;
    free(take);
}

static int take_line(Reading *reading, const Line *line)
{
    char *error = NULL;
    Measurement m;
    int r;

    if (line->overlong) {
        complain(reading, xstrdup("longer than 64 KiB"));
        return reading->line == 1 ? -EINVAL : 0;
    }
    if (reading->line == 1) {
        r = measurement_table_header(&reading->table, line->text, line->n, &error);
        if (r < 0)
            complain(reading, error);
        return r;
    }
    r = measurement_table_row(&reading->table, line->text, line->n, line->torn, &m, &error);
    reading->measured |= r > 0;
    bool foreign = r == -ENOTSUP && !reading->measured;
    if (r > 0)
        r = reading->func(&m, reading->userdata, &error);
    if (r < 0)
        complain(reading, error);
    return foreign ? -EINVAL : 0;
}

int measurements_file_read(MeasurementsFile *file, bool bandwidth, MeasurementFunc *func, void *userdata,
                           Problems *problems, uint64_t *ret_bad, MeasurementTable *ret_table)
{
    Reading reading = {
        .file = file, .table.bandwidth = bandwidth, .func = func, .userdata = userdata, .problems = problems
    };
    Line line = { 0 };
    int r;

    file->begin = file->end = 0;
    file->eof = false;
    if (lseek(file->fd, 0, SEEK_SET) < 0)
        return -errno;
    while ((r = next_line(file, &line)) > 0) {
        if (reading.line < UINT32_MAX)
            reading.line++;
        r = take_line(&reading, &line);
        if (r < 0)
            break;
    }
    if (r == 0 && reading.line == 0) {
        complain(&reading, xstrdup("empty: the first line must name the columns"));
        r = -EINVAL;
    }
    if (r == 0 && ret_bad)
        *ret_bad = reading.bad;
    if (r == 0 && ret_table)
        *ret_table = reading.table;
    else
        measurement_table_clear(&reading.table);
    return r;
}
