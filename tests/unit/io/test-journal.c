/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of io/journal on real journal files, made from export format by systemd-journal-remote (package
 * of the same name): what is read, what is refused, and what damage costs. */
#include "io/journal.h"
#include "test.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define REMOTE "/lib/systemd/systemd-journal-remote"
#define T0 ((usec_t)1767225600 * USEC_PER_SEC)
#define MACHINE_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define MACHINE_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

extern char **environ;

typedef struct Fixture {
    char *directory;
    FILE *export;
    uint64_t sequence;
} Fixture;

static int setup(void **state)
{
    Fixture *f = xcalloc(1, sizeof(*f));
    char name[] = "/tmp/test-journal-XXXXXX";

    assert_non_null(mkdtemp(name));
    f->directory = xstrdup(name);
    f->export = tmpfile();
    assert_non_null(f->export);
    *state = f;
    return 0;
}

static void run(char *const argv[], int in)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = -1;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    assert_int_equal(posix_spawn(&pid, argv[0], &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int teardown(void **state)
{
    Fixture *f = *state;
    char *argv[] = { (char *)"/bin/rm", (char *)"-rf", f->directory, NULL };
    _cleanup_(closep) int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    run(argv, null);
    fclose(f->export);
    free(f->directory);
    free(f);
    return 0;
}

/* ---- making journals ---- */

static void entry(Fixture *f, usec_t time, const char *machine, const char *host, const char *uid)
{
    fprintf(f->export,
            "__CURSOR=x=%" PRIu64 "\n__REALTIME_TIMESTAMP=%" PRIu64 "\n__MONOTONIC_TIMESTAMP=%" PRIu64
            "\n_BOOT_ID=0123456789abcdef0123456789abcdef\n",
            f->sequence, time, time - T0 + USEC_PER_SEC);
    f->sequence++;
    if (machine)
        fprintf(f->export, "_MACHINE_ID=%s\n", machine);
    if (host)
        fprintf(f->export, "_HOSTNAME=%s\n", host);
    if (uid)
        fprintf(f->export, "_UID=%s\n", uid);
}

static void entry_from_root(Fixture *f, usec_t time)
{
    entry(f, time, MACHINE_A, "hosta", "0");
}

static void sample_fields(Fixture *f, const char *relay, uint64_t rss)
{
    fprintf(f->export,
            "MESSAGE_ID=%s\nMESSAGE=a sentence\nRELAYALLOC_RELAY=%s\nRELAYALLOC_GROUP=A\n"
            "RELAYALLOC_ALLOCATOR=jemalloc\nRELAYALLOC_VERSION=5.3.0\nRELAYALLOC_RSS=%" PRIu64
            "\nRELAYALLOC_ANON=7\nRELAYALLOC_SWAP=8\nRELAYALLOC_HWM=9\nRELAYALLOC_SINCE=%" PRIu64 "\n\n",
            message_id(MESSAGE_SAMPLE_RELAY), relay, rss, T0 - USEC_PER_HOUR);
}

static void sample(Fixture *f, usec_t time, const char *relay, uint64_t rss)
{
    entry_from_root(f, time);
    sample_fields(f, relay, rss);
}

static void fleet(Fixture *f, usec_t time, const char *rows)
{
    uint64_t n = strlen(rows);

    entry_from_root(f, time);
    fprintf(f->export, "MESSAGE_ID=%s\nMESSAGE=a sentence\nRELAYALLOC_FLEET\n",
            message_id(MESSAGE_SAMPLE_FLEET));
    fwrite(&n, sizeof(n), 1, f->export); /* little endian, as all machines that this runs on */
    fwrite(rows, 1, n, f->export);
    fputs("\n\n", f->export);
}

/* Writes what was added so far into a journal file. */
static char *write_journal(Fixture *f, const char *name)
{
    char *path = xasprintf("%s/%s", f->directory, name);
    _cleanup_(freep) char *output = xasprintf("--output=%s", path);
    char *argv[] = { (char *)REMOTE, output, (char *)"-", NULL };

    need_program(REMOTE, "systemd-journal-remote");
    fflush(f->export);
    rewind(f->export);
    lseek(fileno(f->export), 0, SEEK_SET);
    run(argv, fileno(f->export));
    rewind(f->export);
    assert_int_equal(ftruncate(fileno(f->export), 0), 0);
    return path;
}

/* ---- reading them ---- */

typedef struct Got {
    size_t n, relays;
    usec_t first, last;
    uint64_t rss; /* Σ */
    char *text;   /* "TIME HOST RELAY RSS", a line a sample */
    FILE *out;
    bool out_of_order;
    size_t stop_after;
} Got;

static int count(const JournalSample *s, void *userdata)
{
    Got *got = userdata;

    if (got->n++ == 0)
        got->first = s->time;
    got->out_of_order = got->out_of_order || s->time < got->last;
    got->last = s->time;
    got->rss += s->row.memory.rss;
    if (got->out)
        fprintf(got->out,
                "%" PRIu64 " %s %.*s %.*s %.*s %.*s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                (s->time - T0) / USEC_PER_SEC, s->host, (int)s->row.relay.n, s->row.relay.p,
                (int)s->row.group.n, s->row.group.p ? s->row.group.p : "", (int)s->row.allocator.n,
                s->row.allocator.p ? s->row.allocator.p : "", (int)s->row.version.n,
                s->row.version.p ? s->row.version.p : "", s->row.memory.rss, s->row.memory.anon,
                s->row.memory.swap, s->row.memory.hwm);
    return got->stop_after > 0 && got->n == got->stop_after ? 42 : 0;
}

static JournalReader *open_reader(const Fixture *f)
{
    JournalReader *reader = NULL;
    const JournalSource source = { .directory = f->directory };

    assert_int_equal(journal_reader_open(&source, &reader), 0);
    return reader;
}

static char *samples_as_text(const Fixture *f, usec_t since, usec_t until)
{
    _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
    Got got = { 0 };
    size_t size;

    got.out = open_memstream(&got.text, &size);
    const JournalQuery query = { .since = since, .until = until };
    assert_int_equal(journal_read_samples(reader, &query, count, &got), 0);
    fclose(got.out);
    assert_null(journal_reader_complaints(reader));
    return got.text;
}

static void assert_complains(const JournalReader *reader, const char *words)
{
    STRV_FOREACH (c, journal_reader_complaints(reader))
        if (strstr(*c, words))
            return;
    STRV_FOREACH (c, journal_reader_complaints(reader))
        print_message("complaint: %s\n", *c);
    fail_msg("nobody complains of \"%s\"", words);
}

#define ROW(relay, rss) relay "\tB\tmimalloc\t2.0.9\t1767000000000000\t" rss "\t1\t2\t3\n"

static void test_both_kinds(void **state)
{
    Fixture *f = *state;

    sample(f, T0, "r1", 100);
    sample(f, T0 + 1000, "r2", 200);
    fleet(f, T0 + USEC_PER_MINUTE, ROW("r1", "110") ROW("r2", "210"));
    sample(f, T0 + 2 * USEC_PER_MINUTE, "r1", 120);
    free(write_journal(f, "a.journal"));
    _cleanup_(freep) char *all = samples_as_text(f, 0, USEC_INFINITY);
    assert_string_equal(all, "0 hosta r1 A jemalloc 5.3.0 100 7 8 9\n"
                             "0 hosta r2 A jemalloc 5.3.0 200 7 8 9\n"
                             "60 hosta r1 B mimalloc 2.0.9 110 1 2 3\n"
                             "60 hosta r2 B mimalloc 2.0.9 210 1 2 3\n"
                             "120 hosta r1 A jemalloc 5.3.0 120 7 8 9\n");
    _cleanup_(freep) char *middle = samples_as_text(f, T0 + 1, T0 + USEC_PER_MINUTE);
    assert_string_equal(middle, "0 hosta r2 A jemalloc 5.3.0 200 7 8 9\n"
                                "60 hosta r1 B mimalloc 2.0.9 110 1 2 3\n"
                                "60 hosta r2 B mimalloc 2.0.9 210 1 2 3\n");
}

static void test_files_in_order(void **state)
{
    Fixture *f = *state;
    _cleanup_(freep) char *inner = xasprintf("%s/remote", f->directory);

    assert_int_equal(mkdir(inner, 0700), 0);
    sample(f, T0 + USEC_PER_HOUR, "r1", 2);
    free(write_journal(f, "a-later.journal"));
    sample(f, T0, "r1", 1);
    free(write_journal(f, "z-earlier.journal"));
    sample(f, T0 + 2 * USEC_PER_HOUR, "r1", 3);
    free(write_journal(f, "remote/host.journal")); /* one level down */
    _cleanup_(freep) char *all = samples_as_text(f, 0, USEC_INFINITY);
    assert_string_equal(all, "0 hosta r1 A jemalloc 5.3.0 1 7 8 9\n"
                             "3600 hosta r1 A jemalloc 5.3.0 2 7 8 9\n"
                             "7200 hosta r1 A jemalloc 5.3.0 3 7 8 9\n");
    _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
    usec_t first, last;
    assert_int_equal(journal_survey(reader, 0, USEC_INFINITY, &first, &last), 0);
    assert_int_equal(first, T0);
    assert_int_equal(last, T0 + 2 * USEC_PER_HOUR);
    assert_int_equal(journal_survey(reader, T0 + 1, T0 + USEC_PER_HOUR + 1, &first, &last), 0);
    assert_int_equal(first, T0 + USEC_PER_HOUR);
    assert_int_equal(last, T0 + USEC_PER_HOUR);
    assert_int_equal(journal_survey(reader, T0 + 1, T0 + 2, &first, &last), -ENODATA);
}

/* Anybody may log under our names: journald writes down who it was. */
static void test_only_root_counts(void **state)
{
    Fixture *f = *state;

    sample(f, T0, "r1", 100);
    entry(f, T0 + 1, MACHINE_A, "hosta", "1000");
    sample_fields(f, "r1", 1);
    entry(f, T0 + 2, MACHINE_A, "hosta", NULL); /* gathered from elsewhere */
    sample_fields(f, "r1", 300);
    free(write_journal(f, "a.journal"));
    _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
    Got got = { 0 };
    assert_int_equal(journal_read_samples(reader, &JOURNAL_QUERY_ALL, count, &got), 0);
    assert_int_equal(got.n, 2);
    assert_int_equal(got.rss, 400);
    assert_complains(reader, "1 entries under our names were not logged by root");
}

static void test_malformed(void **state)
{
    Fixture *f = *state;
    static const char *const bodies[] = {
        "RELAYALLOC_RELAY=r1\nRELAYALLOC_RSS=12x\n\n",
        "RELAYALLOC_RELAY=r1\nRELAYALLOC_RSS=\n\n",
        "RELAYALLOC_RELAY=r1\n\n",
        "RELAYALLOC_RSS=5\n\n",
        "RELAYALLOC_RELAY=r1\nRELAYALLOC_RSS=-5\n\n",
        "RELAYALLOC_RELAY=r1\nRELAYALLOC_RSS=99999999999999999999\n\n",
        "RELAYALLOC_RELAY=r\x1b[1m\nRELAYALLOC_RSS=5\n\n",
        "RELAYALLOC_RELAY=r1\nRELAYALLOC_RSS=5\nRELAYALLOC_SINCE=yesterday\n\n",
    };

    sample(f, T0, "r1", 100);
    for (size_t i = 0; i < ELEMENTSOF(bodies); i++) {
        entry_from_root(f, T0 + 1 + i);
        fprintf(f->export, "MESSAGE_ID=%s\n%s", message_id(MESSAGE_SAMPLE_RELAY), bodies[i]);
    }
    fleet(f, T0 + 100, ROW("r1", "200") "broken\n" ROW("r2", "300"));
    free(write_journal(f, "a.journal"));
    _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
    Got got = { 0 };
    assert_int_equal(journal_read_samples(reader, &JOURNAL_QUERY_ALL, count, &got), 0);
    assert_int_equal(got.n, 3);
    assert_int_equal(got.rss, 600); /* of a fleet entry, all rows but the broken one */
    assert_complains(reader, "9 entries are incomplete or malformed");
}

#define FINGERPRINT "0123456789ABCDEF0123456789ABCDEF01234567"

static int own_words_as_text(const JournalSample *s, void *userdata)
{
    const SampleRow *row = &s->row;

    fprintf(userdata, "%.*s %d %u %d %.*s %.*s\n", (int)row->relay.n, row->relay.p, row->has_bootstrap,
            row->bootstrap, row->has_flags, (int)row->flags.n, row->flags.n ? row->flags.p : "",
            (int)row->fingerprint.n, row->fingerprint.n ? row->fingerprint.p : "");
    return 0;
}

/* In both kinds of entry; a malformed word costs only itself. */
static void test_own_words(void **state)
{
    static const char *const words[] = {
        "RELAYALLOC_BOOTSTRAP=100\nRELAYALLOC_FLAGS=Fast,Guard\nRELAYALLOC_FINGERPRINT=" FINGERPRINT "\n",
        "RELAYALLOC_BOOTSTRAP=45\n",
        "RELAYALLOC_FLAGS=\n",
        "RELAYALLOC_BOOTSTRAP=900\nRELAYALLOC_FLAGS=a b\nRELAYALLOC_FINGERPRINT=x\n",
    };
    Fixture *f = *state;
    char *text = NULL;
    size_t size;

    for (size_t i = 0; i < ELEMENTSOF(words); i++) {
        entry_from_root(f, T0 + i);
        fputs(words[i], f->export);
        sample_fields(f, "r1", 1);
    }
    fleet(f, T0 + 10, "r2\tg\ta\tv\t1\t2\t3\t4\t5\t100\tFast\t" FINGERPRINT "\n" ROW("r3", "7"));
    free(write_journal(f, "a.journal"));
    _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(journal_read_samples(reader, &JOURNAL_QUERY_ALL, own_words_as_text, out), 0);
    fclose(out);
    assert_string_equal(text, "r1 1 100 1 Fast,Guard " FINGERPRINT "\n"
                              "r1 1 45 0  \n"
                              "r1 0 0 1  \n"
                              "r1 0 0 0  \n"
                              "r2 1 100 1 Fast " FINGERPRINT "\n"
                              "r3 0 0 0  \n");
    assert_null(journal_reader_complaints(reader));
    free(text);
}

static int traffic_as_text(const JournalEvent *e, void *userdata)
{
    fprintf(userdata, "%s %s %s %s %s %s %s\n", message_name(e->kind), e->fields[JOURNAL_RELAY],
            e->fields[JOURNAL_FINGERPRINT], e->fields[JOURNAL_READ], e->fields[JOURNAL_WRITTEN],
            e->fields[JOURNAL_SINCE], e->fields[JOURNAL_UNTIL]);
    return 0;
}

static int day_as_text(const JournalTraffic *t, void *userdata)
{
    fprintf(userdata, "%.*s %.*s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", (int)t->relay.n,
            t->relay.p, (int)t->fingerprint.n, t->fingerprint.n ? t->fingerprint.p : "", t->since, t->until,
            t->read, t->written);
    return 0;
}

/* Days alone, and of them those that say what they are of. */
static void test_days_of_traffic(void **state)
{
    static const char *const days[] = {
        "RELAYALLOC_RELAY=r1\nRELAYALLOC_FINGERPRINT=" FINGERPRINT
        "\nRELAYALLOC_READ=1\nRELAYALLOC_WRITTEN=2\nRELAYALLOC_SINCE=7\nRELAYALLOC_UNTIL=9\n",
        "RELAYALLOC_RELAY=r2\nRELAYALLOC_FINGERPRINT=x\nRELAYALLOC_READ=3\nRELAYALLOC_WRITTEN=4\n"
        "RELAYALLOC_SINCE=8\nRELAYALLOC_UNTIL=10\n",
        "RELAYALLOC_RELAY=r3\nRELAYALLOC_READ=3\nRELAYALLOC_WRITTEN=4\nRELAYALLOC_SINCE=8\n",
        "RELAYALLOC_RELAY=r4\nRELAYALLOC_READ=3\nRELAYALLOC_WRITTEN=4\nRELAYALLOC_SINCE=8\nRELAYALLOC_UNTIL="
        "8\n",
        "RELAYALLOC_RELAY=r5\nRELAYALLOC_READ=-3\nRELAYALLOC_WRITTEN=4\nRELAYALLOC_SINCE=8\nRELAYALLOC_UNTIL="
        "9\n",
        "RELAYALLOC_READ=3\nRELAYALLOC_WRITTEN=4\nRELAYALLOC_SINCE=8\nRELAYALLOC_UNTIL=9\n",
    };
    Fixture *f = *state;
    char *text = NULL;
    size_t size;

    for (size_t i = 0; i < ELEMENTSOF(days); i++) {
        entry_from_root(f, T0 + 2 * i);
        fprintf(f->export, "MESSAGE_ID=%s\nMESSAGE=much.\n%s\n", message_id(MESSAGE_RELAY_TRAFFIC), days[i]);
        entry_from_root(f, T0 + 2 * i + 1);
        fprintf(f->export, "MESSAGE_ID=%s\nMESSAGE=moved.\n%s\n", message_id(MESSAGE_RELAY_MOVED), days[0]);
    }
    free(write_journal(f, "a.journal"));
    _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
    FILE *out = open_memstream(&text, &size);
    JournalQuery query = JOURNAL_QUERY_ALL;
    assert_int_equal(journal_read_traffic(reader, &query, day_as_text, out), 0);
    fputs("one\n", out);
    query.relay = "r2";
    assert_int_equal(journal_read_traffic(reader, &query, day_as_text, out), 0);
    fputs("before\n", out);
    query = (JournalQuery){ .until = T0 + 1 };
    assert_int_equal(journal_read_traffic(reader, &query, day_as_text, out), 0);
    fclose(out);
    assert_string_equal(text, "r1 " FINGERPRINT " 7 9 1 2\nr2  8 10 3 4\none\nr2  8 10 3 4\n"
                              "before\nr1 " FINGERPRINT " 7 9 1 2\n");
    free(text);
}

static void test_traffic(void **state)
{
    Fixture *f = *state;
    char *text = NULL;
    size_t size;

    entry_from_root(f, T0);
    fprintf(f->export,
            "MESSAGE_ID=%s\nMESSAGE=r1: much.\nRELAYALLOC_RELAY=r1\nRELAYALLOC_FINGERPRINT=" FINGERPRINT
            "\nRELAYALLOC_READ=4096\nRELAYALLOC_WRITTEN=8192\nRELAYALLOC_SINCE=7\nRELAYALLOC_UNTIL=9\n\n",
            message_id(MESSAGE_RELAY_TRAFFIC));
    free(write_journal(f, "a.journal"));
    _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(journal_read_events(reader, &JOURNAL_QUERY_ALL, traffic_as_text, out), 0);
    fclose(out);
    assert_string_equal(text, "relay-traffic r1 " FINGERPRINT " 4096 8192 7 9\n");
    free(text);
}

static void test_hosts(void **state)
{
    Fixture *f = *state;

    entry(f, T0, MACHINE_A, "localhost", "0");
    sample_fields(f, "default", 1);
    entry(f, T0 + 1, MACHINE_B, "localhost", "0");
    sample_fields(f, "default", 2);
    entry(f, T0 + 2, MACHINE_A, "renamed", "0");
    sample_fields(f, "default", 3);
    free(write_journal(f, "a.journal"));
    _cleanup_(freep) char *all = samples_as_text(f, 0, USEC_INFINITY);
    assert_string_equal(all, "0 localhost default A jemalloc 5.3.0 1 7 8 9\n"
                             "0 localhost-bbbbbbbb default A jemalloc 5.3.0 2 7 8 9\n"
                             "0 localhost default A jemalloc 5.3.0 3 7 8 9\n");
}

static void test_stop(void **state)
{
    Fixture *f = *state;
    Got got = { .stop_after = 3 };

    for (unsigned i = 0; i < 10; i++)
        sample(f, T0 + i, "r1", 1);
    free(write_journal(f, "a.journal"));
    _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
    assert_int_equal(journal_read_samples(reader, &JOURNAL_QUERY_ALL, count, &got), 42);
    assert_int_equal(got.n, 3);
}

/* A day of a fleet of 40 in one file: more than is kept mapped, so that the file is opened again on the way.
 */
static size_t big_journal(Fixture *f, const char *name)
{
    size_t n = 0;

    for (unsigned minute = 0; minute < 500; minute++)
        for (unsigned r = 0; r < 40; r++) {
            char relay[16];
            snprintf(relay, sizeof(relay), "relay%u", r);
            sample(f, T0 + minute * USEC_PER_MINUTE + r * 50, relay, UINT64_C(1000000000) + n * 4096);
            n++;
        }
    free(write_journal(f, name));
    return n;
}

static void test_large_file(void **state)
{
    Fixture *f = *state;
    size_t n = big_journal(f, "a.journal");
    _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
    Got got = { 0 };

    assert_int_equal(journal_read_samples(reader, &JOURNAL_QUERY_ALL, count, &got), 0);
    assert_int_equal(got.n, n);
    assert_int_equal(got.rss, n * UINT64_C(1000000000) + (uint64_t)n * (n - 1) / 2 * 4096);
    assert_false(got.out_of_order);
    assert_null(journal_reader_complaints(reader));
}

/* Rotated after it was opened: it is read to its end. Deleted: that is said (sd-journal reads no file without
 * a name). */
static void test_rotated_meanwhile(void **state)
{
    Fixture *f = *state;
    Got got = { 0 };

    sample(f, T0, "r1", 1);
    sample(f, T0 + 1, "r1", 2);
    _cleanup_(freep) char *a = write_journal(f, "system.journal");
    sample(f, T0 + 2, "r1", 4);
    _cleanup_(freep) char *b = write_journal(f, "other.journal");
    _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
    _cleanup_(freep) char *archived = xasprintf("%s/system@0-0.journal", f->directory);
    assert_int_equal(rename(a, archived), 0);
    assert_int_equal(unlink(b), 0);
    assert_int_equal(journal_read_samples(reader, &JOURNAL_QUERY_ALL, count, &got), 0);
    assert_int_equal(got.n, 2);
    assert_int_equal(got.rss, 3);
    assert_complains(reader, "other.journal: deleted in the meantime; not read");
}

static off_t size_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

/* journalctl refuses such a file as a whole. */
static void test_truncated(void **state)
{
    Fixture *f = *state;
    size_t n = big_journal(f, "a.journal");
    Got got = { 0 };

    sample(f, T0 + 30 * USEC_PER_HOUR, "r1", 5);
    free(write_journal(f, "b.journal"));
    _cleanup_(freep) char *path = xasprintf("%s/a.journal", f->directory);
    assert_int_equal(truncate(path, size_of(path) / 2), 0);
    _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
    assert_int_equal(journal_read_samples(reader, &JOURNAL_QUERY_ALL, count, &got), 0);
    print_message("half of the file: %zu of %zu samples\n", got.n - 1, n);
    usec_t first, last;
    assert_int_equal(journal_survey(reader, 0, T0 + 29 * USEC_PER_HOUR, &first, &last), 0);
    assert_int_equal(first, T0);
    assert_true(last > T0);
    assert_true(got.n > n / 4 && got.n < n);
    assert_int_equal(got.last, T0 + 30 * USEC_PER_HOUR); /* the other file is read as ever */
    assert_false(got.out_of_order);
    assert_complains(reader, "a.journal: truncated; what is left of it is read");
}

static void scribble(const char *path, off_t at, size_t n)
{
    _cleanup_(freep) char *noise = xcalloc(1, n);
    _cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

    memset(noise, 0xa5, n);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, noise, n, at), n);
}

