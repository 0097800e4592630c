/* SPDX-License-Identifier: BSD-3-Clause */
/* What a relay says of itself over its control socket, and the conversation in which it says it (tor's
 * control-spec). The socket belongs to the relay's user, who may answer anything: all of it is bounded, and
 * nothing of it is ever a reason to believe that something is safe. Pure. */
#pragma once

#include "core/util.h"

/* The files beside the control socket and their sizes: tor writes 32 bytes, control-spec 3.24. */
#define TOR_COOKIE_SIZE 32
#define TOR_FINGERPRINT_SIZE 40 /* hexadecimal digits, in capitals */

/* A conversation that is longer than this is ended: an honest one takes some 600 bytes, at most 3 KiB with a
 * relay's consensus entry. */
#define TOR_REPLIES_MAX ((size_t)16 * 1024)
#define TOR_LINES_MAX 200
#define TOR_TEXT_MAX 120 /* characters of a text that is shown */

typedef struct TorView {
    int progress;        /* bootstrap, 0 to 100; -1: it did not say */
    char *tag, *summary; /* of that: "loading_descriptors", "Loading relay descriptors"; NULL */
    char *warning;       /* its last problem with it; NULL: none */
    char fingerprint[TOR_FINGERPRINT_SIZE + 1]; /* "": not known, or not a relay */
    bool has_traffic;
    uint64_t read, written; /* bytes since the process began */
    char *flags;            /* of its own consensus entry, "Fast,Guard,Running", sorted; "": in no consensus;
                               NULL: not asked, or no answer */
    uint64_t pid;           /* of itself; 0: it did not say */
} TorView;
void tor_view_clear(TorView *view);

/* What is sent at once after connecting: authentication by cookie, the questions, and QUIT. `fingerprint`:
 * whose consensus entry is asked for; NULL or "": nobody's. Owned by the caller. */
char *tor_control_requests(const unsigned char cookie[static TOR_COOKIE_SIZE], const char *fingerprint);

/* How long that is at most: what a relay counts as received (traffic/read) by being asked. */
#define TOR_REQUESTS_SIZE 320

/* The answers to that, in the same order, as they come. */
typedef struct TorReplies TorReplies;
TorReplies *tor_replies_new(bool with_flags);
TorReplies *tor_replies_free(TorReplies *replies);
DEFINE_CLEANUP(TorReplies, tor_replies_free)

/* The next bytes. 1: all questions are answered; 0: more is to come; -EACCES: the cookie is refused;
 * -EBADMSG: this is not the control protocol; -EFBIG: more than is bounded above. After an error nothing more
 * is taken. A question that is refused leaves its field unknown. */
int tor_replies_feed(TorReplies *replies, const char *data, size_t n);

/* Hands over what was said so far; once. */
void tor_replies_take(TorReplies *replies, TorView *ret);

/* The same by a line of its log, as far as that tells: "… Bootstrapped 45% (requesting_descriptors): Asking
 * for relay descriptors". `line` NULL: it has none. */
void tor_view_from_log(const char *line, TorView *ret);

/* Its fingerprint by such a line: "… Your Tor server's identity key  fingerprint is 'relay7 0123…'", which
 * has one of these words in it (a bridge logs another, hashed one). Unchanged where the line is none, or
 * NULL. */
extern const char *const tor_fingerprint_words[2];
void tor_view_fingerprint_from_log(const char *line, TorView *view);

/* "45 % (loading descriptors)"; "" when it did not say. Owned by the caller. */
char *tor_view_bootstrap(const TorView *view);

/* Where Debian's units put the socket of an instance (tor-instance-create(8)); `pattern` from the
 * configuration, in which %i stands for the instance, or "" for Debian's. `instance`: "default" for the unit
 * of /etc/tor/torrc. Owned by the caller. */
char *tor_control_path(const char *pattern, const char *instance);
