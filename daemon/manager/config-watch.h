/* SPDX-License-Identifier: BSD-3-Clause */
/* Notices that the configuration on disk is not what was last read: by inotify(7), and whenever it is asked
 * to look, so that no save is missed. Reports config_saved when the file has not changed for a moment and is
 * not open for writing; the same text again is not a save. */
#pragma once

#include "manager/model.h"

ConfigWatch *config_watch_new(Manager *m);
ConfigWatch *config_watch_free(ConfigWatch *w);

/* It is about to be read: what is there now is no news any more, whatever comes of it. */
void config_watch_read(ConfigWatch *w);
/* Reading it failed for a reason that may pass: it is news again when it is looked at next, with a sample. */
void config_watch_missed(ConfigWatch *w);
/* Before the loop runs: waits for as long as a file may take that is just being saved. true: it has become
 * another one than was read. */
bool config_watch_wait(ConfigWatch *w);
void config_watch_start(ConfigWatch *w); /* starts watching; m->event exists */
void config_watch_look(ConfigWatch *w);  /* soon */
/* At once, with a sample: a wakeup of its own for it costs more than the look. What it finds is reported, and
 * read once it has settled, as at any other look. */
void config_watch_sampled(ConfigWatch *w);
/* Is what is on disk not what was read last? As of the last look. */
bool config_watch_changed(const ConfigWatch *w);
/* The same as of now: it is being saved, and read once it has settled. */
bool config_watch_saving(ConfigWatch *w);
