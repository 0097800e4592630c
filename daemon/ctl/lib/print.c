/* SPDX-License-Identifier: BSD-3-Clause */
/* What relayallocctl writes: messages on stderr, text on stdout through a pager where systemctl would use
 * one, and JSON. Never decides what is written. */
#include "ctl/lib/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <json-c/json.h>
#include <langinfo.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

void ctl_complain(const char *line)
{
    _cleanup_(freep) char *clean = printable(line, SIZE_MAX);

    fflush(stdout); /* keeps the order where both go to one file */
    fprintf(stderr, "%s\n", clean);
}

void ctl_print_problems(const Problems *problems)
{
    for (size_t i = 0; i < problems->n; i++) {
        _cleanup_(freep) char *text = problem_to_string(&problems->items[i]);
        ctl_complain(text);
    }
}

void ctl_error(const char *format, ...)
{
    char *message = NULL;
    va_list ap;

    va_start(ap, format);
    int n = vasprintf(&message, format, ap);
    va_end(ap);
    if (n < 0)
        abort();
    _cleanup_(freep) char *line = xasprintf("relayallocctl: %s", message);
    free(message);
    ctl_complain(line);
}

int ctl_bad_option(int c, char *argv[])
{
    ctl_error(c == ':' ? "%s: option \"%s\" needs an argument" : "%s: unknown option \"%s\"", argv[0],
              argv[optind > 1 ? optind - 1 : 1]);
    return EXIT_USAGE;
}

int ctl_not_into(const char *path)
{
    struct stat out, file;

    if (fstat(STDOUT_FILENO, &out) < 0 || !S_ISREG(out.st_mode) || stat(path, &file) < 0 ||
        out.st_dev != file.st_dev || out.st_ino != file.st_ino)
        return 0;
    ctl_error("the output goes to %s, which is also the input, so the shell has emptied it; write to another "
              "file and move that into its place",
              path);
    return EXIT_USAGE;
}

int ctl_operands(int argc, char *argv[], size_t most, char *const **ret)
{
    static const struct option none[] = { { 0 } };

    opterr = 0;
    optind = 0;
    int c = getopt_long(argc, argv, ":", none, NULL);
    if (c != -1)
        return ctl_bad_option(c, argv);
    if ((size_t)(argc - optind) > most) {
        if (most == 0)
            ctl_error("%s takes no operand", argv[0]);
        else
            ctl_error("%s takes at most %zu operand%s", argv[0], most, most == 1 ? "" : "s");
        return EXIT_USAGE;
    }
    *ret = argv + optind;
    return 0;
}

/* The terminal's size by its driver; $COLUMNS and $LINES come first, as in all tools of this kind. */
static size_t terminal_size(const char *variable, bool columns)
{
    const char *set = getenv(variable);
    uint64_t value = 0;
    struct winsize size = { 0 };

    if (!isatty(STDOUT_FILENO))
        return 0;
    if (set && parse_u64(set, &value) == 0 && value > 0 && value < 10000)
        return (size_t)value;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
        size = (struct winsize){ 0 };
    if (columns)
        return size.ws_col > 0 ? size.ws_col : 80;
    return size.ws_row > 0 ? size.ws_row : 24;
}

size_t ctl_terminal_width(void)
{
    return terminal_size("COLUMNS", true);
}

static int write_out(const char *text)
{
    if (fputs(text, stdout) == EOF || fflush(stdout) == EOF) {
        int r = errno > 0 ? -errno : -EIO;
        ctl_error("cannot write: %s", strerror(-r));
        return r;
    }
    return 0;
}

void ctl_write_wrapped(FILE *f, const char *text, size_t width, int indent, size_t column)
{
    for (; *text; text += *text != '\0') {
        size_t line = strcspn(text, "\n");
        if (strncmp(text, "  ", 2) == 0) {
            fprintf(f, "%*s%.*s\n", indent, "", (int)line, text);
            text += line;
            continue;
        }
        for (const char *end = text + line; text < end;) {
            size_t n = strcspn(text, " \n");
            if (width > 0 && column > 0 && column + 1 + n > width) {
                fputc('\n', f);
                column = 0;
            }
            column += n + (size_t)fprintf(f, "%*s", column > 0 ? 1 : indent, "");
            fprintf(f, "%.*s", (int)n, text);
            text += n;
            while (*text == ' ')
                text++;
        }
        fputc('\n', f);
        column = 0;
    }
}

/* Starts `pager` with a pipe for its input. 0; negative errno. The shell runs it, because PAGER may carry
 * options. */
static int pager_start(const char *pager, pid_t *ret_pid, int *ret_fd)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    _cleanup_(closep) int in = fds[0], out = fds[1];
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        if (dup2(in, STDIN_FILENO) < 0)
            _exit(126);
        execl("/bin/sh", "sh", "-c", pager, (char *)NULL);
        _exit(127);
    }
    *ret_pid = pid;
    *ret_fd = TAKE_FD(out);
    return 0;
}

