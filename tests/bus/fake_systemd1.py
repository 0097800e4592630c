#!/usr/bin/python3
"""A scripted org.freedesktop.systemd1 on a private bus, for faults that a real systemd cannot be made to show.

Its relays are real processes: a restart ends the old one and starts `sleep` with the environment that the drop-ins had
at the last Reload, so that what the daemon proves from /proc is true. What systemd says of a job is scripted.

Usage: fake_systemd1.py BUS-ADDRESS DROPIN-ROOT. Controlled over the bus: org.relayalloc.Test at /test.
"""
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import dbus
import dbus.bus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

MANAGER = "org.freedesktop.systemd1.Manager"
UNIT_PREFIX = "/org/freedesktop/systemd1/unit"


def decode(label):
    """sd_bus_path_decode(3)."""
    out, i = "", 0
    while i < len(label):
        if label[i] == "_":
            out += chr(int(label[i + 1 : i + 3], 16))
            i += 3
        else:
            out += label[i]
            i += 1
    return out


def encode(name):
    return "".join(c if c.isascii() and c.isalnum() and not (i == 0 and c.isdigit()) else f"_{ord(c):02x}" for i, c in enumerate(name))


class Unit:
    def __init__(self, fake, name):
        self.fake, self.name = fake, name
        self.load_state, self.active, self.sub, self.result = "loaded", "inactive", "dead", "success"
        self.process, self.n_restarts, self.job = None, 0, 0
        self.environment, self.dropins = [], []
        self.invocation = uuid.uuid4().bytes
        self.restarts, self.starts, self.resets = 0, 0, 0
        self.timeout = 5_000_000
        self.read_write = []
        self.verify_config = []  # its pre-start command that verifies its configuration
        self.condition = True  # did its conditions hold at its last start?
        self.pre_start_signal = 0  # that killed a pre-start command of its last start
        self.error = self.error_once = None
        self.took = None  # seconds of its last stop and start
        self.since = self.left = None  # when it became active and when it left that, monotonic, …
        self.ended = self.dead = self.changed = None  # …when its process ended, it became inactive, it changed last
        self.file_only = False  # it has a unit file of its own and is not loaded
        self.listed = True  # False: neither that nor loaded; it could be
        self.reads = self.read_delay = 0
        self.read_as = None  # its ActiveState at the last read
        self.environment_files = []  # shown, and not read
        self.limited = False  # at its start limit: no start succeeds until that is forgotten
        self.program = None  # what it runs instead of sleeping, through all its restarts
        self.alternate = None  # two processes, each of which is the main one at every other read
        self.read_dropin()
        self.up()

    def read_dropin(self):
        """What systemd does at a reload."""
        directory = os.path.join(self.fake.root, self.name + ".d")
        names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
        self.environment, self.unset = [], []
        self.dropins = [os.path.join(directory, name) for name in names if name.endswith(".conf")]
        for path in self.dropins:
            for line in open(path):
                words = [w.replace("%%", "%") for w in shlex.split(line.partition("=")[2])]
                if line.startswith("Environment="):
                    self.environment = self.environment + words if words else []
                elif line.startswith("UnsetEnvironment="):
                    self.unset += words

    def down(self, active="inactive", sub="dead", result="success"):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None
        self.active, self.sub, self.result = active, sub, result

    def up(self, environment=None, late=0, program=None, first=()):
        """late: seconds for which it shows no environment, as a process in the middle of execve() does, or only `first`."""
        self.down()
        inherited = dict(e.split("=", 1) for e in self.fake.environment)
        env = {"PATH": "/usr/bin:/bin", **inherited, **dict(e.split("=", 1) for e in (self.environment if environment is None else environment))}
        env = {k: v for k, v in env.items() if k not in self.unset}
        argv = program or self.program or ["sleep", "infinity"]
        if late:
            # not by env: that would be a process of its own, with an environment and not the right one
            argv = ["sh", "-c", f"sleep {late}; export {shlex.join(f'{k}={v}' for k, v in env.items())}; exec {shlex.join(argv)}"]
        self.process = subprocess.Popen(argv, env=dict(e.split("=", 1) for e in first) if late else env)
        self.active, self.sub, self.result = "active", "running", "success"
        self.since = time.monotonic()
        self.invocation = uuid.uuid4().bytes
        self.show()

    def show(self):
        """Into a copy of /proc, where it has the label of a security module that this kernel need not have."""
        if not self.fake.proc or not self.process:
            return
        real, shown = Path(f"/proc/{self.process.pid}"), Path(self.fake.proc, str(self.process.pid))
        library = dict(e.split("=", 1) for e in self.environment).get("LD_PRELOAD", "")
        while os.path.basename(library) not in (real / "maps").read_text():
            time.sleep(0.01)
        (shown / "attr").mkdir(parents=True)
        (shown / "attr/current").write_text(self.fake.label + "\n")
        for name in ("stat", "statm", "status", "maps", "environ"):
            (shown / name).write_bytes((real / name).read_bytes())

    def properties(self):
        strings = lambda v: dbus.Array(v, signature="s")
        return {
            "LoadState": self.load_state,
            "ActiveState": self.active,
            "SubState": self.sub,
            "Result": self.result,
            "MainPID": dbus.UInt32(self.process.pid if self.process else 0),
            "NRestarts": dbus.UInt32(self.n_restarts),
            "InvocationID": dbus.ByteArray(self.invocation or b""),
            "Job": dbus.Struct((dbus.UInt32(self.job), dbus.ObjectPath(f"/org/freedesktop/systemd1/job/{self.job}" if self.job else "/")), signature="uo"),
            "TimeoutStartUSec": dbus.UInt64(self.timeout),
            "TimeoutStopUSec": dbus.UInt64(self.timeout),
            "Environment": strings(self.environment),
            "EnvironmentFiles": dbus.Array([(path, True) for path in self.environment_files], signature="(sb)"),
            "DropInPaths": strings(self.dropins),
            "FragmentPath": "/nonexistent/tor@.service",
            "ReadWritePaths": strings(self.read_write),
            "KillSignal": dbus.Int32(signal.SIGINT),
            "ConditionResult": dbus.Boolean(self.condition),
            "ExecStartPre": dbus.Array([self.command(["/usr/bin/install", "-d", "/run/tor"], self.pre_start_signal),
                                        *([self.command(self.verify_config)] if self.verify_config else [])], signature="(sasbttttuii)"),
            "UnsetEnvironment": strings(self.unset),
            "WorkingDirectory": "",
            **self.timestamps(),
        }

    def timestamps(self):
        """Of its last stop and start, as a restart leaves them."""
        if not self.took:
            shown = {"ActiveEnter": self.since, "ActiveExit": self.left, "ExecMainExit": self.ended, "InactiveEnter": self.dead,
                     "StateChange": self.changed}
            return {f"{name}TimestampMonotonic": dbus.UInt64(int((at or 0) * 1e6)) for name, at in shown.items()}
        stop, start = (int(seconds * 1e6) for seconds in self.took)
        names = ("ActiveExit", "InactiveEnter", "InactiveExit", "ActiveEnter")
        return {f"{name}TimestampMonotonic": dbus.UInt64(1 + at) for name, at in zip(names, (0, stop, stop, stop + start))}

    @staticmethod
    def command(argv, killed_by=0):
        zero = dbus.UInt64(0)
        return (argv[0], dbus.Array(argv, signature="s"), False, zero, zero, zero, zero, dbus.UInt32(0),
                dbus.Int32(2 if killed_by else 0), dbus.Int32(killed_by))  # CLD_KILLED


