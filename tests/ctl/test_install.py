"""make install and uninstall, and what systemd, D-Bus and polkit say of the files."""

import os
import re
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from conftest import REPO

PROGRAMS = ["relayallocd", "relayallocctl", "relayalloc-probe"]
UNITS = ["relayallocd.service"]
FORMER_UNITS = ["relayalloc-reload.path", "relayalloc-reload.service"]


class Tree:
    """What make installs under DESTDIR; programs stand in for the real ones."""

    def __init__(self, folder):
        self.root = folder / "root"
        self.build = folder / "build"
        self.build.mkdir()
        for name in PROGRAMS:
            (self.build / name).write_text("#!/bin/sh\n")

    def make(self, target, *variables):
        done = subprocess.run(["make", "-s", "--no-print-directory", "-C", REPO, target, f"BUILD={self.build}", "PROGRAMS=",
                               f"DESTDIR={self.root}", *variables], capture_output=True, text=True,
                              env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"})
        assert done.returncode == 0, done.stderr
        return done

    @property
    def files(self):
        return {"/" + str(path.relative_to(self.root)) for path in self.root.rglob("*") if not path.is_dir()}

    def text(self, path):
        return (self.root / path.lstrip("/")).read_text(errors="replace")


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def systemd_says(variable, otherwise):
    done = subprocess.run(["pkg-config", f"--variable={variable}", "systemd"], capture_output=True, text=True)
    return done.stdout.strip() or otherwise


SYSTEM_UNITS = systemd_says("systemdsystemunitdir", "/usr/lib/systemd/system")

PLACES = {
    "/usr": ["/usr/sbin/relayallocd", "/usr/bin/relayallocctl", "/usr/libexec/relayalloc/relayalloc-probe",
             *(f"{SYSTEM_UNITS}/{unit}" for unit in UNITS), "/usr/share/dbus-1/system.d/org.relayalloc1.conf",
             "/usr/share/polkit-1/actions/org.relayalloc1.policy", "/usr/lib/systemd/catalog/relayalloc.catalog",
             "/usr/share/man/man1/relayallocctl.1", "/usr/share/man/man5/relayalloc.conf.5",
             "/usr/share/man/man8/relayallocd.8", "/usr/share/bash-completion/completions/relayallocctl",
             "/usr/share/zsh/vendor-completions/_relayallocctl", "/usr/lib/nagios/plugins/check_relayalloc", "/etc/relayalloc.conf"],
    "/usr/local": ["/usr/local/sbin/relayallocd", "/usr/local/bin/relayallocctl",
                   "/usr/local/libexec/relayalloc/relayalloc-probe", *(f"/etc/systemd/system/{unit}" for unit in UNITS),
                   "/etc/dbus-1/system.d/org.relayalloc1.conf",
                   "/usr/share/polkit-1/actions/org.relayalloc1.policy",
                   "/usr/local/lib/systemd/catalog/relayalloc.catalog", "/usr/local/share/man/man1/relayallocctl.1",
                   "/usr/local/share/bash-completion/completions/relayallocctl",
                   "/usr/local/share/zsh/site-functions/_relayallocctl",
                   "/usr/local/lib/nagios/plugins/check_relayalloc", "/etc/relayalloc.conf"],
}


@pytest.mark.parametrize("prefix", PLACES)
def test_places(tree, prefix):
    tree.make("install", f"prefix={prefix}")
    assert set(PLACES[prefix]) <= tree.files
    assert f"ExecStart={prefix}/sbin/relayallocd\n" in tree.text(PLACES[prefix][3])
    # Nothing is enabled, the bus starts nothing, and nothing is left of the names to be written out.
    assert not [path for path in tree.files if re.search(r"\.wants/|dbus-org|/system-services/", path)]
    for path in tree.files:
        assert not re.search(r"@[a-z]+dir@", tree.text(path)), path
        executable = os.access(tree.root / path.lstrip("/"), os.X_OK)
        assert executable == (path.rsplit("/", 1)[1] in PROGRAMS and "completion" not in path or "/plugins/" in path), path


def test_another_prefix_is_kept_to(tree):
    tree.make("install", "prefix=/opt/relayalloc", "sysconfdir=/opt/etc", "unitdir=/opt/units")
    assert all(path.startswith(("/opt/relayalloc/", "/opt/etc/", "/opt/units/")) for path in tree.files)


def test_units_go_where_systemd_says(tree, tmp_path):
    """debhelper of Debian 12 sees units only in that folder, and else makes a package that starts nothing."""
    pkg_config = tmp_path / "pkg-config"
    pkg_config.write_text('#!/bin/sh\n[ "$1" != --variable=systemdsystemunitdir ] || echo /lib/here/system\n')
    pkg_config.chmod(0o755)
    tree.make("install", "prefix=/usr", f"PKG_CONFIG={pkg_config}")
    assert "/lib/here/system/relayallocd.service" in tree.files
    tree.make("install", "prefix=/usr", "PKG_CONFIG=false")
    assert "/usr/lib/systemd/system/relayallocd.service" in tree.files


@pytest.mark.parametrize("prefix", PLACES)
def test_documents_link_to_what_is_installed(tree, prefix):
    tree.make("install", f"prefix={prefix}")
    folder = f"{prefix}/share/doc/relayalloc/"
    pages = [path for path in tree.files if path.startswith(folder) and path.endswith(".md")]
    assert len(pages) > 4
    linked = {(page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)[^)]*\)", tree.text(page))}
    assert len(linked) > 5
    assert [(page, link) for page, link in linked if not (tree.root / page.lstrip("/")).parent.joinpath(link).exists()] == []


