/* SPDX-License-Identifier: BSD-3-Clause */
/* A call that cannot be answered at once: the caller has to be looked up, or polkit asked. The message that
 * brought it is not kept, because it may be large and wait while somebody types a password; only what is
 * needed to answer it, and its arguments. There is a limit for one user, and for all. */
#pragma once

#include "bus/callers.h"

typedef struct Request Request;
typedef struct Requests Requests;

/* What is done next; it ends the request (below), or leaves it waiting for something else. */
typedef void (*RequestReady)(Request *request);

typedef struct RequestKind {
    RequestReady known; /* the caller is */
    size_t most;        /* of this kind may wait of a user other than root */
} RequestKind;

struct Request {
    Requests *requests;
    Request *next;
    sd_bus_message *call; /* as it came, without its arguments: only to be answered */
    char **arguments;     /* its texts */
    bool may_ask;         /* the caller can be asked for a password */
    bool known;           /* `uid` is */
    uid_t uid;
    const RequestKind *kind;
    RequestReady ready;
    usec_t until;        /* monotonic: when it has waited for long enough; for who sets it */
    sd_bus_slot *asking; /* polkit */
};

/* `userdata` is for those who are ready. */
Requests *requests_new(Callers *callers, void *userdata);
Requests *requests_free(Requests *requests); /* without an answer */
void *request_userdata(const Request *request);

/* To be returned from a method handler. Takes over the arguments. */
int request_begin(Requests *requests, sd_bus_message *call, char **take_arguments, const RequestKind *kind,
                  sd_bus_error *error);
/* Runs all that wait with this `ready`. */
void requests_ready(Requests *requests, RequestReady ready);
/* The caller has become known (CallersKnown). */
void requests_known(Requests *requests, const char *sender, int error, uid_t uid);

/* Each ends the request. `types` and what follows as in sd_bus_reply_method_return(). */
void request_answer(Request *request, const char *types, ...);
void request_fail(Request *request, int r, const sd_bus_error *error);
/* Without an answer, which was sent or is not wanted. */
Request *request_free(Request *request);
