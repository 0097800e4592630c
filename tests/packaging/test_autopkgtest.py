"""The package's own test (DEP-8), run by autopkgtest in a booted machine."""

import re
import shutil

from conftest import REPO, run

# autopkgtest makes a repository of the package in the testbed; apt-utils, which has this program, cannot be had there.
APT_FTPARCHIVE = r"""#!/bin/sh
set -eu
case $1 in
packages)
    for deb in *.deb; do
        dpkg-deb -f "$deb"
        printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
    done
    ;;
release) printf 'Date: %s\nSHA256:\n %s %s Packages\n' "$(date -Ru)" "$(sha256sum Packages | cut -d' ' -f1)" "$(stat -c %s Packages)" ;;
esac
"""


def test_life_by_autopkgtest(packages, boot, figures, tmp_path):
    m = boot(packages.release)
    m.sh("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* && mkdir -p /etc/apt/sources.list.d")
    m.write("/usr/local/bin/apt-ftparchive", APT_FTPARCHIVE, 0o755)
    tree = tmp_path / "tree"
    shutil.copytree(REPO / "packaging/debian", tree / "debian")
    (tree / "debian/files").touch()  # by which autopkgtest knows that nothing is to be built
    done = run("autopkgtest", "--no-built-binaries", "--output-dir", tmp_path / "output", packages.deb, f"{tree}/", "--",
               REPO / "tests/packaging/autopkgtest-virt-machine", m.leader)
    assert done.returncode == 0 and re.search(r"^life +PASS", done.stdout, re.M), done.stdout[-6000:]
    figures(f"autopkgtest on {packages.release}:")
    for line in re.findall(r"^.* +\d+ restarts$", done.stdout, re.M):
        figures(f"  {line}")
