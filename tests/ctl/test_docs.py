"""--help, the manual, the completions and the code say the same: all verbs, options, columns and settings."""

import re
import subprocess

import pytest

from conftest import BUILD, REPO

MAN = REPO / "docs/man"
COMPLETIONS = ["bash", "zsh"]


def source(*patterns):
    return "".join(path.read_text() for pattern in patterns for path in sorted((REPO / "daemon").glob(pattern)))


def manual(name):
    return (MAN / f"{name}.scd").read_text()


def completion(shell):
    return (REPO / "units/completion" / shell).read_text()


@pytest.fixture(scope="module")
def helped():
    return subprocess.run([BUILD / "relayallocctl", "--help"], capture_output=True, text=True, check=True,
                          env={"LANG": "C.UTF-8"}).stdout


def verbs_of(helped):
    found = re.findall(r"^  ([a-z]+) ", helped, re.M)
    assert len(found) > 15
    return found


def words(text):
    return set(re.findall(r"[A-Za-z0-9][A-Za-z0-9/_-]*[A-Za-z0-9]|[A-Z]", text))


# ---- verbs ----

def test_verbs(helped):
    verbs = verbs_of(helped)
    assert sorted(re.findall(r"^\*([a-z]+)\*(?: |$)", section(manual("relayallocctl.1"), "VERBS"), re.M)) == sorted(verbs)
    bash = re.search(r'verbs="(.*?)"', completion("bash"), re.S)[1].split()
    assert sorted(bash) == sorted(verbs)
    zsh = re.findall(r"^ +'([a-z]+):", re.search(r"verbs=\((.*?)\n    \)", completion("zsh"), re.S)[1], re.M)
    assert sorted(zsh) == sorted(verbs)


def section(text, name):
    return re.search(rf"^# {name}\n(.*?)(?=^# |\Z)", text, re.S | re.M)[1]


# ---- options ----

def long_options(text):
    return set(re.findall(r'\{[\s\\]*"([a-z-]+)", *(?:no|required|optional)_argument', text))


def test_global_options(helped):
    """Those of relayallocctl.c: in --help, in the manual's list, in both completions; and none besides."""
    options = long_options(source("relayallocctl.c"))
    assert len(options) > 8
    assert set(re.findall(r"--([a-z-]+)", helped.split("\nOptions:\n")[1])) - {"wait,"} >= options
    assert set(re.findall(r"^ +(?:-\w )? *--([a-z-]+)", helped, re.M)) == options
    assert set(re.findall(r"\*--([a-z-]+)=?\*", section(manual("relayallocctl.1"), "OPTIONS"))) == options
    bash = re.search(r'options="(.*?)"', completion("bash"), re.S)[1]
    assert set(re.findall(r"--([a-z-]+)", bash)) == options
    zsh = re.search(r"global=\((.*?)\n    \)", completion("zsh"), re.S)[1]
    assert set(re.findall(r"--([a-z-]+)=?[\[}]", zsh)) == options
    short = set(re.findall(r"^ +-(\w) ", helped, re.M))
    assert short == set(re.findall(r"^\*-(\w)\*", section(manual("relayallocctl.1"), "OPTIONS"), re.M))
    assert short == set(re.findall(r"(?<![\w-])-(\w)\b", bash)) == set(re.findall(r"\{-(\w)", zsh))


def test_options_of_verbs():
    """Every long option that any verb knows is in the manual and in both completions, and they offer no other."""
    options = long_options(source("ctl/**/*.[ch]"))
    assert {"since", "root", "follow"} <= options
    everywhere = options | long_options(source("relayallocctl.c"))
    assert set(re.findall(r"--([a-z-]+)", manual("relayallocctl.1"))) == everywhere
    for shell in COMPLETIONS:
        # what belongs to other programs
        text = re.sub(r"machinectl list.*?2>", "", completion(shell))
        assert set(re.findall(r"--([a-z-]+)", text)) == everywhere, shell


# ---- columns ----

