/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/messages.h"

#include <assert.h>
#include <string.h>
#include <syslog.h>

static const struct {
    const char *id, *name;
    int priority;
} messages[_MESSAGE_MAX] = {
    [MESSAGE_DAEMON_STARTED] = { "043f9eded9f74316919873586834ef7a", "daemon-started", LOG_INFO },
    [MESSAGE_DAEMON_STOPPED] = { "a86a5c3850bf49d181b773adb9d9d520", "daemon-stopped", LOG_INFO },
    [MESSAGE_CONFIG_LOADED] = { "e377739760bb4ed78ab8e273088e3701", "config-loaded", LOG_INFO },
    [MESSAGE_CONFIG_REFUSED] = { "6391110294b3428ba9c2d2af6ed43b66", "config-refused", LOG_ERR },
    [MESSAGE_LIBRARY_REFUSED] = { "721ab4866d104a548943131be4781016", "library-refused", LOG_ERR },
    [MESSAGE_RELAY_APPEARED] = { "f566c5c35d0e4664a5a31a6e6a17423f", "relay-appeared", LOG_INFO },
    [MESSAGE_RELAY_VANISHED] = { "3629772e77274eef9900e03dfc5d0463", "relay-vanished", LOG_INFO },
    [MESSAGE_RELAY_DOWN] = { "007991271c05484d93b24b6f0c7f88ca", "relay-down", LOG_WARNING },
    [MESSAGE_RELAY_UP] = { "aa17da0d905546068dddb49c7560799e", "relay-up", LOG_INFO },
    [MESSAGE_RELAY_VERIFIED] = { "6cd7962e609b406fae3d3e82eac9bb9e", "relay-verified", LOG_INFO },
    [MESSAGE_RELAY_DRIFTED] = { "3eaa8478d00743f7821cb0104bf0897b", "relay-drifted", LOG_WARNING },
    [MESSAGE_DROPIN_WRITTEN] = { "c369e64e535441ad97a3dbfd0a338c17", "dropin-written", LOG_INFO },
    [MESSAGE_DROPIN_REMOVED] = { "4f43d5d31e7b44fdb7075aecae644e7e", "dropin-removed", LOG_INFO },
    [MESSAGE_DROPIN_CONFLICT] = { "a41ce286cdc94d869eeb37c3f1e3eb56", "dropin-conflict", LOG_WARNING },
    [MESSAGE_PRELOAD_KEPT] = { "dcadffbbe4a241b498f07ff7cec5a183", "preload-kept", LOG_INFO },
    [MESSAGE_ROLLOUT_STARTED] = { "5c54def2d2814ed291041e534f27543f", "rollout-started", LOG_NOTICE },
    [MESSAGE_ROLLOUT_FINISHED] = { "a1d6997ed9c64a1f80419136c5242d7d", "rollout-finished", LOG_NOTICE },
    [MESSAGE_ROLLOUT_HALTED] = { "3b6e0e7be0a2494f85c91b56b872deb0", "rollout-halted", LOG_ERR },
    [MESSAGE_ROLLOUT_PAUSED] = { "f03f0b66cb974d66b8c4d960a34ebb2b", "rollout-paused", LOG_NOTICE },
    [MESSAGE_ROLLOUT_RESUMED] = { "b784f24a8ea24079a8a4caea1aba2259", "rollout-resumed", LOG_NOTICE },
    [MESSAGE_ROLLOUT_ABORTED] = { "f80a41c4d21547c79dfab63feadaf5b6", "rollout-aborted", LOG_WARNING },
    [MESSAGE_WAVE_STARTED] = { "d77433ad1b0c453c81bd730986703125", "wave-started", LOG_INFO },
    [MESSAGE_PREFLIGHT_FAILED] = { "8bae5d08d5254c42a6290a16a0c2bcc4", "preflight-failed", LOG_ERR },
    [MESSAGE_CONFIG_FAULT] = { "73f934bbfd3142878f70838b73b8ebe6", "config-fault", LOG_ERR },
    [MESSAGE_RELAY_REFUSED] = { "1086af5c7392480aa5791b9008042ae9", "relay-refused", LOG_ERR },
    [MESSAGE_RELAY_RESTARTING] = { "3d1fe92d6c2e40c2991adb8d201eef14", "relay-restarting", LOG_INFO },
    [MESSAGE_RELAY_MOVED] = { "8fb15702d9ba444ab331a0cf15f5c39f", "relay-moved", LOG_INFO },
    [MESSAGE_RELAY_FAILED] = { "8971e7188c2e4e8ba6a71380817712e0", "relay-failed", LOG_ERR },
    [MESSAGE_RELAY_PUT_BACK] = { "f924c3d1b51b46caaf7089ca583942f2", "relay-put-back", LOG_WARNING },
    [MESSAGE_RELAY_LOST] = { "f6c9cf734b9a4bd9ba8524c73960149e", "relay-lost", LOG_ERR },
    [MESSAGE_NETWORK_LOST] = { "c8ed8699f81a4f6986fdfbb05c6ffd3a", "network-lost", LOG_WARNING },
    [MESSAGE_NETWORK_BACK] = { "196b58f6677240a5bf660032850488cd", "network-back", LOG_NOTICE },
    [MESSAGE_GATE_SHUT] = { "308a4308474b4089b30efa4646da89db", "gate-shut", LOG_WARNING },
    [MESSAGE_GATE_OPEN] = { "3f656a43157b472fb32479153d3d7fb8", "gate-open", LOG_NOTICE },
    [MESSAGE_RELAY_TRAFFIC] = { "98918f14488d46edab6d284904201b52", "relay-traffic", LOG_INFO },
    [MESSAGE_MEMORY_SHORT] = { "e703ec213a8742d2b6424e532738657f", "memory-short", LOG_WARNING },
    [MESSAGE_RELAY_LARGE] = { "086804e042154412a94b53c599b00738", "relay-large", LOG_WARNING },
    [MESSAGE_BUS_LOST] = { "0e49956f86b64dcf8dbceb346bcfbe0a", "bus-lost", LOG_WARNING },
    [MESSAGE_DAEMON_NOTE] = { "385d730ed8534be8b5dc567de9a7dbe0", "daemon-note", LOG_INFO },
    [MESSAGE_SAMPLE_RELAY] = { "203773fd171b4d36af6d59909d19de37", "sample-relay", LOG_INFO },
    [MESSAGE_SAMPLE_FLEET] = { "5b76f9e833554684ac60789877ea8811", "sample-fleet", LOG_INFO },
};

const char *message_id(MessageKind kind)
{
    assert(kind < _MESSAGE_MAX);
    return messages[kind].id;
}

const char *message_name(MessageKind kind)
{
    assert(kind < _MESSAGE_MAX);
    return messages[kind].name;
}

int message_priority(MessageKind kind)
{
    assert(kind < _MESSAGE_MAX);
    return messages[kind].priority;
}

int message_from_id(const char *id)
{
    for (int k = 0; k < _MESSAGE_MAX; k++)
        if (strcmp(messages[k].id, id) == 0)
            return k;
    return -1;
}
