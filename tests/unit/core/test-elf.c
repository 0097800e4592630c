/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the small ELF files of tests/fuzz/seeds/fuzz-elf (made by tests/fuzz/make-elf-seeds), whole, cut
 * short, and damaged at each of their bytes. Whether real libraries are read as the dynamic linker reads them
 * is io/test-elf-file.c's. */
#include "test.h"

#include "core/elf.h"

#include <elf.h>
#include <errno.h>

typedef struct Image {
    unsigned char *bytes;
    size_t n;
    size_t reads;
} Image;

static Image image_read(const char *name)
{
    _cleanup_(freep) char *path = xasprintf("%s/tests/fuzz/seeds/fuzz-elf/%s", SOURCE_DIR, name);
    _cleanup_(fclosep) FILE *f = fopen(path, "re");
    Image image = { .bytes = xcalloc(16384, 1) };

    if (!f || (image.n = fread(image.bytes, 1, 16384, f)) == 0)
        fail_msg("%s: %s", path, strerror(errno));
    return image;
}

static void image_clear(const Image *image)
{
    free(image->bytes);
}

/* Holds the promise that nothing beyond the file is asked for. */
static int image_bytes(void *userdata, uint64_t offset, void *buffer, size_t n)
{
    Image *image = userdata;

    assert_true(offset <= image->n && n <= image->n - offset);
    assert_true(++image->reads <= 4096);
    memcpy(buffer, image->bytes + offset, n);
    return 0;
}

static int image_parse(Image *image, Elf *ret)
{
    image->reads = 0;
    return elf_parse(&(ElfInput){ image_bytes, image, image->n }, ret);
}

static bool exports(Elf *elf, const char *name)
{
    ElfSymbol found;

    assert_int_equal(elf_exports(elf, &name, 1, &found), 0);
    assert_true(found.defined == (found.address != 0));
    return found.defined;
}

/* ---- what is in them ---- */

static void test_what_a_library_offers(void **state)
{
    static const char *const files[] = { "gnu64", "gnu32", "sysv64", "sysv32", "sections64" };
    static const struct {
        const char *name;
        bool offered;
    } table[] = {
        { "malloc", true },      { "mi_version", true },    { "weak_one", true },    { "indirect", true },
        { "uses", true },        { "protected_one", true }, { "hidden_one", false }, { "variable", false },
        { "needed_one", false }, { "mallo", false },        { "malloc_", false },    { "alloc", false },
        { "", false },
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(files); i++) {
        _cleanup_(image_clear) Image image = image_read(files[i]);
        _cleanup_(elf_clear) Elf elf = { 0 };
        assert_int_equal(image_parse(&image, &elf), 0);
        for (size_t k = 0; k < ELEMENTSOF(table); k++)
            if (exports(&elf, table[k].name) != table[k].offered)
                fail_msg("%s: %s", files[i], table[k].name);
    }
}

static void test_what_a_library_needs(void **state)
{
    static const struct {
        const char *file, *rpath, *runpath;
        uint64_t flags_1;
    } table[] = {
        { "gnu64", NULL, "/opt/heap:$ORIGIN", 0 },
        { "gnu32", NULL, "/opt/heap:$ORIGIN", 0 },
        { "sysv64", "/opt/heap", NULL, DF_1_NODELETE },
        { "sysv32", "/opt/heap", NULL, DF_1_NODELETE },
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(image_clear) Image image = image_read(table[i].file);
        _cleanup_(elf_clear) Elf elf = { 0 };
        assert_int_equal(image_parse(&image, &elf), 0);
        assert_true(elf.dynamic && !elf.interpreted);
        assert_string_equal(elf.soname, "libheap.so.1");
        assert_int_equal(strv_length(elf.needed), 2);
        assert_string_equal(elf.needed[0], "libneeded-a.so.1");
        assert_string_equal(elf.needed[1], "libneeded-b.so.2");
        assert_true(streq_null(elf.rpath, table[i].rpath));
        assert_true(streq_null(elf.runpath, table[i].runpath));
        assert_int_equal(elf.flags_1, table[i].flags_1);
    }
}

