/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of relays and of their units. A name is for people; whatever becomes a file name is made of the unit
 * name, whose characters systemd restricts, so that no name can leave the drop-in directory. Pure.
 *
 * Three things are named alike:
 *
 *   the unit      tor@my-relay.service    tor@a\x20b.service    tor@my\x2drelay.service
 *   the instance  my-relay                a\x20b                my\x2drelay      %i, the folder of its torrc
 *   the relay     my-relay                a b                   my\x2drelay
 *
 * tor's own unit uses %i, the instance as it stands, for /etc/tor/instances/%i and the user _tor-%i, and
 * `systemctl start tor@my-relay` leaves "-" alone. So "-" is "-", unlike in systemd-escape(1), where it
 * stands for "/". An escape \xNN is shown as the character that it stands for where that character could not
 * have been written as it is: a blank, "/", "ä". All other escapes are part of the name as they stand
 * (\x2d, which is not the "-" of another relay; \x0a, \x5c, \xC3, half a UTF-8 character), and so is a single
 * backslash. Thereby every unit has exactly one name and no two units have the same. */
#pragma once

#include "core/util.h"

/* systemd's bound (UNIT_NAME_MAX) without the NUL; also NAME_MAX. */
#define UNIT_NAME_LONGEST 255

/* "tor@.service": a template name of a service, of valid characters. */
bool template_valid(const char *unit_template);

/* A service that can be started: "NAME.service" or "NAME@INSTANCE.service", not a template. */
bool unit_is_service(const char *unit);

/* Is `unit` a valid name of a service instance, of whatever template ("tor@relay1.service")? */
bool unit_is_service_instance(const char *unit);

/* The same of this valid template ("tor@relay1.service" of "tor@.service"). */
bool unit_is_instance(const char *unit_template, const char *unit);

/* "tor@.service" of "tor@relay1.service". Owned by the caller. */
char *relay_template_of(const char *unit);

/* The relay name of an instance's unit: UTF-8 without control characters. 0; -EINVAL: not an instance of the
 * template. The caller owns *ret. */
int relay_name_from_unit(const char *unit_template, const char *unit, char **ret);

/* The instance of an instance's unit as it stands (%i), "" of any other unit. Owned by the caller. */
char *relay_instance(const char *unit_template, const char *unit);

/* The name that people mean who write "relay1", "tor@relay1", "relay1.service" or "tor@relay1.service"; the
 * same with shell patterns. Owned by the caller. */
char *relay_name_typed(const char *unit_template, const char *typed);

/* The shell pattern of all instances: "tor@*.service" of "tor@.service". Owned by the caller. */
char *relay_unit_pattern(const char *unit_template);

/* The unit of a directory in instances_dir, which is named like the instance. 0; -EINVAL: no instance can
 * have that name ("a b", "..", ""); -ENAMETOOLONG. */
int relay_unit_of_folder(const char *unit_template, const char *folder, char **ret);
