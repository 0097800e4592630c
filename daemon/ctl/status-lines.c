/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/status.h"

#include <stdarg.h>

void status_field(FILE *f, const char *name, const char *format, ...)
{
    va_list ap;

    fprintf(f, "%12s%c ", name, isempty(name) ? ' ' : ':');
    va_start(ap, format);
    vfprintf(f, format, ap);
    va_end(ap);
    fputc('\n', f);
}

char *status_moment(usec_t realtime)
{
    if (realtime == 0)
        return xstrdup("never");
    _cleanup_(freep) char *time = ctl_format_time(realtime), *ago = ctl_format_ago(realtime);
    return xasprintf("%s; %s", time, ago);
}
