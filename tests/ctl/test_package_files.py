"""What the files of packaging/debian have to agree with; building them is tests/packaging's."""

import re
import subprocess

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


def test_the_state_that_a_purge_removes_is_the_daemons():
    state = re.search(r"^StateDirectory=(.*)$", (REPO / "units/relayallocd.service.in").read_text(), re.M)[1]
    purge = re.search(r"^purge\)\n(.*?);;", (DEBIAN / "relayalloc.postrm").read_text(), re.M | re.S)[1]
    assert f"rm -rf /var/lib/{state}\n" in purge


def test_scripts_are_shell_that_dash_takes():
    for name in ("preinst", "postinst", "prerm", "postrm"):
        script = DEBIAN / f"relayalloc.{name}"
        assert script.read_text().startswith("#!/bin/sh\nset -e\n")
        subprocess.run(["sh", "-n", script], check=True)
        assert "#DEBHELPER#\n" in script.read_text()