/* Who asks for malloc@GLIBC_2.2.5 gets none of another version. */
static void test_versions(void **state)
{
    _cleanup_(image_clear) Image image = image_read("versions64");
    _cleanup_(elf_clear) Elf elf = { 0 };

    (void)state;
    assert_int_equal(image_parse(&image, &elf), 0);
    assert_true(exports(&elf, "of_glibc"));
    assert_true(exports(&elf, "older"));
    assert_false(exports(&elf, "malloc"));
}

static void test_what_a_program_holds(void **state)
{
    static const char *const names[] = { "malloc", "__libc_malloc", "local_one", "calloc", "needed_one" };
    static const char *const files[] = { "static64", "static32", "hidden64" };
    ElfSymbol found[ELEMENTSOF(names)];

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(files); i++) {
        _cleanup_(image_clear) Image image = image_read(files[i]);
        _cleanup_(elf_clear) Elf elf = { 0 };
        assert_int_equal(image_parse(&image, &elf), 0);
        assert_true(elf.dynamic == elf.interpreted);
        assert_true(elf.interpreted == streq(files[i], "hidden64"));
        assert_false(exports(&elf, "malloc"));
        assert_int_equal(elf_holds(&elf, names, ELEMENTSOF(names), found), 0);
        assert_true(found[0].defined && found[1].defined && found[2].defined);
        assert_true(!found[3].defined && !found[4].defined);
        assert_int_equal(found[0].address, found[1].address);
        assert_int_not_equal(found[0].address, found[2].address);
    }
    _cleanup_(image_clear) Image image = image_read("stripped64");
    _cleanup_(elf_clear) Elf elf = { 0 };
    assert_int_equal(image_parse(&image, &elf), 0);
    assert_int_equal(elf_holds(&elf, names, ELEMENTSOF(names), found), -ENODATA);
    assert_false(found[0].defined);
}

static void test_no_elf_file(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        int result;
    } table[] = {
        { "", 0, -ENOEXEC },
        { "\x7f"
          "ELF",
          4, -ENOEXEC },
        { "#!/bin/sh\nexit 0\n#......", 24, -ENOEXEC },
        { "\x7f"
          "ELF\2\1\1\0\0\0\0\0\0\0\0\0",
          16, -EBADMSG }, /* nothing but its name */
        { "\x7f"
          "ELF\3\1\1\0\0\0\0\0\0\0\0\0",
          16, -EOPNOTSUPP }, /* a class that nobody knows */
        { "\x7f"
          "ELF\2\7\1\0\0\0\0\0\0\0\0\0",
          16, -EOPNOTSUPP }, /* an order of bytes, likewise */
        { "\x7f"
          "ELF\2\1\2\0\0\0\0\0\0\0\0\0",
          16, -EOPNOTSUPP }, /* a version, likewise */
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        Image image = { (unsigned char *)table[i].bytes, table[i].n, 0 };
        Elf elf = { .flags_1 = 1234 };
        if (image_parse(&image, &elf) != table[i].result)
            fail_msg("row %zu", i);
        assert_int_equal(elf.flags_1, 1234); /* nothing is written then */
    }
}

static int no_bytes(void *userdata, uint64_t offset, void *buffer, size_t n)
{
    (void)userdata, (void)offset, (void)buffer, (void)n;
    return -EIO;
}

static void test_error_of_the_reader(void **state)
{
    Elf elf;

    (void)state;
    assert_int_equal(elf_parse(&(ElfInput){ no_bytes, NULL, 4096 }, &elf), -EIO);
}

/* ---- damaged ---- */

/* Asks all that can be asked; image_bytes() watches. */
static void ask(Image *image)
{
    static const char *const names[] = { "malloc", "__libc_malloc", "mi_version", "nobody" };
    _cleanup_(elf_clear) Elf elf = { 0 };
    ElfSymbol found[ELEMENTSOF(names)];

    if (image_parse(image, &elf) < 0)
        return;
    (void)elf_exports(&elf, names, ELEMENTSOF(names), found);
    (void)elf_holds(&elf, names, ELEMENTSOF(names), found);
}

