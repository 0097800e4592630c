/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/probe.h"

#include "io/subprocess.h"

#include <errno.h>
#include <gnu/libc-version.h>
#include <signal.h>

void probe_result_clear(ProbeResult *result)
{
    free(result->version);
    free(result->library);
    free(result->remark);
    free(result->warnings);
    *result = (ProbeResult){ 0 };
}

/* ---- what it said ---- */

/* Value of the last line "NAME=…" of the output, or NULL. Owned by the caller. */
static char *find_value(const char *output, const char *name)
{
    const char *value = NULL;
    size_t n = strlen(name);

    for (const char *line = output; *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (strncmp(line, name, n) == 0 && line[n] == '=')
            value = line + n + 1;
    return value ? printable(value, strcspn(value, "\n")) : NULL;
}

int probe_parse(const char *output, ProbeResult *ret)
{
    _cleanup_(freep) char *family = find_value(output, "family"), *version = find_value(output, "version");
    _cleanup_(freep) char *library = find_value(output, "library"), *remark = find_value(output, "remark");
    Family f = family ? family_from_string(family) : _FAMILY_INVALID;

    if (f < 0 || !library || library[0] != '/')
        return -EPROTO;
    *ret = (ProbeResult){
        .family = f,
        .version = version ? TAKE_PTR(version) : xstrdup(""),
        .library = TAKE_PTR(library),
        .remark = isempty(remark) ? NULL : TAKE_PTR(remark),
    };
    return 0;
}

static void add_warnings(ProbeResult *result, const char *err)
{
    size_t n = strlen(err);

    while (n > 0 && err[n - 1] == '\n')
        n--;
    if (n == 0)
        return;
    result->warnings = printable(err, n);
}

/* ---- what came of it ---- */

/* ": " and what the probe or else the library gave as reason; "" when neither did. Owned by the caller. */
static char *explanation(const SubprocessResult *result)
{
    _cleanup_(freep) char *error = find_value(result->out, "error"), *line = NULL;

    if (!isempty(error))
        return xasprintf(": %s", error);
    line = printable(result->err, strcspn(result->err, "\n"));
    return isempty(line) ? xstrdup("") : xasprintf(": %s", line);
}

/* What ld.so says about a library that it continues without: then everything that follows is about another
 * allocator. */
static const char *find_ignored(const char *err)
{
    const char *line = strstr(err, "ERROR: ld.so: object ");

    return line && strstr(line, "cannot be preloaded") ? line : NULL;
}

/* What a library of a newer release fails with: the version of the C library that it asks for, "GLIBC_2.38".
 * Owned by the caller; NULL: not that. */
static char *find_newer_glibc(const char *err)
{
    static const char before[] = "version `", after[] = "' not found";
    const char *from = strstr(err, before), *to = from ? strstr(from, after) : NULL;

    if (!to || strncmp(from + strlen(before), "GLIBC_", strlen("GLIBC_")) != 0)
        return NULL;
    from += strlen(before);
    return printable(from, (size_t)(to - from));
}

/* `subject`: the library, or what stands for it. 0 if it ended well. */
static int judge(const char *subject, const SubprocessResult *result, ProbeResult *ret, char **ret_reason)
{
    _cleanup_(freep) char *why = explanation(result);
    const char *ignored = find_ignored(result->err);
    int r;

    if (result->signal == SIGKILL) { /* by the kernel, say, for lack of memory: no word on the library */
        *ret_reason = xasprintf("a program that runs with %s was killed from outside (SIGKILL)", subject);
        return -EAGAIN;
    }
    if (result->signal) {
        *ret_reason = xasprintf("a program that runs with %s crashes (%s)%s", subject,
                                strsignal(result->signal), why); /* NOLINT(concurrency-mt-unsafe) */
        return -EPROTO;
    }
    if (ignored) {
        _cleanup_(freep) char *line = printable(ignored, strcspn(ignored, "\n"));
        bool unreadable = strstr(line, "cannot open shared object file") != NULL;

        *ret_reason = unreadable ? xasprintf("%s cannot be read by unprivileged users: the file and its "
                                             "directories must be readable by all: %s",
                                             subject, line)
                                 : xasprintf("%s is refused by the dynamic linker: %s", subject, line);
        return unreadable ? -EACCES : -EPROTO;
    }
    _cleanup_(freep) char *newer = result->exit_status ? find_newer_glibc(result->err) : NULL;
    if (newer) {
        *ret_reason = xasprintf("%s is built for a newer release: it needs %s, and the C library of this "
                                "host is glibc %s",
                                subject, newer, gnu_get_libc_version());
        return -EPROTO;
    }
    if (result->exit_status) {
        *ret_reason = xasprintf("a program that runs with %s fails (exit status %d)%s", subject,
                                result->exit_status, why);
        return -EPROTO;
    }
    r = probe_parse(result->out, ret);
    if (r < 0) {
        *ret_reason =
            xasprintf("a program that runs with %s prints nothing that can be understood%s", subject, why);
        return r;
    }
    add_warnings(ret, result->err);
    return 0;
}

static char **make_environment(const char *library, const EnvVar *environment, size_t n_environment)
{
    char **strv = NULL;

    for (size_t i = 0; i < n_environment; i++)
        strv_push(&strv, xasprintf("%s=%s", environment[i].name, environment[i].value));
    if (library)
        strv_push(&strv, xasprintf("LD_PRELOAD=%s", library));
    return strv;
}

int probe_run_within(usec_t timeout, const char *probe_path, const char *library, const EnvVar *environment,
                     size_t n_environment, ProbeResult *ret, char **ret_reason)
{
    _cleanup_(strv_freep) char **strv = make_environment(library, environment, n_environment);
    _cleanup_(subprocess_result_clear) SubprocessResult result = { 0 };
    const char *subject = library ? library : "this environment";
    char span[FORMAT_SPAN_MAX];
    int r = subprocess_run(probe_path, strv, timeout, &result);

    if (r == -ETIMEDOUT)
        *ret_reason = xasprintf("a program that runs with %s hangs (still running after %s)", subject,
                                format_span(span, timeout));
    else if (r == -EFBIG) {
        *ret_reason = xasprintf("a program that runs with %s never stops printing", subject);
        r = -EPROTO;
    } else if (r < 0)
        *ret_reason =
            xasprintf("%s cannot be tested: %s cannot be run: %s", subject, probe_path, strerror(-r));
    if (r < 0)
        return r;
    return judge(subject, &result, ret, ret_reason);
}

int probe_run(const char *probe_path, const char *library, const EnvVar *environment, size_t n_environment,
              ProbeResult *ret, char **ret_reason)
{
    return probe_run_within(PROBE_TIMEOUT, probe_path, library, environment, n_environment, ret, ret_reason);
}
