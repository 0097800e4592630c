/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the descriptors to one process: its pidfd, its directory in /proc, its status and statm. Never judges
 * what it reads, and never takes a number for an identity. */
#include "io/process.h"

#include "io/owner.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/xattr.h>
#include <poll.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>

enum {
    STATUS_MAX = 8 * 1024, /* about 1.5 KiB; the lines we want come long before masks for very many CPUs */
    STATM_MAX = 256,       /* seven numbers */
    STAT_MAX = 4 * 1024,
    LABEL_MAX = 4 * 1024,
    AUXV_MAX = 4 * 1024,    /* about 400 bytes */
    CGROUP_MAX = 64 * 1024, /* a line for each hierarchy, of which cgroup v1 has about a dozen */
    ENVIRON_MAX = 1024 * 1024,
    MAPS_MAX = 4 * 1024 * 1024,
};

#define WHOLE_INTERVAL (10 * USEC_PER_MINUTE)

struct Process {
    pid_t pid;
    int pidfd;
    int dir_fd;
    int status_fd;
    int statm_fd; /* -1: not needed yet */
    usec_t started;
    Memory memory; /* the last time that somebody asked for it often */
    usec_t whole;  /* monotonic: when all of that was read; 0: never */
};

pid_t process_pid(const Process *process)
{
    return process->pid;
}

usec_t process_started(const Process *process)
{
    return process->started;
}

Process *process_free(Process *process)
{
    if (!process)
        return NULL;
    closep(&process->statm_fd);
    closep(&process->status_fd);
    closep(&process->dir_fd);
    closep(&process->pidfd);
    free(process);
    return NULL;
}

static bool has_exited(const Process *process)
{
    struct pollfd p = { .fd = process->pidfd, .events = POLLIN };

    return process->pidfd >= 0 && poll(&p, 1, 0) > 0;
}

/* The result of an access to the process's files, with its death distinguished from other errors: the files
 * then fail in several ways, or read as empty, and the number may already belong to another process. */
static int judge_access(const Process *process, int r)
{
    if (has_exited(process) || r == -ENOENT)
        return -ESRCH;
    return r == -EPERM ? -EACCES : r;
}

