/* SPDX-License-Identifier: BSD-3-Clause */
/* libFuzzer: an ELF file that a hostile relay has mapped. The seeds are made by make-elf-seeds. Each byte
 * that is asked for must be in the file, and the work must stay small, whatever the file says. */
#include "core/lookup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth)
        abort();
}

typedef struct Bytes {
    const uint8_t *data;
    size_t size, reads;
} Bytes;

static int read_bytes(void *userdata, uint64_t offset, void *buffer, size_t n)
{
    Bytes *b = userdata;

    must(offset <= b->size && n <= b->size - offset);
    must(++b->reads <= 4096);
    if (n > 0)
        memcpy(buffer, b->data + offset, n);
    return 0;
}

static void check_strings(const Elf *elf)
{
    const char *const single[] = { elf->soname, elf->rpath, elf->runpath };
    size_t sum = 0;

    for (size_t i = 0; i < ELEMENTSOF(single); i++)
        sum += single[i] ? strlen(single[i]) + 1 : 0;
    STRV_FOREACH (needed, elf->needed)
        sum += strlen(*needed) + 1;
    must(sum <= ELF_STRINGS_MAX);
    must(elf->dynamic || sum == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "malloc", "mi_version", "older" };
    ElfSymbol found[ELEMENTSOF(names)];
    Bytes bytes = { data, size, 0 };
    const ElfInput input = { read_bytes, &bytes, size };
    Elf elf;

    if (elf_parse(&input, &elf) == 0) {
        check_strings(&elf);
        if (elf_exports(&elf, names, ELEMENTSOF(names), found) == 0)
            for (size_t i = 0; i < ELEMENTSOF(names); i++)
                must(found[i].defined == (found[i].address != 0) && (elf.dynamic || !found[i].defined));
        if (elf_holds(&elf, names, ELEMENTSOF(names), found) == 0)
            for (size_t i = 0; i < ELEMENTSOF(names); i++)
                must(found[i].defined == (found[i].address != 0));
        elf_clear(&elf);
    }
    for (int program = 0; program < 2; program++) {
        ObjectFacts facts;
        bytes.reads = 0;
        if (object_facts_read(&input, program, &facts) == 0) {
            must(family_to_string(facts.family));
            must(!facts.silent || (program && !facts.serves));
            object_facts_clear(&facts);
        }
    }
    return 0;
}
