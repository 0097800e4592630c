/* SPDX-License-Identifier: BSD-3-Clause */
/* libFuzzer: what a hostile relay may answer over its control socket. However it is cut into pieces, the same
 * comes of it, and what is kept is short and fit to be shown. */
#include "core/tor-control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth)
        abort();
}

static void must_be_fit(const char *text)
{
    if (!text)
        return;
    must(strlen(text) <= 3 * TOR_TEXT_MAX);
    for (const char *p = text; *p; p += utf8_character(p))
        must(utf8_character(p) > 0 && (unsigned char)*p >= ' ');
}

static int read_all(const char *text, size_t n, size_t piece, TorView *ret)
{
    _cleanup_(tor_replies_freep) TorReplies *t = tor_replies_new(true);
    int r = 0;

    for (size_t at = 0; at < n && r == 0; at += piece)
        r = tor_replies_feed(t, text + at, n - at < piece ? n - at : piece);
    tor_replies_take(t, ret);
    return r;
}

/* The same as lines of its log. */
static void check_log(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *line = xstrndup((const char *)data, size);
    _cleanup_(tor_view_clear) TorView view;

    tor_view_from_log(line, &view);
    tor_view_fingerprint_from_log(line, &view);
    must(view.progress >= -1 && view.progress <= 100);
    must(strlen(view.fingerprint) == 0 || strlen(view.fingerprint) == TOR_FINGERPRINT_SIZE);
    must_be_fit(view.tag);
    must_be_fit(view.summary);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(tor_view_clear) TorView whole, pieces;
    int r = read_all((const char *)data, size, size + 1, &whole);

    must(read_all((const char *)data, size, 7, &pieces) == r);
    must(whole.progress == pieces.progress && whole.progress >= -1 && whole.progress <= 100);
    must(streq_null(whole.flags, pieces.flags) && streq_null(whole.summary, pieces.summary));
    must(strlen(whole.fingerprint) == 0 || strlen(whole.fingerprint) == TOR_FINGERPRINT_SIZE);
    must_be_fit(whole.tag);
    must_be_fit(whole.summary);
    must_be_fit(whole.warning);
    must_be_fit(whole.flags);
    _cleanup_(freep) char *shown = tor_view_bootstrap(&whole);
    must_be_fit(shown);
    check_log(data, size);
    return 0;
}