/* 0: shown; -ENOENT: there is no such pager; other errno. */
static int page(const char *pager, const char *text)
{
    pid_t pid = -1;
    int fd = -1, status = 0;

    int r = pager_start(pager, &pid, &fd);
    if (r < 0)
        return r;
    /* Ctrl-C and a pager that is left early are the pager's business, and end only the pager. */
    void (*old_pipe)(int) = signal(SIGPIPE, SIG_IGN);
    void (*old_interrupt)(int) = signal(SIGINT, SIG_IGN);
    for (size_t left = strlen(text); left > 0;) {
        ssize_t n = write(fd, text, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        text += n;
        left -= (size_t)n;
    }
    close(fd);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    signal(SIGPIPE, old_pipe);
    signal(SIGINT, old_interrupt);
    return WIFEXITED(status) && WEXITSTATUS(status) == 127 ? -ENOENT : 0;
}

static bool longer_than_terminal(const char *text)
{
    size_t lines = 0, height = terminal_size("LINES", false);

    for (const char *p = strchr(text, '\n'); p && lines < height; p = strchr(p + 1, '\n'))
        lines++;
    return height > 0 && lines >= height;
}

int ctl_print(const CtlOptions *options, const char *text)
{
    static const char *const fallbacks[] = { "exec pager", "exec less", "exec more" };

    if (options->no_pager || !longer_than_terminal(text))
        return write_out(text);
    const char *pager = getenv("SYSTEMD_PAGER");
    if (!pager)
        pager = getenv("PAGER");
    if (pager && (isempty(pager) || streq(pager, "cat")))
        return write_out(text);

    const char *less = getenv("SYSTEMD_LESS"), *charset = getenv("SYSTEMD_LESSCHARSET");
    setenv("LESS", less ? less : "FRSXMK", 1);
    if (charset)
        setenv("LESSCHARSET", charset, 1);
    /* For root the pager must not become a way to a shell. */
    if (geteuid() == 0)
        setenv("LESSSECURE", "1", 1);
    fflush(stdout);
    if (pager && page(pager, text) == 0)
        return 0;
    for (size_t i = 0; i < ELEMENTSOF(fallbacks); i++)
        if (page(fallbacks[i], text) == 0)
            return 0;
    return write_out(text);
}

int ctl_print_json(const CtlOptions *options, struct json_object *take)
{
    int flags = options->json == JSON_PRETTY ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED
                                             : JSON_C_TO_STRING_PLAIN;
    _cleanup_(freep) char *text =
        xasprintf("%s\n", json_object_to_json_string_ext(take, flags | JSON_C_TO_STRING_NOSLASHESCAPE));

    json_object_put(take);
    return ctl_print(options, text);
}

struct json_object *ctl_json_text(const char *text)
{
    char *clean = NULL;
    size_t size = 0;
    const char *end = text;

    if (isempty(text))
        return NULL;
    for (size_t n; (n = utf8_character(end)) > 0;)
        end += n;
    if (!*end) /* as nearly all are: a stream for each would take half the time of a long list */
        return json_object_new_string(text);
    FILE *f = open_memstream(&clean, &size);
    if (!f)
        abort();
    while (*text) {
        size_t n = utf8_character(text);
        if (n > 0)
            fwrite(text, 1, n, f);
        else
            fputs("\xef\xbf\xbd", f);
        text += n > 0 ? n : 1;
    }
    fclose(f);
    struct json_object *string = json_object_new_string(clean);
    free(clean);
    return string;
}

struct json_object *ctl_json_strv(char *const *strv)
{
    struct json_object *array = json_object_new_array();

    STRV_FOREACH (s, strv)
        json_object_array_add(array, ctl_json_text(*s));
    return array;
}

bool ctl_utf8(void)
{
    return streq(nl_langinfo(CODESET), "UTF-8");
}

char *ctl_paint(const CtlOptions *options, const char *sgr, const char *text)
{
    return options->color && sgr ? xasprintf("\033[%sm%s\033[0m", sgr, text) : xstrdup(text);
}

char *ctl_format_time(usec_t realtime)
{
    char buf[sizeof("-2147483648-12-31 23:59:60")];
    time_t t = (time_t)(realtime / USEC_PER_SEC);
    struct tm tm;

    if (!localtime_r(&t, &tm) || strftime(buf, sizeof(buf), "%Y-%m-%d %H:%M:%S", &tm) == 0)
        return xstrdup("?");
    return xstrdup(buf);
}

usec_t ctl_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

char *ctl_format_ago(usec_t realtime)
{
    char span[FORMAT_SPAN_MAX];
    usec_t now = ctl_now();

    return xasprintf("%s ago", format_span(span, now > realtime ? now - realtime : 0));
}

char *ctl_one_line(const char *text)
{
    char *line = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&line, &size);

    if (!f)
        abort();
    for (; *text; text++)
        if (*text == '\n')
            fputs("; ", f);
        else
            fputc(*text, f);
    fclose(f);
    return line;
}
