/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/metrics-port.h"

#define OPTION "MetricsPort"
#define BLANKS " \t\r\n"

void metrics_ports_clear(MetricsPorts *ports)
{
    strv_free(ports->ports);
    *ports = (MetricsPorts){ 0 };
}

static bool is_port(const char *s)
{
    uint64_t n = 0;

    return strspn(s, "0123456789") == strlen(s) && parse_u64(s, &n) >= 0 && n > 0 && n <= 65535;
}

/* The first word of the value: what follows are formats and flags. */
static void add(MetricsPorts *ports, const char *value)
{
    _cleanup_(freep) char *word = xstrndup(value, strcspn(value, BLANKS "#\""));
    const char *colon = strrchr(word, ':');

    if (!colon && is_port(word))
        strv_push(&ports->ports, xasprintf("127.0.0.1:%s", word));
    else if (colon && colon > word && is_port(colon + 1) && strncasecmp(word, "unix:", 5) != 0)
        strv_push(&ports->ports, TAKE_PTR(word));
}

void metrics_ports_line(MetricsPorts *ports, const char *line)
{
    const char *at = line + strspn(line, BLANKS);
    const char how = *at == '+' || *at == '/' ? *at++ : '\0';

    if (strncasecmp(at, OPTION, strlen(OPTION)) != 0 || !strchr(BLANKS, at[strlen(OPTION)]))
        return;
    at += strlen(OPTION);
    at += strspn(at, BLANKS);
    if (how == '/' || (how == '\0' && !ports->own))
        ports->ports = strv_free(ports->ports);
    if (how != '+')
        ports->own = true;
    if (how != '/')
        add(ports, at + (*at == '"'));
}

char *metrics_port_target(const char *port, const char *host)
{
    const char *colon = strrchr(port, ':');
    _cleanup_(freep) char *address = xstrndup(port, (size_t)(colon - port));

    return streq(address, "0.0.0.0") || streq(address, "[::]") ? xasprintf("%s%s", host, colon)
                                                               : xstrdup(port);
}
