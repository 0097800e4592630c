"""Libraries under test: those of other releases, which the machine gets as files of their own, and which version of
which one a process runs."""

import pathlib
import re
import shutil
import subprocess

FOLDER = "/usr/local/lib/relayalloc-lab"
FETCH = pathlib.Path(__file__).resolve().parent / "library"


def install(machine, wanted):
    """Each file of those packages to FOLDER/SUITE-PACKAGE/SONAME. {folder: version}. wanted: [(suite, package)]"""
    versions = {}
    for suite, package in wanted:
        done = subprocess.run([FETCH, suite, package], capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(done.stderr.strip())
        source = pathlib.Path(done.stdout.strip())
        folder = f"{FOLDER}/{source.name}"
        machine.sh(["install", "-d", "-m", "0755", folder])
        for file in source.glob("lib*"):
            shutil.copyfile(file, machine.path(f"{folder}/{file.name}"))
            _try(machine, f"{folder}/{file.name}")
        versions[folder] = (source / "version").read_text().strip()
    return versions


def _try(machine, path):
    """A relay that cannot start with it would be noticed after minutes, and one that starts without it as late."""
    done = machine.run(["env", f"LD_PRELOAD={path}", "true"])
    if done.returncode or "cannot be preloaded" in done.stderr:
        raise AssertionError(f"{path} does not work on {machine.release}: {done.stderr.strip() or done.returncode}")


def mapped_in(maps):
    """The library that serves a process' memory, by its /proc/PID/maps: an allocator's, or libc."""
    found = re.search(r" (/\S+/lib(?:jemalloc|mimalloc|tcmalloc)[^/\s]*\.so\S*)$", maps, re.M)
    return (found or re.search(r" (/\S+/libc\.so\.6)$", maps, re.M))[1]


def upstream(version):
    """Of a package's version that of its makers: 3.6.0 of 3.6.0+ds-1."""
    return re.match(r"(?:\d+:)?([0-9.]+)", version)[1]


def version(machine, maps, versions):
    path = mapped_in(maps)
    told = versions.get(path.rpartition("/")[0])
    if told is None:
        # Where /usr is merged a package may have the file under either name.
        told = machine.sh(f"""
            owner=$(dpkg-query -S {path} 2>/dev/null || dpkg-query -S {path.removeprefix("/usr")})
            dpkg-query -W -f '${{Version}}' "${{owner%%: *}}" """)
    return upstream(told)
