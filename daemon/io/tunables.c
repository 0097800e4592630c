/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/tunables.h"

#include "io/subprocess.h"

#include <errno.h>
#include <link.h>
#include <signal.h>

#define LIST_TIMEOUT (5 * USEC_PER_SEC)

/* The first object is the program itself; its PT_INTERP names the dynamic linker (elf(5)). */
static int find_interpreter(struct dl_phdr_info *info, size_t size, void *userdata)
{
    const char **ret = userdata;

    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_INTERP)
            /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
            *ret = (const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    return 1;
}

int tunables_list(char **ret)
{
    _cleanup_(subprocess_result_clear) SubprocessResult result = { 0 };
    const char *interpreter = NULL;

    (void)dl_iterate_phdr(find_interpreter, &interpreter);
    int r = interpreter ? subprocess_run_with(interpreter, "--list-tunables", NULL, LIST_TIMEOUT, &result)
                        : -ENOENT;
    if (error_is_passing(r))
        return r;
    /* A host may be that busy while it boots, or out of memory. */
    if (r == -ETIMEDOUT || (r >= 0 && result.signal == SIGKILL))
        return -EAGAIN;
    bool listed = r >= 0 && !result.signal && !result.exit_status && strstr(result.out, "glibc.");
    *ret = listed ? xstrdup(result.out) : NULL;
    return 0;
}
