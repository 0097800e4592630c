/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads ELF files a few bytes at a time and only where it has to. Trusts no number in them: every place is
 * checked against the file's size before it is read, and a file that has us read on and on is given up. */
#include "core/elf.h"

#include <assert.h>
#include <elf.h>
#include <errno.h>

enum {
    READS_MAX = 4096, /* a library of usual make takes about sixty */
    HEADERS_MAX = 1024,
    DYNAMIC_MAX = 16 * 1024, /* bytes */
    NEEDED_MAX = 256,
    CHAIN_MAX = 4096,
    VERSIONS_MAX = 1024,
    DYNSYM_MAX = 1024 * 1024, /* bytes, where there is no hash table */
};

/* A field of the structure as it stands in the file, of which there is one for each class. */
#define FIELD(elf, u, field) ((elf)->wide ? (u).l.field : (u).s.field)
#define SIZE_OF(elf, u) ((elf)->wide ? sizeof((u).l) : sizeof((u).s))

static int read_at(Elf *elf, uint64_t offset, void *buffer, size_t n)
{
    if (n > elf->input.size || offset > elf->input.size - n || elf->reads_left == 0)
        return -EBADMSG;
    elf->reads_left--;
    return elf->input.read(elf->input.userdata, offset, buffer, n);
}

/* Element `index` of an array at `offset`, whose elements are as large as what is read. */
static int read_element(Elf *elf, uint64_t offset, uint64_t index, void *buffer, size_t size)
{
    uint64_t at;

    if (__builtin_mul_overflow(index, size, &at) || __builtin_add_overflow(at, offset, &at))
        return -EBADMSG;
    return read_at(elf, at, buffer, size);
}

/* ---- what is loaded into memory ---- */

/* How many bytes the file has from this address on, in the same segment; 0: none. */
static uint64_t locate(const Elf *elf, uint64_t address, uint64_t *ret_offset)
{
    for (size_t i = 0; i < elf->n_segments; i++) {
        const ElfSegment *s = &elf->segments[i];
        if (address < s->address || address - s->address >= s->size)
            continue;
        if (__builtin_add_overflow(s->offset, address - s->address, ret_offset))
            return 0;
        return s->size - (address - s->address);
    }
    return 0;
}

/* `n` bytes at element `index` of an array in memory at `address`. */
static int read_memory(Elf *elf, uint64_t address, uint64_t index, size_t size, void *buffer)
{
    uint64_t at, offset;

    if (__builtin_mul_overflow(index, size, &at) || __builtin_add_overflow(at, address, &at) ||
        locate(elf, at, &offset) < size)
        return -EBADMSG;
    return read_at(elf, offset, buffer, size);
}

/* The string at this place of the dynamic string table. Owned by the caller. */
static int read_string(Elf *elf, uint64_t at, char **ret)
{
    uint64_t address, offset, left;

    if (at >= elf->strings_size || __builtin_add_overflow(elf->strings, at, &address))
        return -EBADMSG;
    left = locate(elf, address, &offset);
    if (left > elf->strings_size - at)
        left = elf->strings_size - at;
    if (left > elf->strings_left)
        left = elf->strings_left;

    size_t n = 0;
    for (size_t piece = 64; left > 0; left -= piece, piece *= 2) {
        _cleanup_(freep) char *text = NULL;
        if (piece > left)
            piece = (size_t)left;
        text = xcalloc(n + piece, 1);
        int r = read_at(elf, offset, text, n + piece);
        if (r < 0)
            return r;
        n += piece;
        if (memchr(text, '\0', n)) {
            elf->strings_left -= strlen(text) + 1;
            *ret = TAKE_PTR(text);
            return 0;
        }
    }
    return -EBADMSG;
}

/* Does the dynamic string table have this name at that place? 1, 0, or an error. */
static int is_string(Elf *elf, uint64_t at, const char *name)
{
    char buffer[64];
    uint64_t address, offset;
    size_t n = strlen(name) + 1;

    assert(n <= sizeof(buffer));
    if (at >= elf->strings_size || __builtin_add_overflow(elf->strings, at, &address))
        return -EBADMSG;
    if (elf->strings_size - at < n || locate(elf, address, &offset) < n)
        return 0; /* shorter than the name */
    int r = read_at(elf, offset, buffer, n);
    if (r < 0)
        return r;
    return memcmp(buffer, name, n) == 0;
}