# How a transient unit ends that is not left to itself: Result, ExecMainCode (0: systemd could not even start a process; 2: CLD_KILLED)
# and ExecMainStatus.
CUT_SHORT = {"resources": ("resources", 0, 0), "oom-kill": ("oom-kill", 2, 9), "killed": ("signal", 2, 9), "timeout": ("timeout", 2, 15)}


class Transient:
    """A transient unit: a program that runs or has exited, or one that systemd itself gave up before (status 226, say)."""

    def __init__(self, program=None, status=None):
        self.program, self.status = program, status

    def properties(self):
        if self.status in CUT_SHORT:
            result, code, status = CUT_SHORT[self.status]
            return {"LoadState": "loaded", "ActiveState": "failed", "Result": result, "ExecMainCode": dbus.Int32(code),
                    "ExecMainStatus": dbus.Int32(status)}
        code = self.status if self.status is not None else self.program.poll()
        ended = code is not None
        return {
            "LoadState": "loaded",
            "ActiveState": "activating" if not ended else "failed" if code else "inactive",
            "Result": "success" if not code else "exit-code" if code > 0 else "signal",
            "ExecMainCode": dbus.Int32(0 if not ended else 1 if code >= 0 else 2),
            "ExecMainStatus": dbus.Int32(abs(code or 0)),
        }


