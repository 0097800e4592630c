/* SPDX-License-Identifier: BSD-3-Clause */
/* The last hour of each relay's resident memory, one value per minute, and how that is drawn as a line. Fed
 * from the journal's samples once and from what is seen live after that. */
#pragma once

#include "core/util.h"

#define SPARK_MINUTES 60

typedef struct Spark {
    char *relay;
    uint64_t values[SPARK_MINUTES]; /* of minute t at t % SPARK_MINUTES; bytes; 0: none */
    uint64_t last;                  /* minutes since 1970; older ones than SPARK_MINUTES before it are void */
} Spark;

typedef struct Sparks {
    Spark *items; /* sorted by relay */
    size_t n, capacity;
} Sparks;
void sparks_clear(Sparks *sparks);

/* Adds a value; the last one of a minute counts. */
void sparks_add(Sparks *sparks, const char *relay, size_t relay_length, usec_t realtime, uint64_t rss);

/* Adds the last hour from the journal of this host. 0; negative errno, nothing said. */
int sparks_read_journal(Sparks *sparks, usec_t now);

/* The hour up to `now` in `width` characters; blanks where nothing is known, and for a relay that is not
 * known. Owned by the caller. */
char *sparks_draw(const Sparks *sparks, const char *relay, usec_t now, size_t width);
