"""The folders of daemon/ include each other in one direction only, and tests/lint-layers sees where one does not."""

import shutil
import subprocess

import pytest

from conftest import REPO

LINT = REPO / "tests/lint-layers"


def lint(*arguments):
    return subprocess.run([LINT, *arguments], capture_output=True, text=True)


@pytest.fixture
def tree(tmp_path):
    return shutil.copytree(REPO / "daemon", tmp_path / "daemon")


def add(tree, path, text):
    """Appends to a file, and returns the number of the first line that is new."""
    file = tree / path
    old = file.read_text() if file.exists() else ""
    file.parent.mkdir(exist_ok=True)
    file.write_text(old + text + "\n")
    return old.count("\n") + 1


def test_the_tree():
    result = lint()
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


@pytest.mark.parametrize("path, text, what", [
    ("core/util.c", '#include "io/process.h"', "core must not include io/process.h"),
    ("core/util.h", '#include "report/stats.h"', "core must not include report/stats.h"),
    ("report/csv.c", '#include "doctor/doctor.h"', "report must not include doctor/doctor.h"),
    ("doctor/doctor.c", '#include "report/stats.h"', "doctor must not include report/stats.h"),
    ("io/process.c", '#include "doctor/doctor.h"', "io must not include doctor/doctor.h"),
    ("io/process.c", '#include "io/library.h"', "a module of io must not include io/library.h"),
    ("io/process.c", '#include "io/journal-private.h"', "io/journal-private.h is for io/journal-*.c alone"),
    ("ctl/show.c", '#include "io/journal-private.h"', "io/journal-private.h is for io/journal-*.c alone"),
    ("manager/setup.c", '#include "bus/api.h"', "manager must not include bus/api.h"),
    ("manager/setup.c", '#include "ctl/lib/ctl.h"', "manager must not include ctl/lib/ctl.h"),
    ("bus/log.c", '#include "ctl/lib/ctl.h"', "bus must not include ctl/lib/ctl.h"),
    ("ctl/show.c", '#include "manager/manager.h"', "ctl must not include manager/manager.h"),
    ("ctl/show.c", '#include "bus/private.h"', "ctl must not include bus/private.h"),
    ("bus/api.h", '#include "manager/manager.h"', "bus/api.h is a contract: it may include core, not manager/manager.h"),
    ("relayallocctl.c", '#include "manager/manager.h"', "relayallocctl.c must not include manager/manager.h"),
    ("core/util.c", '#include "util.h"', '"util.h" is no header in daemon/; write its path from there'),
    ("misc/extra.c", "/* nothing */", "misc has no place among the layers"),
    # past the includes
    ("core/util.c", "int ctl_history(int argc, char *argv[], const CtlOptions *options);",
     "ctl_history is declared here and defined in ctl"),
    ("manager/setup.c", "extern const sd_bus_vtable bus_log_vtable[];",
     "bus_log_vtable is declared here and defined in bus"),
])
def test_an_offence(tree, path, text, what):
    line = add(tree, path, text)
    result = lint(tree)
    assert f"daemon/{path}:{line}: {what}\n" in result.stdout
    assert result.returncode == 1


def test_a_type_has_one_meaning(tree):
    line = add(tree, "report/csv.c", "typedef struct Config {\n    int x;\n} Config;")
    assert f"daemon/report/csv.c:{line}: Config is the name of another type, too, in core/config.h:" in lint(tree).stdout


def test_circles(tree):
    add(tree, "core/util.h", '#include "core/relay.h"')
    add(tree, "core/util.c", '#include "io/process.h"')
    result = lint(tree)
    assert "closes a circle of headers: core/util.h -> core/relay.h -> core/util.h\n" in result.stdout
    assert "closes a circle of folders: core -> io -> core\n" in result.stdout
    assert result.returncode == 1


def test_what_is_below_may_be_included(tree):
    add(tree, "bus/log.c", '#include "core/config.h"\n#include "io/process.h"\n#include "manager/manager.h"')
    add(tree, "io/process.c", '#include "io/subprocess.h"\n#include "report/csv.h"')
    add(tree, "io/journal-walk.c", '#include "io/journal.h"')
    add(tree, "ctl/show.c", '/* #include "manager/manager.h" */\n#include "bus/api.h"\n#include "doctor/doctor.h"')
    result = lint(tree)
    assert (result.stdout, result.returncode) == ("", 0)
