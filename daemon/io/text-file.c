/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/text-file.h"

#include "core/util.h"
#include "io/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define TEXT_MAX ((off_t)1024 * 1024)

int text_file_read(const char *path, char **ret)
{
    /* What is not a regular file must not be waited for, nor become our terminal. */
    _cleanup_(closep) int fd = owner_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    _cleanup_(fclosep) FILE *f = NULL;
    _cleanup_(freep) char *text = NULL;
    size_t size = 0;
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if (st.st_size > TEXT_MAX)
        return -EFBIG;
    f = fdopen(fd, "r");
    if (!f)
        return -errno;
    (void)TAKE_FD(fd);
    if (getdelim(&text, &size, '\0', f) < 0) {
        if (ferror(f))
            return -EIO;
        free(text);
        text = xstrdup("");
    }
    *ret = TAKE_PTR(text);
    return 0;
}

int text_file_read_again(int *fd, const char *path, char *buffer, size_t n)
{
    if (*fd < 0)
        *fd = owner_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0)
        return *fd;
    ssize_t size = pread(*fd, buffer, n - 1, 0);
    if (size < 0) {
        int r = -errno;
        close(*fd);
        *fd = -1;
        return r;
    }
    buffer[size] = '\0';
    return 0;
}
