"""What the files of packaging/debian have to agree with; building them is tests/packaging's."""

import os
import re
import subprocess

import pytest

from conftest import REPO

DEBIAN = REPO / "packaging/debian"


def test_versions_agree():
    """The Makefile's is what the programs say."""
    upstream = re.match(r"relayalloc \((.*)-\d+\) ", (DEBIAN / "changelog").read_text())[1]
    assert re.search(r"^VERSION := (.*)$", (REPO / "Makefile").read_text(), re.M)[1] == upstream
    news = re.match(r"relayalloc \((.*)-\d+\) ", (DEBIAN / "relayalloc.NEWS").read_text())[1]
    assert [int(part) for part in news.split(".")] <= [int(part) for part in upstream.split(".")]


def test_what_it_is_built_from_is_what_the_readme_names():
    wanted = set(re.findall(r"^ (\w[\w.+-]*)", re.search(r"^Build-Depends:\n((?: .*\n)+)", (DEBIAN / "control").read_text(),
                                                         re.M)[1], re.M))
    libraries = {name for name in wanted if name.startswith("lib") and name.endswith("-dev")}
    installed = subprocess.run([REPO / "tests/install-deps", "--list", "build"], capture_output=True, text=True, check=True)
    assert libraries <= set(installed.stdout.split())
    readme = (REPO / "README.md").read_text()
    for name in libraries - {"libcmocka-dev"}:
        assert name in readme, name


def test_needrestart_is_told_what_doctor_advises():
    advised = re.search(r'"  (\$nrconf.*?)"', (REPO / "daemon/doctor/doctor-host.c").read_text())[1]
    lines = [line for line in (DEBIAN / "needrestart.conf").read_text().splitlines() if not line.startswith("#")]
    assert lines == [advised]


def test_systemd_never_gives_up_on_the_daemon():
    """What ends it at its start may last (no bus, no memory, a disk that fails), or somebody kills it again and again: with
    systemd's own limit of starts it would be down for good then, and so would a relay that it was to put back."""
    unit = (REPO / "units/relayallocd.service.in").read_text()
    assert re.search(r"^Restart=on-failure$", unit, re.M) and re.search(r"^StartLimitIntervalSec=0$", unit, re.M)
    assert int(re.search(r"^RestartSec=(\d+)s$", unit, re.M)[1]) <= 10


def test_the_state_that_a_purge_removes_is_the_daemons():
    state = re.search(r"^StateDirectory=(.*)$", (REPO / "units/relayallocd.service.in").read_text(), re.M)[1]
    purge = re.search(r"^purge\)\n(.*?);;", (DEBIAN / "relayalloc.postrm").read_text(), re.M | re.S)[1]
    assert f"rm -rf /var/lib/{state}\n" in purge


