/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the conversation with a relay's control socket: questions, and a reader of the answers that trusts
 * none. Replies are lines "250-key=value", "250+key=" with data up to a line ".", and end with "250 text". */
#include "core/tor-control.h"

#include <ctype.h>
#include <errno.h>

typedef enum Question {
    ASK_AUTHENTICATE,
    ASK_BOOTSTRAP,
    ASK_PID,
    ASK_FINGERPRINT,
    ASK_READ,
    ASK_WRITTEN,
    ASK_FLAGS,
    _QUESTION_MAX,
} Question;

static const char *const keys[_QUESTION_MAX] = {
    [ASK_BOOTSTRAP] = "status/bootstrap-phase", [ASK_PID] = "process/pid",
    [ASK_FINGERPRINT] = "fingerprint",          [ASK_READ] = "traffic/read",
    [ASK_WRITTEN] = "traffic/written",          [ASK_FLAGS] = "ns/id/",
};

struct TorReplies {
    TorView view;
    Question at, end;
    char line[1024]; /* so far; a longer one is cut, its rest passed over */
    size_t length;
    size_t bytes, lines;
    bool in_data;
    bool has_read;
    int error;
};

void tor_view_clear(TorView *view)
{
    free(view->tag);
    free(view->summary);
    free(view->warning);
    free(view->flags);
    *view = (TorView){ .progress = -1 };
}

char *tor_control_requests(const unsigned char cookie[static TOR_COOKIE_SIZE], const char *fingerprint)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        return xstrdup("");
    fputs("AUTHENTICATE ", f);
    for (size_t i = 0; i < TOR_COOKIE_SIZE; i++)
        fprintf(f, "%02X", cookie[i]);
    fputs("\r\n", f);
    for (Question q = ASK_BOOTSTRAP; q < ASK_FLAGS; q++)
        fprintf(f, "GETINFO %s\r\n", keys[q]);
    if (!isempty(fingerprint))
        fprintf(f, "GETINFO %s$%s\r\n", keys[ASK_FLAGS], fingerprint);
    fputs("QUIT\r\n", f);
    fclose(f);
    return text;
}

TorReplies *tor_replies_new(bool with_flags)
{
    TorReplies *t = xcalloc(1, sizeof(*t));

    t->view.progress = -1;
    t->end = with_flags ? _QUESTION_MAX : ASK_FLAGS;
    return t;
}

TorReplies *tor_replies_free(TorReplies *t)
{
    if (t)
        tor_view_clear(&t->view);
    free(t);
    return NULL;
}

void tor_replies_take(TorReplies *t, TorView *ret)
{
    *ret = t->view;
    t->view = (TorView){ .progress = -1 };
}

/* ---- values ---- */

/* The value of NAME=VALUE or NAME="VALUE" among words divided by spaces, fit to be shown; NULL: none. */
static char *word_value(const char *words, const char *name)
{
    const size_t n = strlen(name);

    for (const char *p = strstr(words, name); p; p = strstr(p + 1, name)) {
        if ((p > words && p[-1] != ' ') || p[n] != '=')
            continue;
        const char *value = p + n + 1;
        size_t length = *value == '"' ? strcspn(++value, "\"") : strcspn(value, " ");
        return printable(value, length < TOR_TEXT_MAX ? length : TOR_TEXT_MAX);
    }
    return NULL;
}

static void take_bootstrap(TorView *view, const char *value)
{
    _cleanup_(freep) char *progress = word_value(value, "PROGRESS");
    uint64_t percent;

    if (!progress || parse_u64(progress, &percent) < 0 || percent > 100)
        return;
    view->progress = (int)percent;
    free(view->tag);
    free(view->summary);
    free(view->warning);
    view->tag = word_value(value, "TAG");
    view->summary = word_value(value, "SUMMARY");
    view->warning = word_value(value, "WARNING");
}

static void take_fingerprint(TorView *view, const char *value)
{
    if (strspn(value, "0123456789ABCDEF") == TOR_FINGERPRINT_SIZE && value[TOR_FINGERPRINT_SIZE] == '\0')
        memcpy(view->fingerprint, value, TOR_FINGERPRINT_SIZE + 1);
}

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_flag(const char *word)
{
    size_t n = 0;

    while (isalnum((unsigned char)word[n]))
        n++;
    return n > 0 && word[n] == '\0';
}

/* "s Fast Guard Running", the line of the flags in a consensus entry (dir-spec). */
static void take_flags(TorView *view, const char *line)
{
    _cleanup_(freep) char *copy = xstrndup(line, TOR_TEXT_MAX);
    const char *words[16] = { NULL };
    size_t n = 0;
    char *state = NULL, *text = NULL;
    size_t size;

    for (char *w = strtok_r(copy, " ", &state); w && n < ELEMENTSOF(words); w = strtok_r(NULL, " ", &state))
        if (is_flag(w))
            words[n++] = w;
    qsort(words, n, sizeof(*words), compare_words);
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return;
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%s%s", i ? "," : "", words[i]);
    fclose(f);
    free(view->flags);
    view->flags = text;
}

