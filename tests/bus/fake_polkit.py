#!/usr/bin/python3
"""A scripted org.freedesktop.PolicyKit1 on a private bus: gives everybody the same answer, and prints each question as a
line of JSON. Usage: fake_polkit.py BUS-ADDRESS yes|no|error|never [UID]"""
import json
import os
import sys

import dbus
import dbus.bus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

AUTHORITY = "org.freedesktop.PolicyKit1.Authority"


class Authority(dbus.service.Object):
    def __init__(self, bus, answer):
        super().__init__(bus, "/org/freedesktop/PolicyKit1/Authority")
        self.answer = answer

    @dbus.service.method(AUTHORITY, in_signature="(sa{sv})sa{ss}us", out_signature="(bba{ss})", async_callbacks=("answer", "fail"))
    def CheckAuthorization(self, subject, action, details, flags, cancellation, answer, fail):
        print(json.dumps([subject[0], str(subject[1]["name"]), action, int(flags)]), flush=True)
        if self.answer == "error":
            fail(dbus.exceptions.DBusException("not today", name=AUTHORITY + ".Error.Failed"))
        elif self.answer != "never":
            answer((self.answer == "yes", False, {}))


dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
if len(sys.argv) > 3:
    os.setresuid(*[int(sys.argv[3])] * 3)
connection = dbus.bus.BusConnection(sys.argv[1])
authority = Authority(connection, sys.argv[2])
assert connection.request_name("org.freedesktop.PolicyKit1") == dbus.bus.REQUEST_NAME_REPLY_PRIMARY_OWNER
print("ready", flush=True)
GLib.MainLoop().run()