def columns():
    """By the file that has them."""
    found = {}
    for path in sorted((REPO / "daemon").glob("ctl/*.c")):
        names = re.findall(r'\{ "([A-Z/]+)", COLUMN_', path.read_text())
        if names:
            found[path.name] = names
    assert {"show.c", "history.c", "events.c"} <= set(found)
    return found


@pytest.mark.parametrize("shell", COMPLETIONS)
def test_columns_are_completed(shell):
    lines = [set(re.findall(r"[a-z/]+", line)) for line in re.split(r"\n(?= {4,8}[\[a-z])", completion(shell))]
    asked_for = re.findall(r'\{ "([A-Z/]+)", COLUMN_', re.search(r"list_columns\[\] = \{(.*?)\n\};", source("ctl/show.c"), re.S)[1])
    assert "relayallocctl list -o help" in completion(shell) and "NRESTARTS" in asked_for
    for file, names in columns().items():
        for name in names:
            assert name in asked_for or any(name.lower() in line for line in lines if len(line) > 2), (file, name)


def test_columns_are_in_the_manual():
    known = words(manual("relayallocctl.1"))
    for file, names in columns().items():
        assert set(names) <= known, (file, set(names) - known)


# ---- settings ----

def settings():
    found = re.findall(r'X\("([^"]+)", read_', source("core/config-read.c"))
    assert len(found) > 20
    return found


def test_settings_are_in_the_manual():
    documented = re.findall(r"^\*([a-z_.A-Z\[\]]+)\* =", manual("relayalloc.conf.5"), re.M)
    assert documented == settings()


def test_settings_are_in_the_default_file():
    text = (REPO / "conf/relayalloc.conf").read_text()
    for setting in settings():
        assert setting.rsplit(".", 1)[-1] in words(text), setting


def test_allocators_are_in_the_manual():
    names = re.findall(r'\{ \.name = "([a-z0-9-]+)"', source("core/config.c"))
    assert len(names) == 11
    table = re.search(r"```\nglibc .*?```", manual("relayalloc.conf.5"), re.S)[0]
    assert re.findall(r"^([a-z0-9-]+) ", table, re.M) == names
    for value in re.findall(r'\{ "([A-Z_]+)", "([^"]+)" \}', source("core/config.c")):
        assert "=".join(value) in table


# ---- the rest ----

def test_journal_fields_are_in_the_manual():
    fields = set(re.findall(r'"(RELAYALLOC_[A-Z_]+)"', source("io/eventlog.c")))
    assert "RELAYALLOC_RSS" in fields
    assert fields <= words(manual("relayallocd.8")), fields - words(manual("relayallocd.8"))


def test_daemon_options_are_in_its_manual():
    assert long_options(source("relayallocd.c")) <= set(re.findall(r"--([a-z-]+)", manual("relayallocd.8")))


def test_states_are_in_the_manual_and_in_the_guide():
    states = re.findall(r'\[RELAY_[A-Z]+\] = "([a-z]+)"', source("core/state.c"))
    guide = re.search(r"^## What a state means.*?(?=^### )", (REPO / "docs/operators.md").read_text(), re.S | re.M)[0]
    assert len(states) == 10
    for state in states:
        assert f"*{state}*" in manual("relayallocctl.1"), state
        assert re.search(rf"^\|[^|]*`{state}`[^|]*\|", guide, re.M), state
    fine = {name.lower() for name in re.findall(r"RELAY_([A-Z]+)", re.search(r"bool relay_state_fine\(.*?\n\}", source("core/state.c"),
                                                                               re.S)[0])}
    assert {"ok", "stopped"} < fine < set(states)
    for text in guide, manual("relayallocctl.1"):
        told = re.search(r"any\s+state\s+other\s+than\s+(.*?)\.", text, re.S)[1]
        assert set(re.findall(r"\w+", told)) - {"and"} == fine


def test_exit_statuses(helped):
    statuses = re.findall(r"^\*(\d)\*$", section(manual("relayallocctl.1"), "EXIT STATUS"), re.M)
    assert statuses == re.findall(r"= (\d),", re.search(r"enum ExitStatus \{(.*?)\}", source("ctl/lib/ctl.h"), re.S)[1])


