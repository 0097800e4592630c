/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of relays and of their units. A relay's name is the instance of the unit, unescaped by systemd's
 * rules (systemd-escape(1), systemd.unit(5)); what becomes a file name is always the escaped unit name, so
 * that no name can leave the drop-in folder. Pure. */
#pragma once

#include "core/util.h"

/* NAME_MAX less ".service.d" is the bound that systemd sets, too (UNIT_NAME_MAX 255). */
#define UNIT_NAME_LONGEST 255

/* "tor@.service": a template name of a service, of valid characters. */
bool template_valid(const char *unit_template);

/* Is `unit` a valid service instance name of that template ("tor@relay1.service" of "tor@.service")? */
bool unit_is_instance(const char *unit_template, const char *unit);

/* The relay name ("relay-1") of an instance's unit ("tor@relay\x2d1.service"). 0; -EINVAL: not an instance of
 * the template, or an escape that is not valid. The caller owns *ret. */
int relay_name_from_unit(const char *unit_template, const char *unit, char **ret);

/* The unit of a relay name; the reverse of the above. 0; -EINVAL: empty name or a control character;
 * -ENAMETOOLONG. As tor-instance-create and `systemctl start tor@NAME` do it, characters that are valid in a
 * unit name (ASCII letters, digits, ":-_.\") stay as they are, so that a folder /etc/tor/instances/my-relay
 * is tor@my-relay.service; everything else is escaped as \xNN, a '/' as '-'. */
int relay_unit_name(const char *unit_template, const char *relay, char **ret);
