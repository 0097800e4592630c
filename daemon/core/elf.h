/* SPDX-License-Identifier: BSD-3-Clause */
/* What the dynamic linker reads in an ELF file (elf(5), gABI, and GNU's hash table): which symbols it offers
 * to others, and which libraries it needs. Pure: the bytes come by a callback. The file may be hostile: each
 * offset is checked, each loop is bounded, and the number of reads is, too. Files of 32 and of 64 bits, in
 * the byte order of this machine. */
#pragma once

#include "core/util.h"

typedef struct ElfInput {
    /* All `n` bytes at `offset` into `buffer`: 0, or a negative errno, which is passed on. Never asked for
     * anything beyond `size`. */
    int (*read)(void *userdata, uint64_t offset, void *buffer, size_t n);
    void *userdata;
    uint64_t size; /* of the file, in bytes */
} ElfInput;

#define ELF_SEGMENTS_MAX 32
#define ELF_STRINGS_MAX ((size_t)64 * 1024) /* all names together */
#define ELF_SYMTAB_MAX ((uint64_t)16 * 1024 * 1024)

typedef struct ElfSegment {
    uint64_t offset, address, size; /* `size`: of what stands in the file */
} ElfSegment;

typedef struct Elf {
    bool interpreted; /* names a dynamic linker that is to load it (PT_INTERP), as programs do */
    bool dynamic;     /* has a dynamic section: else it offers and needs nothing */
    uint64_t flags_1; /* DT_FLAGS_1 */
    char *soname;     /* DT_SONAME; NULL: none */
    char **needed;    /* strv, DT_NEEDED in order */
    char *rpath;      /* DT_RPATH as written, with its tokens; NULL: none */
    char *runpath;    /* DT_RUNPATH, likewise */
    /* for elf.c alone */
    ElfInput input;
    size_t reads_left, strings_left;
    bool wide; /* 64 bits */
    ElfSegment segments[ELF_SEGMENTS_MAX];
    size_t n_segments;
    uint64_t sections, n_sections;
    uint64_t symbols, strings, strings_size, hash, gnu_hash, versions, version_names, n_version_names;
} Elf;

/* Reads the above. 0: `ret` is to be cleared, and input.userdata must live as long as it is asked; -ENOEXEC:
 * no ELF file; -EOPNOTSUPP: of the other byte order, or of an unknown class or version; -EBADMSG: damaged, or
 * beyond all bounds; else the callback's error. */
int elf_parse(const ElfInput *input, Elf *ret);
void elf_clear(Elf *elf);

typedef struct ElfSymbol {
    bool defined;
    uint64_t address; /* within the file's own address space; 0 when not defined */
} ElfSymbol;

/* For each of the `n` names, whether the dynamic linker would take it from this object for a program that is
 * linked with glibc: a function (or what has no type, or an indirect function) that is defined, global or
 * weak, not hidden, and that has either no version or one of glibc's own (a "malloc" of version FOO_1 does
 * not serve a request for malloc@GLIBC_2.2.5). Found as the dynamic linker does, by the hash table; an object
 * without one is searched by its section headers. 0; -EBADMSG, or the callback's error. */
int elf_exports(Elf *elf, const char *const *names, size_t n, ElfSymbol *ret);

/* The same, but of all functions that the file holds, hidden and local ones, too, by .symtab: for what was
 * linked in statically. -ENODATA: it was stripped. -EBADMSG also when the table is larger than
 * ELF_SYMTAB_MAX. */
int elf_holds(Elf *elf, const char *const *names, size_t n, ElfSymbol *ret);