static const char *const all_files[] = { "gnu64",      "gnu32",    "sysv64",   "sysv32",     "sections64",
                                         "versions64", "static64", "static32", "stripped64", "hidden64" };

static void test_cut_short(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(all_files); i++) {
        _cleanup_(image_clear) Image image = image_read(all_files[i]);
        while (image.n > 0) {
            image.n--;
            ask(&image);
        }
    }
}

static void test_damaged(void **state)
{
    static const unsigned char values[] = { 0, 1, 0x7f, 0x80, 0xff };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(all_files); i++) {
        _cleanup_(image_clear) Image image = image_read(all_files[i]);
        for (size_t at = 0; at < image.n; at++) {
            const unsigned char good = image.bytes[at];
            for (size_t k = 0; k < ELEMENTSOF(values); k++) {
                image.bytes[at] = values[k];
                ask(&image);
            }
            image.bytes[at] = good;
        }
    }
}

/* The place of a 64-bit dynamic entry's value. */
static uint64_t *dynamic_value(Image *image, int64_t tag)
{
    Elf64_Ehdr *header = (void *)image->bytes;
    Elf64_Phdr *segments = (void *)(image->bytes + header->e_phoff);
    Elf64_Dyn *d = NULL;

    for (size_t i = 0; i < header->e_phnum; i++)
        if (segments[i].p_type == PT_DYNAMIC)
            d = (void *)(image->bytes + segments[i].p_offset);
    while (d->d_tag != tag) {
        assert_int_not_equal(d->d_tag, DT_NULL);
        d++;
    }
    return &d->d_un.d_val;
}

static void expect_given_up(Image *image)
{
    static const char *const names[] = { "malloc", "nobody" };
    _cleanup_(elf_clear) Elf elf = { 0 };
    ElfSymbol found[ELEMENTSOF(names)];

    assert_int_equal(image_parse(image, &elf), 0);
    assert_int_equal(elf_exports(&elf, names, ELEMENTSOF(names), found), -EBADMSG);
}

/* Tables that would have us read for ever. (Addresses are places in the file in these: one segment from 0
 * on.) */
static void test_endless_chains(void **state)
{
    _cleanup_(image_clear) Image sysv = image_read("sysv64"), gnu = image_read("gnu64");
    uint32_t *hash = (void *)(sysv.bytes + *dynamic_value(&sysv, DT_HASH));

    (void)state;
    for (size_t i = 0; i < hash[1]; i++) /* each symbol is followed by itself */
        hash[2 + hash[0] + i] = (uint32_t)i;
    expect_given_up(&sysv);

    /* Runs without an end, over a file with a great hole: no word has its lowest bit set. */
    gnu.bytes = realloc(gnu.bytes, 1 << 20);
    assert_non_null(gnu.bytes);
    Elf64_Ehdr *header = (void *)gnu.bytes;
    Elf64_Phdr *segments = (void *)(gnu.bytes + header->e_phoff);
    memset(gnu.bytes + gnu.n, 0, (1 << 20) - gnu.n);
    uint32_t table[] = { 1, 1, 0, 0, 1 }; /* one bucket, which begins at symbol 1 */
    memcpy(gnu.bytes + (1 << 19), table, sizeof(table));
    *dynamic_value(&gnu, DT_GNU_HASH) = 1 << 19;
    segments[0].p_filesz = gnu.n = 1 << 20;
    expect_given_up(&gnu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_library_offers),
        cmocka_unit_test(test_what_a_library_needs),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_what_a_program_holds),
        cmocka_unit_test(test_no_elf_file),
        cmocka_unit_test(test_error_of_the_reader),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_endless_chains),
    };

    return cmocka_run_group_tests_name("elf", tests, NULL, NULL);
}
