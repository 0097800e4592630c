/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's own D-Bus interface: names shared by the daemon, which serves them, and relayallocctl, which
 * calls them.
 *
 * Bus name org.relayalloc1 on the system bus. Reading is open to all users; methods that change something
 * require root, or authorization by polkit (action org.relayalloc1.manage).
 *
 * The same is served as org.relayalloc1.Control, which only root can reach: others can fill the queue of the
 * first name, and a call that comes then is lost (org.freedesktop.DBus.Error.LimitsExceeded). The same error
 * says that a user other than root calls too often, has too many calls waiting for polkit, or sends arguments
 * of more than 64 KiB; calls in a flood get no answer.
 *
 * /org/relayalloc1, interface org.relayalloc1.Manager
 *
 * ListRelays() → a(ssssssttto), sorted by relay
 *     relay, group ("": none), assigned allocator (""), running allocator ("": not running, or unknown),
 *     version, state word, RSS, peak (bytes; 0: not running), since (realtime start of the process; 0),
 *     object path. Stays as it is for callers that know it; GetRelays is the one that grows.
 * GetRelays(as properties) → a(oa{sv}), sorted by relay
 *     object path, and those properties of that object (below; none named: all), memory as of now. What a
 *     relay's object does not have is left out: an earlier version knows fewer, and readers skip what they
 *     do not know.
 * GetRelay(s) → o
 *     org.relayalloc1.Error.NoSuchRelay
 * Plan() → a(usssss)
 *     wave (1…; 0: no turn), relay, action ("write", "restart", "remove", "refused"), group, allocator,
 *     reason. What the daemon would do next; relays that need nothing are not in it. While a rollout is in
 *     progress, the numbers of the waves continue from it.
 *
 * Those four answer when it is known which relays there are, which takes a moment after a start (systemd is
 * told afterwards that it is ready) and when the file names another unit. Should it take more than 10 s, they
 * fail with org.relayalloc1.Error.NotRead.
 *
 * Reload()
 *     Reads the file again, and answers when the new configuration is in force (not when its rollout ends).
 *     org.relayalloc1.Error.InvalidFile: its message is the problems, one per line
 * Verify() → a(sss)
 *     Proves every relay now: relay, state, reason ("" when ok). Answers when it is known which there are.
 * Pause(), Resume(), Abort()
 *     The rollout; Resume also continues a halted or aborted one.
 *     org.relayalloc1.Error.NoRollout: there is nothing to act on
 * Revert(as) → u
 *     Removes our drop-ins from these relays (none: from all), paced like a rollout; returns how many.
 *     org.relayalloc1.Error.NoSuchRelay
 * ResumeRelays(as) → u
 *     For reverted ones the file counts again, failed ones are tried again; returns how many.
 *     org.relayalloc1.Error.NoSuchRelay; org.relayalloc1.Error.NoRollout: none of them is either
 * ReloadNow(), ResumeNow(), RevertNow(as) → u
 *     The same, and what they bring about does not wait for the window; with RevertNow only the relays that
 *     are reverted. ResumeNow also lets a rollout go that does nothing but wait for it.
 * Restart(as) → u
 *     Restarts those of these relays that are up (none named: of all), paced and gated like a rollout. Else
 *     nothing changes, so there is no way back, and the first failure halts. Returns how many.
 *     org.relayalloc1.Error.NoSuchRelay
 * Pause, Resume[Now], ResumeRelays, Abort, Revert[Now] and Restart also fail with
 * org.relayalloc1.Error.NotSaved: the request was carried out, but it is lost when the daemon restarts,
 * because the state file cannot be written.
 *
 * Properties; times are µs realtime, 0: none
 *     Version s, ConfigPath s, ConfigLoaded t, ConfigError s (the problems of the last refused file; "")
 *     ConfigWarnings s: names in the file in force that mean no relay, one a line; ""
 *     ConfigChanged b: what is on disk was not read yet
 *     ConfigWaits b: what was read last is in force only when the rollout in progress has ended
 *     StateError s: why what must outlive a restart cannot be saved at present; ""
 *     NotPutBack as: relays that are still to be put back as they were; tried again with each sample
 *     MemoryWarnings as: what is above the thresholds of `watch` in the file, sentences without full stop
 *     HostSettings as: NAME=VALUE of what systemd gives to every service and an allocator reads
 *     Relays u, RelaysOk u, RelaysPending u, RelaysBusy u (restarting, settling), RelaysFailed u,
 *     RelaysDrifted u, RelaysDown u, RelaysStopped u, RelaysObserved u (and reverted)
 *     Rollout s: idle | running | waiting (outside its window, or at its gate) | paused | halted | aborted |
 *         ending (relays already restarted are finished; no others are started)
 *     RolloutPaused b: by an operator, also while it is halted or aborted
 *     RolloutID t: counts up, 0: none yet
 *     RolloutReason s: why it halted or waits; ""
 *     RolloutResult s: of the last one that ended: none | done | halted | aborted |
 *         superseded (ended early, because the configuration or the plan changed)
 *     RolloutWave u, RolloutWaves u (forecast), RolloutTotal u, RolloutDone u, RolloutFailed u
 *     RolloutStarted t, RolloutEnds t (estimate)
 *     Window s: "02:00-06:00" local time; "": none; WindowOpens t: when it does if it is shut, 0
 *     Gate s: rollout.gate, a unit; "": none
 *     PlanEnds t: when what Plan() tells would be done (estimate)
 * Signals, besides PropertiesChanged of all but NotPutBack, MemoryWarnings, RolloutEnds, WindowOpens and
 * PlanEnds
 *     RelayChanged(ss): relay, state
 *     RolloutChanged(tsuuu): id, state, done, failed, total
 *
 * /org/relayalloc1/relay/NAME (sd_bus_path_encode), interface org.relayalloc1.Relay
 *
 *     Name s, Unit s, Group s, Assigned s, Running s, Version s, State s, Reason s (sentence; "")
 *     Library s (as mapped; ""), DropIn s (path of ours; "": none), DropIns as (all that systemd merged, in
 *     order), MainPID u, NRestarts u (by systemd on its own), Since t
 *     Replaced b: the library that it runs was replaced on disk; a restart loads the new one
 *     Fingerprint s: what the relay itself says it is, over its control socket; "": not asked, or no answer
 *     Notes as: what else should be known of its process, sentences without full stop
 *     RSS t, Anonymous t, Swap t, Peak t: bytes, read when they are requested
 *     Sampled t: when the journal last got them
 *     Ready b: its process has said that it is bootstrapped; Bootstrap s: how far it is by its own words,
 *         "45 % (loading descriptors)", "" when it does not say
 *     Flags s: of its consensus entry, "Fast,Guard,Running", "none" when it is in no consensus, "" not known
 *         How much it reads and writes is not served: the journal has it by the day.
 *
 * /org/freedesktop/LogControl1, org.freedesktop.LogControl1(5): LogLevel, LogTarget, SyslogIdentifier. */
#pragma once

#define BUS_NAME "org.relayalloc1"
#define BUS_CONTROL_NAME "org.relayalloc1.Control"
#define BUS_PATH "/org/relayalloc1"
#define BUS_MANAGER_INTERFACE "org.relayalloc1.Manager"
#define BUS_RELAY_INTERFACE "org.relayalloc1.Relay"
#define BUS_RELAY_PREFIX "/org/relayalloc1/relay"
#define BUS_LOG_PATH "/org/freedesktop/LogControl1"
#define BUS_LOG_INTERFACE "org.freedesktop.LogControl1"
#define BUS_FLAGS_NONE "none"
#define BUS_POLKIT_ACTION "org.relayalloc1.manage"
#define BUS_ERROR_NO_SUCH_RELAY "org.relayalloc1.Error.NoSuchRelay"
#define BUS_ERROR_INVALID_FILE "org.relayalloc1.Error.InvalidFile"
#define BUS_ERROR_NO_ROLLOUT "org.relayalloc1.Error.NoRollout"
#define BUS_ERROR_NOT_SAVED "org.relayalloc1.Error.NotSaved"
#define BUS_ERROR_NOT_READ "org.relayalloc1.Error.NotRead"
