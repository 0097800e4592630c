/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/setting-files.h"

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