/* ---- headers ---- */

static int parse_header(Elf *elf, uint64_t *ret_segments, size_t *ret_n)
{
    union {
        unsigned char ident[EI_NIDENT];
        Elf32_Ehdr s;
        Elf64_Ehdr l;
    } h;
    static const unsigned char data = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;

    if (elf->input.size < sizeof(h.ident))
        return -ENOEXEC;
    int r = read_at(elf, 0, h.ident, sizeof(h.ident));
    if (r < 0)
        return r;
    if (memcmp(h.ident, ELFMAG, SELFMAG) != 0)
        return -ENOEXEC;
    if ((h.ident[EI_CLASS] != ELFCLASS32 && h.ident[EI_CLASS] != ELFCLASS64) || h.ident[EI_DATA] != data ||
        h.ident[EI_VERSION] != EV_CURRENT)
        return -EOPNOTSUPP;
    elf->wide = h.ident[EI_CLASS] == ELFCLASS64;
    r = read_at(elf, 0, &h, SIZE_OF(elf, h));
    if (r < 0)
        return r;
    *ret_segments = FIELD(elf, h, e_phoff);
    *ret_n = FIELD(elf, h, e_phnum);
    elf->sections = FIELD(elf, h, e_shoff);
    elf->n_sections = elf->sections ? FIELD(elf, h, e_shnum) : 0;
    const bool usual =
        elf->wide ? h.l.e_phentsize == sizeof(Elf64_Phdr) : h.s.e_phentsize == sizeof(Elf32_Phdr);
    return *ret_n > HEADERS_MAX || (*ret_n > 0 && !usual) ? -EBADMSG : 0;
}

static int parse_segments(Elf *elf, uint64_t offset, size_t n, ElfSegment *ret_dynamic)
{
    for (size_t i = 0; i < n; i++) {
        union {
            Elf32_Phdr s;
            Elf64_Phdr l;
        } p;
        int r = read_element(elf, offset, i, &p, SIZE_OF(elf, p));
        if (r < 0)
            return r;
        const ElfSegment segment = { FIELD(elf, p, p_offset), FIELD(elf, p, p_vaddr),
                                     FIELD(elf, p, p_filesz) };
        switch (FIELD(elf, p, p_type)) {
        case PT_INTERP:
            elf->interpreted = true;
            break;
        case PT_DYNAMIC:
            elf->dynamic = true;
            *ret_dynamic = segment;
            break;
        case PT_LOAD:
            if (elf->n_segments == ELF_SEGMENTS_MAX)
                return -EBADMSG;
            elf->segments[elf->n_segments++] = segment;
            break;
        default:
            break;
        }
    }
    return 0;
}

/* Names in the dynamic section are places in a table that it gives, too, perhaps behind them. */
typedef struct DynamicNames {
    uint64_t needed[NEEDED_MAX];
    size_t n_needed;
    uint64_t soname, rpath, runpath; /* UINT64_MAX: none */
} DynamicNames;

static int take_dynamic(Elf *elf, int64_t tag, uint64_t value, DynamicNames *names)
{
    switch (tag) {
    case DT_NEEDED:
        if (names->n_needed == NEEDED_MAX)
            return -EBADMSG;
        names->needed[names->n_needed++] = value;
        break;
#define TAKE(t, place)                                                                                       \
    case t:                                                                                                  \
        (place) = value;                                                                                     \
        break
        TAKE(DT_SONAME, names->soname);
        TAKE(DT_RPATH, names->rpath);
        TAKE(DT_RUNPATH, names->runpath);
        TAKE(DT_SYMTAB, elf->symbols);
        TAKE(DT_STRTAB, elf->strings);
        TAKE(DT_STRSZ, elf->strings_size);
        TAKE(DT_HASH, elf->hash);
        TAKE(DT_GNU_HASH, elf->gnu_hash);
        TAKE(DT_VERSYM, elf->versions);
        TAKE(DT_VERDEF, elf->version_names);
        TAKE(DT_VERDEFNUM, elf->n_version_names);
        TAKE(DT_FLAGS_1, elf->flags_1);
#undef TAKE
    default:
        break;
    }
    return 0;
}

