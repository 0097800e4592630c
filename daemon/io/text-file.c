/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/text-file.h"

#include "core/util.h"
#include "io/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define TEXT_MAX ((size_t)1024 * 1024)

/* Whatever its size was said to be: of a file of the kernel it is 0, and one of others may grow meanwhile. */
static int copy(int fd, FILE *to)
{
    char buffer[4096];
    ssize_t n;

    for (size_t left = TEXT_MAX; (n = read(fd, buffer, sizeof(buffer))) != 0;) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if ((size_t)n > left)
            return -EFBIG;
        left -= (size_t)n;
        fwrite(buffer, 1, (size_t)n, to);
    }
    return 0;
}

int text_file_read(const char *path, char **ret)
{
    /* What is not a regular file must not be waited for, nor become our terminal. */
    _cleanup_(closep) int fd = owner_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    _cleanup_(freep) char *text = NULL;
    size_t size;
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return -ENOMEM;
    int r = copy(fd, f);
    if (fclose(f) != 0)
        return -ENOMEM;
    if (r == 0)
        *ret = TAKE_PTR(text);
    return r;
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