static void take_value(TorReplies *t, const char *value)
{
    switch (t->at) {
    case ASK_BOOTSTRAP:
        take_bootstrap(&t->view, value);
        break;
    case ASK_FINGERPRINT:
        take_fingerprint(&t->view, value);
        break;
    case ASK_PID:
        (void)parse_u64(value, &t->view.pid);
        break;
    case ASK_READ:
        t->has_read = parse_u64(value, &t->view.read) >= 0;
        break;
    case ASK_WRITTEN:
        t->view.has_traffic = parse_u64(value, &t->view.written) >= 0 && t->has_read;
        break;
    case ASK_AUTHENTICATE:
    case ASK_FLAGS:
    case _QUESTION_MAX:
        break;
    }
}

/* ---- lines ---- */

static void take_data(TorReplies *t, const char *line)
{
    if (streq(line, "."))
        t->in_data = false;
    else if (t->at == ASK_FLAGS && strncmp(line, "s ", 2) == 0)
        take_flags(&t->view, line + 2);
}

/* The last line of a reply: the next one answers the next question. */
static int take_end(TorReplies *t, int status)
{
    if (t->at == ASK_AUTHENTICATE && status != 250)
        return -EACCES;
    /* it knows no such relay: asked of itself, it is in no consensus */
    if (t->at == ASK_FLAGS && status == 552 && !t->view.flags)
        t->view.flags = xstrdup("");
    t->at++;
    return t->at == t->end ? 1 : 0;
}

static int take_line(TorReplies *t, const char *line)
{
    if (t->in_data) {
        take_data(t, line);
        return 0;
    }
    if (strspn(line, "0123456789") != 3 || !strchr(" -+", line[3]) || line[3] == '\0')
        return -EBADMSG;
    if (line[0] == '6') /* events, which nobody asked for */
        return 0;
    const char *key = keys[t->at], *rest = line + 4;
    if (line[3] != ' ' && line[0] == '2' && key && strncmp(rest, key, strlen(key)) == 0) {
        const char *equals = strchr(rest, '=');
        if (equals && line[3] == '-')
            take_value(t, equals + 1);
    }
    t->in_data = line[3] == '+';
    return line[3] == ' ' ? take_end(t, atoi(line)) : 0;
}

static int take_byte(TorReplies *t, char c)
{
    if (c != '\n') {
        if (t->length < sizeof(t->line) - 1)
            t->line[t->length++] = c;
        return 0;
    }
    if (t->length > 0 && t->line[t->length - 1] == '\r')
        t->length--;
    t->line[t->length] = '\0';
    t->length = 0;
    return ++t->lines > TOR_LINES_MAX ? -EFBIG : take_line(t, t->line);
}

int tor_replies_feed(TorReplies *t, const char *data, size_t n)
{
    for (size_t i = 0; i < n && t->error == 0 && t->at < t->end; i++) {
        int r = ++t->bytes > TOR_REPLIES_MAX ? -EFBIG : take_byte(t, data[i]);
        if (r < 0)
            t->error = r;
    }
    return t->error < 0 ? t->error : t->at == t->end;
}

void tor_view_from_log(const char *line, TorView *ret)
{
    const char *words = line ? strstr(line, "Bootstrapped ") : NULL;
    unsigned percent;
    int end = 0;
    char tag[64];

    *ret = (TorView){ .progress = -1 };
    if (!words || sscanf(words, "Bootstrapped %u%% (%63[a-z_]):%n", &percent, tag, &end) != 2 || end == 0 ||
        percent > 100)
        return;
    ret->progress = (int)percent;
    ret->tag = xstrdup(tag);
    words += end;
    words += strspn(words, " ");
    const size_t n = strcspn(words, "\r\n"); /* what follows would look like words of ours */
    ret->summary = printable(words, n < TOR_TEXT_MAX ? n : TOR_TEXT_MAX);
}

/* The name of the kind of key stands between the blanks where there is one (tor's router.c). */
const char *const tor_fingerprint_words[2] = { "server's identity key  fingerprint is '",
                                               "server's identity key fingerprint is '" };

void tor_view_fingerprint_from_log(const char *line, TorView *view)
{
    for (size_t i = 0; i < ELEMENTSOF(tor_fingerprint_words); i++) {
        const char *words = line ? strstr(line, tor_fingerprint_words[i]) : NULL;
        const char *blank = words ? strchr(words + strlen(tor_fingerprint_words[i]), ' ') : NULL;
        if (!blank || strcspn(blank + 1, "'") != TOR_FINGERPRINT_SIZE)
            continue;
        char fingerprint[TOR_FINGERPRINT_SIZE + 1] = "";
        memcpy(fingerprint, blank + 1, TOR_FINGERPRINT_SIZE);
        take_fingerprint(view, fingerprint);
    }
}

char *tor_view_bootstrap(const TorView *view)
{
    if (view->progress < 0)
        return xstrdup("");
    if (isempty(view->tag))
        return xasprintf("%d %%", view->progress);
    char *text = xasprintf("%d %% (%s)", view->progress, view->tag);
    for (char *p = text; *p; p++)
        if (*p == '_')
            *p = ' ';
    return text;
}

char *tor_control_path(const char *pattern, const char *instance)
{
    if (isempty(pattern))
        return streq(instance, "default") ? xstrdup("/run/tor/control")
                                          : xasprintf("/run/tor-instances/%s/control", instance);
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return xstrdup("");
    for (const char *p = pattern; *p; p++)
        if (p[0] == '%' && p[1] == 'i') {
            fputs(instance, f);
            p++;
        } else {
            fputc(*p, f);
        }
    fclose(f);
    return text;
}