static int read_names(Elf *elf, const DynamicNames *names)
{
    const struct {
        uint64_t at;
        char **to;
    } single[] = {
        { names->soname, &elf->soname },
        { names->rpath, &elf->rpath },
        { names->runpath, &elf->runpath },
    };
    int r = 0;

    for (size_t i = 0; i < ELEMENTSOF(single) && r >= 0; i++)
        if (single[i].at != UINT64_MAX)
            r = read_string(elf, single[i].at, single[i].to);
    for (size_t i = 0; i < names->n_needed && r >= 0; i++) {
        char *name = NULL;
        r = read_string(elf, names->needed[i], &name);
        if (r >= 0)
            strv_push(&elf->needed, name);
    }
    return r;
}

static int parse_dynamic(Elf *elf, const ElfSegment *section)
{
    DynamicNames names = { .soname = UINT64_MAX, .rpath = UINT64_MAX, .runpath = UINT64_MAX };
    union {
        Elf32_Dyn s[DYNAMIC_MAX / sizeof(Elf32_Dyn)];
        Elf64_Dyn l[DYNAMIC_MAX / sizeof(Elf64_Dyn)];
    } d;
    const size_t entry = elf->wide ? sizeof(d.l[0]) : sizeof(d.s[0]);
    const size_t size = section->size > sizeof(d) ? sizeof(d) : (size_t)section->size;
    int r = read_at(elf, section->offset, &d, size);

    for (size_t i = 0; r >= 0; i++) {
        if (i >= size / entry)
            return -EBADMSG; /* without an end */
        const int64_t tag = elf->wide ? d.l[i].d_tag : d.s[i].d_tag;
        if (tag == DT_NULL)
            return read_names(elf, &names);
        r = take_dynamic(elf, tag, elf->wide ? d.l[i].d_un.d_val : d.s[i].d_un.d_val, &names);
    }
    return r;
}

void elf_clear(Elf *elf)
{
    free(elf->soname);
    strv_free(elf->needed);
    free(elf->rpath);
    free(elf->runpath);
    *elf = (Elf){ 0 };
}

int elf_parse(const ElfInput *input, Elf *ret)
{
    _cleanup_(elf_clear) Elf elf = {
        .input = *input,
        .reads_left = READS_MAX,
        .strings_left = ELF_STRINGS_MAX,
    };
    ElfSegment dynamic = { 0 };
    uint64_t segments = 0;
    size_t n = 0;

    int r = parse_header(&elf, &segments, &n);
    if (r >= 0)
        r = parse_segments(&elf, segments, n, &dynamic);
    if (r >= 0 && elf.dynamic)
        r = parse_dynamic(&elf, &dynamic);
    if (r < 0)
        return r;
    *ret = elf;
    elf = (Elf){ 0 };
    return 0;
}

/* ---- one symbol ---- */

typedef struct Symbol {
    uint64_t name, address;
    unsigned char info, other;
    uint16_t section;
} Symbol;

typedef union RawSymbol {
    Elf32_Sym s;
    Elf64_Sym l;
} RawSymbol;

static Symbol symbol_of(const Elf *elf, const RawSymbol *raw)
{
    return (Symbol){
        .name = FIELD(elf, *raw, st_name),
        .address = FIELD(elf, *raw, st_value),
        .info = FIELD(elf, *raw, st_info),
        .other = FIELD(elf, *raw, st_other),
        .section = FIELD(elf, *raw, st_shndx),
    };
}

/* A function that stands in this file. What has no type is one, too, to the dynamic linker: assembler. */
static bool is_function(const Symbol *s)
{
    const unsigned type = ELF64_ST_TYPE(s->info);

    return (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE) && s->section != SHN_UNDEF &&
           s->address != 0;
}

