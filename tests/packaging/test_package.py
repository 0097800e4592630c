"""What is in the package, what Debian's own judges say of it, and that it comes out the same from another builder."""

import hashlib
import os
import re

import pytest

from conftest import REPO, must

# Ubuntu 24.04's flags for packages on amd64 (dpkg-buildflags there), whose own packages cannot be had here.
UBUNTU = {"CPPFLAGS": "-Wdate-time -D_FORTIFY_SOURCE=3",
          "CFLAGS": "-g -O2 -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer -flto=auto -ffat-lto-objects "
                    "-fstack-protector-strong -fstack-clash-protection -Wformat -Werror=format-security -fcf-protection",
          "LDFLAGS": "-Wl,-Bsymbolic-functions -flto=auto -ffat-lto-objects -Wl,-z,relro -Wl,-z,now"}
# What the lintian of an older release asks for and that of a newer one has given up, or does not know yet.
OUTDATED_TAGS = dict.fromkeys(["bookworm", "noble"],
                              ["newer-standards-version", "package-supports-alternative-init-but-no-init.d-script"])


def names(packages):
    return {path.name.replace(packages.version.rsplit("-", 1)[0], "V") for path in packages.folder.iterdir()}


def test_what_is_built(packages, figures):
    arch = packages.field("Architecture")
    assert names(packages) >= {f"relayalloc_V-1_{arch}.deb", f"relayalloc-dbgsym_V-1_{arch}.deb", "relayalloc_V-1.dsc",
                               f"relayalloc_V-1_{arch}.changes", "relayalloc_V.orig.tar.gz", "relayalloc_V-1.debian.tar.xz"}
    assert "warning:" not in (packages.folder / "build.log").read_text()
    figures(f"{packages.release}: {packages.deb.name} {packages.deb.stat().st_size // 1024} KiB, "
            f"{packages.field('Installed-Size')} KiB installed")


def test_fields(packages):
    def names_in(field):
        return {word.split()[0] for word in re.split(r"[,|]", packages.field(field))}
    assert {"dbus", "libsystemd0", "libc6"} <= names_in("Depends")
    assert names_in("Recommends") == {"libjemalloc2", "tor"}
    assert {"gnuplot-nox", "polkitd", "prometheus-node-exporter"} < names_in("Suggests")
    assert not names_in("Depends") & {"tor", "libjemalloc2", "systemd"}


def test_contents(packages):
    listed = must("dpkg-deb", "-c", packages.deb)
    files = {line.split()[5].removeprefix("."): line.split()[0] for line in listed.splitlines()}
    unit = "/usr/lib/systemd/system" if packages.release != "bookworm" else "/lib/systemd/system"
    for path, mode in {"/usr/sbin/relayallocd": "-rwxr-xr-x", "/usr/bin/relayallocctl": "-rwxr-xr-x",
                       "/usr/libexec/relayalloc/relayalloc-probe": "-rwxr-xr-x", "/etc/relayalloc.conf": "-rw-r--r--",
                       f"{unit}/relayallocd.service": "-rw-r--r--", "/usr/share/man/man1/relayallocctl.1.gz": "-rw-r--r--",
                       "/usr/share/doc/relayalloc/images/report.png": "-rw-r--r--",
                       "/etc/needrestart/conf.d/relayalloc.conf": "-rw-r--r--"}.items():
        assert files.get(path) == mode, path
    assert must("dpkg-deb", "-I", packages.deb, "conffiles").split() == \
        ["/etc/needrestart/conf.d/relayalloc.conf", "/etc/relayalloc.conf"]
    assert {line.split()[1] for line in listed.splitlines()} == {"root/root"}


def test_scripts_are_there(packages):
    """With units in a folder that debhelper does not look into there would be none, silently."""
    scripts = {name: must("dpkg-deb", "-I", packages.deb, name) for name in ("postinst", "prerm", "postrm")}
    assert "deb-systemd-helper enable 'relayallocd.service'" in scripts["postinst"]
    assert "try-restart 'relayallocd.service'" in scripts["postinst"]
    assert "systemctl --system daemon-reload" in scripts["postinst"] + scripts["postrm"]


def test_lintian(packages):
    outdated = OUTDATED_TAGS.get(packages.release, [])
    done = packages.run("lintian", "--pedantic", "-I", "-E", "--fail-on", "error,warning,info,pedantic,experimental",
                        *(["--suppress-tags", ",".join(outdated)] if outdated else []),
                        f"relayalloc_{packages.version}_{packages.field('Architecture')}.changes")
    assert done.returncode == 0 and not re.search(r"^[EWIPX]: ", done.stdout, re.M), done.stdout


def test_blhc(packages):
    done = packages.run("blhc", "--all", "build.log")
    assert done.returncode == 0, done.stdout


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
            if not re.search(r"\.(log|buildinfo|changes)$", path.name)}


@pytest.mark.long
def test_another_builder_gets_the_same(packages, figures):
    """Another path, time zone, umask and number of jobs."""
    out = packages.scratch / "again"
    must(REPO / "packaging/deb", "build", packages.release,
         env={**os.environ, "OUT": str(out), "AT": "/srv/elsewhere/build", "TZ": "Pacific/Kiritimati", "UMASK": "077",
              "JOBS": "1", "DEB_BUILD_OPTIONS": "nocheck"})
    first, second = digests(packages.folder), digests(out)
    assert len(first) == 5 and first == second
    figures(f"{packages.release}: {packages.deb.name} sha256 {first[packages.deb.name]}, twice")


@pytest.mark.long
def test_flags_of_ubuntu(packages, figures):
    """From the archive of the sources, as another distribution would: no warning, and its flags are not taken back."""
    flags = " ".join(f"'{name}={value}'" for name, value in UBUNTU.items())
    done = packages.run("sh", "-c", f"cd /tmp && tar -xf /build/relayalloc_*.orig.tar.gz && cd relayalloc-*/ && "
                                    f"make -j2 WERROR=1 prefix=/usr {flags} all && echo programs are built && "
                                    f"build/relayallocctl check conf/relayalloc.conf && make -j2 prefix=/usr {flags} check-unit")
    assert done.returncode == 0, done.stdout[-3000:]
    programs, tests = done.stdout.split("programs are built\n")
    assert "warning:" not in programs and "_FORTIFY_SOURCE=2" not in done.stdout
    passed = sum(map(int, re.findall(r"\[  PASSED  \] (\d+) test", tests)))
    assert passed > 400 and "  FAILED  " not in tests
    figures(f"{packages.release}: {passed} unit tests passed with Ubuntu's flags")
