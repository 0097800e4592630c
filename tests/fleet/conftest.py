"""Two booted hosts, west and east, with two relays each that have the same names on both, and the package that was built. They are
reached by SSH, through a server that is started in the machine for each connection, so that no address is needed.

RELEASES="bookworm trixie" chooses the releases, each with hosts of its own; otherwise that of this host."""

import os
import pathlib
import shutil
import subprocess
import sys
import uuid

import pytest

REPO = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPO / "tests/system"))

from figures import figures, pytest_terminal_summary  # noqa: E402, F401
from machine import Machine  # noqa: E402

RELEASES = os.environ.get("RELEASES", "").split() or [Machine.host_release()]
BUILD = pathlib.Path(os.environ.get("BUILD", REPO / "build")).resolve()


class Host(Machine):
    def install_deb(self):
        """As an operator does by hand; Ansible's tests have Ansible do it."""
        if not self.exists("/usr/sbin/relayallocd"):
            shutil.copy(deb(self.release), self.path("/root/relayalloc.deb"))
            self.sh("DEBIAN_FRONTEND=noninteractive apt-get -qy install /root/relayalloc.deb", timeout=600)
        self.systemctl("start", "relayallocd")


def deb(release):
    found = list((REPO / "build/deb" / release).glob("relayalloc_*_*.deb"))
    assert len(found) == 1, f"{found}: run make check-fleet, which builds the package"
    return found[0]


@pytest.fixture(scope="session", params=RELEASES)
def hosts(request):
    """{"west": Host, "east": Host}, neither with the package."""
    booted = {}
    try:
        for name in ("west", "east"):
            booted[name] = Host.boot(f"f-{name}-{uuid.uuid4().hex[:6]}", request.param, 2, kind="fleet")
            booted[name].sh(f"hostname {name}; echo {name} >/etc/hostname; printf '127.0.0.1 localhost\\n127.0.1.1 {name}\\n' >/etc/hosts")
        yield booted
    finally:
        for machine in booted.values():
            machine.stop()


@pytest.fixture(scope="session")
def ssh_config(hosts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ssh")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    text = f"Host *\n  User root\n  IdentityFile {folder}/key\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n"
    for name, machine in hosts.items():
        machine.sh("mkdir -p /run/sshd && install -d -m 0700 /root/.ssh")
        machine.write("/root/.ssh/authorized_keys", (folder / "key.pub").read_text(), 0o600)
        text += f"Host {name}\n  ProxyCommand nsenter -t {machine.leader} -a -- /usr/sbin/sshd -i\n"
    (folder / "config").write_text(text)
    return folder / "config"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what the daemons said; the machines are gone when somebody looks."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for name, m in (item.funcargs.get("hosts") or {}).items():
            if m.is_running():
                report.sections.append((f"relayallocd on {name}", m.sh("journalctl -u relayallocd -n 60 --no-pager 2>&1; true")))