@pytest.mark.parametrize("state, gone", [
    ('metrics = "{}/other/relayalloc.prom";\n', {"other/relayalloc.prom"}),
    ('paused = false;\nmetrics = "{0}/with space/x.prom";\nlast = "metrics = \\"{0}/kept.prom\\";";\n', {"with space/x.prom"}),
    ('metrics = "{}/kept";\n', set()),
    ("damaged\0", set()),
    (None, set()),
])
def test_purge_takes_the_metrics_file_along(tmp_path, state, gone):
    """Also one that a daemon that was killed has left, wherever metrics.textfile had it; and no other file."""
    script = (DEBIAN / "relayalloc.postrm").read_text().replace("/var/lib/", f"{tmp_path}/var/lib/").replace("/etc/", f"{tmp_path}/etc/")
    files = {"other/relayalloc.prom", "with space/x.prom", "kept.prom", "kept", "var/lib/prometheus/node-exporter/relayalloc.prom"}
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x 1\n")
    (tmp_path / "var/lib/relayalloc").mkdir()
    if state is not None:
        (tmp_path / "var/lib/relayalloc/state").write_text(state.replace("{0}", "{}").replace("{}", str(tmp_path)))
    done = subprocess.run(["sh", "-c", script, "postrm", "purge"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "var/lib/relayalloc").exists()
    assert {name for name in files if not (tmp_path / name).exists()} == gone | {"var/lib/prometheus/node-exporter/relayalloc.prom"}


def test_scripts_are_shell_that_dash_takes():
    for name in ("preinst", "postinst", "prerm", "postrm"):
        script = DEBIAN / f"relayalloc.{name}"
        assert script.read_text().startswith("#!/bin/sh\nset -e\n")
        subprocess.run(["sh", "-n", script], check=True)
        assert "#DEBHELPER#\n" in script.read_text()


# Of each release, by name: what `make check` installs on a host of it, and what the machines there are made of.
RELEASES = {
    "bookworm": ("debian", {"libmimalloc2.0", "libgoogle-perftools4", "libtcmalloc-minimal4", "systemd", "chromium"},
                 {"libconfig9", "libmimalloc2.0", "libgoogle-perftools4", "linux-image-cloud-amd64"}),
    "trixie": ("debian", {"libmimalloc3", "libgoogle-perftools4t64", "libtcmalloc-minimal4t64", "systemd-dev", "chromium"},
               {"libconfig11", "libmimalloc3", "libgoogle-perftools4t64", "linux-image-cloud-amd64"}),
    "noble": ("ubuntu", {"libmimalloc2.0", "libgoogle-perftools4t64", "libtcmalloc-minimal4t64", "systemd-dev"},
              {"libconfig9", "libmimalloc2.0", "libgoogle-perftools4t64", "linux-image-virtual"}),
}


def on_host(tmp_path, release, command, **environment):
    """A command that takes this host for one of that release."""
    os_release = tmp_path / "os-release"
    os_release.write_text(f"ID={RELEASES[release][0]}\nVERSION_CODENAME={release}\n")
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment, "OS_RELEASE": str(os_release)})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("release", RELEASES)
def test_packages_of_each_release_by_name(tmp_path, release):
    _, host, machine = RELEASES[release]
    of_hosts, of_machines = (set().union(*(row[i] for row in RELEASES.values())) for i in (1, 2))
    listed = set(on_host(tmp_path, release, [REPO / "tests/install-deps", "--list", "build", "deb", "machine", "vm", "check"]).split())
    assert listed & of_hosts == host
    library = f". {REPO}/tests/system/lib.sh; packages_of_release {release}; kernel_of_release {release}"
    assert set(on_host(tmp_path, release, ["bash", "-c", library]).replace(",", " ").split()) & of_machines == machine


@pytest.mark.parametrize("release, tested", [("bookworm", ["bookworm", "trixie"]), ("noble", ["noble"])])
def test_machines_are_made_from_the_hosts_own_sources(tmp_path, release, tested):
    """As apt of that host tells them; what is neither main nor universe is none of ours."""
    apt = tmp_path / "apt-get"
    apt.write_text(f"#!/bin/sh\nprintf '%s\\n' 'http://mirror {release} main' 'http://mirror {release} universe' "
                   f"'http://mirror {release}-updates main' 'http://mirror {release}-security main' 'http://mirror {release} restricted' "
                   "'http://elsewhere stable main'\n")
    apt.chmod(0o755)
    library = f". {REPO}/tests/system/lib.sh; default_releases; for r in {' '.join(tested)}; do apt_sources_for $r; done"
    said = on_host(tmp_path, release, ["bash", "-c", library], PATH=f"{tmp_path}:{os.environ['PATH']}").splitlines()
    assert said[0].split() == tested
    for name in tested:
        assert {f"deb http://mirror {name} main universe", f"deb http://mirror {name}-updates main",
                f"deb http://mirror {name}-security main"} <= set(said)
    assert len(said) == 1 + 3 * len(tested)
