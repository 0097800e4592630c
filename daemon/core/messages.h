/* SPDX-License-Identifier: BSD-3-Clause */
/* The contract of all journal entries: one MESSAGE_ID (random, sd-id128(3)) for each kind of event. The
 * catalog in units/relayalloc.catalog has an entry for each; a test holds the two together. Ids are never
 * reused. */
#pragma once

typedef enum MessageKind {
    MESSAGE_DAEMON_STARTED,
    MESSAGE_DAEMON_STOPPED,
    MESSAGE_CONFIG_LOADED,
    MESSAGE_CONFIG_REFUSED,
    MESSAGE_LIBRARY_REFUSED,
    MESSAGE_RELAY_APPEARED,
    MESSAGE_RELAY_VANISHED,
    MESSAGE_RELAY_DOWN,
    MESSAGE_RELAY_UP,
    MESSAGE_RELAY_VERIFIED,
    MESSAGE_RELAY_DRIFTED,
    MESSAGE_DROPIN_WRITTEN,
    MESSAGE_DROPIN_REMOVED,
    MESSAGE_DROPIN_CONFLICT,
    MESSAGE_PRELOAD_KEPT,
    MESSAGE_ROLLOUT_STARTED,
    MESSAGE_ROLLOUT_FINISHED,
    MESSAGE_ROLLOUT_HALTED,
    MESSAGE_ROLLOUT_PAUSED,
    MESSAGE_ROLLOUT_RESUMED,
    MESSAGE_ROLLOUT_ABORTED,
    MESSAGE_WAVE_STARTED,
    MESSAGE_PREFLIGHT_FAILED,
    MESSAGE_RELAY_REFUSED,
    MESSAGE_CONFIG_FAULT,
    MESSAGE_RELAY_RESTARTING,
    MESSAGE_RELAY_MOVED,
    MESSAGE_RELAY_FAILED,
    MESSAGE_RELAY_PUT_BACK,
    MESSAGE_RELAY_LOST,
    MESSAGE_NETWORK_LOST, /* noticed by a rollout that waits for a relay to bootstrap */
    MESSAGE_NETWORK_BACK,
    MESSAGE_GATE_SHUT,     /* rollout.gate */
    MESSAGE_GATE_OPEN,     /* after that */
    MESSAGE_RELAY_TRAFFIC, /* of a whole day */
    MESSAGE_MEMORY_SHORT,  /* watch.full_in */
    MESSAGE_RELAY_LARGE,   /* watch.rss */
    MESSAGE_BUS_LOST,
    MESSAGE_DAEMON_NOTE, /* what has no kind of its own: warnings about the daemon itself, debugging */
    MESSAGE_SAMPLE_RELAY,
    MESSAGE_SAMPLE_FLEET,
    _MESSAGE_MAX,
} MessageKind;

/* 32 hex digits. */
const char *message_id(MessageKind kind);
/* "relay-moved": the short name, for `relayallocctl events` and JSON. */
const char *message_name(MessageKind kind);
/* syslog(3) priority. */
int message_priority(MessageKind kind);
/* The kind of an id, or -1. */
int message_from_id(const char *id);
