/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a file of measurements line by line; what the lines mean is report/measurements'. Decides nothing. */
#pragma once

#include "core/config.h"
#include "report/measurements.h"

#define MEASUREMENTS_LINE_MAX ((size_t)64 * 1024)
/* This many bad lines are reported, the others counted. */
#define MEASUREMENTS_PROBLEMS_MAX 10

typedef struct MeasurementsFile MeasurementsFile;

/* "-" is stdin, copied to a temporary file when it is a pipe, because a table is read twice. 0; -EISDIR and
 * such: why it cannot be read. */
int measurements_file_open(const char *path, MeasurementsFile **ret);
MeasurementsFile *measurements_file_free(MeasurementsFile *file);
DEFINE_CLEANUP(MeasurementsFile, measurements_file_free)

/* 0: counted, or -EINVAL with a message in *ret_error, owned by the reader. */
typedef int MeasurementFunc(const Measurement *m, void *userdata, char **ret_error);

/* Reads the file from its beginning; `bandwidth`: which of the two tables it is. Bad lines go to `problems`
 * (may be NULL) with file and line, and do not count. `ret_table` (may be NULL) gets what the table says of
 * itself; to be cleared. 0; -EINVAL: no table (the first line is in `problems`), or one in a spreadsheet's
 * own format (its first row is); -EIO. */
int measurements_file_read(MeasurementsFile *file, bool bandwidth, MeasurementFunc *func, void *userdata,
                           Problems *problems, uint64_t *ret_bad, MeasurementTable *ret_table);
