/* SPDX-License-Identifier: BSD-3-Clause */
/* What trials in the lab (docs/lab.md) say of the built-in allocators: one table, made by `make evidence` out
 * of the kept results, so that the program and the documents never say more than these. Pure. */
#pragma once

#include "core/config.h"

/* One allocator in one version on one release. Geometric means over its trials, a trial weighing as many as
 * it has relays with one of glibc beside them; a share is of glibc's in the same trial. With settings, only
 * trials that also had its library as it is shipped count. NAN: not compared, or not measured. */
typedef struct Evidence {
    const char *allocator;           /* its built-in name */
    const char *version;             /* "5.3.0" */
    const char *release;             /* "Debian 13" */
    bool elsewhere;                  /* the library was that of another release */
    const char *date;                /* of the last trial */
    unsigned runs, relays;           /* trials; its relays in all of them that had one of glibc beside them */
    double memory, least, most;      /* share of RSS: mean, and over the trials */
    double cpu, cpu_least, cpu_most; /* share of CPU time a request, likewise */
    double served;                   /* share of the requests that were answered */
    double growth; /* MiB an hour beyond that of live bytes at the end of a trial, of any network: the most */
    const char *stock; /* its library as it is shipped, of the same version; NULL: that, or glibc */
    double stock_memory, stock_cpu; /* shares of that one's, in the same trials */
    const char *left;    /* what trials without that one showed, which count above for nothing; NULL: none */
    const char *against; /* what speaks against it, behind its name, or that too few relays ran it to
                          * say so (tests/lab/evidence.py has the rule); NULL: nothing */
} Evidence;

/* All of it: first what nothing speaks against, and of that the least memory first. */
extern const Evidence *const evidence_table;
extern const size_t evidence_n;

/* What the lab would try first on a release, by the text of its /etc/os-release (NULL: not known): rows of
 * built-in allocators that nothing speaks against and that need no library, or one that the release has a
 * package of. Those measured on the release itself, and with its own library, come first, and then the
 * table's order holds; each allocator once. How many were put into ret, at most `max`. */
size_t evidence_candidates(const Evidence *table, size_t n, const char *os_release, const Evidence **ret,
                           size_t max);
/* The first of them in a sentence, its package, and that this is no evidence of the fleet. Owned by the
 * caller. */
char *evidence_advice(const Evidence *first, const char *os_release);

/* The name that it has in the table; NULL: it is not built in, or the file redefines it. */
const char *evidence_name(const Allocator *allocator);
/* Does a row speak for its settings, with nothing against them? true as well where there are none to judge:
 * it is not built in, or a library as its makers ship it. */
bool evidence_justifies(const Evidence *table, size_t n, const Allocator *allocator);
/* All that is in the table of a built-in allocator, in sentences without full stop, separated by "; "; "no
 * evidence yet" where there is none. NULL: evidence_name() has none. Owned by the caller. */
char *evidence_text(const Evidence *table, size_t n, const Allocator *allocator);