class Service:
    """A oneshot service of the operator's: nothing runs, each start ends as scripted. Of a template: all its instances."""

    def __init__(self, fake, steps, values):
        self.fake, self.steps, self.runs = fake, steps, 0
        self.values = {"LoadState": "loaded", "ActiveState": "inactive", "SubState": "dead", "Result": "success", "Type": "oneshot",
                       "RemainAfterExit": dbus.Boolean(False), **values,
                       "TimeoutStartUSec": dbus.UInt64(values.get("TimeoutStartUSec", 2**64 - 1))}
        self.job = 0

    def properties(self):
        return {**self.values, "MainPID": dbus.UInt32(0), "InvocationID": dbus.ByteArray(self.runs.to_bytes(16, "big") if self.runs else b""),
                "ExecMainCode": dbus.Int32(self.values.get("ExecMainCode", 0)), "ExecMainStatus": dbus.Int32(self.values.get("ExecMainStatus", 0)),
                "Job": dbus.Struct((dbus.UInt32(self.job), dbus.ObjectPath(f"/org/freedesktop/systemd1/job/{self.job}" if self.job else "/")), signature="uo")}

    def start(self, name, ok, error):
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0] if self.steps else {}
        if "error" in step:
            error(dbus.DBusException(step.get("message", "scripted"), name=step["error"]))
            return
        self.fake.jobs += 1
        self.job = self.fake.jobs
        job = f"/org/freedesktop/systemd1/job/{self.job}"
        self.runs += not step.get("skipped")
        self.values["ActiveState"] = "activating"

        def finish():
            status = step.get("status", 0)
            self.job = 0
            self.values.update(ActiveState=step.get("active", "failed" if status else "inactive"), Result="exit-code" if status else "success",
                               ExecMainCode=1, ExecMainStatus=status)
            if not step.get("lost") and self.fake.bus:
                self.fake.systemd.JobRemoved(dbus.UInt32(int(job.rpartition("/")[2])), job, name, step.get("result", "failed" if status else "done"))

        if step.get("early"):
            finish()
        ok(job)
        if not step.get("early") and "stuck" not in step:
            self.fake.later(step.get("delay", 0.02), finish)


class Units(dbus.service.FallbackObject):
    def __init__(self, fake, bus):
        super().__init__(bus, UNIT_PREFIX)
        self.fake = fake

    @dbus.service.method("org.freedesktop.DBus.Properties", in_signature="s", out_signature="a{sv}", rel_path_keyword="path",
                         async_callbacks=("ok", "error"))
    def GetAll(self, interface, ok, error, path=None):
        name = decode(path.strip("/"))
        unit = self.fake.units.get(name)
        if name in self.fake.tried:
            ok(self.fake.tried[name].properties())
            return
        if service := self.fake.service(name):
            ok(service.properties())
            return
        if unit is None:
            ok({"LoadState": "not-found", "ActiveState": "inactive", "SubState": "dead"})
            return
        unit.reads += 1
        unit.read_as = unit.active
        if unit.alternate:
            unit.process = unit.alternate[unit.reads % 2]
        if unit.error_once:
            name, unit.error_once = unit.error_once, None
            error(dbus.DBusException("scripted error of one read", name=name))
        elif unit.error:
            error(dbus.DBusException("scripted error of a read", name=unit.error))
        elif unit.read_delay:  # what was true when it was asked
            self.fake.later(unit.read_delay, lambda properties=unit.properties(): ok(properties))
        else:
            ok(unit.properties())

    @dbus.service.signal("org.freedesktop.DBus.Properties", signature="sa{sv}as", rel_path_keyword="path")
    def PropertiesChanged(self, interface, changed, invalidated, path=None):
        pass


