/* SPDX-License-Identifier: BSD-3-Clause */
/* A draft of a file: a private copy to edit, a candidate beside the original to judge (so that relative
 * includes hold), and the exchange of the two. The candidate never stays behind, also when a signal ends the
 * program; the copy stays if there is work in it that was not saved, and a message says where. Messages are
 * its own. */
#pragma once

typedef struct Draft Draft;

/* Copies `path` (a link is followed once and for all). 0; negative errno after a message. */
int draft_new(const char *path, Draft **ret);
Draft *draft_free(Draft *draft); /* removes copy and candidate */
static inline void draft_freep(Draft **draft)
{
    draft_free(*draft);
}

const char *draft_path(const Draft *draft);      /* of the copy */
const char *draft_target(const Draft *draft);    /* of the file, as it was given */
const char *draft_candidate(const Draft *draft); /* after draft_take() */

const char *draft_original(const Draft *draft); /* the text of the file when it was copied */
/* Writes this text into the copy, as an editor would. 0; negative errno after a message. */
int draft_write(Draft *draft, const char *text);

/* Makes the candidate of the copy. 1; 0: the copy is as it was, there is no candidate; negative errno after a
 * message. */
int draft_take(Draft *draft);

/* Says that nothing was changed and, if the copy differs from the file, that it is kept, and where: it is
 * then not removed any more. */
void draft_keep(Draft *draft);

/* Puts the candidate in the file's place, with the file's owner and mode. 0; -EBUSY after a message: somebody
 * else has changed the file in the meantime; other errno after a message. Where the file was not replaced,
 * the copy is kept. */
int draft_save(Draft *draft);