/* 4 KiB of noise somewhere in the middle cost what they hit, not the rest of the file. */
static void test_damaged(void **state)
{
    Fixture *f = *state;
    size_t n = big_journal(f, "a.journal");

    _cleanup_(freep) char *path = xasprintf("%s/a.journal", f->directory);
    for (unsigned place = 3; place < 8; place++) {
        Got got = { 0 };
        scribble(path, size_of(path) / 10 * place, 4096);
        _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
        assert_int_equal(journal_read_samples(reader, &JOURNAL_QUERY_ALL, count, &got), 0);
        print_message("%u places damaged: %zu of %zu samples\n", place - 2, got.n, n);
        assert_true(got.n > n * 8 / 10);
        assert_true(got.n < n);
        assert_false(got.out_of_order);
        assert_non_null(journal_reader_complaints(reader));
    }
}

/* Breaks the entry object of that time: its header (16 bytes, then a sequence number) stands 24 bytes before
 * its time. */
static void break_entry(const char *path, usec_t time)
{
    size_t size = (size_t)size_of(path);
    _cleanup_(freep) char *all = xcalloc(1, size);
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_int_equal(pread(fd, all, size, 0), size);
    const char *at = memmem(all + 1024, size - 1024, &time, sizeof(time));
    assert_non_null(at);
    scribble(path, at - all - 24, 16);
}