class Systemd(dbus.service.Object):
    def __init__(self, fake, bus):
        super().__init__(bus, "/org/freedesktop/systemd1")
        self.fake = fake

    @dbus.service.signal(MANAGER, signature="uoss")
    def JobRemoved(self, number, job, unit, result):
        pass

    @dbus.service.signal(MANAGER, signature="so")
    def UnitNew(self, unit, path):
        pass

    @dbus.service.signal(MANAGER, signature="so")
    def UnitRemoved(self, unit, path):
        pass

    @dbus.service.signal(MANAGER, signature="b")
    def Reloading(self, active):
        pass

    @dbus.service.method(MANAGER)
    def Subscribe(self):
        self.fake.subscriptions += 1

    @dbus.service.method(MANAGER, in_signature="asas", out_signature="a(ssssssouso)")
    def ListUnitsByPatterns(self, states, patterns):
        self.fake.lists += 1
        if self.fake.list_errors:
            raise dbus.DBusException("scripted error of a list", name=self.fake.list_errors.pop(0))
        return [(u.name, "", u.load_state, u.active, u.sub, "", UNIT_PREFIX + "/" + encode(u.name), dbus.UInt32(0), "", "/") for u in self.fake.units.values() if u.listed and not u.file_only]

    @dbus.service.method(MANAGER, in_signature="asas", out_signature="a(ss)")
    def ListUnitFilesByPatterns(self, states, patterns):
        return dbus.Array([("/lib/systemd/system/" + u.name, "static") for u in self.fake.units.values() if u.file_only], signature="(ss)")

    @dbus.service.method("org.freedesktop.DBus.Properties", in_signature="ss", out_signature="v", async_callbacks=("ok", "error"))
    def Get(self, interface, name, ok, error):
        assert (interface, name) == (MANAGER, "Environment")
        self.fake.later(self.fake.environment_delay, lambda: ok(dbus.Array(self.fake.environment, signature="s")))

    @dbus.service.method(MANAGER, in_signature="s", async_callbacks=("ok", "error"))
    def ResetFailedUnit(self, unit, ok, error):
        if unit in self.fake.units:
            self.fake.units[unit].resets += 1
            self.fake.units[unit].limited = False
        self.fake.later(self.fake.reset_delay, ok)

    def read_units(self):
        self.Reloading(True)
        for unit in self.fake.units.values():
            unit.read_dropin()
        self.Reloading(False)

    @dbus.service.method(MANAGER, async_callbacks=("ok", "error"))
    def Reload(self, ok, error):
        self.fake.reloads += 1
        script = self.fake.reload_script.pop(0) if self.fake.reload_script else {}

        def answer():
            if "error" in script:
                error(dbus.DBusException("scripted", name=script["error"]))
                return
            self.read_units()
            ok()

        self.fake.later(script.get("delay", 0), answer)

    @dbus.service.method(MANAGER, in_signature="ss", out_signature="o", async_callbacks=("ok", "error"))
    def TryRestartUnit(self, name, mode, ok, error):
        unit = self.fake.units[name]
        unit.restarts += 1
        self.fake.restart(unit, ok, error, unit.active == "active")

    @dbus.service.method(MANAGER, in_signature="ss", out_signature="o", async_callbacks=("ok", "error"))
    def RestartUnit(self, name, mode, ok, error):
        unit = self.fake.units[name]
        unit.starts += 1
        self.fake.restart(unit, ok, error, True)

    @dbus.service.method(MANAGER, in_signature="ss", out_signature="o", async_callbacks=("ok", "error"))
    def StartUnit(self, name, mode, ok, error):
        self.fake.started.append([name, mode])
        service = self.fake.service(name)
        if not service:
            error(dbus.DBusException(f"Unit {name} not found.", name="org.freedesktop.systemd1.NoSuchUnit"))
            return
        service.start(name, ok, error)

    @dbus.service.method(MANAGER, in_signature="ssa(sv)a(sa(sv))", out_signature="o", async_callbacks=("ok", "error"))
    def StartTransientUnit(self, name, mode, properties, aux, ok, error):
        script = self.fake.transient_script.pop(0) if self.fake.transient_script else {}
        self.fake.transients.append(str(name))
        if "error" in script or self.fake.transients.count(name) > 1:
            error(dbus.DBusException(f"Unit {name} cannot be started.", name=script.get("error", "org.freedesktop.systemd1.UnitExists")))
            return
        self.fake.later(script.get("delay", 0), lambda: ok(self.transient(name, properties, script.get("output"))))

    @dbus.service.method(MANAGER, in_signature="s")
    def UnrefUnit(self, name):
        self.fake.tried.pop(name)

    def transient(self, name, properties, output):
        """output: what the program would say, which is not run then."""
        props = {str(k): v for k, v in properties}
        argv = [str(a) for a in props["ExecStart"][0][1]]
        self.fake.argvs.append(argv)
        env = dict(str(e).split("=", 1) for e in props["Environment"])
        env = {k: v for k, v in env.items() if k not in props.get("UnsetEnvironment", [])}
        self.fake.environments.append(env)
        if self.fake.hide_preload:
            env.pop("LD_PRELOAD", None)
        fd = props["StandardOutputFileDescriptor"].take()
        assert props["AddRef"]
        # As a unit of the relay whose sandbox this is; the sandbox is told apart by what stands in ReadWritePaths=.
        status = self.fake.broken_sandboxes.get(" ".join(props.get("ReadWritePaths", [])))
        if output in CUT_SHORT:
            self.fake.tried[name] = Transient(status=output)
        elif status is not None:
            self.fake.tried[name] = Transient(status=status)
        elif output is not None:
            os.write(fd, output.encode())
            self.fake.tried[name] = Transient(status=0)
        else:
            self.fake.programs.append(subprocess.Popen(argv, env=env, stdout=fd, stderr=fd))
            self.fake.tried[name] = Transient(program=self.fake.programs[-1])
        os.close(fd)
        return "/org/freedesktop/systemd1/job/1"