@pytest.mark.parametrize("page", ["relayallocctl.1", "relayallocd.8", "relayalloc.conf.5"])
def test_manual_pages_are_made(page):
    """scdoc refuses what it does not understand; every page that is referred to within the project exists."""
    done = subprocess.run(["scdoc"], stdin=(MAN / f"{page}.scd").open(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('.\\" Generated by scdoc')
    for name, number in re.findall(r"\*(relayalloc[a-z.]*)\*\((\d)\)", manual(page)):
        assert (MAN / f"{name}.{number}.scd").exists()


def test_pages_that_units_name_exist():
    for path in (REPO / "units").iterdir():
        if path.is_file():
            for name, number in re.findall(r"man:(relayalloc[a-z.]*)\((\d)\)", path.read_text()):
                assert (MAN / f"{name}.{number}.scd").exists(), path


# ---- the code map ----

def test_code_map_is_of_this_tree():
    """docs/design.md names every folder of the sources, and no file or folder that is not there."""
    text = section((REPO / "docs/design.md").read_text().replace("## ", "# "), "The code map")
    folders = set(re.findall(r"^\| `daemon/([a-z/]+)/` \|", text, re.M))
    assert folders == {path.name for path in (REPO / "daemon").iterdir() if path.is_dir()}
    names = re.findall(r"`((?:core|io|bus|ctl|manager|units|docs|conf)/[\w./\[\]-]+|relayalloc\w*[.-]\w+(?:\.c)?)`", text)
    assert len(names) > 15
    for name in names:
        pattern = name.replace("[ch]", "h")
        root = REPO if name.split("/")[0] in ("units", "docs", "conf") else REPO / "daemon"
        assert (root / pattern).exists(), name


def test_code_map_names_every_file(helped):
    """Every module of every folder, and none that is not there; in ctl/ those that are not named after a verb."""
    text = section((REPO / "docs/design.md").read_text().replace("## ", "# "), "The code map")
    verbs = {*verbs_of(helped), "self"}
    for path in sorted((REPO / "daemon").rglob("*")):
        if not path.is_dir():
            continue
        folder = path.relative_to(REPO / "daemon")
        listed = re.search(rf"^- `daemon/{folder}/`\. (.*?)(?=^- `daemon|\n\n)", text, re.M | re.S)
        assert listed, folder
        named = set(re.findall(r"`([a-z0-9-]+)`", listed[1]))
        there = {re.sub(r"-private$", "", f.stem) for f in path.glob("*.[ch]")} - {"private"}
        assert named <= there, named - there
        assert all(folder.name == "ctl" and re.sub("-.*", "", name) in verbs for name in there - named), there - named


def test_diagram_of_the_rollout():
    """docs/design.md names every step of a relay in a rollout, and no other."""
    steps = set(re.findall(r"STEP_([A-Z_]+)", re.search(r"typedef enum Step \{(.*?)_STEP_MAX", source("core/rollout.h"), re.S)[1]))
    text = section((REPO / "docs/design.md").read_text().replace("## ", "# "), "The rollout")
    shown = text.split("\n- ")[0]
    assert set(re.findall(r"\b[A-Z]{2,}(?:_[A-Z]+)*\b", shown)) == steps


def test_what_happens_before_each_screen_has_its_heading():
    """tests/demo/screens prepares by the headings of docs/screens.md: one that is renamed would not be prepared for."""
    script = (REPO / "tests/demo/screens").read_text().split("class Day:")[1]
    steps = set(re.findall(r"^    def (\w+)\(self\)", script, re.M)) - {"rests"}
    headings = {re.sub(r"\W+", "_", h.split(":")[-1].lower()).strip("_")
                for h in re.findall(r"^## (.*)$", (REPO / "docs/screens.md").read_text(), re.M)}
    assert len(steps) > 6 and steps <= headings, steps - headings