/* One entry costs one entry, wherever it is; at most a neighbour with it. */
static void test_one_damaged_entry(void **state)
{
    Fixture *f = *state;
    enum { N = 300 };
    static const unsigned broken[] = { 0, 1, 150, N - 2, N - 1 };

    for (size_t i = 0; i < ELEMENTSOF(broken); i++) {
        Got got = { 0 };
        for (unsigned k = 0; k < N; k++)
            sample(f, T0 + k * USEC_PER_MINUTE, "r1", 1);
        _cleanup_(freep) char *path = write_journal(f, "a.journal");
        break_entry(path, T0 + broken[i] * USEC_PER_MINUTE);
        _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
        assert_int_equal(journal_read_samples(reader, &JOURNAL_QUERY_ALL, count, &got), 0);
        bool end = broken[i] == 0 || broken[i] == N - 1; /* sd-journal passes over these by itself */
        if (got.n != N - 1 && (end || got.n < N - 3))
            fail_msg("entry %u broken: %zu of %d read", broken[i], got.n, N);
        if (!end)
            assert_complains(reader, "a.journal: damaged; entries after 20");
        assert_int_equal(unlink(path), 0);
    }
}

static uint64_t number_at(const char *all, size_t at)
{
    uint64_t v;

    memcpy(&v, all + at, sizeof(v));
    return le64toh(v);
}

