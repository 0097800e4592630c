"""Fixtures of the tests of the packages. `make deb` has built them into build/deb/RELEASE (BUILT=, another folder).

RELEASES="bookworm trixie" chooses the releases whose packages are tested, each in a machine of its own."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import uuid

import pytest

REPO = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPO / "tests/system"))

from figures import figures, pytest_terminal_summary  # noqa: E402, F401
from machine import Machine  # noqa: E402

RELEASES = os.environ.get("RELEASES", "").split() or ["bookworm", "trixie"]


def run(*command, **options):
    return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **options)


def must(*command, **options):
    done = run(*command, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout[-6000:]}"
    return done.stdout


class Packages:
    """Of one release: what make deb made, and other versions of it."""

    def __init__(self, release, scratch):
        self.release = release
        self.folder = REPO / "build/deb" / release
        self.scratch = scratch
        found = list(self.folder.glob("relayalloc_*_*.deb"))
        assert len(found) == 1, f"{self.folder} has {found}; run make deb"
        self.deb = found[0]
        self.version = self.deb.name.split("_")[1]

    def field(self, name):
        return must("dpkg-deb", "-f", self.deb, name).strip()

    def run(self, *command):
        """In the root that the package was built in, beside it."""
        return run(REPO / "packaging/deb", "run", self.release, *command)

    def as_version(self, version, conf=None):
        """The same package with another version, and, where conf is given, with this as its configuration."""
        tree, deb = self.scratch / f"{self.release}-{version}", self.scratch / f"relayalloc_{version}_{self.release}.deb"
        if not deb.exists():
            must("dpkg-deb", "-R", self.deb, tree)
            control = tree / "DEBIAN/control"
            control.write_text(re.sub(r"^Version: .*$", f"Version: {version}", control.read_text(), flags=re.M))
            if conf:
                (tree / "etc/relayalloc.conf").write_text(conf)
                (tree / "DEBIAN/md5sums").unlink()
            must("dpkg-deb", "--root-owner-group", "-b", tree, deb)
            shutil.rmtree(tree)
        return deb


@pytest.fixture(scope="session", params=RELEASES)
def packages(request, tmp_path_factory):
    return Packages(request.param, tmp_path_factory.mktemp(request.param))


class Host(Machine):
    """A machine as a host on which packages come and go; every relay was started once, by the machine's tool."""

    @classmethod
    def boot_new(cls, name, release, relays=2):
        """One of nothing but systemd, dbus and apt, with this host's network; its relays are yet to be made."""
        name = f"{name}-{uuid.uuid4().hex[:8]}"
        cls._tool("boot", name, "--release", release, "--kind", "host", "--owner", str(os.getpid()))
        return cls(name, release, relays, False)

    def put(self, file):
        where = pathlib.Path("/root") / file.name
        shutil.copy(file, self.path(where))
        return str(where)

    def apt(self, *arguments, status=0):
        """Its output. As unattended-upgrades calls it: nobody is asked, a configuration of the operator's is kept."""
        done = self.run(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qy", "-o", "Dpkg::Options::=--force-confold",
                         "-o", "Dpkg::Use-Pty=0", *arguments], timeout=180)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def install_deb(self, deb, *options):
        return self.apt("install", *options, self.put(deb))


@pytest.fixture
def boot():
    """boot(release, relays): a Host; it goes with the test."""
    booted = []

    def boot_one(release, relays=0):
        name = f"p-{release}-{uuid.uuid4().hex[:8]}"
        booted.append(Host.boot(name, release, relays))
        return booted[-1]

    yield boot_one
    for machine in booted:
        machine.stop()


def pytest_configure(config):
    config.addinivalue_line("markers", "long: only in make check-packaging, not in make check")