class Control(dbus.service.Object):
    def __init__(self, fake, bus):
        super().__init__(bus, "/test")
        self.fake = fake

    @dbus.service.method("org.relayalloc.Test", in_signature="s", out_signature="s")
    def Do(self, request):
        r = json.loads(request)
        fake, unit = self.fake, self.fake.units.get(r.get("unit", ""))
        what = r["do"]
        if what == "script":
            fake.scripts.setdefault(r["unit"], []).extend(r["steps"])
        elif what == "forget-scripts":
            fake.scripts.clear()
        elif what == "environment-file":
            unit.environment_files = [r["path"]]
        elif what == "reload-script":
            fake.reload_script = r["steps"]
        elif what == "proc":
            fake.proc, fake.label = r["path"], r["label"]
            for u in fake.units.values():
                u.show()
        elif what == "hide-preload":
            fake.hide_preload = r["value"]
        elif what == "break-sandboxes":
            fake.broken_sandboxes = r["value"]
        elif what == "timeout":
            unit.timeout = r["usec"]
        elif what == "crash":
            unit.up()
            unit.n_restarts += 1
            fake.changed(unit)
        elif what == "stop":
            unit.down()
            fake.changed(unit)
        elif what == "restart-by-hand":
            unit.job = 0
            unit.program = r["program"] if r.get("stays") else None
            unit.up(r.get("environment"), r.get("late", 0), r.get("program"), r.get("first", ()))
            fake.changed(unit)
        elif what == "set":
            for name in r["values"]:
                setattr(unit, name, r["values"][name])
            if unit.active != "active":
                unit.down(unit.active, unit.sub, unit.result)
            fake.changed(unit)
        elif what == "add":
            fake.units[r["unit"]] = unit = Unit(fake, r["unit"])
            for name in r.get("values", {}):
                setattr(unit, name, r["values"][name])
            if unit.active != "active":
                unit.down(unit.active, unit.sub, unit.result)
            fake.systemd.UnitNew(unit.name, UNIT_PREFIX + "/" + encode(unit.name))
        elif what in ("add-unloaded", "add-file"):  # it could run, and has not; with a unit file of its own
            fake.units[r["unit"]] = unit = Unit(fake, r["unit"])
            unit.down()
            unit.listed, unit.file_only = False, what == "add-file"
        elif what == "remove":
            fake.units.pop(r["unit"]).down()
            fake.systemd.UnitRemoved(r["unit"], UNIT_PREFIX + "/" + encode(r["unit"]))
        elif what == "other-job":  # somebody's job of the unit ends
            fake.systemd.JobRemoved(dbus.UInt32(r["number"]), f"/org/freedesktop/systemd1/job/{r['number']}", unit.name, r["result"])
        elif what == "noise":  # units that are none of our business come and go, and ours say that they changed
            for i in range(r["n"]):
                fake.systemd.UnitNew(f"session-{i}.scope", f"{UNIT_PREFIX}/session_2d{i}_2escope")
                fake.systemd.UnitRemoved(f"session-{i}.scope", f"{UNIT_PREFIX}/session_2d{i}_2escope")
                for u in fake.units.values():
                    fake.changed(u)
        elif what == "flap":  # the relay tells of one main process and of another, again and again (sd_notify, MAINPID=)
            fake.flap(unit, r["seconds"], r["every"])
        elif what == "set-environment":  # systemctl set-environment: nobody is told
            fake.environment, fake.environment_delay = r["environment"], r.get("delay", 0)
        elif what == "daemon-reload":  # by somebody else
            fake.systemd.read_units()
        elif what == "reloading":
            fake.systemd.Reloading(True)
            for u in fake.units.values():
                u.read_dropin()
            fake.systemd.Reloading(False)
        elif what == "list-errors":
            fake.list_errors = r["errors"]
        elif what == "service":  # there is one now; steps: how each start of it ends, the last for all others
            fake.services[r["name"]] = Service(fake, r.get("steps", []), r.get("values", {}))
        elif what == "transient-script":
            fake.transient_script = r["steps"]
        elif what == "reset-delay":
            fake.reset_delay = r["seconds"]
        elif what == "leave":  # nobody owns the name for a while; our own jobs go on
            self.fake.later(0, lambda: fake.bus.release_name("org.freedesktop.systemd1"))
            self.fake.later(r["seconds"], lambda: fake.bus.request_name("org.freedesktop.systemd1"))
        elif what == "reconnect":
            fake.later(r.get("delay", 0), fake.reconnect)
        return json.dumps({
            "reloads": fake.reloads,
            "started": fake.started,
            "subscriptions": fake.subscriptions,
            "lists": fake.lists,
            "transients": fake.transients,
            "argvs": fake.argvs,
            "environments": fake.environments,
            "kept": list(fake.tried),
            "finished": len(fake.programs) > 0 and all(p.poll() is not None for p in fake.programs),
            "units": {u.name: {"restarts": u.restarts, "starts": u.starts, "resets": u.resets, "active": u.active,
                               "reads": u.reads, "read_as": u.read_as,
                               "environment": u.environment, "pid": u.process.pid if u.process else 0,
                               "invocation": u.invocation.hex() if u.invocation else ""}
                      for u in fake.units.values()},
        })