/* An index of entries is a chain of arrays (https://systemd.io/JOURNAL_FILE_FORMAT); `link`: where the first
 * one begins. The link to the second becomes 0, as if there were none: a break that nobody sees. */
static void break_chain(const char *path, const char *all, size_t link)
{
    const uint64_t none = 0;
    _cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);
    size_t next = number_at(all, link) + 16;

    assert_true(number_at(all, next) > 0);
    assert_int_equal(pwrite(fd, &none, sizeof(none), (off_t)next), sizeof(none));
}

/* Without the index of samples each entry is looked at; without that of all entries, too, what is lost is
 * said. */
static void test_damaged_index(void **state)
{
    Fixture *f = *state;
    enum { N = 300, COMPACT = 1 << 4 };
    _cleanup_(freep) char *payload = xasprintf("MESSAGE_ID=%s", message_id(MESSAGE_SAMPLE_RELAY));

    for (int both = 0; both < 2; both++) {
        Got got = { 0 };
        for (unsigned k = 0; k < N; k++)
            sample(f, T0 + k * USEC_PER_MINUTE, "r1", 1);
        _cleanup_(freep) char *path = write_journal(f, "a.journal");
        size_t size = (size_t)size_of(path);
        _cleanup_(freep) char *all = xcalloc(1, size);
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(pread(fd, all, size, 0), size);
        const char *data = memmem(all, size, payload, strlen(payload));
        assert_non_null(data);
        break_chain(path, all, (size_t)(data - all) - (all[12] & COMPACT ? 24 : 16));
        if (both)
            break_chain(path, all, 176);
        _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
        assert_int_equal(journal_read_samples(reader, &JOURNAL_QUERY_ALL, count, &got), 0);
        if (both ? got.n == 0 || got.n >= N : got.n != N)
            fail_msg("%zu of %d samples", got.n, N);
        assert_complains(reader, "a.journal: damaged; entries after 20");
        assert_int_equal(unlink(path), 0);
    }
}