static int open_file(const Process *process, const char *name)
{
    /* Those of a process that is not root's, and that may be traced, belong to its user. */
    return owner_openat(process->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
}

/* Files in /proc have no size: reads up to the end and adds a NUL. */
static int read_whole(const Process *process, const char *name, size_t max, char **ret, size_t *ret_n)
{
    size_t capacity = 4096, n = 0;
    _cleanup_(freep) char *buffer = xcalloc(capacity, 1);
    _cleanup_(closep) int fd = open_file(process, name);

    if (fd < 0)
        return fd;
    for (;;) {
        ssize_t k = read(fd, buffer + n, capacity - n - 1);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -errno;
        if (k == 0)
            break;
        n += (size_t)k;
        if (n > max)
            return -EFBIG;
        GROW(buffer, capacity, n + 1);
    }
    buffer[n] = '\0';
    *ret = TAKE_PTR(buffer);
    *ret_n = n;
    return 0;
}

/* ---- when it started ---- */

static int64_t nsec_of(clockid_t clock)
{
    struct timespec ts = { 0 };

    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* When the machine was booted, by the current wall clock, rounded down to a tick. The difference of the two
 * clocks is constant while nobody steps the wall clock (slewing moves both), so that the result is the same
 * each time; btime of /proc/stat is the same, rounded down to a second. The tightest of a few tries counts,
 * in case we were put to sleep between two readings. */
static usec_t boot_time(usec_t tick)
{
    int64_t best = 0, best_width = INT64_MAX;

    for (int i = 0; i < 5; i++) {
        int64_t before = nsec_of(CLOCK_BOOTTIME), wall = nsec_of(CLOCK_REALTIME),
                after = nsec_of(CLOCK_BOOTTIME);
        if (after - before < best_width) {
            best_width = after - before;
            best = wall - before - best_width / 2;
        }
    }
    if (best < 0) /* a clock that was never set, before 1970 */
        return 0;
    return (usec_t)best / 1000 / tick * tick;
}

/* Field 22 of stat, in clock ticks since boot (proc(5)). The second field is the name in parentheses, and may
 * hold blanks and parentheses itself. */
static int parse_starttime(char *stat, uint64_t *ret)
{
    static const char blanks[] = " \n";
    char *p = strrchr(stat, ')');

    if (!p)
        return -EINVAL;
    p++;
    for (int field = 3; field < 22; field++) {
        p += strspn(p, blanks);
        p += strcspn(p, blanks);
    }
    p += strspn(p, blanks);
    p[strcspn(p, blanks)] = '\0';
    return parse_u64(p, ret);
}

static int read_started(const Process *process, usec_t *ret)
{
    _cleanup_(freep) char *stat = NULL;
    uint64_t ticks, usec;
    long hz = sysconf(_SC_CLK_TCK);
    size_t n;

    int r = read_whole(process, "stat", STAT_MAX, &stat, &n);
    if (r < 0)
        return r;
    r = parse_starttime(stat, &ticks);
    if (r < 0)
        return r;
    const usec_t tick = USEC_PER_SEC / (hz > 0 ? (usec_t)hz : 100);
    if (__builtin_mul_overflow(ticks, tick, &usec))
        return -ERANGE;
    *ret = boot_time(tick) + usec;
    return 0;
}

int process_open(const char *proc, pid_t pid, Process **ret)
{
    _cleanup_(process_freep) Process *process = xcalloc(1, sizeof(*process));

    *process = (Process){ .pid = pid, .pidfd = -1, .dir_fd = -1, .status_fd = -1, .statm_fd = -1 };
    if (pid <= 0)
        return -ESRCH;
    /* First of all: while this process has not been reaped, nobody else can get its number, so that the
     * directory opened below is its own if it still lives after that. */
    if (streq(proc, "/proc")) {
        process->pidfd = pidfd_open(pid, 0);
        if (process->pidfd < 0)
            return -errno;
    }

    _cleanup_(freep) char *path = xasprintf("%s/%d", proc, (int)pid);
    process->dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (process->dir_fd < 0) {
        int r = -errno;
        if (r == -ENOENT && process->pidfd >= 0 && !has_exited(process))
            return -EACCES; /* hidepid= */
        return judge_access(process, r);
    }
    process->status_fd = open_file(process, "status");
    if (process->status_fd < 0)
        return judge_access(process, process->status_fd);
    int r = judge_access(process, read_started(process, &process->started));
    if (r < 0)
        return r;
    *ret = TAKE_PTR(process);
    return 0;
}

/* ---- what it is like now ---- */

/* By pread on a descriptor that is kept. */
static int read_kept(const Process *process, int fd, char *buffer, size_t size, size_t *ret_n)
{
    ssize_t n;

    do
        n = pread(fd, buffer, size - 1, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return judge_access(process, -errno);
    buffer[n] = '\0';
    *ret_n = (size_t)n;
    return 0;
}

static int read_status(const Process *process, char buffer[static STATUS_MAX], size_t *ret_n)
{
    return read_kept(process, process->status_fd, buffer, STATUS_MAX, ret_n);
}

int process_memory(Process *process, Memory *ret)
{
    char buffer[STATUS_MAX];
    Memory memory;
    size_t n = 0;

    int r = read_status(process, buffer, &n);
    if (r < 0)
        return r;
    r = memory_from_status(buffer, &memory);
    if (r == -ENODATA && n == sizeof(buffer) - 1) /* cut off before them? */
        r = -EFBIG;
    if (r == -ENODATA) /* it gives its memory back before it is a zombie */
        r = -ESRCH;
    if (r < 0)
        return judge_access(process, r);
    *ret = memory; /* of this very process: the descriptor is its own, and only who lives has memory */
    return 0;
}

/* rss and anon; whether the rest can stand. */
static bool read_statm(Process *process, Memory *memory)
{
    const Memory before = *memory;
    char buffer[STATM_MAX];
    size_t n;

    if (process->statm_fd < 0)
        process->statm_fd = open_file(process, "statm");
    return process->statm_fd >= 0 && read_kept(process, process->statm_fd, buffer, sizeof(buffer), &n) == 0 &&
           memory_from_statm(buffer, (uint64_t)sysconf(_SC_PAGESIZE), memory) == 0 &&
           !memory_fell(&before, memory);
}

int process_memory_often(Process *process, usec_t now, Memory *ret)
{
    Memory memory = process->memory;
    const bool recent = process->whole > 0 && now < process->whole + WHOLE_INTERVAL;

    if (!(recent && memory.swap == 0 && read_statm(process, &memory))) {
        int r = process_memory(process, &memory);
        if (r < 0)
            return r;
        process->whole = now;
    }
    process->memory = *ret = memory;
    return 0;
}

int process_user(Process *process, uid_t *ret)
{
    char buffer[STATUS_MAX], *end;
    size_t n;

    int r = read_status(process, buffer, &n);
    if (r < 0)
        return r;
    const char *real = strstr(buffer, "\nUid:");
    if (!real)
        return -EINVAL;
    (void)strtoul(real + strlen("\nUid:"), &end, 10);
    const char *effective = end;
    *ret = (uid_t)strtoul(effective, &end, 10);
    return end == effective ? -EINVAL : 0;
}

static ssize_t read_some(int fd, char *buffer, size_t size)
{
    ssize_t n;

    do
        n = read(fd, buffer, size);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int process_maps(Process *process, char **ret)
{
    size_t capacity = 16 * 1024, n = 0, whole = 0;
    _cleanup_(freep) char *text = xcalloc(capacity, 1);
    _cleanup_(closep) int fd = open_file(process, "maps");
    ssize_t k = fd;

    while (k >= 0 && n <= MAPS_MAX && (k = read_some(fd, text + n, capacity - n - 1)) > 0) {
        whole += (size_t)k;
        n = maps_keep_executable(text, n + (size_t)k);
        if (capacity - n - 1 < 4096) /* the kernel gives no more at once */
            GROW(text, capacity, capacity);
    }
    int r = judge_access(process, k < 0 ? (int)k : n > MAPS_MAX ? -EFBIG : 0);
    if (r < 0)
        return r;
    if (whole == 0) /* it has no memory any more */
        return -ESRCH;
    text[n] = '\0';
    *ret = TAKE_PTR(text);
    return 0;
}

int process_count_maps(Process *process, size_t most, size_t *ret)
{
    _cleanup_(closep) int fd = open_file(process, "maps");
    char buffer[16 * 1024];
    size_t lines = 0;
    ssize_t n = fd;

    while (n >= 0 && lines < most && (n = read_some(fd, buffer, sizeof(buffer))) > 0)
        for (ssize_t i = 0; i < n; i++)
            lines += buffer[i] == '\n';
    int r = judge_access(process, n < 0 ? (int)n : 0);
    if (r < 0)
        return r;
    if (lines == 0) /* it has no memory any more */
        return -ESRCH;
    *ret = lines < most ? lines : most;
    return 0;
}

int process_unit(Process *process, char **ret)
{
    _cleanup_(freep) char *text = NULL;
    size_t n = 0;

    int r = judge_access(process, read_whole(process, "cgroup", CGROUP_MAX, &text, &n));
    if (r < 0)
        return r;
    *ret = unit_of_cgroup(text);
    return 0;
}

int process_environ(Process *process, char ***ret_strv)
{
    _cleanup_(freep) char *text = NULL;
    Memory memory;
    size_t n = 0, count = 0;

    int r = judge_access(process, read_whole(process, "environ", ENVIRON_MAX, &text, &n));
    if (r == 0 && n == 0) /* it has none, or it is just exiting and has none any more? */
        r = process_memory(process, &memory);
    if (r < 0)
        return r;

    /* Not by strv_push(), which counts again each time: a relay decides how many there are. */
    for (size_t i = 0; i < n; i += strlen(text + i) + 1)
        count++;
    char **environment = xcalloc(count + 1, sizeof(char *));
    for (size_t i = 0, k = 0; i < n; i += strlen(text + i) + 1)
        environment[k++] = xstrdup(text + i);
    *ret_strv = environment;
    return 0;
}

int process_program(Process *process, char **ret)
{
    static const char deleted[] = " (deleted)";
    const size_t suffix = sizeof(deleted) - 1;
    char target[PATH_MAX];
    ssize_t n = readlinkat(process->dir_fd, "exe", target, sizeof(target));

    int r = judge_access(process, n < 0 ? -errno : n == 0 ? -ENOENT : 0);
    if (r < 0)
        return r;
    if ((size_t)n > suffix && memcmp(target + n - suffix, deleted, suffix) == 0)
        n -= (ssize_t)suffix;
    *ret = xstrndup(target, (size_t)n);
    return 0;
}

/* Pairs of a type and a value, each as wide as a pointer of that process: types are small, so that those of
 * 64 bits begin with a word and a word of zeros, while those of 32 bits begin with a type and the address of
 * the vdso, or the like. */
static int parse_secure(const char *auxv, size_t n, bool *ret)
{
    uint32_t start[2];
    uint64_t type = AT_IGNORE, value = 0;

    if (n < sizeof(start))
        return -EINVAL;
    memcpy(start, auxv, sizeof(start));
    const bool big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    const size_t word = start[big ? 0 : 1] == 0 ? sizeof(uint64_t) : sizeof(uint32_t);
    for (size_t i = 0; i + 2 * word <= n && type != AT_NULL; i += 2 * word) {
        uint32_t narrow[2] = { 0 };
        uint64_t wide[2] = { 0 };
        memcpy(word == sizeof(uint64_t) ? (void *)wide : (void *)narrow, auxv + i, 2 * word);
        type = wide[0] + narrow[0];
        value = wide[1] + narrow[1];
        if (type == AT_SECURE) {
            *ret = value != 0;
            return 0;
        }
    }
    return -EINVAL;
}

int process_secure(Process *process, bool *ret)
{
    _cleanup_(freep) char *auxv = NULL;
    size_t n = 0;

    int r = judge_access(process, read_whole(process, "auxv", AUXV_MAX, &auxv, &n));
    if (r < 0)
        return r;
    return n == 0 ? -ESRCH : parse_secure(auxv, n, ret);
}

int process_label(Process *process, char **ret)
{
    _cleanup_(freep) char *text = NULL;
    size_t n = 0;

    int r = read_whole(process, "attr/current", LABEL_MAX, &text, &n);
    if (r == -ENOENT || r == -EINVAL || r == -EOPNOTSUPP) /* no security module is there to answer */
        r = 0;
    r = judge_access(process, r);
    if (r < 0)
        return r;
    *ret = text ? xstrndup(text, strcspn(text, "\n")) : xstrdup("");
    return 0;
}

bool program_has_capabilities(const char *path)
{
    struct vfs_cap_data data = { 0 };
    ssize_t n = lgetxattr(path, XATTR_NAME_CAPS, &data, sizeof(data));

    /* Inheritable ones alone count only for processes that already have them. */
    return n >= (ssize_t)XATTR_CAPS_SZ_1 && ((le32toh(data.magic_etc) & VFS_CAP_FLAGS_EFFECTIVE) ||
                                             data.data[0].permitted || data.data[1].permitted);
}

/* Will the next process of this program start in secure-execution mode, as this one did? The file tells why;
 * a file that does not and was changed since (setcap -r) may have told before. */
static SecureMode secure_mode(Process *process, const char *program)
{
    struct stat st;
    bool secure = false;

    if (process_secure(process, &secure) < 0 || !secure)
        return SECURE_NONE;
    if (!program || lstat(program, &st) < 0)
        return SECURE_OTHER;
    if (program_has_capabilities(program))
        return SECURE_CAPABILITIES;
    if (st.st_mode & (S_ISUID | S_ISGID))
        return SECURE_SET_ID;
    const usec_t changed = (usec_t)st.st_ctim.tv_sec * USEC_PER_SEC + (usec_t)st.st_ctim.tv_nsec / 1000;
    return changed > process->started ? SECURE_NONE : SECURE_OTHER;
}

static int look_up(Process *process, ElfCache *cache, char *const *libraries, ProcessFacts *facts)
{
    _cleanup_(freep) char *maps = NULL;
    _cleanup_(preloads_clear) Preloads preloads = { 0 };

    int r = process_maps(process, &maps);

    if (r < 0)
        return r;
    const ElfProcess p = {
        .dir = process->dir_fd,
        .maps = maps,
        .program = facts->program,
        .preload = strv_env_get(facts->environ, "LD_PRELOAD"),
    };
    r = elf_cache_lookup(cache, &p, libraries, &facts->running, &preloads);
    if (r < 0)
        return r;
    const PreloadEntry *system = preloads_system_allocator(&preloads);
    facts->system_allocator = system ? xstrdup(system->name) : NULL;
    facts->not_loaded = preloads_not_loaded(&preloads);
    return 0;
}

static int look(Process *process, ElfCache *cache, char *const *libraries, usec_t now, ProcessFacts *facts)
{
    int r = process_environ(process, &facts->environ);

    if (r < 0)
        return r;
    if (!*facts->environ && process_is_new(process->started, now))
        return -EAGAIN;
    if (process_label(process, &facts->label) < 0)
        facts->label = NULL;
    if (process_program(process, &facts->program) < 0)
        facts->program = NULL;
    facts->secure = secure_mode(process, facts->program);
    return look_up(process, cache, libraries, facts);
}

void process_look(Process *process, ElfCache *cache, char *const *libraries, usec_t now, ProcessFacts *ret)
{
    *ret = (ProcessFacts){ .pid = process_pid(process), .started = process_started(process) };
    ret->error = look(process, cache, libraries, now, ret);
    ret->readable = ret->error == 0;
}
