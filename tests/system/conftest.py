"""Fixtures of the system tests. Each module boots one machine with real tor relays (see ./machine) and its
tests share it; the `fresh` fixture brings it back to "installed, daemon not started, every relay on glibc".

RELEASE chooses the machine's release (default: the host's), SANITIZE=1 the build with ASan and UBSan.
"""

import os
import uuid

import pytest

from figures import figures, pytest_terminal_summary  # noqa: F401
from machine import Machine

RELEASE = os.environ.get("RELEASE") or Machine.host_release()
SANITIZE = bool(os.environ.get("SANITIZE"))
# "0/2", "1/2": of two releases that share the tests (./run with SHORT=1), which one this is.
PART, PARTS = (int(n) for n in os.environ.get("PART", "0/1").split("/"))
collect_ignore = [] if os.environ.get("TRAFFIC") else ["test_throttled.py"]  # make check-traffic


@pytest.fixture(scope="module")
def machine(request):
    """A booted machine with the project installed. A module says RELAYS = n when it wants other than 4."""
    relays = getattr(request.module, "RELAYS", 4)
    name = f"t-{RELEASE}-{uuid.uuid4().hex[:8]}"
    booted = Machine.boot(name, RELEASE, relays, SANITIZE)
    try:
        booted.install()
        yield booted
    finally:
        booted.stop()


@pytest.fixture
def fresh(machine):
    machine.reset()
    yield machine
    reports = machine.sanitizer_reports()
    assert not reports, "a sanitizer reports:\n" + "\n".join(reports)
    crashes = machine.crashes()
    assert not crashes, "relayallocd crashed:\n" + "\n".join(crashes)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what the daemon said; the machine is gone when somebody looks."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        m = item.funcargs.get("machine") or item.funcargs.get("fresh")
        if m is not None and m.is_running():
            report.sections.append(("relayallocd's journal since the test began", m.journal_text()))
            report.sections.append(("relays", m.sh("relayallocctl list 2>&1; true")))


def is_anothers(index, item):
    """Whether this test is left to another release's run. By turns, so that each run has some of every module; a module that
    is marked is kept whole: by "every" run, or by the "first" or "last" one."""
    marked = item.get_closest_marker("release")
    where = {"every": PART, "first": 0, "last": PARTS - 1}[marked.args[0]] if marked else index % PARTS
    return where != PART


def pytest_collection_modifyitems(config, items):
    out = [i for n, i in enumerate(items) if is_anothers(n, i) or (SANITIZE and i.get_closest_marker("not_sanitized"))]
    config.hook.pytest_deselected(items=out)
    items[:] = [i for i in items if i not in out]


def pytest_configure(config):
    config.addinivalue_line("markers", "release(where): in a short run on the first release, the last or every one, not by turns")
    config.addinivalue_line("markers", "not_sanitized: means nothing with ASan, which needs more rights or its own malloc")


def pytest_report_header():
    return f"release {RELEASE}" + (", ASan and UBSan" if SANITIZE else "")
