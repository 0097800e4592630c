/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/setting-files.h"

#include "io/elf-file.h"
#include "io/text-file.h"

#include <errno.h>

void setting_files_clear(SettingFiles *s)
{
    for (size_t i = 0; i < s->n; i++)
        free((char *)s->files[i].text);
    free(s->files);
    *s = (SettingFiles){ 0 };
}

/* A file that does not exist sets nothing. */
static void add(SettingFiles *s, const char *path, bool environment_file)
{
    char *text = NULL;
    int r = text_file_read(path, &text);
    const bool gone = r == -ENOENT;

    if (error_is_passing(r)) {
        s->error = r;
        s->unread = path;
    }
    s->files[s->n++] = (SettingFile){ .path = path,
                                      .text = gone ? xstrdup("") : text,
                                      .environment_file = environment_file,
                                      .gone = gone && !environment_file };
}

void setting_files_read(const UnitInfo *info, SettingFiles *ret)
{
    ret->files =
        xcalloc(1 + strv_length(info->dropins) + strv_length(info->environment_files), sizeof(SettingFile));
    ret->n = 0;
    ret->error = 0;
    ret->unread = NULL;
    if (!isempty(info->fragment))
        add(ret, info->fragment, false);
    STRV_FOREACH (path, info->dropins)
        add(ret, *path, false);
    STRV_FOREACH (path, info->environment_files)
        add(ret, **path == '-' ? *path + 1 : *path, true);
}

void setting_files_look(const HostFacts *host, RelayFacts *relay, char *const *libraries, SettingFiles *ret)
{
    char **kept = NULL;

    setting_files_read(relay->info, ret);
    facts_take_unread(relay, ret->unread, ret->error);
    if (ret->unread)
        return;
    _cleanup_(freep) char *preload = facts_take_settings(host, relay, ret->files, ret->n);
    int r = elf_preloads_kept(preload, libraries, &kept);
    if (r < 0)
        facts_take_unread(relay, preload, r);
    else
        facts_take_kept(relay, kept);
}