# ---- what make calls the compiler with ----

def compiled(tree, *variables):
    """{name of the file: command} of all programs and their objects; nothing is run."""
    done = tree.make("all", "-n", "PROGRAMS=" + " ".join(f"{tree.root}/built/{name}" for name in PROGRAMS),
                     f"BUILD={tree.root}/built", *variables)
    lines = [line for line in done.stdout.replace("\\\n", " ").splitlines() if line.startswith("my-cc ")]
    assert len(lines) > 50
    return {line.split(" -o ")[1].split()[0].rsplit("/", 1)[1]: line for line in lines}


def levels(command):
    return [word for word in command.split() if "_FORTIFY_SOURCE" in word]


def test_a_level_of_fortification_that_somebody_chose_is_kept(tree):
    for command in compiled(tree, "CC=my-cc").values():
        if "-c" in command.split() or command.split()[-1].endswith("relayalloc-probe.c"):
            assert levels(command) == ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3"], command
    for where in ("CPPFLAGS", "CFLAGS"):
        for chosen in ("-D_FORTIFY_SOURCE=2", "-D_FORTIFY_SOURCE=3", "-U_FORTIFY_SOURCE"):
            for command in compiled(tree, "CC=my-cc", f"{where}={chosen}").values():
                assert set(levels(command)) <= {chosen}, command


def test_all_programs_are_linked_with_what_is_asked_for(tree):
    commands = compiled(tree, "CC=my-cc", "LDFLAGS=-Wl,--mine", "CFLAGS=-fmine", "CPPFLAGS=-Dmine")
    for name in PROGRAMS:
        assert "-Wl,--mine" in commands[name].split() and "-fmine" in commands[name].split(), name
    assert "-Dmine" in commands["relayalloc-probe"].split()


def test_clean_removes_all_that_was_made(tree):
    (tree.build / "cache").mkdir()
    for name in ("fake-cc", "fake-ar"):
        # the file after -o, or the archive: cc … -o FILE …, ar rcs FILE …
        (tree.root.parent / name).write_text('#!/bin/sh\n[ "$1" != rcs ] || : >"$2"\n'
                                             'while [ $# -gt 1 ]; do [ "$1" != -o ] || : >"$2"; shift; done\n')
        (tree.root.parent / name).chmod(0o755)
    for name in PROGRAMS:
        (tree.build / name).unlink()
    tree.make("all", "man", f"CC={tree.root.parent}/fake-cc", f"AR={tree.root.parent}/fake-ar",
              "PROGRAMS=" + " ".join(f"{tree.build}/{name}" for name in PROGRAMS))
    assert {*PROGRAMS, "obj", "paths", "man"} <= {path.name for path in tree.build.iterdir()}
    for name in ("results", "trixie", "bookworm-asan", "deb", "repo", "vm", "fuzz", "tests"):
        (tree.build / name).mkdir()
    for name in (".lock-trixie", "check.log"):
        (tree.build / name).touch()
    (tree.build / "mine").touch()
    tree.make("clean", "PROGRAMS=" + " ".join(f"{tree.build}/{name}" for name in PROGRAMS))
    assert {path.name for path in tree.build.iterdir()} == {"cache", "mine"}


def test_units_of_earlier_versions_go_and_others_stay(tree):
    units = tree.root / "etc/systemd/system"
    units.mkdir(parents=True)
    for name in [*FORMER_UNITS, "relay.path", "relayalloc-mine.service"]:
        (units / name).write_text("[Unit]\n")
    tree.make("install")
    assert sorted(p.name for p in units.iterdir()) == ["relay.path", "relayalloc-mine.service", "relayallocd.service"]
    (units / FORMER_UNITS[0]).write_text("[Unit]\n")
    tree.make("uninstall")
    assert sorted(p.name for p in units.iterdir()) == ["relay.path", "relayalloc-mine.service"]


def test_install_compiles_anew_for_another_prefix(tree):
    """As the README has it: `make`, then `make install prefix=/usr`, in one build folder."""
    compiled = tree.build / "obj/io/paths.o"
    tree.make(str(compiled))
    assert b"/usr/local/libexec/relayalloc/" in compiled.read_bytes()
    tree.make(str(compiled), "prefix=/usr")
    assert b"/usr/libexec/relayalloc/" in compiled.read_bytes()
    made = compiled.stat().st_mtime_ns
    tree.make(str(compiled), "prefix=/usr")
    assert compiled.stat().st_mtime_ns == made


