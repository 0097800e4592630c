/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads children of this test, alive, dead, and not dumpable like tor; and a made-up /proc for what no kernel
 * writes. Nobody waits for a time to pass: a child says by a pipe that it is ready. */
#include "test.h"

#include "io/process.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define MIB ((size_t)1024 * 1024)
#define NOBODY 65534

/* ---- children ---- */

typedef struct Child {
    pid_t pid;
    int hold; /* it lives until this end of its pipe is closed */
} Child;

/* Runs `prepare` in a child, and returns when that is done. */
static Child child_start(void (*prepare)(void))
{
    int ready[2], hold[2];
    char c;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(hold[1]);
        if (prepare)
            prepare();
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        _exit(read(hold[0], &c, 1) == 0 ? 0 : 1);
    }
    close(ready[1]);
    close(hold[0]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    return (Child){ pid, hold[1] };
}

/* It has exited then, but is not reaped: its number is still its own. */
static void child_end(const Child *child)
{
    siginfo_t info;

    close(child->hold);
    assert_int_equal(waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOWAIT), 0);
}

static void child_reap(const Child *child)
{
    int status;

    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A shell with that environment. */
static Child exec_start(char *const *environment)
{
    int out[2], hold[2];
    char c;

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(hold[0], 0);
        dup2(out[1], 1);
        execve("/bin/sh",
               (char *[]){ (char *)"sh", (char *)"-c", (char *)"echo ready; read x; exit 0", NULL },
               environment);
        _exit(127);
    }
    close(out[1]);
    close(hold[0]);
    assert_int_equal(read(out[0], &c, 1), 1);
    close(out[0]);
    return (Child){ pid, hold[1] };
}

static void touch_memory(void)
{
    char *p = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        _exit(1);
    memset(p, 1, 64 * MIB);
    munmap(p + 32 * MIB, 32 * MIB); /* the peak stays above it */
}

static void take_a_nasty_name(void)
{
    prctl(PR_SET_NAME, "a) R 1 2 ((b");
}

