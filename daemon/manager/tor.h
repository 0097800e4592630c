/* SPDX-License-Identifier: BSD-3-Clause */
/* What the relays say of themselves: over their control sockets, or by their log where they have none. It may
 * be a lie, and only ever makes a rollout wait or put a relay back. */
#pragma once

#include "core/sample.h"
#include "manager/model.h"

/* Asks it, unless it is being asked already; reports.relay_told() follows, at once perhaps, unless its
 * process goes before. false: it cannot be asked (it is not up, or the configuration says no): nothing
 * follows. */
bool tor_ask(Relay *relay);
/* With each sample: all of which there is something to be learnt. */
void tor_ask_all(Manager *m);
/* Its process has gone, and with it what it said; what it moved since its last day is logged. */
void tor_process_ended(Relay *relay);
/* The same, without a word. */
void tor_forget(Relay *relay);

/* Adds to its sample what it said since the last one; then that is logged. */
void tor_sample(Relay *relay, Sample *sample);
void tor_sampled(Relay *relay);

/* Its present process has said that it is bootstrapped. */
bool tor_bootstrapped(const Relay *relay);
/* It has said nothing yet, and did not answer in time: it may do so when it is asked again. */
bool tor_silent(const Relay *relay);

/* It is bootstrapped, and so has to be again after a restart, by the configuration. */
bool tor_is_demanded(const Relay *relay);

/* Asks some of those relays that are bootstrapped, and not in the hands of the rollout, unless they were
 * asked just now: what they hear tells of the network. */
void tor_ask_witnesses(Manager *m);
/* By what they said: does none of them receive anything from the network? */
bool tor_network_is_lost(const Manager *m);