/* A time before or behind all samples is no damage. */
static void test_nothing_there(void **state)
{
    Fixture *f = *state;

    entry_from_root(f, T0);
    fprintf(f->export, "MESSAGE=something else\n\n");
    sample(f, T0 + USEC_PER_HOUR, "r1", 1);
    entry_from_root(f, T0 + 2 * USEC_PER_HOUR);
    fprintf(f->export, "MESSAGE=something else\n\n");
    free(write_journal(f, "a.journal"));
    _cleanup_(freep) char *behind = samples_as_text(f, T0 + USEC_PER_HOUR + 1, USEC_INFINITY);
    assert_string_equal(behind, "");
    _cleanup_(freep) char *before = samples_as_text(f, 0, T0 + USEC_PER_HOUR - 1);
    assert_string_equal(before, "");
    _cleanup_(freep) char *exact = samples_as_text(f, T0 + USEC_PER_HOUR, T0 + USEC_PER_HOUR);
    assert_string_equal(exact, "3600 hosta r1 A jemalloc 5.3.0 1 7 8 9\n");
}

static void test_not_journals(void **state)
{
    Fixture *f = *state;
    _cleanup_(freep) char *noise = xasprintf("%s/noise.journal", f->directory);
    _cleanup_(freep) char *empty = xasprintf("%s/empty.journal", f->directory);
    _cleanup_(freep) char *link_name = xasprintf("%s/link.journal", f->directory);
    _cleanup_(freep) char *fifo = xasprintf("%s/fifo.journal", f->directory);
    _cleanup_(freep) char *text = xasprintf("%s/readme.txt", f->directory);
    Got got = { 0 };

    FILE *file = fopen(noise, "w");
    for (unsigned i = 0; i < 100000; i++)
        fputc((int)(i * 7919 % 251), file);
    fclose(file);
    fclose(fopen(empty, "w"));
    fclose(fopen(text, "w"));
    assert_int_equal(symlink("/etc/passwd", link_name), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    sample(f, T0, "r1", 1);
    free(write_journal(f, "a.journal"));
    _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
    assert_int_equal(journal_read_samples(reader, &JOURNAL_QUERY_ALL, count, &got), 0);
    assert_int_equal(got.n, 1);
    assert_complains(reader, "noise.journal: damaged; not read");
    assert_int_equal(strv_length((char **)journal_reader_complaints(reader)), 1);
}

static void test_no_directory(void **state)
{
    Fixture *f = *state;
    _cleanup_(freep) char *missing = xasprintf("%s/missing", f->directory);
    JournalReader *reader = NULL;
    JournalSource source = { .directory = missing };
    usec_t first = 77, last = 77;

    assert_int_equal(journal_reader_open(&source, &reader), -ENOENT);
    assert_null(reader);
    source.directory = f->directory; /* empty */
    assert_int_equal(journal_reader_open(&source, &reader), 0);
    assert_int_equal(journal_survey(reader, 0, USEC_INFINITY, &first, &last), -ENODATA);
    assert_int_equal(first, 77);
    journal_reader_free(reader);
}

static const char *field(const JournalEvent *e, JournalField f)
{
    return e->fields[f] ? e->fields[f] : "";
}

static int on_event(const JournalEvent *e, void *userdata)
{
    FILE *out = userdata;

    fprintf(out, "%" PRIu64 " %s %s relay=%s allocator=%s reason=%s: %s\n", (e->time - T0) / USEC_PER_SEC,
            e->host, message_name(e->kind), field(e, JOURNAL_RELAY), field(e, JOURNAL_ALLOCATOR),
            field(e, JOURNAL_REASON), field(e, JOURNAL_MESSAGE));
    return 0;
}

static void test_events(void **state)
{
    Fixture *f = *state;
    char *text = NULL;
    size_t size;

    sample(f, T0, "r1", 1);
    entry_from_root(f, T0 + USEC_PER_SEC);
    fprintf(f->export,
            "MESSAGE_ID=%s\nMESSAGE=r1 failed.\nRELAYALLOC_RELAY=r1\nRELAYALLOC_ALLOCATOR=mimalloc\n"
            "RELAYALLOC_REASON=no proof\n\n",
            message_id(MESSAGE_RELAY_FAILED));
    entry(f, T0 + 2 * USEC_PER_SEC, MACHINE_A, "hosta", "1000");
    fprintf(f->export, "MESSAGE_ID=%s\nMESSAGE=forged\n\n", message_id(MESSAGE_RELAY_FAILED));
    entry_from_root(f, T0 + 3 * USEC_PER_SEC);
    fprintf(f->export, "MESSAGE_ID=%s\nMESSAGE=Rollout started.\n\n", message_id(MESSAGE_ROLLOUT_STARTED));
    entry_from_root(f, T0 + 4 * USEC_PER_SEC);
    fprintf(f->export, "MESSAGE=something else\n\n");
    free(write_journal(f, "a.journal"));
    _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(journal_read_events(reader, &JOURNAL_QUERY_ALL, on_event, out), 0);
    fclose(out);
    assert_string_equal(text, "1 hosta relay-failed relay=r1 allocator=mimalloc reason=no proof: r1 failed.\n"
                              "3 hosta rollout-started relay= allocator= reason=: Rollout started.\n");
    free(text);
}

/* ---- the last ones ---- */

static void event(Fixture *f, usec_t time, const char *relay, const char *message)
{
    entry_from_root(f, time);
    fprintf(f->export, "MESSAGE_ID=%s\nMESSAGE=%s\nRELAYALLOC_RELAY=%s\nPRIORITY=5\nRELAYALLOC_WAVE=2\n\n",
            message_id(MESSAGE_RELAY_MOVED), message, relay);
}

/* The samples of r1: two files that overlap, of both kinds, other relays between them, and a gap of a year.
 */
static size_t write_overlapping(Fixture *f)
{
    size_t n = 0;

    for (unsigned i = 0; i < 40; i++) {
        usec_t time = T0 + i * USEC_PER_MINUTE + (i >= 20 ? 365 * USEC_PER_DAY : 0);
        sample(f, time, i % 4 == 3 ? "r11" : "r1", i);
        n += i % 4 != 3;
    }
    free(write_journal(f, "a.journal"));
    for (unsigned i = 0; i < 20; i++) {
        _cleanup_(freep) char *rows =
            xasprintf(ROW("r11", "7") ROW("%s", "%u"), i % 3 ? "r1" : "r2", 100 + i);
        fleet(f, T0 + 365 * USEC_PER_DAY + (25 + i) * USEC_PER_MINUTE, rows);
        n += i % 3 != 0;
    }
    free(write_journal(f, "b.journal"));
    return n;
}

static void test_last_samples(void **state)
{
    Fixture *f = *state;
    const size_t n = write_overlapping(f);
    const JournalQuery query = { .until = USEC_INFINITY, .relay = "r1" };
    _cleanup_(journal_list_clear) JournalList all = { 0 };
    _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);

    assert_int_equal(journal_last_samples(reader, &query, SIZE_MAX, &all), 0);
    assert_int_equal(all.n, n);
    for (size_t i = 1; i < n; i++)
        assert_true(all.items[i - 1].time <= all.items[i].time);
    assert_string_equal(all.items[0].sample.row.allocator.p, "jemalloc");
    assert_string_equal(all.items[n - 1].sample.row.allocator.p, "mimalloc");
    for (size_t most = 0; most <= n + 1; most++) {
        _cleanup_(journal_list_clear) JournalList list = { 0 };
        assert_int_equal(journal_last_samples(reader, &query, most, &list), 0);
        assert_int_equal(list.n, most < n ? most : n);
        for (size_t i = 0; i < list.n; i++) {
            const JournalItem *got = &list.items[i], *expected = &all.items[n - list.n + i];
            assert_int_equal(got->time, expected->time);
            assert_int_equal(got->sample.row.memory.rss, expected->sample.row.memory.rss);
        }
    }
    assert_null(journal_reader_complaints(reader));
}