def test_the_configuration_of_an_operator_is_kept(tree):
    tree.make("install")
    before = tree.files
    conf = tree.root / "etc/relayalloc.conf"
    assert conf.read_text() == (REPO / "conf/relayalloc.conf").read_text()
    conf.write_text("mine")
    assert "kept" in tree.make("install").stdout
    assert conf.read_text() == "mine" and tree.files == before
    assert "kept" in tree.make("uninstall").stdout
    assert tree.files == {"/etc/relayalloc.conf"} and conf.read_text() == "mine"


@pytest.mark.parametrize("prefix", PLACES)
def test_uninstall_leaves_nothing(tree, prefix):
    tree.make("install", f"prefix={prefix}")
    (tree.root / "etc/relayalloc.conf").unlink()
    tree.make("uninstall", f"prefix={prefix}")
    assert tree.files == set()


def test_without_scdoc(tree):
    done = tree.make("install", "SCDOC=no-such-scdoc")
    assert "scdoc is not installed" in done.stderr
    assert not [path for path in tree.files if "/man/" in path]
    # Pages that were made elsewhere are taken.
    (tree.build / "man").mkdir()
    (tree.build / "man/relayallocctl.1").write_text(".TH")
    tree.make("install", "SCDOC=no-such-scdoc")
    assert "/usr/local/share/man/man1/relayallocctl.1" in tree.files


# ---- what others say of the files ----

@pytest.fixture
def units(tree):
    """As systemd finds them, with programs that are there."""
    tree.make("install-units", f"sbindir={tree.build}")
    for name in PROGRAMS:
        (tree.build / name).chmod(0o755)
    # The folder in front of ExecStart= is not DESTDIR's.
    return [tree.root / "etc/systemd/system" / unit for unit in UNITS]


def test_systemd_takes_the_units(units):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "relayalloc" in line]
    assert ours == []


def test_units_run_what_every_host_has(units):
    """kill and the like are in procps, which a small host is without."""
    for unit in units:
        for command in re.findall(r"^Exec\w+=[-+!@:]*(\S+)", unit.read_text(), re.MULTILINE):
            assert command.startswith("/") or command in {"sh", "sleep", "systemctl"}, f"{unit.name}: {command}"


def test_exposure(units):
    """systemd's own measure, lower is better; the limit is where it stands, so that it does not creep up."""
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", units[0]], capture_output=True,
                          text=True)
    assert float(re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)[1]) <= 1.6


def settings(path):
    return {tuple(line.split("=", 1)) for line in path.read_text().splitlines() if "=" in line and line[0] != "#"}


def test_the_daemon_is_bound_to_no_relay(units):
    for path in units:
        for key, value in settings(path):
            assert "tor" not in value.replace("/var/lib/tor", "") or key not in (
                "Requires", "Wants", "BindsTo", "PartOf", "Before", "After", "Conflicts", "PropagatesStopTo"), (path, key)
    # It has to see the relays' /proc.
    daemon = settings(units[0])
    assert ("PrivateUsers", "no") in daemon
    assert not [key for key, _ in daemon if key == "PrivatePIDs"]


def test_documents_are_well_formed():
    for name in ("org.relayalloc1.conf", "org.relayalloc1.policy"):
        ElementTree.parse(REPO / "units" / name)


def test_policy(tmp_path):
    """With our policy a bus takes the names from root alone, and lets everybody call one of them."""
    tree = ElementTree.parse(REPO / "units/org.relayalloc1.conf").getroot()
    rules = {(policy.get("user") or policy.get("context"), rule.tag, *rule.attrib.items())
             for policy in tree for rule in policy}
    assert rules == {("root", "allow", ("own", "org.relayalloc1")),
                     ("root", "allow", ("own", "org.relayalloc1.Control")),
                     ("root", "allow", ("send_destination", "org.relayalloc1.Control")),
                     ("default", "deny", ("send_destination", "org.relayalloc1.Control")),
                     ("default", "allow", ("send_destination", "org.relayalloc1")),
                     ("default", "allow", ("receive_sender", "org.relayalloc1"))}


def test_names_agree():
    """Bus names and polkit action are the code's."""
    header = (REPO / "daemon/bus/api.h").read_text()
    assert re.search(r'#define BUS_CONTROL_NAME "(\S+)"', header)[1] == "org.relayalloc1.Control"
    name = re.search(r'#define BUS_NAME "(\S+)"', header)[1]
    action = re.search(r'#define BUS_POLKIT_ACTION "(\S+)"', header)[1]
    units = REPO / "units"
    assert f'<action id="{action}">' in (units / "org.relayalloc1.policy").read_text()
    assert f"\nBusName={name}\n" in (units / "relayallocd.service.in").read_text()
    assert not (units / f"{name}.service").exists()  # nothing by which the bus would start it
