/* SPDX-License-Identifier: BSD-3-Clause */
#include "bus/request.h"

#include <errno.h>
#include <stdarg.h>

#define WAITING_MAX 128

struct Requests {
    Callers *callers;
    void *userdata;
    Request *first;
    size_t n;
};

Requests *requests_new(Callers *callers, void *userdata)
{
    Requests *requests = xcalloc(1, sizeof(*requests));

    requests->callers = callers;
    requests->userdata = userdata;
    return requests;
}

Requests *requests_free(Requests *requests)
{
    while (requests && requests->first)
        request_free(requests->first);
    free(requests);
    return NULL;
}

void *request_userdata(const Request *request)
{
    return request->requests->userdata;
}

Request *request_free(Request *request)
{
    Request **place = &request->requests->first;

    while (*place && *place != request)
        place = &(*place)->next;
    if (*place) {
        *place = request->next;
        request->requests->n--;
    }
    sd_bus_slot_unref(request->asking);
    sd_bus_message_unref(request->call);
    strv_free(request->arguments);
    free(request);
    return NULL;
}

/* ---- how many may wait ---- */

/* Of the same user; of the same connection as long as its user is not known. */
static bool of_same(const Request *a, const Request *b)
{
    if (a->kind != b->kind)
        return false;
    return a->known && b->known
               ? a->uid == b->uid
               : streq_null(sd_bus_message_get_sender(a->call), sd_bus_message_get_sender(b->call));
}

static bool too_many(const Request *request)
{
    size_t n = 0;

    if (request->known && callers_is_root(request->uid))
        return false;
    for (const Request *r = request->requests->first; r; r = r->next)
        n += r != request && of_same(r, request);
    return n >= request->kind->most || request->requests->n > WAITING_MAX;
}

static int refuse(sd_bus_error *error)
{
    return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                            "Too many calls are waiting for an answer already; try again later.");
}

/* ---- start ---- */

/* A message like the call, but without its body, and so without the memory of it. */
static int copy_head(sd_bus_message *call, sd_bus_message **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    uint64_t cookie;

    int r = sd_bus_message_get_cookie(call, &cookie);
    if (r >= 0)
        r = sd_bus_message_new_method_call(sd_bus_message_get_bus(call), &m, NULL,
                                           sd_bus_message_get_path(call), sd_bus_message_get_interface(call),
                                           sd_bus_message_get_member(call));
    if (r >= 0)
        r = sd_bus_message_set_sender(m, sd_bus_message_get_sender(call));
    if (r >= 0)
        r = sd_bus_message_set_expect_reply(m, sd_bus_message_get_expect_reply(call));
    if (r >= 0)
        r = sd_bus_message_seal(m, cookie, 0);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(m);
    return 0;
}

int request_begin(Requests *requests, sd_bus_message *call, char **take_arguments, const RequestKind *kind,
                  sd_bus_error *error)
{
    Request *request = xcalloc(1, sizeof(*request));

    *request = (Request){
        .requests = requests,
        .next = requests->first,
        .arguments = take_arguments,
        .may_ask = sd_bus_message_get_allow_interactive_authorization(call) > 0,
        .kind = kind,
        .ready = kind->known,
    };
    requests->first = request;
    requests->n++;
    int r = copy_head(call, &request->call);
    if (r >= 0) {
        request->known = callers_user(requests->callers, sd_bus_message_get_sender(call), &request->uid) >= 0;
        r = too_many(request) ? refuse(error) : 1;
    }
    if (r < 0)
        request_free(request);
    else if (request->known)
        request->ready(request);
    return r;
}

static Request *waiting_of(const Requests *requests, const char *sender)
{
    for (Request *r = requests->first; r; r = r->next)
        if (!r->known && streq_null(sd_bus_message_get_sender(r->call), sender))
            return r;
    return NULL;
}

void requests_known(Requests *requests, const char *sender, int error, uid_t uid)
{
    Request *request;

    while ((request = waiting_of(requests, sender))) {
        _cleanup_(sd_bus_error_free) sd_bus_error refusal = SD_BUS_ERROR_NULL;

        request->known = true;
        request->uid = uid;
        if (error < 0)
            request_free(request); /* there is no caller to answer */
        else if (too_many(request))
            request_fail(request, refuse(&refusal), &refusal);
        else
            request->ready(request);
    }
}

void requests_ready(Requests *requests, RequestReady ready)
{
    for (Request *r = requests ? requests->first : NULL, *next; r; r = next) {
        next = r->next; /* it ends, and no other does */
        if (r->known && r->ready == ready)
            ready(r);
    }
}

/* ---- end ---- */

void request_answer(Request *request, const char *types, ...)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    va_list ap;

    int r = sd_bus_message_new_method_return(request->call, &reply);
    if (r >= 0 && !isempty(types)) {
        va_start(ap, types);
        r = sd_bus_message_appendv(reply, types, ap);
        va_end(ap);
    }
    if (r >= 0)
        (void)sd_bus_message_send(reply);
    request_free(request);
}

void request_fail(Request *request, int r, const sd_bus_error *error)
{
    (void)sd_bus_reply_method_errno(request->call, r, error);
    request_free(request);
}