class Fake:
    def __init__(self, address, root, relays):
        self.address, self.root = address, root
        self.scripts, self.reload_script = {}, []
        self.reloads = self.subscriptions = self.jobs = self.lists = self.reset_delay = 0
        self.proc = self.label = None
        self.argvs, self.environments = [], []  # of the transient units
        self.services, self.started = {}, []  # [unit, mode] of each StartUnit
        self.list_errors, self.transient_script, self.transients, self.programs = [], [], [], []
        self.hide_preload = False
        self.environment, self.environment_delay = [], 0
        self.tried = {}  # transient units that systemd still knows
        self.broken_sandboxes = {}  # what stands in ReadWritePaths= → exit status
        self.units = {}
        for relay in relays:
            self.units[f"tor@{relay}.service"] = Unit(self, f"tor@{relay}.service")
        self.serve()

    def serve(self):
        try:
            self.bus = dbus.bus.BusConnection(self.address)
        except dbus.DBusException:  # the bus itself is gone
            self.later(0.1, self.serve)
            return
        self.bus.set_exit_on_disconnect(False)
        self.bus.call_on_disconnection(self.lost)
        self.systemd, self.objects = Systemd(self, self.bus), Units(self, self.bus)
        self.bus.request_name("org.freedesktop.systemd1", dbus.bus.NAME_FLAG_REPLACE_EXISTING)
        self.control_bus = dbus.bus.BusConnection(self.address)
        self.control_bus.set_exit_on_disconnect(False)
        self.control = Control(self, self.control_bus)
        self.control_bus.request_name("org.relayalloc.Test")

    def service(self, name):
        prefix, at, instance = name.partition("@")
        return self.services.get(name) or (self.services.get(f"{prefix}@.service") if at and instance else None)

    @staticmethod
    def later(seconds, what):
        def run():
            try:
                what()
            except dbus.DBusException as e:  # an answer for a connection that has been closed in the meantime
                print(f"lost: {e}", file=sys.stderr)
            return False

        GLib.timeout_add(int(seconds * 1000), run)

    def reconnect(self):
        """As after systemctl daemon-reexec: another connection owns the name."""
        old, self.bus = self.bus, None
        old.close()
        self.control_bus.close()
        self.serve()

    def lost(self, bus):
        if bus is self.bus:  # not one that reconnect() has closed
            self.bus = None
            self.later(0.1, self.serve)

    def flap(self, unit, seconds, every):
        """Signals without end, and each time that it is read another main process."""
        unit.alternate = [unit.process, subprocess.Popen(["sleep", "infinity"], env={"PATH": "/usr/bin:/bin"})]
        end = time.monotonic() + seconds

        def turn():
            over = time.monotonic() >= end
            if over:
                unit.process, other = unit.alternate
                unit.alternate = None
                other.kill()
                other.wait()
            self.changed(unit)
            return not over

        GLib.timeout_add(int(every * 1000), turn)

    def changed(self, unit):
        if self.bus:
            self.objects.PropertiesChanged("org.freedesktop.systemd1.Unit", {"ActiveState": unit.active}, [], path="/" + encode(unit.name))

    def restart(self, unit, ok, error, really):
        steps = self.scripts.get(unit.name)
        script = steps.pop(0) if steps else {}
        if "refuse" in script:
            error(dbus.DBusException(script.get("message", "scripted refusal"), name=script["refuse"]))
            return
        self.jobs += 1
        number = self.jobs
        job = f"/org/freedesktop/systemd1/job/{number}"
        unit.job = number
        unit.pre_start_signal = 0
        if really and "stuck" in script:
            unit.active, unit.sub = "deactivating", "stop-sigterm"
        if really and "meanwhile" in script:
            unit.down(script["meanwhile"], "start")
            self.changed(unit)

        def killed():
            unit.job = 0
            unit.pre_start_signal = signal.SIGINT
            unit.down("failed", "failed", "signal")
            self.changed(unit)

        def finish():
            unit.job = 0
            state = script.get("then", "active" if really else unit.active)
            result = script.get("result", "done")
            if really and unit.limited:
                state, result = "start-limit", "failed"
            if really and state == "active":
                unit.up(script.get("environment"), script.get("late", 0), script.get("program"), script.get("first", ()))
            elif state == "failed":
                unit.down("failed", "failed", "exit-code")
            elif state == "start-limit":
                unit.down("failed", "failed", "start-limit-hit")
                unit.limited = True
            elif state in ("inactive", "unmet"):
                unit.down()
                unit.condition = state == "inactive"
            elif state == "gone":
                unit.down()
                unit.load_state = "not-found"
            elif state == "activating":
                unit.down("activating", "start")
            elif state == "auto-restart":
                unit.down("activating", "auto-restart", "exit-code")
            elif state == "stopping":  # a stop has taken the job's place, and is still to kill the pre-start commands
                unit.down("activating", "start-pre")
                self.jobs += 1
                unit.job = self.jobs
                self.later(1, killed)
            unit.n_restarts = script.get("n_restarts", 0)
            self.changed(unit)
            if not script.get("lost") and self.bus:
                self.systemd.JobRemoved(dbus.UInt32(number), job, unit.name, result)

        if script.get("early"):
            finish()
            ok(job)
            return
        self.later(script.get("reply", 0), lambda: ok(job))
        if "stuck" not in script:
            self.later(script.get("delay", 0.05), finish)


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    address, root, *relays = sys.argv[1:]
    fake = Fake(address, root, relays)
    loop = GLib.MainLoop()
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGTERM, loop.quit)
    print("ready", flush=True)
    loop.run()
    for unit in fake.units.values():
        unit.down()


main()
