"""README's commands for a real host, typed as they stand there on a new one: Debian as it is installed, with the network of
apt and neither tor nor a compiler. `make deb` alone is left out: its packages are there already."""

import json
import re
import subprocess

import pytest

from conftest import REPO, Host, must

TORRC = "DisableNetwork 1\nSocksPort 0\nORPort {}\nShutdownWaitLength 1\nNickname {}\nContactInfo none\nPublishServerDescriptor 0\n"
HERE = "/root/relayalloc"


def blocks():
    """The commands of README's blocks from "On a real host" on, without remarks."""
    text = (REPO / "README.md").read_text().split("## On a real host")[1]
    found = re.findall(r"(?:^    .+\n)+", text, re.M)
    return [[re.sub(r"  +#.*", "", line[4:]) for line in block.splitlines()] for block in found]


@pytest.fixture
def new_host(packages):
    m = Host.boot_new(f"r-{packages.release}", packages.release)
    m.write("/etc/apt/apt.conf.d/90yes", 'APT::Get::Assume-Yes "true";\nquiet "1";\n')
    yield m
    m.stop()


def type_in(m, command):
    done = m.run(f"cd {HERE} && DEBIAN_FRONTEND=noninteractive {command}", timeout=600)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def add_relays(m):
    for i, name in enumerate(m.names):
        m.sh(f"test -d /etc/tor/instances/{name} || tor-instance-create {name}")
        m.write(f"/etc/tor/instances/{name}/torrc", TORRC.format(9001 + i, name))
    m.sh("systemctl daemon-reload && systemctl start " + " ".join(map(m.unit, m.names)))


@pytest.mark.long
def test_the_package_first(packages, new_host):
    m = new_host
    from_the_package, _, (one_line,), then = blocks()[:4]
    m.sh(f"mkdir -p {HERE}/build/deb/{packages.release}")
    m.path(f"{HERE}/build/deb/{packages.release}/{packages.deb.name}").write_bytes(packages.deb.read_bytes())
    m.sh("apt-get update")
    assert [c.split()[0] for c in from_the_package] == ["make", "apt", "relayallocctl"]
    type_in(m, from_the_package[1].replace("bookworm", packages.release))
    add_relays(m)  # tor came with it
    m.wait_all("observed")
    m.run(from_the_package[2])
    m.mark()
    assert then[0] == "apt install libjemalloc2" and then[1] == "relayallocctl edit"
    type_in(m, then[0])
    m.write("/root/editor", f"#!/bin/sh\ncat >\"$1\" <<'END'\n{one_line}\nrollout = {{ settle = 1; canary_settle = 1; }};\nEND\n", 0o755)
    said = type_in(m, "EDITOR=/root/editor relayallocctl --yes edit")
    assert "restart" in said
    m.wait_all("ok", timeout=180)
    assert {m.allocator_in_maps(relay) for relay in m.names} == {"jemalloc"}
    type_in(m, then[2])
    assert "finished" in type_in(m, then[3].replace("-f", "--no-pager"))
    m.run(then[4].replace("relayallocctl", "relayallocctl --yes --wait"), timeout=180)
    m.wait_until(lambda: {m.allocator_in_maps(relay) for relay in m.names} == {"glibc"}, 180, "all to be put back")
    assert set(m.asked_starts().values()) == {2}


@pytest.mark.long
def test_without_a_package(packages, new_host):
    m = new_host
    commands = blocks()[1]
    m.sh(f"mkdir -p {HERE}")
    files = must("git", "-C", REPO, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    archive = subprocess.run(["tar", "-C", REPO, "-c", *files], check=True, stdout=subprocess.PIPE).stdout
    m.path("/root/archive.tar").write_bytes(archive)
    m.sh(f"tar -C {HERE} -xf /root/archive.tar && apt-get update")
    for command in commands:
        type_in(m, command)
    assert m.is_active("relayallocd")
    type_in(m, "apt install tor")
    add_relays(m)
    m.wait_all("observed")
    assert json.loads(m.sh("relayallocctl --json=short list"))