static bool is_offered(const Symbol *s)
{
    const unsigned binding = ELF64_ST_BIND(s->info), visibility = ELF64_ST_VISIBILITY(s->other);

    return is_function(s) && (binding == STB_GLOBAL || binding == STB_WEAK) &&
           (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

/* Is version definition `index` one of glibc's? 1, 0, or an error. */
static int is_glibc_version(Elf *elf, unsigned index)
{
    static const char prefix[] = "GLIBC_";
    uint64_t at = elf->version_names;

    for (uint64_t i = 0; at && i < elf->n_version_names && i < VERSIONS_MAX; i++) {
        Elf64_Verdef def; /* the same in both classes, as is the next */
        Elf64_Verdaux aux;
        int r = read_memory(elf, at, 0, sizeof(def), &def);
        if (r < 0)
            return r;
        if (def.vd_ndx == index) {
            r = read_memory(elf, at + def.vd_aux, 0, sizeof(aux), &aux);
            if (r < 0)
                return r;
            _cleanup_(freep) char *name = NULL;
            r = read_string(elf, aux.vda_name, &name);
            return r < 0 ? r : strncmp(name, prefix, sizeof(prefix) - 1) == 0;
        }
        if (def.vd_next == 0)
            break;
        at += def.vd_next;
    }
    return 0;
}

/* As check_match() of glibc's dl-lookup.c has it, for a request for one of glibc's versions. */
static int has_right_version(Elf *elf, uint64_t index)
{
    uint16_t version;

    if (!elf->versions)
        return 1;
    int r = read_memory(elf, elf->versions, index, sizeof(version), &version);
    if (r < 0)
        return r;
    const bool hidden = version & 0x8000;
    const unsigned number = version & 0x7fff;
    return number <= VER_NDX_GLOBAL ? !hidden : is_glibc_version(elf, number);
}

/* Is this entry of the dynamic symbol table what is looked for? 1, 0, or an error. */
static int match_symbol(Elf *elf, uint64_t index, const char *name, ElfSymbol *ret)
{
    RawSymbol raw;
    int r = read_memory(elf, elf->symbols, index, SIZE_OF(elf, raw), &raw);

    if (r < 0)
        return r;
    const Symbol symbol = symbol_of(elf, &raw);
    if (!is_offered(&symbol))
        return 0;
    r = is_string(elf, symbol.name, name);
    if (r > 0)
        r = has_right_version(elf, index);
    if (r > 0)
        *ret = (ElfSymbol){ true, symbol.address };
    return r;
}

/* ---- by hash table ---- */

static uint32_t gnu_hash_of(const char *name)
{
    uint32_t h = 5381;

    for (; *name; name++)
        h = h * 33 + (unsigned char)*name;
    return h;
}

/* Buckets lead to runs of symbols in the order of the symbol table; the lowest bit of a hash ends its run. */
static int find_by_gnu_hash(Elf *elf, const char *name, ElfSymbol *ret)
{
    struct {
        uint32_t n_buckets, first, bloom_words, bloom_shift;
    } h;
    const uint32_t wanted = gnu_hash_of(name);
    uint32_t symbol, hash = 0;
    uint64_t buckets, chains;

    int r = read_memory(elf, elf->gnu_hash, 0, sizeof(h), &h);
    if (r < 0)
        return r;
    if (h.n_buckets == 0)
        return 0;
    /* 32-bit numbers times a few bytes, so that only the first sum can overflow. */
    if (__builtin_add_overflow(elf->gnu_hash, sizeof(h) + (uint64_t)h.bloom_words * (elf->wide ? 8 : 4),
                               &buckets) ||
        __builtin_add_overflow(buckets, (uint64_t)h.n_buckets * sizeof(uint32_t), &chains))
        return -EBADMSG;
    r = read_memory(elf, buckets, wanted % h.n_buckets, sizeof(symbol), &symbol);
    if (r < 0 || symbol < h.first)
        return r;
    for (size_t i = 0; i < CHAIN_MAX; i++, symbol++) {
        r = read_memory(elf, chains, symbol - h.first, sizeof(hash), &hash);
        if (r < 0)
            return r;
        if ((hash | 1) == (wanted | 1)) {
            r = match_symbol(elf, symbol, name, ret);
            if (r != 0)
                return r;
        }
        if ((hash & 1) || symbol == UINT32_MAX)
            return 0;
    }
    return -EBADMSG;
}

static uint32_t sysv_hash_of(const char *name)
{
    uint32_t h = 0;

    for (; *name; name++) {
        h = (h << 4) + (unsigned char)*name;
        h ^= (h & 0xf0000000) >> 24;
        h &= 0x0fffffff;
    }
    return h;
}

static int find_by_sysv_hash(Elf *elf, const char *name, ElfSymbol *ret)
{
    struct {
        uint32_t n_buckets, n_chains;
    } h;
    uint32_t symbol;
    uint64_t buckets;

    int r = read_memory(elf, elf->hash, 0, sizeof(h), &h);
    if (r < 0)
        return r;
    if (h.n_buckets == 0)
        return 0;
    if (__builtin_add_overflow(elf->hash, sizeof(h), &buckets))
        return -EBADMSG;
    r = read_memory(elf, buckets, sysv_hash_of(name) % h.n_buckets, sizeof(symbol), &symbol);
    for (size_t i = 0; r >= 0 && symbol != STN_UNDEF; i++) {
        if (i == CHAIN_MAX || symbol >= h.n_chains)
            return -EBADMSG;
        r = match_symbol(elf, symbol, name, ret);
        if (r != 0)
            return r;
        r = read_memory(elf, buckets, (uint64_t)h.n_buckets + symbol, sizeof(symbol), &symbol);
    }
    return r;
}

/* ---- by section ---- */

typedef struct Section {
    uint32_t type, link;
    uint64_t offset, size, entry;
} Section;

static int read_section(Elf *elf, uint64_t index, Section *ret)
{
    union {
        Elf32_Shdr s;
        Elf64_Shdr l;
    } h;
    int r = read_element(elf, elf->sections, index, &h, SIZE_OF(elf, h));

    if (r < 0)
        return r;
    *ret = (Section){ FIELD(elf, h, sh_type), FIELD(elf, h, sh_link), FIELD(elf, h, sh_offset),
                      FIELD(elf, h, sh_size), FIELD(elf, h, sh_entsize) };
    return 0;
}

/* The first section of that type. -ENODATA: there is none. */
static int find_section(Elf *elf, uint32_t type, Section *ret)
{
    if (elf->n_sections > HEADERS_MAX)
        return -EBADMSG;
    for (uint64_t i = 0; i < elf->n_sections; i++) {
        int r = read_section(elf, i, ret);
        if (r < 0)
            return r;
        if (ret->type == type)
            return 0;
    }
    return -ENODATA;
}

/* The section's bytes and a NUL behind them. Owned by the caller. */
static int read_content(Elf *elf, const Section *section, uint64_t max, char **ret)
{
    if (section->size > max || section->size > elf->input.size)
        return -EBADMSG;
    _cleanup_(freep) char *content = xcalloc((size_t)section->size + 1, 1);
    int r = read_at(elf, section->offset, content, (size_t)section->size);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(content);
    return 0;
}

/* Looks through a whole table of symbols: those that `fits` allows. */
static int find_in_section(Elf *elf, uint32_t type, uint64_t max, bool (*fits)(const Symbol *symbol),
                           const char *const *names, size_t n, ElfSymbol *ret)
{
    _cleanup_(freep) char *table = NULL, *strings = NULL;
    Section symbols, texts;
    RawSymbol raw;
    const size_t size = SIZE_OF(elf, raw);

    int r = find_section(elf, type, &symbols);
    if (r < 0)
        return r;
    if (symbols.entry != size || symbols.link >= elf->n_sections)
        return -EBADMSG;
    r = read_section(elf, symbols.link, &texts);
    if (r >= 0)
        r = read_content(elf, &symbols, max, &table);
    if (r >= 0)
        r = read_content(elf, &texts, max, &strings);
    if (r < 0)
        return r;
    for (size_t i = 0; i < symbols.size / size; i++) {
        memcpy(&raw, table + i * size, size);
        const Symbol symbol = symbol_of(elf, &raw);
        if (!fits(&symbol) || symbol.name >= texts.size)
            continue;
        for (size_t k = 0; k < n; k++)
            if (!ret[k].defined && streq(strings + symbol.name, names[k]))
                ret[k] = (ElfSymbol){ true, symbol.address };
    }
    return 0;
}

/* ---- what others call ---- */

int elf_exports(Elf *elf, const char *const *names, size_t n, ElfSymbol *ret)
{
    int r = 0;

    memset(ret, 0, n * sizeof(*ret));
    if (!elf->dynamic)
        return 0;
    if (!elf->gnu_hash && !elf->hash) {
        r = find_in_section(elf, SHT_DYNSYM, DYNSYM_MAX, is_offered, names, n, ret);
        return r == -ENODATA ? 0 : r;
    }
    for (size_t i = 0; i < n && r >= 0; i++)
        r = elf->gnu_hash ? find_by_gnu_hash(elf, names[i], &ret[i])
                          : find_by_sysv_hash(elf, names[i], &ret[i]);
    return r < 0 ? r : 0;
}

int elf_holds(Elf *elf, const char *const *names, size_t n, ElfSymbol *ret)
{
    memset(ret, 0, n * sizeof(*ret));
    return find_in_section(elf, SHT_SYMTAB, ELF_SYMTAB_MAX, is_function, names, n, ret);
}
