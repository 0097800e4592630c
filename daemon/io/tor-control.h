/* SPDX-License-Identifier: BSD-3-Clause */
/* Asks a running relay over its control socket, without waiting: sends what core/tor-control says and hands
 * over what it understood. Decides nothing. */
#pragma once

#include "core/tor-control.h"

#include <sys/types.h>
#include <systemd/sd-event.h>

#define TOR_CONTROL_TIMEOUT (5 * USEC_PER_SEC)

/* 0, and `take` is the callee's to clear; or a negative errno, and `take` is empty: -ENOENT: there is no
 * socket (ControlSocket 0, or another place); -EPERM: socket or cookie belong to somebody else than this
 * process; -EACCES: the cookie is refused; -ETIMEDOUT; -EBADMSG, -EFBIG: no honest answer; other errno. The
 * TorControl is over when it is called, and may be freed in it. */
typedef void (*TorControlCallback)(void *userdata, int error, TorView *take);

typedef struct TorControl TorControl;

/* How long the day is in which a relay's traffic is summed up: 24 hours, unless RELAYALLOC_DAY says so many
 * seconds, for tests; not in the manual. Its flags are asked for 144 times in that. */
usec_t tor_control_day(void);

/* `path`: of the socket; the cookie is beside it ("control.authcookie"). What the relay itself says of the
 * place of its cookie is not asked: as root we would read any file for it. `pid`, `uid`: of its process: the
 * socket must be that process's, and the cookie that user's, a regular file with no other name.
 * `fingerprint`: whose flags are asked for; NULL: nobody's. Nothing is called before this returns; when it
 * fails, the callback is not called. */
int tor_control_ask(sd_event *event, const char *path, pid_t pid, uid_t uid, const char *fingerprint,
                    usec_t timeout, TorControlCallback callback, void *userdata, TorControl **ret);
/* Ends it without calling back. */
TorControl *tor_control_free(TorControl *control);
DEFINE_CLEANUP(TorControl, tor_control_free)