/* As tor is after it has dropped root. */
static void become_undumpable(void)
{
    if (geteuid() == 0 && (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
        _exit(1);
    prctl(PR_SET_DUMPABLE, 0);
}

/* ---- tests ---- */

static void test_memory(void **state)
{
    Child child = child_start(touch_memory);
    _cleanup_(process_freep) Process *process = NULL;
    Memory self, m;

    (void)state;
    assert_int_equal(process_open("/proc", child.pid, &process), 0);
    assert_int_equal(process_pid(process), child.pid);
    assert_int_equal(process_memory(process, &m), 0);
    assert_true(m.anon >= 32 * MIB);
    assert_true(m.rss >= m.anon);
    assert_true(m.hwm >= m.rss && m.hwm >= 64 * MIB);
    child_end(&child);
    child_reap(&child);
    process = process_free(process);

    /* Kept open, it tells what is, not what was when it was opened. */
    assert_int_equal(process_open("/proc", getpid(), &process), 0);
    assert_int_equal(process_memory(process, &self), 0);
    char *p = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    memset(p, 1, 64 * MIB);
    assert_int_equal(process_memory(process, &m), 0);
    assert_true(m.anon >= self.anon + 60 * MIB);
    munmap(p, 64 * MIB);
}

static void test_maps_and_environ(void **state)
{
    static char a[] = "RELAYALLOC_A=1", empty[] = "RELAYALLOC_EMPTY=", blank[] = "RELAYALLOC_B=x y\nz",
                bare[] = "without_equals";
    Child child = exec_start((char *[]){ a, empty, blank, bare, NULL });
    _cleanup_(process_freep) Process *process = NULL;
    _cleanup_(freep) char *maps = NULL, *label = NULL;
    _cleanup_(strv_freep) char **environment = NULL;

    (void)state;
    assert_int_equal(process_open("/proc", child.pid, &process), 0);
    assert_int_equal(process_maps(process, &maps), 0);
    assert_null(strstr(maps, "[stack]"));
    assert_non_null(strstr(maps, " r-xp "));
    assert_int_equal(maps[strlen(maps) - 1], '\n');

    assert_int_equal(process_environ(process, &environment), 0);
    assert_int_equal(strv_length(environment), 4);
    assert_string_equal(environment[0], a);
    assert_string_equal(environment[1], empty);
    assert_string_equal(environment[2], blank);
    assert_string_equal(environment[3], bare);

    assert_int_equal(process_label(process, &label), 0);
    assert_null(strchr(label, '\n'));
    child_end(&child);
    child_reap(&child);
}

static void test_empty_environment(void **state)
{
    Child child = exec_start((char *[]){ NULL });
    _cleanup_(process_freep) Process *process = NULL;
    _cleanup_(strv_freep) char **environment = NULL;

    (void)state;
    assert_int_equal(process_open("/proc", child.pid, &process), 0);
    assert_int_equal(process_environ(process, &environment), 0);
    assert_non_null(environment);
    assert_int_equal(strv_length(environment), 0);
    child_end(&child);
    child_reap(&child);
}

static void assert_gone(Process *process)
{
    Memory m = { .rss = 1 };
    char *text = NULL, **strv = NULL;

    assert_int_equal(process_memory(process, &m), -ESRCH);
    assert_int_equal(m.rss, 1);
    assert_int_equal(process_maps(process, &text), -ESRCH);
    assert_int_equal(process_environ(process, &strv), -ESRCH);
    assert_int_equal(process_label(process, &text), -ESRCH);
    assert_null(text);
    assert_null(strv);
}

/* A zombie keeps its number; once reaped, the number may be anybody's. Both are "gone", for each call, by
 * descriptors that were opened while it lived. */
static void test_exit(void **state)
{
    Child child = child_start(NULL);
    _cleanup_(process_freep) Process *process = NULL;
    Process *late = NULL;

    (void)state;
    assert_int_equal(process_open("/proc", child.pid, &process), 0);

    child_end(&child);
    assert_gone(process);
    assert_int_equal(process_open("/proc", child.pid, &late), -ESRCH);

    child_reap(&child);
    assert_gone(process);
    assert_int_equal(process_open("/proc", child.pid, &late), -ESRCH);
    assert_null(late);
}

/* The number of a dead process is given to a new one, where the kernel lets us choose it (ns_last_pid wants
 * CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE): the old Process must not see the new one. Without that right the
 * newcomer has another number, and what remains is that the old one is gone. */
static void test_pid_reuse(void **state)
{
    Child child = child_start(NULL);
    _cleanup_(process_freep) Process *old = NULL, *new = NULL;
    Child newcomer = { 0 };
    Memory m;

    (void)state;
    assert_int_equal(process_open("/proc", child.pid, &old), 0);
    child_end(&child);
    child_reap(&child);
    for (int i = 0; i < 100 && newcomer.pid != child.pid; i++) { /* others may take it first */
        if (newcomer.pid) {
            child_end(&newcomer);
            child_reap(&newcomer);
        }
        _cleanup_(closep) int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
        _cleanup_(freep) char *last = xasprintf("%d", (int)child.pid - 1);
        bool chosen = fd >= 0 && write(fd, last, strlen(last)) > 0;
        newcomer = child_start(NULL);
        if (!chosen)
            break;
    }
    assert_gone(old);
    assert_int_equal(process_open("/proc", newcomer.pid, &new), 0);
    assert_int_equal(process_memory(new, &m), 0);
    child_end(&newcomer);
    child_reap(&newcomer);
}

static usec_t now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

static void check_started(void)
{
    const usec_t tick = USEC_PER_SEC / (usec_t)sysconf(_SC_CLK_TCK);
    usec_t before = now();
    Child child = child_start(take_a_nasty_name);
    usec_t after = now();
    _cleanup_(process_freep) Process *first = NULL, *second = NULL;

    assert_int_equal(process_open("/proc", child.pid, &first), 0);
    assert_true(process_started(first) + 2 * tick >= before);
    assert_true(process_started(first) <= after);
    /* Cut to a tick: two looks at the clocks, some ns apart, come to the same. */
    assert_int_equal(process_started(first) % tick, 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(process_open("/proc", child.pid, &second), 0);
        assert_int_equal(process_started(second), process_started(first));
        second = process_free(second);
    }
    child_end(&child);
    child_reap(&child);
}

/* Several, as they start in any part of a tick. */
static void test_started(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        check_started();
}

/* A process that is not dumpable, seen by one without rights over it: its maps are refused, its memory is
 * not. The reader is a child, so that it can drop root for good. */
static void test_without_rights(void **state)
{
    Child child = child_start(become_undumpable);
    int status;

    (void)state;
    pid_t reader = fork();
    assert_true(reader >= 0);
    if (reader == 0) {
        _cleanup_(process_freep) Process *process = NULL;
        char *text = NULL, **strv = NULL;
        Memory m;

        if (geteuid() == 0 &&
            (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
            _exit(1);
        int r = process_open("/proc", child.pid, &process);
        if (r < 0)
            _exit(r == -EACCES ? 0 : 2); /* hidepid= */
        if (process_memory(process, &m) < 0 || m.rss == 0)
            _exit(3);
        if (process_maps(process, &text) != -EACCES || text)
            _exit(4);
        if (process_environ(process, &strv) != -EACCES || strv)
            _exit(5);
        process_free(process);
        _exit(0);
    }
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    child_end(&child);
    child_reap(&child);
}

static void test_no_such_process(void **state)
{
    Process *process = NULL;

    (void)state;
    assert_int_equal(process_open("/proc", 0, &process), -ESRCH);
    assert_int_equal(process_open("/proc", -1, &process), -ESRCH);
    assert_int_equal(process_open("/proc", 0x7fffffff, &process), -ESRCH);
    assert_int_equal(process_open("/nowhere", 1, &process), -ESRCH);
    assert_null(process);
    assert_null(process_free(NULL));
}

static size_t count_descriptors(bool inherited_only)
{
    size_t n = 0;

    for (int fd = 0; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFD);
        n += flags >= 0 && !(inherited_only && (flags & FD_CLOEXEC));
    }
    return n;
}

static void test_no_descriptor_leaks(void **state)
{
    size_t before = count_descriptors(false), inherited = count_descriptors(true);
    Child child = child_start(NULL);
    Process *process = NULL, *late = NULL;
    char *text, **strv;

    (void)state;
    assert_int_equal(process_open("/proc", child.pid, &process), 0);
    assert_int_equal(count_descriptors(true), inherited); /* probe and pager must not get them */
    assert_int_equal(process_maps(process, &text), 0);
    free(text);
    assert_int_equal(process_environ(process, &strv), 0);
    strv_free(strv);
    child_end(&child);
    assert_gone(process);
    assert_int_equal(process_open("/proc", child.pid, &late), -ESRCH);
    child_reap(&child);
    assert_null(process_free(process));
    assert_int_equal(count_descriptors(false), before);
}

/* ---- a made-up /proc ---- */

static char *fake_proc(void)
{
    char *root = xstrdup("/tmp/test-process-XXXXXX");

    assert_non_null(mkdtemp(root));
    _cleanup_(freep) char *dir = xasprintf("%s/42", root), *attr = xasprintf("%s/attr", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(mkdir(attr, 0700), 0);
    return root;
}

static void fake_file(const char *root, const char *name, const char *text, size_t n)
{
    _cleanup_(freep) char *path = xasprintf("%s/42/%s", root, name);
    _cleanup_(fclosep) FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
}

static void fake_remove(char *root)
{
    static const char *const names[] = { "status", "statm",        "stat", "maps",   "environ", "auxv",
                                         "exe",    "attr/current", "attr", "cgroup", "." };

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_(freep) char *path = xasprintf("%s/42/%s", root, names[i]);
        if (streq(names[i], "."))
            path[strlen(path) - 2] = '\0';
        remove(path);
    }
    assert_int_equal(rmdir(root), 0);
    free(root);
}

#define STAT "42 (tor) S 1 42 42 0 -1 4194560 942 0 2 0 2 0 0 0 20 0 4 0 1 55545856"
#define STATUS "Name:\ttor\nVmHWM:\t 8 kB\nVmRSS:\t 4 kB\n"

static void test_made_up(void **state)
{
    char *root = fake_proc();
    Process *process = NULL;
    char *text = NULL, **strv = NULL;
    struct timespec boot;
    Memory m;

    (void)state;
    clock_gettime(CLOCK_BOOTTIME, &boot);
    usec_t up = (usec_t)boot.tv_sec * USEC_PER_SEC + (usec_t)boot.tv_nsec / 1000;
    uint64_t ticks = up * (uint64_t)sysconf(_SC_CLK_TCK) / USEC_PER_SEC;
    _cleanup_(freep) char *stat = xasprintf(
        "42 (tor) ) (x) S 1 42 42 0 -1 4194560 942 0 2 0 2 0 0 0 20 0 4 0 %ju 55545856", (uintmax_t)ticks);

    /* nothing there yet */
    assert_int_equal(process_open(root, 42, &process), -ESRCH);
    fake_file(root, "status", STATUS, strlen(STATUS));
    assert_int_equal(process_open(root, 42, &process), -ESRCH);
    /* a stat that is none */
    fake_file(root, "stat", "42 tor S 1\n", 11);
    assert_int_equal(process_open(root, 42, &process), -EINVAL);
    fake_file(root, "stat", "42 (tor) S 1\n", 13);
    assert_int_equal(process_open(root, 42, &process), -EINVAL);
    assert_null(process);

    fake_file(root, "stat", stat, strlen(stat));
    usec_t started = now();
    assert_int_equal(process_open(root, 42, &process), 0);
    assert_int_equal(process_pid(process), 42);
    usec_t s = process_started(process);
    assert_true((s > started ? s - started : started - s) < USEC_PER_SEC);

    assert_int_equal(process_memory(process, &m), 0);
    assert_int_equal(m.rss, 4096);
    assert_int_equal(m.hwm, 8192);
    assert_int_equal(process_maps(process, &text), -ESRCH); /* no file */
    fake_file(root, "maps", "", 0);
    assert_int_equal(process_maps(process, &text), -ESRCH); /* no memory */
    fake_file(root, "environ", "A=1\0B", 5);                /* written over, without a NUL at the end */
    assert_int_equal(process_environ(process, &strv), 0);
    assert_int_equal(strv_length(strv), 2);
    assert_string_equal(strv[1], "B");
    strv = strv_free(strv);
    assert_int_equal(process_label(process, &text), 0); /* no file: no security module */
    assert_string_equal(text, "");
    free(text);
    fake_file(root, "attr/current", "system_tor (enforce)\n", 21);
    assert_int_equal(process_label(process, &text), 0);
    assert_string_equal(text, "system_tor (enforce)");
    free(text);

    /* an exiting process has lost its memory, and with it its environment */
    fake_file(root, "environ", "", 0);
    fake_file(root, "status", "Name:\ttor\n", 10);
    assert_int_equal(process_memory(process, &m), -ESRCH);
    assert_int_equal(process_environ(process, &strv), -ESRCH);
    assert_null(strv);
    process_free(process);
    fake_remove(root);
}

/* As the kernel writes it for a process of 64 and of 32 bits (proc_pid_auxv(5)). */
static void test_secure(void **state)
{
    static const struct {
        uint64_t wide[8];
        uint32_t narrow[8];
        int result;
        bool secure;
    } table[] = {
        { { AT_SYSINFO_EHDR, 0x7fff12345000, AT_PAGESZ, 4096, AT_SECURE, 1, AT_NULL, 0 }, { 0 }, 0, true },
        { { AT_SYSINFO_EHDR, 0x7fff12345000, AT_PAGESZ, 4096, AT_SECURE, 0, AT_NULL, 0 }, { 0 }, 0, false },
        { { 0 }, { 32, 0xf7f00000, AT_PAGESZ, 4096, AT_SECURE, 1, AT_NULL, 0 }, 0, true },
        { { 0 }, { 32, 0xf7f00000, AT_PAGESZ, 4096, AT_SECURE, 0, AT_NULL, 0 }, 0, false },
        /* not told, or behind the end */
        { { AT_SYSINFO_EHDR, 0x7fff12345000, AT_NULL, 0, AT_SECURE, 1, AT_NULL, 0 }, { 0 }, -EINVAL, false },
        { { AT_SYSINFO_EHDR, 1, AT_PAGESZ, 1, AT_UID, 1, AT_GID, 1 }, { 0 }, -EINVAL, false },
    };
    char *root = fake_proc();
    Process *process = NULL;
    char *text = NULL;

    (void)state;
    fake_file(root, "status", STATUS, strlen(STATUS));
    fake_file(root, "stat", STAT, strlen(STAT));
    assert_int_equal(process_open(root, 42, &process), 0);
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        bool secure = !table[i].secure;
        const bool wide = table[i].wide[0] != 0;
        fake_file(root, "auxv", wide ? (const char *)table[i].wide : (const char *)table[i].narrow,
                  wide ? sizeof(table[i].wide) : sizeof(table[i].narrow));
        assert_int_equal(process_secure(process, &secure), table[i].result);
        assert_int_equal(secure, table[i].result < 0 ? !table[i].secure : table[i].secure);
    }
    bool secure = false;
    fake_file(root, "auxv", "\1\0", 2);
    assert_int_equal(process_secure(process, &secure), -EINVAL);
    fake_file(root, "auxv", "", 0); /* it is exiting */
    assert_int_equal(process_secure(process, &secure), -ESRCH);

    _cleanup_(freep) char *exe = xasprintf("%s/42/exe", root);
    assert_int_equal(process_program(process, &text), -ESRCH);
    assert_int_equal(symlink("/usr/bin/tor (deleted)", exe), 0);
    assert_int_equal(process_program(process, &text), 0);
    assert_string_equal(text, "/usr/bin/tor");
    free(text);
    process_free(process);
    fake_remove(root);
}

static bool runs_secure(const char *path)
{
    _cleanup_(process_freep) Process *process = NULL;
    _cleanup_(freep) char *program = NULL;
    bool secure = false;
    int out[2];
    char c;

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(out[1], 1);
        execl(path, "yes", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    assert_int_equal(read(out[0], &c, 1), 1);
    assert_int_equal(process_open("/proc", pid, &process), 0);
    assert_int_equal(process_secure(process, &secure), 0);
    assert_int_equal(process_program(process, &program), 0);
    assert_string_equal(program, path);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(out[0]);
    return secure;
}

/* A real process that changes its user by starting. */
static void test_really_secure(void **state)
{
    char folder[] = "/tmp/test-process-XXXXXX";

    (void)state;
    if (geteuid() != 0)
        skip_because("only root can give a file to another user");
    assert_non_null(mkdtemp(folder));
    _cleanup_(freep) char *path = xasprintf("%s/yes", folder), *copy = xasprintf("cp /usr/bin/yes %s", path);
    assert_int_equal(system(copy), 0);
    assert_false(runs_secure(path));
    assert_int_equal(chown(path, NOBODY, NOBODY), 0);
    assert_int_equal(chmod(path, 04755), 0);
    assert_true(runs_secure(path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void test_bounds(void **state)
{
    char *root = fake_proc();
    Process *process = NULL;
    char *text = NULL, **strv = NULL;
    _cleanup_(freep) char *large = xcalloc(4 * MIB + 1, 1);
    Memory m;

    (void)state;
    memset(large, 'x', 4 * MIB + 1);
    fake_file(root, "status", STATUS, strlen(STATUS));
    fake_file(root, "stat", STAT, strlen(STAT));
    assert_int_equal(process_open(root, 42, &process), 0);

    fake_file(root, "maps", large, 4 * MIB);
    assert_int_equal(process_maps(process, &text), 0);
    assert_int_equal(strlen(text), 4 * MIB);
    free(text);
    text = NULL;
    fake_file(root, "maps", large, 4 * MIB + 1);
    assert_int_equal(process_maps(process, &text), -EFBIG);
    assert_null(text);

    fake_file(root, "environ", large, MIB + 1);
    assert_int_equal(process_environ(process, &strv), -EFBIG);
    for (size_t i = 1; i < MIB; i += 2)
        large[i] = '\0';
    fake_file(root, "environ", large, MIB); /* half a million variables */
    assert_int_equal(process_environ(process, &strv), 0);
    assert_int_equal(strv_length(strv), MIB / 2);
    strv_free(strv);

    /* lines that were cut off are no proof that it has no memory */
    memset(large, 'x', MIB);
    fake_file(root, "status", large, 64 * 1024);
    assert_int_equal(process_memory(process, &m), -EFBIG);
    fake_file(root, "status", "VmRSS:\t many kB\n", 16);
    assert_int_equal(process_memory(process, &m), -EINVAL);
    process_free(process);
    fake_remove(root);
}

/* An allocator with guard pages takes as many mappings as the kernel allows, which may be a million. */
static void test_many_maps(void **state)
{
    enum { LINES = 200000, EVERY = 1000 };
    char *root = fake_proc();
    Process *process = NULL;
    _cleanup_(freep) char *maps = NULL, *expected = NULL, *text = NULL;
    size_t size = 0, expected_size = 0;
    FILE *f = open_memstream(&maps, &size), *e = open_memstream(&expected, &expected_size);

    (void)state;
    for (unsigned i = 0; i < LINES; i++)
        if (i % EVERY == EVERY - 1)
            for (int k = 0; k < 2; k++)
                fprintf(k == 0 ? f : e, "%08x000-%08x000 r-xp 00000000 fe:00 %-20u /usr/lib/lib%u.so\n", i,
                        i + 1, i, i);
        else
            fprintf(f, "%08x000-%08x000 %s 00000000 00:00 0 \n", i, i + 1, i % 2 ? "rw-p" : "---p");
    fclose(f);
    fclose(e);
    assert_true(size > 8 * MIB);
    fake_file(root, "status", STATUS, strlen(STATUS));
    fake_file(root, "stat", STAT, strlen(STAT));
    fake_file(root, "maps", maps, size);
    assert_int_equal(process_open(root, 42, &process), 0);
    assert_int_equal(process_maps(process, &text), 0);
    assert_string_equal(text, expected);
    process_free(process);
    fake_remove(root);
}

/* However many mappings there are. */
static void test_count_maps(void **state)
{
    enum { LINE = 100, LINES = 60000 };
    char *root = fake_proc();
    Process *process = NULL;
    _cleanup_(freep) char *maps = xcalloc(LINES + 1, LINE);
    size_t n = 7;

    (void)state;
    for (size_t i = 0; i < LINES; i++)
        snprintf(maps + i * LINE, LINE + 1, "%-*zu\n", LINE - 1, i);
    fake_file(root, "status", STATUS, strlen(STATUS));
    fake_file(root, "stat", STAT, strlen(STAT));
    assert_int_equal(process_open(root, 42, &process), 0);
    assert_int_equal(process_count_maps(process, SIZE_MAX, &n), -ESRCH); /* no file */
    fake_file(root, "maps", "", 0);
    assert_int_equal(process_count_maps(process, SIZE_MAX, &n), -ESRCH); /* no memory */
    assert_int_equal(n, 7);

    fake_file(root, "maps", maps, LINES * LINE);
    assert_int_equal(process_count_maps(process, SIZE_MAX, &n), 0);
    assert_int_equal(n, LINES);
    assert_int_equal(process_count_maps(process, LINES, &n), 0);
    assert_int_equal(n, LINES);
    assert_int_equal(process_count_maps(process, 1001, &n), 0);
    assert_int_equal(n, 1001);
    process = process_free(process);
    fake_remove(root);

    assert_int_equal(process_open("/proc", getpid(), &process), 0);
    assert_int_equal(process_count_maps(process, SIZE_MAX, &n), 0);
    assert_in_range(n, 10, 10000);
    process_free(process);
}

/* What statm says is of this moment, and the rest is read again when it may be another. */
static void test_memory_often(void **state)
{
    static const struct {
        usec_t now; /* in minutes */
        const char *status, *statm;
        Memory memory; /* in pages */
    } steps[] = {
        { 1,
          "VmHWM: 40 kB\nVmRSS: 36 kB\nRssAnon: 12 kB\nVmSwap: 0 kB\n",
          "20 9 6 1 0 4 0\n",
          { 9, 3, 0, 10 } },
        { 2, "", "20 9 5 1 0 4 0\n", { 9, 4, 0, 10 } },
        { 10, "", "20 9 9 1 0 4 0\n", { 9, 0, 0, 10 } },
        /* ten minutes later: a peak that was between two of them */
        { 11,
          "VmHWM: 60 kB\nVmRSS: 36 kB\nRssAnon: 16 kB\nVmSwap: 0 kB\n",
          "20 9 5 1 0 4 0\n",
          { 9, 4, 0, 15 } },
        { 12, "", "20 14 5 1 0 4 0\n", { 14, 9, 0, 15 } },
        /* beyond the peak that is known; and then much is gone */
        { 13, "", "20 16 6 1 0 4 0\n", { 16, 10, 0, 16 } },
        { 14,
          "VmHWM: 64 kB\nVmRSS: 20 kB\nRssAnon: 8 kB\nVmSwap: 12 kB\n",
          "20 5 3 1 0 4 0\n",
          { 5, 2, 3, 16 } },
        /* as long as some is swapped out */
        { 15,
          "VmHWM: 64 kB\nVmRSS: 20 kB\nRssAnon: 8 kB\nVmSwap: 16 kB\n",
          "20 5 3 1 0 4 0\n",
          { 5, 2, 4, 16 } },
        { 16,
          "VmHWM: 64 kB\nVmRSS: 20 kB\nRssAnon: 8 kB\nVmSwap: 0 kB\n",
          "20 5 3 1 0 4 0\n",
          { 5, 2, 0, 16 } },
        { 17, "", "20 5 3 1 0 4 0\n", { 5, 2, 0, 16 } },
        /* a statm that says nothing */
        { 18,
          "VmHWM: 64 kB\nVmRSS: 24 kB\nRssAnon: 8 kB\nVmSwap: 0 kB\n",
          "0 0 0 0 0 0 0\n",
          { 6, 2, 0, 16 } },
        { 19, "VmHWM: 64 kB\nVmRSS: 28 kB\nRssAnon: 8 kB\nVmSwap: 0 kB\n", "", { 7, 2, 0, 16 } },
    };
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    char *root = fake_proc();
    Process *process = NULL;
    Memory m;

    (void)state;
    if (page != 4096)
        fail_msg("the table is written for pages of 4 KiB");
    fake_file(root, "status", STATUS, strlen(STATUS));
    fake_file(root, "stat", STAT, strlen(STAT));
    assert_int_equal(process_open(root, 42, &process), 0);
    for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
        fake_file(root, "status", steps[i].status, strlen(steps[i].status));
        fake_file(root, "statm", steps[i].statm, strlen(steps[i].statm));
        assert_int_equal(process_memory_often(process, steps[i].now * USEC_PER_MINUTE, &m), 0);
        if (m.rss != steps[i].memory.rss * page || m.anon != steps[i].memory.anon * page ||
            m.swap != steps[i].memory.swap * page || m.hwm != steps[i].memory.hwm * page)
            fail_msg("step %zu: %ju %ju %ju %ju", i, (uintmax_t)m.rss, (uintmax_t)m.anon, (uintmax_t)m.swap,
                     (uintmax_t)m.hwm);
    }
    fake_file(root, "status", "Name:\ttor\n", 10);
    assert_int_equal(process_memory_often(process, 20 * USEC_PER_MINUTE, &m), -ESRCH);
    process_free(process);
    fake_remove(root);
}

static void test_unit(void **state)
{
    static const char cgroup[] = "1:name=systemd:/system.slice/system-tor.slice/tor@a.service\n0::/\n";
    char *root = fake_proc();
    Process *process = NULL;
    _cleanup_(freep) char *unit = NULL;

    (void)state;
    fake_file(root, "status", STATUS, strlen(STATUS));
    fake_file(root, "stat", STAT, strlen(STAT));
    assert_int_equal(process_open(root, 42, &process), 0);
    assert_int_equal(process_unit(process, &unit), -ESRCH); /* no file */
    fake_file(root, "cgroup", "0::/\n", 5);
    assert_int_equal(process_unit(process, &unit), 0);
    assert_null(unit);
    fake_file(root, "cgroup", cgroup, strlen(cgroup));
    assert_int_equal(process_unit(process, &unit), 0);
    assert_string_equal(unit, "tor@a.service");
    process_free(process);
    fake_remove(root);
}

/* What is no plain file of the process is not followed out of its folder. */
static void test_links(void **state)
{
    char *root = fake_proc();
    _cleanup_(freep) char *path = xasprintf("%s/42/status", root);
    Process *process = NULL;

    (void)state;
    assert_int_equal(symlink("/proc/self/status", path), 0);
    assert_int_equal(process_open(root, 42, &process), -ELOOP);
    assert_null(process);
    fake_remove(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_maps_and_environ),
        cmocka_unit_test(test_empty_environment),
        cmocka_unit_test(test_exit),
        cmocka_unit_test(test_pid_reuse),
        cmocka_unit_test(test_started),
        cmocka_unit_test(test_without_rights),
        cmocka_unit_test(test_no_such_process),
        cmocka_unit_test(test_no_descriptor_leaks),
        cmocka_unit_test(test_made_up),
        cmocka_unit_test(test_secure),
        cmocka_unit_test(test_really_secure),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_many_maps),
        cmocka_unit_test(test_count_maps),
        cmocka_unit_test(test_memory_often),
        cmocka_unit_test(test_unit),
        cmocka_unit_test(test_links),
    };

    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
