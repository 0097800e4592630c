/* SPDX-License-Identifier: BSD-3-Clause */
/* libFuzzer: drop-ins, environment files and unit names that others wrote. What is read must be what systemd
 * could take, and must come back the same when we write it. */
#include "core/dropin.h"
#include "core/relay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth)
        abort();
}

/* Variables as they were read: names of the portable characters, each once. */
static void check_environment(char **environment)
{
    EnvVar variables[DROPIN_ENVIRONMENT_MAX];
    Allocator allocator = { .name = (char *)"x", .environment = variables };

    must(strv_length(environment) <= DROPIN_ENVIRONMENT_MAX);
    STRV_FOREACH (e, environment) {
        const char *value = strchr(*e, '=');
        must(value && value > *e && !(**e >= '0' && **e <= '9'));
        for (const char *p = value; *p; p += utf8_character(p))
            must(utf8_character(p) > 0);
        char *name = xstrndup(*e, (size_t)(value - *e));
        must(strv_env_get(environment, name) == value + 1); /* there is no later one */
        if (streq(name, "LD_PRELOAD"))
            free(name);
        else
            variables[allocator.n_environment++] = (EnvVar){ name, (char *)value + 1 };
    }
    _cleanup_(freep) char *text = dropin_render("/etc/relayalloc.conf", "g", &allocator, NULL, NULL);
    _cleanup_(strv_freep) char **again = dropin_environment(text);
    must(dropin_is_ours(text));
    must(strv_length(again) >= allocator.n_environment);
    for (size_t i = 0; i < allocator.n_environment; i++) {
        must(streq_null(strv_env_get(again, variables[i].name), variables[i].value));
        free(variables[i].name);
    }
}

static void check_names(const char *text)
{
    _cleanup_(freep) char *unit = xasprintf("tor@%s.service", text), *name = NULL, *folder = NULL;

    if (relay_name_from_unit("tor@.service", unit, &name) < 0)
        return;
    must(unit_is_instance("tor@.service", unit) && !strchr(unit, '/'));
    must(*name != '\0');
    for (const char *p = name; *p; p += utf8_character(p))
        must(utf8_character(p) > 0 && (unsigned char)*p >= 0x20 && *p != 0x7f);
    if (!streq(text, ".") && !streq(text, ".."))
        must(relay_unit_of_folder("tor@.service", text, &folder) == 0 && streq(folder, unit));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *text = xstrndup((const char *)data, size),
                          *section = xasprintf("[Service]\n%s", text);
    _cleanup_(strv_freep) char **environment = dropin_environment(text),
                               **in_section = dropin_environment(section),
                               **file = environment_file_parse(text);

    check_environment(environment);
    check_environment(in_section);
    check_environment(file);
    check_names(text);
    return 0;
}
