/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/status.h"

#include <stdarg.h>

void status_field(FILE *f, const char *name, const char *format, ...)
{
    _cleanup_(freep) char *text = NULL;
    va_list ap;

    va_start(ap, format);
    if (vasprintf(&text, format, ap) < 0)
        abort();
    va_end(ap);
    const int column = fprintf(f, "%12s%c", name, isempty(name) ? ' ' : ':');
    if (isempty(text))
        fputc('\n', f);
    ctl_write_wrapped(f, text, ctl_terminal_width(), column + 1, (size_t)column);
}

char *status_moment(usec_t realtime)
{
    if (realtime == 0)
        return xstrdup("never");
    _cleanup_(freep) char *time = ctl_format_time(realtime), *ago = ctl_format_ago(realtime);
    return xasprintf("%s; %s", time, ago);
}