static void test_last_in_a_time(void **state)
{
    Fixture *f = *state;
    _cleanup_(journal_list_clear) JournalList some = { 0 }, none = { 0 };

    write_overlapping(f);
    _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
    JournalQuery query = { T0 + 2 * USEC_PER_MINUTE, T0 + 10 * USEC_PER_MINUTE, "r1", false };
    assert_int_equal(journal_last_samples(reader, &query, 5, &some), 0);
    assert_int_equal(some.n, 5); /* the minutes 5, 6, 8, 9, 10 */
    assert_int_equal(some.items[0].time, T0 + 5 * USEC_PER_MINUTE);
    assert_int_equal(some.items[4].time, T0 + 10 * USEC_PER_MINUTE);
    query = (JournalQuery){ T0 + USEC_PER_DAY, T0 + 2 * USEC_PER_DAY, "r1", false };
    assert_int_equal(journal_last_samples(reader, &query, 5, &none), 0);
    assert_int_equal(none.n, 0);
}

static bool is_even(const JournalEvent *e, void *userdata)
{
    (void)userdata;
    return atoi(e->fields[JOURNAL_MESSAGE]) % 2 == 0;
}

static void test_last_events(void **state)
{
    Fixture *f = *state;
    _cleanup_(journal_list_clear) JournalList even = { 0 }, of_one = { 0 }, all = { 0 };
    const JournalQuery one = { .until = USEC_INFINITY, .relay = "r3" };

    for (unsigned i = 0; i < 100; i++) {
        _cleanup_(freep) char *relay = xasprintf("r%u", i % 7), *message = xasprintf("%u", i);
        event(f, T0 + i * i * USEC_PER_MINUTE, relay, message);
        sample(f, T0 + i * i * USEC_PER_MINUTE + 1, relay, 1);
    }
    free(write_journal(f, "a.journal"));
    _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
    assert_int_equal(journal_last_events(reader, &JOURNAL_QUERY_ALL, 3, is_even, NULL, &even), 0);
    assert_int_equal(even.n, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(atoi(even.items[i].event.fields[JOURNAL_MESSAGE]), 94 + 2 * i);
    assert_int_equal(journal_last_events(reader, &one, 2, NULL, NULL, &of_one), 0);
    assert_int_equal(of_one.n, 2);
    assert_string_equal(of_one.items[0].event.fields[JOURNAL_MESSAGE], "87");
    assert_string_equal(of_one.items[1].event.fields[JOURNAL_MESSAGE], "94");
    assert_string_equal(of_one.items[1].event.fields[JOURNAL_RELAY], "r3");
    assert_string_equal(of_one.items[1].event.fields[JOURNAL_WAVE], "2");
    assert_string_equal(of_one.items[1].event.fields[JOURNAL_PRIORITY], "5");
    assert_null(of_one.items[1].event.fields[JOURNAL_REASON]);
    assert_int_equal(journal_last_events(reader, &JOURNAL_QUERY_ALL, SIZE_MAX, NULL, NULL, &all), 0);
    assert_int_equal(all.n, 100);
}

/* Samples on the very borders of what is read at a time, of a relay that is gone since: others go on. */
static void test_last_of_one_that_is_gone(void **state)
{
    Fixture *f = *state;
    const JournalQuery query = { .until = USEC_INFINITY, .relay = "r1" };

    for (unsigned i = 0; i < 100; i++)
        sample(f, T0 + i * USEC_PER_HOUR, i < 90 ? "r1" : "r2", i);
    free(write_journal(f, "a.journal"));
    _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
    for (size_t most = 1; most <= 90; most++) {
        _cleanup_(journal_list_clear) JournalList list = { 0 };
        assert_int_equal(journal_last_samples(reader, &query, most, &list), 0);
        assert_int_equal(list.n, most);
        for (size_t i = 0; i < most; i++)
            assert_int_equal(list.items[i].sample.row.memory.rss, 90 - most + i);
    }
    assert_null(journal_reader_complaints(reader));
}

/* What is not needed is not read: a file that is gone is missed only by who asks for what was in it. */
static void test_last_reads_no_further(void **state)
{
    Fixture *f = *state;
    _cleanup_(journal_list_clear) JournalList few = { 0 }, many = { 0 };
    const JournalQuery query = { .until = USEC_INFINITY, .relay = "r1" };

    for (unsigned i = 0; i < 10; i++)
        sample(f, T0 + i, "r1", 1);
    _cleanup_(freep) char *old = write_journal(f, "system@0-0.journal");
    for (unsigned i = 0; i < 10; i++)
        sample(f, T0 + USEC_PER_DAY + i, "r1", 2);
    free(write_journal(f, "system.journal"));
    _cleanup_(journal_reader_freep) JournalReader *reader = open_reader(f);
    assert_int_equal(unlink(old), 0);
    assert_int_equal(journal_last_samples(reader, &query, 10, &few), 0);
    assert_int_equal(few.n, 10);
    assert_null(journal_reader_complaints(reader));
    assert_int_equal(journal_last_samples(reader, &query, 11, &many), 0);
    assert_int_equal(many.n, 10);
    assert_complains(reader, "system@0-0.journal: deleted in the meantime; not read");
}

/* The index of one relay's entries reads less, and is repaired like that of all. */
static void test_last_of_a_damaged_file(void **state)
{
    Fixture *f = *state;
    const size_t n = big_journal(f, "a.journal") / 40;
    const JournalQuery query = { .until = USEC_INFINITY, .relay = "relay7" };
    _cleanup_(freep) char *path = xasprintf("%s/a.journal", f->directory);
    _cleanup_(journal_list_clear) JournalList whole = { 0 }, damaged = { 0 };
    _cleanup_(journal_reader_freep) JournalReader *before = open_reader(f);

    assert_int_equal(journal_last_samples(before, &query, SIZE_MAX, &whole), 0);
    assert_int_equal(whole.n, n);
    assert_null(journal_reader_complaints(before));
    break_entry(path, whole.items[n / 2].time);
    _cleanup_(journal_reader_freep) JournalReader *after = open_reader(f);
    assert_int_equal(journal_last_samples(after, &query, SIZE_MAX, &damaged), 0);
    assert_in_range(damaged.n, n - 2, n - 1);
    assert_complains(after, "a.journal: damaged; entries after 20");
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_both_kinds),
        TEST(test_files_in_order),
        TEST(test_only_root_counts),
        TEST(test_malformed),
        TEST(test_hosts),
        TEST(test_own_words),
        TEST(test_traffic),
        TEST(test_days_of_traffic),
        TEST(test_stop),
        TEST(test_large_file),
        TEST(test_rotated_meanwhile),
        TEST(test_truncated),
        TEST(test_damaged),
        TEST(test_damaged_index),
        TEST(test_not_journals),
        TEST(test_no_directory),
        TEST(test_events),
        TEST(test_one_damaged_entry),
        TEST(test_nothing_there),
        TEST(test_last_samples),
        TEST(test_last_in_a_time),
        TEST(test_last_events),
        TEST(test_last_of_one_that_is_gone),
        TEST(test_last_reads_no_further),
        TEST(test_last_of_a_damaged_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
