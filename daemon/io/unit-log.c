/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/unit-log.h"

#include <systemd/sd-journal.h>

enum { LINE_MAX_SHOWN = 400, FIND_LINES_MAX = 500 };

/* Of the entry that the journal stands at; NULL: it has none. */
static char *current_line(sd_journal *j)
{
    const void *data;
    size_t n;

    if (sd_journal_get_data(j, "MESSAGE", &data, &n) < 0 || n <= 8)
        return NULL;
    return printable((const char *)data + 8, n - 8 < LINE_MAX_SHOWN ? n - 8 : LINE_MAX_SHOWN);
}

/* Of its own processes, and what is said of it: by systemd, or by a child of systemd's that names the unit
 * and whose own cgroup journald no longer finds when it reads the entry after the child has ended. */
char *unit_log_tail(const char *unit, size_t lines)
{
    _cleanup_(freep) char *own = xasprintf("_SYSTEMD_UNIT=%s", unit);
    _cleanup_(freep) char *about = xasprintf("UNIT=%s", unit);
    sd_journal *j = NULL;
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        return xstrdup("");
    if (sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY) >= 0 && sd_journal_add_match(j, own, 0) >= 0 &&
        sd_journal_add_disjunction(j) >= 0 && sd_journal_add_match(j, about, 0) >= 0 &&
        sd_journal_add_match(j, "_UID=0", 0) >= 0 && /* anybody may write a field UNIT= */
        sd_journal_seek_tail(j) >= 0 && sd_journal_previous_skip(j, lines) > 0) {
        do {
            _cleanup_(freep) char *line = current_line(j);
            if (line)
                fprintf(f, "%s\n", line);
        } while (sd_journal_next(j) > 0);
    }
    if (j)
        sd_journal_close(j);
    fclose(f);
    return text;
}

char *unit_log_find(const char *invocation, pid_t pid, const char *words)
{
    _cleanup_(freep) char *of_run = xasprintf("_SYSTEMD_INVOCATION_ID=%s", invocation);
    _cleanup_(freep) char *of_process = xasprintf("_PID=%d", (int)pid);
    sd_journal *j = NULL;
    char *found = NULL;

    if (sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY) >= 0 && sd_journal_add_match(j, of_run, 0) >= 0 &&
        sd_journal_add_match(j, of_process, 0) >= 0 && sd_journal_seek_tail(j) >= 0)
        for (size_t n = 0; !found && n < FIND_LINES_MAX && sd_journal_previous(j) > 0; n++) {
            char *line = current_line(j);
            if (line && strstr(line, words))
                found = line;
            else
                free(line);
        }
    if (j)
        sd_journal_close(j);
    return found;
}
