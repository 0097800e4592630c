/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the sentences about a relay that would not start again. Must never blame a torrc that was not judged.
 */
#include "core/verify-config.h"

#include "core/sandbox.h"

#include <signal.h>

#define WORDS_MAX ((size_t)400)

static const char warning[] = "[warn] ", summary[] = "Failed to parse/validate config: ";

/* The text of a line of tor's log that warns; NULL: it is none. */
static const char *warning_of(const char *line, size_t n)
{
    const char *found = memmem(line, n, warning, strlen(warning));

    return found ? found + strlen(warning) : NULL;
}

static char *copy_line(const char *text)
{
    size_t n = strcspn(text, "\n");

    return printable(text, n < WORDS_MAX ? n : WORDS_MAX);
}

static char *without_end(char *words)
{
    static const char end[] = "  Failing.";
    size_t n = strlen(words);

    if (n > strlen(end) && streq(words + n - strlen(end), end))
        words[n -= strlen(end)] = '\0';
    while (n > 0 && (words[n - 1] == '.' || words[n - 1] == ' '))
        words[--n] = '\0';
    return words;
}

/* "Invalid ORPort configuration", "Problem with User value. See logs for details.": the line before says
 * more. */
static bool says_little(const char *words)
{
    return strncmp(words, "Invalid ", strlen("Invalid ")) == 0 || strstr(words, "See logs for details");
}

char *verify_config_words(const char *output)
{
    const char *last = NULL, *before = NULL, *line_last = NULL;

    for (const char *line = output; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t n = strcspn(line, "\n");
        const char *text = warning_of(line, n);

        if (text) {
            before = last;
            last = text;
        }
        if (n > 0)
            line_last = line;
    }
    if (!last)
        return line_last ? without_end(copy_line(line_last)) : NULL;
    if (strncmp(last, summary, strlen(summary)) != 0)
        return without_end(copy_line(last));
    _cleanup_(freep) char *words = copy_line(last + strlen(summary));
    if (!before || !says_little(words))
        return without_end(TAKE_PTR(words));
    _cleanup_(freep) char *first = without_end(copy_line(before));
    return without_end(xasprintf("%s (%s)", first, without_end(words)));
}

static bool succeeded(const UnitInfo *end)
{
    return end->active == ACTIVE_INACTIVE && streq_null(end->result, "success");
}

/* systemd runs the pre-start commands of a unit with PermissionsStartOnly=yes (Debian's is one) as root,
 * which no property of the unit tells. We run them as its User=, where tor refuses to change to the very same
 * user: that is no fault of the torrc. */
static bool is_about_our_user(const char *output)
{
    return strstr(output, "Tor is already running as ") != NULL;
}

char *verify_config_fault(const UnitInfo *end, const char *program, const char *like, const char *output,
                          const char *log)
{
    if (!end || !end->exists || succeeded(end) || is_about_our_user(output))
        return NULL;
    char *fault = sandbox_fault(end, program, like, log);
    if (fault)
        return fault;
    _cleanup_(freep) char *words = verify_config_words(output);
    if (end->exit_code == CLD_EXITED && words)
        return xasprintf("its torrc does not verify: %s", words);
    if (end->exit_code == CLD_EXITED)
        return xasprintf("its torrc does not verify: %s ended with status %d", program, end->exit_status);
    return xasprintf("systemd cannot start %s as %s would (result \"%s\")", program, like,
                     end->result ? end->result : "?");
}
