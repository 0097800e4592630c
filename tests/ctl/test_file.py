"""check, plan and edit: files, with and without the daemon."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from conftest import CTL, HOUR, Done, relay

root = pytest.mark.skipif(os.geteuid() != 0, reason="nothing of ours is root's")

FINE = """instances_dir = "{instances}";
groups = (
  {{ name = "A"; allocator = "glibc"; relays = [ "guard*" ]; }},
  {{ name = "B"; allocator = "glibc-tuned"; size = 1; }}
);
"""


@pytest.fixture
def instances(tmp_path):
    folder = tmp_path / "instances"
    for name in ("guard1", "guard2", "x-y.z_1", "zz"):
        (folder / name).mkdir(parents=True)
        (folder / name / "torrc").touch()
    return folder


@pytest.fixture
def conf(tmp_path, instances):
    file = tmp_path / "relayalloc.conf"
    file.write_text(FINE.format(instances=instances))
    return file


# ---- check ----


def test_check_of_a_fine_file(no_bus, conf):
    done = no_bus("check", conf)
    assert done.status == 0 and (done.err == "" or os.geteuid() != 0)
    assert done.out.startswith(f"{conf}: fine, 2 groups, ") and done.out.endswith(" allocators\n")
    assert no_bus("check", "-q", conf).out == ""
    assert no_bus("check", f"--config={conf}").out == done.out
    assert no_bus("check", conf, "--json=short").json == []


def test_check_tells_every_problem_with_its_line(no_bus, conf):
    conf.write_text('groups = (\n  { name = "A"; allocator = "mimaloc"; relays = [ "*" ]; },\n'
                    '  { name = "A"; allocator = "glibc"; size = 1; share = 2; }\n);\nrolout = { };\n')
    done = no_bus("check", conf)
    assert done.status == 2 and done.out == ""
    lines = done.err.splitlines()
    assert f'{conf}:2: groups[0].allocator: no allocator named "mimaloc" (did you mean "mimalloc"?)' in lines
    assert any(line.startswith(f"{conf}:5: rolout: ") for line in lines), done
    assert len(lines) >= 3
    json = no_bus("check", conf, "--json=pretty")
    assert json.status == 2 and json.err == ""
    assert {"file": str(conf), "line": 2, "setting": "groups[0].allocator", "severity": "error",
            "message": 'no allocator named "mimaloc" (did you mean "mimalloc"?)'} in json.json
    assert len(json.json) == len(lines)


def test_check_of_what_is_no_file(no_bus, tmp_path):
    for path in (tmp_path / "missing.conf", tmp_path):
        done = no_bus("check", path)
        assert done.status == 2 and str(path) in done.err


def test_an_empty_name_is_no_file(no_bus):
    """As of a variable that is not set: ": No such file or directory" said nothing."""
    for arguments in (["check", ""], ["plan", ""], ["check", "--config="], ["report", "--file="]):
        done = no_bus(*arguments)
        assert done.status == 2 and "the name of the file is empty" in done.err and done.out == "", done


def test_check_warns_of_a_directory_of_instances_that_is_missing(no_bus, conf, tmp_path):
    """Its relays are not found, and with none that runs no name in the file was doubted."""
    for path in (tmp_path / "instance", conf):
        conf.write_text(FINE.format(instances=path))
        done = no_bus("check", conf)
        assert done.status == 0 and f"{conf}: instances_dir: warning: {path}: " in done.err, done
        assert "no relay that is stopped is found" in done.err


def test_check_warns_of_what_would_not_work_here(no_bus, conf):
    conf.write_text('allocators = { own = { library = "/nowhere/libx.so"; }; unused = { library = "/nowhere/y.so"; }; };\n'
                    'groups = ( { name = "A"; allocator = "own"; relays = [ "*" ]; } );\n')
    done = no_bus("check", conf)
    assert done.status == 0 and "; 1 warning" in done.out
    assert f"{conf}: allocators.own: warning: /nowhere/libx.so" in done.err and "unused" not in done.err
    (problem,) = no_bus("check", conf, "--json=short").json
    assert problem["severity"] == "warning" and problem["line"] is None and problem["setting"] == "allocators.own"


SLIPS = """allocators = {
  typo  = { environment = { GLIBC_TUNABLES = "glibc.malloc.mmap_treshold=131072"; }; };
  range = { environment = { GLIBC_TUNABLES = "glibc.malloc.arena_max=-1"; }; };
  other = { environment = { TCMALLOC_RELEASE_RATE = "1"; }; };
  fine  = { environment = { MALLOC_ARENA_MAX = "2"; GLIBC_TUNABLES = "glibc.malloc.trim_threshold=131072"; }; };
};
groups = ( { name = "A"; allocator = "typo"; relays = [ "guard1" ]; } );
"""


def test_check_and_plan_warn_of_settings_that_are_not_understood(no_bus, conf, instances, editor):
    """Those that no group uses yet, too: who has written them means them."""
    conf.write_text(f'instances_dir = "{instances}";\n' + SLIPS)
    said = [r'allocators.typo: warning: GLIBC_TUNABLES: glibc \S+ has no tunable "glibc.malloc.mmap_treshold" '
            r'\(did you mean "glibc.malloc.mmap_threshold"\?\)',
            "allocators.range: warning: GLIBC_TUNABLES: glibc.malloc.arena_max=-1 is out of range",
            "allocators.other: warning: TCMALLOC_RELEASE_RATE has no effect: it is a setting of tcmalloc, and glibc serves malloc"]
    changed = editor('echo >>"$1"')
    for done in (no_bus("check", conf), no_bus("plan", conf), no_bus("edit", "--yes", f"--config={conf}", **changed)):
        assert done.status == 0 and all(re.search(words, done.err) for words in said), done
        assert "allocators.fine" not in done.err
    assert "; 3 warnings" in no_bus("check", conf).out
    table = no_bus("allocators", f"--config={conf}", "--json=short").json
    warnings = {row["allocator"]: row["warning"] for row in table}
    assert "mmap_treshold" in warnings["typo"] and not warnings["fine"] and not warnings.get("glibc-tuned")


# An allocator by name and version only: it hands everything to that of the C library.
NEW_MIMALLOC = """#include <errno.h>
#include <stddef.h>
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);
void *malloc(size_t n) { return __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return __libc_memalign(a, n); }
void *memalign(size_t a, size_t n) { return __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) { *p = __libc_memalign(a, n); return *p ? 0 : ENOMEM; }
void free(void *p) { __libc_free(p); }
int mi_version(void) { return 301; }
"""


@root
def test_what_is_known_of_a_version_is_said_everywhere(no_bus, conf, instances, editor, tmp_path):
    """Check, plan, edit, allocators and doctor say the same; the tuned allocator of the same library is no exception."""
    library = tmp_path / "libmimalloc.so.3"
    subprocess.run(["cc", "-shared", "-fPIC", "-fno-builtin", "-x", "c", "-o", library, "-"], input=NEW_MIMALLOC, text=True, check=True)
    conf.write_text(f"""instances_dir = "{instances}";
allocators = {{ new = {{ library = "/mnt/libmimalloc.so.3"; }};
  new-tuned = {{ library = "/mnt/libmimalloc.so.3"; environment = {{ MIMALLOC_PURGE_DELAY = "0"; }}; }}; }};
groups = ( {{ name = "A"; allocator = "new"; relays = [ "guard1" ]; }}, {{ name = "B"; allocator = "new-tuned"; relays = [ "*" ]; }} );
""")
    script = f'mount -t tmpfs -o mode=0755 tmpfs /mnt && cp {library} /mnt && exec "$@"'

    def run(*arguments, stdin="", **environment):
        done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", CTL, *map(str, arguments)],
                              input=stdin, capture_output=True, text=True, timeout=60, env={**no_bus.environment, **environment})
        return Done(done.returncode, done.stdout, done.stderr)

    known = "mimalloc 3.0.1 grows without bound under tor"
    for done in (run("check", conf), run("plan", conf), run("edit", f"--config={conf}", stdin="y\n", **editor('echo >>"$1"'))):
        assert done.status == 0 and f"allocators.new: warning: {known}" in done.err and f"allocators.new-tuned: warning: {known}" in done.err, done
    assert f"new, new-tuned: {known}" in " ".join(run("allocators", f"--config={conf}").out.split())
    assert run("allocators", f"--config={conf}", "--json=short").json[-1]["warning"].startswith(known)
    doctor = " ".join(run("doctor", f"--config={conf}").out.split())
    assert f'allocator "new": {known}' in doctor and f'allocator "new-tuned": {known}' in doctor, doctor


def test_remarks_that_matter_to_no_relay_are_shown_on_request(no_bus, conf):
    """jemalloc and mimalloc 2 come without a remark, where they are installed; with -v what is known of them is told."""
    plain, verbose = no_bus("allocators", f"--config={conf}"), no_bus("allocators", "-v", f"--config={conf}")
    assert plain.status == verbose.status == 0 and "are not aligned" not in plain.out and "was measured" not in plain.out
    table = no_bus("allocators", f"--config={conf}", "--json=short").json
    versions = {row["allocator"]: row["version"] for row in table}
    assert not [row for row in table if row["version"] and row["warning"] and not row["version"].startswith("3")], table
    if versions.get("jemalloc") == "5.3.0":
        assert "jemalloc 5.3.0 was measured under tor" in " ".join(verbose.out.split())
    if versions.get("mimalloc") == "2.0.9":
        assert "256 bytes are not aligned" in " ".join(verbose.out.split())
    assert no_bus("allocators", "-x", f"--config={conf}").status == no_bus("allocators", "x", f"--config={conf}").status == 2


def test_evidence_of_the_lab(no_bus, conf):
    """Of each built-in, on request, and for programs; of what the file defines the lab knows nothing."""
    conf.write_text('allocators = { glibc-tuned = { }; mine = { }; };\n')
    table = {row["allocator"]: row for row in no_bus("allocators", "-v", f"--config={conf}", "--json=short").json}
    assert table["glibc-tuned"]["evidence"] is table["mine"]["evidence"] is None
    for name in ("jemalloc", "jemalloc-tuned", "jemalloc-decay", "mimalloc3-purge"):
        assert table[name]["evidence"].startswith(("in the lab ", "no evidence yet")), table[name]
        assert re.search(r"\((one trial|\d+ trials), \d+ relay|no evidence yet", table[name]["evidence"]), table[name]
        words = table[name]["evidence"]
        for sentence in re.split("; (?=in the lab)", words):  # a preset stands beside its stock library, and too few relays are told
            assert name == "jemalloc" or "no evidence yet" in words or f" {name.partition('-')[0]} as it is shipped" in sentence, sentence
            trials_relays = re.search(r"\d+ trials?, (\d+) relays?,|one trial, (\d+) relays?,", sentence)
            assert not trials_relays or int(trials_relays[1] or trials_relays[2]) >= 3 or re.search(": too few|is warned of|still climbs", sentence), sentence
    assert "evidence" not in no_bus("allocators", f"--config={conf}", "--json=short").json[0]
    assert no_bus("allocators", "-v", "-o", "allocator,evidence", "--no-legend", f"--config={conf}").out.count("no evidence yet") \
        == sum(str(row["evidence"]).startswith("no evidence") for row in table.values())
    text = " ".join(no_bus("allocators", "-v", f"--config={conf}").out.split())
    assert "in the lab " in text or "no evidence yet" in text
    plain = no_bus("allocators", f"--config={conf}").out
    assert "in the lab" not in plain and "no evidence" not in plain


def test_presets_that_the_lab_does_not_bear_out_are_no_offer(no_bus, conf):
    """They can be used, and who uses one sees it; -v lists all with what speaks against them."""
    conf.write_text("groups = ( );\n")
    names = lambda *more: [row["allocator"] for row in no_bus("allocators", *more, f"--config={conf}", "--json=short").json]
    evidence = {row["allocator"]: row["evidence"] for row in no_bus("allocators", "-v", f"--config={conf}", "--json=short").json}
    assert names("-v") == list(evidence)
    bad = [name for name, text in evidence.items() if "-" in name and all(", but it " in one or "no evidence" in one for one in text.split("; in the lab"))]
    assert bad and names() == [name for name in evidence if name not in bad]
    said = " ".join(no_bus("allocators", f"--config={conf}").out.split())
    assert f"{', '.join(bad)}: not listed, because trials do not bear out the settings" in said
    conf.write_text(f'groups = ( {{ name = "A"; allocator = "{bad[0]}"; relays = [ "*" ]; }} );\n')
    assert names() == [name for name in evidence if name not in bad[1:]]


def test_former_name_of_a_preset(no_bus, conf, instances):
    """It is no error and no other allocator; check says what it is called now, and lists offer the present name."""
    names = lambda: [row["allocator"] for row in no_bus("allocators", "-v", f"--config={conf}", "--json=short").json]
    assert "mimalloc3-purge" in names() and "mimalloc3-tuned" not in names()
    count = lambda: int(re.search(r"(\d+) allocators", no_bus("check", conf).out)[1])
    offered = count()
    assert offered == len(names())
    conf.write_text(conf.read_text().replace('"glibc"', '"mimalloc3-tuned"'))
    done = no_bus("check", conf)
    assert done.status == 0 and 'allocators.mimalloc3-tuned: warning: is called "mimalloc3-purge" now' in done.err, done
    assert count() == offered + 1 and {"mimalloc3-purge", "mimalloc3-tuned"} <= set(names())
    conf.write_text('allocators = { mimalloc3-tuned = { }; };\n' + conf.read_text())
    assert "is called" not in no_bus("check", conf).err


def test_check_warns_of_a_metrics_directory_that_is_not_there(no_bus, conf, tmp_path):
    conf.write_text(f'metrics = {{ textfile = "{tmp_path}/later/relayalloc.prom"; }};\n')
    done = no_bus("check", conf)
    assert done.status == 0 and "; 1 warning" in done.out
    assert done.err == (f"{conf}: metrics.textfile: warning: cannot write {tmp_path}/later/relayalloc.prom: there is no "
                        f"directory {tmp_path}/later; create it, then run \"systemctl restart relayallocd\", which restarts "
                        "no relay\n")
    (tmp_path / "later").mkdir()
    assert no_bus("check", conf).err == ""


# ---- what others than root can change ----

@root
def test_check_of_what_others_can_change(no_bus, conf):
    conf.chmod(0o646)
    words = f"can be changed by users other than root: it is writable by everybody, mode 0646 (chmod o-w {conf})"
    done = no_bus("check", conf)  # a draft: it may still get another owner and mode
    assert done.status == 0 and done.out.endswith("; 1 warning\n")
    assert done.err == f"{conf}: warning: {words}; it is refused if it is installed like this\n"
    link = conf.with_name("link.conf")
    link.symlink_to(conf)
    for arguments in ((), (conf,), (link,)):
        done = no_bus("check", f"--config={conf}", *arguments)
        assert done.status == 2 and done.out == "" and "warning" not in done.err, done
        assert "can be changed by users other than root: " in done.err and f"(chmod o-w {conf})" in done.err, done
    (problem,) = no_bus("check", f"--config={conf}", "--json=short").json
    assert problem == {"file": str(conf), "line": None, "setting": None, "severity": "error", "message": words}
    os.chown(conf, 65534, 0)
    assert f"it belongs to user \"nobody\" (chown root {conf})" in no_bus("check", conf).err


@root
def test_plan_of_what_others_can_change(no_bus, conf):
    conf.chmod(0o666)
    done = no_bus("plan", conf)
    assert done.status == 0 and f"{conf}: warning: can be changed by users other than root: " in done.err
    assert "guard1" in done.out
    done = no_bus("plan", f"--config={conf}")
    assert done.status == 2 and f"{conf}: can be changed by users other than root: " in done.err and done.out == ""


@root
def test_edit_of_what_others_can_change(no_bus, conf, editor):
    conf.chmod(0o666)
    done = no_bus("edit", f"--config={conf}", stdin="n\n", **editor(CHANGE))
    assert done.status == 2 and f"{conf}: can be changed by users other than root: it is " in done.err, done
    assert "size = 1" in conf.read_text() and "size = 2" in kept_draft(conf, done.err)
    # what the message says to type is done while the editor is open, and stays done
    done = no_bus("edit", "--yes", f"--config={conf}", **editor(f"{CHANGE}; chmod o-w,g-w {conf}"))
    assert done.status == 0 and "size = 2" in conf.read_text() and conf.stat().st_mode & 0o777 == 0o644
    included = conf.with_name("more.conf")
    included.write_text("sample = { interval = 30; };\n")
    included.chmod(0o666)
    done = no_bus("edit", "--yes", f"--config={conf}", **editor("echo '@include \"more.conf\"' >>\"$1\""))
    assert done.status == 2 and f"{included}: can be changed by users other than root: it is writable" in done.err, done


# ---- plan, and the others without the daemon ----


def test_plan_of_a_file_without_bus(no_bus, conf):
    done = no_bus("plan", conf)
    assert done.status == 0
    assert done.out.splitlines()[0].split() == ["WAVE", "RELAY", "ACTION", "GROUP", "ALLOCATOR", "REASON"]
    assert done.out.splitlines()[-1] == "3 relays to be restarted, in 3 waves"
    assert "Cannot reach systemd" in done.err
    rows = no_bus("plan", conf, "--json=short").json
    assert [row["wave"] for row in rows] == [1, 2, 3]
    assert {(row["relay"], row["group"]) for row in rows} >= {("guard1", "A"), ("guard2", "A")}
    assert all(row["action"] == "restart" for row in rows)


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input_is_a_file(no_bus, conf, tmp_path, instances, name):
    """By a pipe, by a file, and with what it includes."""
    fine = no_bus("check", name, stdin=conf.read_text())
    assert fine.status == 0 and fine.out.startswith("standard input: fine, 2 groups") and fine.err == ""
    plan = no_bus("plan", name, "--json=short", stdin=conf.read_text())
    assert plan.status == 0 and plan.json == no_bus("plan", conf, "--json=short").json and len(plan.json) == 3
    wrong = conf.read_text().replace('"glibc"', '"glibz"')
    for verb in ("check", "plan"):
        done = no_bus(verb, name, stdin=wrong)
        assert done.status == 2 and done.err.startswith('standard input:3: groups[0].allocator: no allocator named "glibz"'), done
    with open(conf) as file:
        done = subprocess.run([CTL, "check", name], stdin=file, capture_output=True, text=True, env=no_bus.environment)
    assert done.returncode == 0, done.stderr
    included = subprocess.run([CTL, "check", name], input=f'@include "{conf.name}"\n', capture_output=True, text=True,
                              env=no_bus.environment, cwd=tmp_path)
    assert included.returncode == 0 and "2 groups" in included.stdout, included.stderr
    for text, words in (("", "the file is empty"), ("#" * (2 << 20), "too large"), ("unit = \0;", "NUL")):
        done = no_bus("check", name, stdin=text)
        assert done.status == 2 and done.err.startswith("standard input: ") and words in done.err, done.err[:200]


def test_plan_of_an_invalid_file(no_bus, conf):
    conf.write_text("groups = 3;\n")
    done = no_bus("plan", conf)
    assert done.status == 2 and f"{conf}:1: groups: " in done.err and done.out == ""


def test_plan_of_the_daemon(ctl, daemon, conf):
    daemon.says([relay("a")], [(2, "b", "restart", "B", "glibc", "not restarted since"), (1, "a", "write", "A", "jemalloc", "x"),
                               (0, "c", "refused", "A", "jemalloc", "no library")])
    done = ctl("plan")
    assert done.status == 0 and done.err == ""
    assert [line.split()[:3] for line in done.out.splitlines()[1:4]] == \
        [["1", "a", "write"], ["2", "b", "restart"], ["-", "c", "refused"]]
    assert done.out.splitlines()[-1] == "1 relay to be restarted, 1 without a restart, in 2 waves; 1 refused"
    daemon.says([relay("a")], [(1, "b", "restart", "B", "glibc", "x")], PlanEnds=int(time.time() * 1e6) + HOUR // 5 + HOUR // 120)
    assert re.search(r"restarted, in 1 wave; takes about 1[12]min( \d+s)?, would end \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", ctl("plan").out)
    daemon.says([relay("a")], [(1, "b", "restart", "B", "glibc", "x")], PlanEnds=int(time.time() * 1e6) + HOUR // 5, Gate="g.service")
    assert re.search(r"would end \S+ \S+, plus the gate g\.service before each wave$", ctl("plan").out)
    # In the middle of a rollout the first waves are over.
    daemon.says([relay("a")], [(6, "b", "restart", "B", "x", "y"), (7, "c", "restart", "B", "x", "y"), (7, "d", "restart", "B", "x", "y")])
    assert ctl("plan").out.splitlines()[-1] == "3 relays to be restarted, in 2 waves"
    daemon.says([relay("a")], [(0, "c", "refused", "A", "jemalloc", "no library")] * 3)
    assert ctl("plan", "--json=short").json[2] == {"wave": None, "relay": "c", "action": "refused", "group": "A",
                                                  "allocator": "jemalloc", "reason": "no library"}
    # A file is planned by the files, not by the daemon.
    assert "guard1" in ctl("plan", conf).out and "guard1" in ctl("plan", f"--config={conf}").out


SLIPS_IN_NAMES = """instances_dir = "{instances}";
groups = (
  {{ name = "A"; allocator = "glibc"; relays = [ "gaurd1", "tor@guard2.service", "zz.service", "guard1" "x-y.z_1" ]; }},
  {{ name = "B"; allocator = "glibc"; relays = [ "*" ]; }},
  {{ name = "C"; allocator = "glibc"; relays = [ "guard1" ]; }}, {{ name = "D"; allocator = "glibc"; size = 1; }}
);
"""


def test_names_that_no_relay_has_are_told_before_anything_happens(no_bus, conf, instances, editor):
    conf.write_text(SLIPS_IN_NAMES.format(instances=instances))
    said = [f'{conf}:3: groups[0].relays[0]: warning: no relay of this host is called "gaurd1" (did you mean "guard1"?)',
            f'{conf}:3: groups[0].relays[3]: warning: no relay of this host is called "guard1x-y.z_1": a comma is missing '
            'between "guard1", "x-y.z_1"',
            f'{conf}:5: groups[2].relays[0]: warning: group B comes before and takes "guard1"',
            f'{conf}:5: groups[3]: warning: group D takes no relay: earlier groups take them all']
    changed = editor('echo >>"$1"')
    for done in (no_bus("check", conf), no_bus("plan", conf), no_bus("edit", f"--config={conf}", stdin="y\n", **changed)):
        assert done.status == 0 and [line for line in done.err.splitlines() if "groups[" in line] == said, done
    question = no_bus("edit", f"--config={conf}", stdin="y\n", **changed).err
    assert question.index(said[-1]) < question.index("[y/N]")
    assert "; 4 warnings" in no_bus("check", conf).out
    warned = no_bus("check", conf, "--json=short").json
    assert warned[0] == {"file": str(conf), "line": 3, "setting": "groups[0].relays[0]", "severity": "warning",
                         "message": 'no relay of this host is called "gaurd1" (did you mean "guard1"?)'}
    groups = {row["relay"]: row["group"] for row in no_bus("plan", conf, "--json=short").json}
    assert groups == {"guard1": "B", "guard2": "A", "x-y.z_1": "B", "zz": "A"}
    # Where nobody is, nobody is missing.
    conf.write_text(SLIPS_IN_NAMES.format(instances=instances.with_name("nowhere")))
    assert "groups[" not in no_bus("check", conf).err


def test_all_but_these(no_bus, conf, instances):
    conf.write_text(f'instances_dir = "{instances}";\ngroups = ( {{ name = "A"; allocator = "glibc"; relays = [ "*" ];\n'
                    'except = [ "tor@guard1.service", "z*", "gaurd2" ]; }, { name = "B"; allocator = "glibc"; size = 9; except = [ "zz" ]; } );\n')
    groups = {row["relay"]: row["group"] for row in no_bus("plan", conf, "--json=short").json}
    assert groups == {"guard1": "B", "guard2": "A", "x-y.z_1": "A"}
    assert f'{conf}:3: groups[0].except[2]: warning: no relay of this host is called "gaurd2" (did you mean "guard2"?)' in no_bus("check", conf).err
    conf.write_text('groups = ( { name = "A"; allocator = "glibc"; relays = [ "*" ]; except = [ ]; } );\n')
    assert "groups[0].except: is empty; leave it out" in no_bus("check", conf).err


@pytest.mark.parametrize("name, why", [
    ("guard1,guard2", "each in quotes of its own"), ("guard{1,2}", "has braces"), ("/etc/tor/instances/guard1", "not a path"),
    ("/^guard[0-9]+$/", "is a regular expression"), ("!guard1", '"except"')])
def test_a_name_that_can_never_be_a_relays_is_an_error(no_bus, conf, name, why):
    conf.write_text(f'groups = ( {{ name = "A"; allocator = "glibc"; relays = [ "x",\n "{name}" ]; }} );\n')
    for verb in ("check", "plan"):
        done = no_bus(verb, conf)
        assert done.status == 2 and done.out == "" and done.err.startswith(f"{conf}:2: groups[0].relays[1]: ") and why in done.err, done


def test_plan_of_the_daemon_and_status_tell_of_names_that_no_relay_has(ctl, daemon):
    lines = ['/etc/x.conf:3: groups[0].relays[1]: no relay of this host is called "realy1" (did you mean "relay1"?)',
             "/etc/x.conf:4: groups[1]: group B takes no relay: earlier groups take them all"]
    daemon.says([relay("relay1")], ConfigWarnings="\n".join(lines))
    assert ctl("plan").err == "\n".join(lines) + "\n"
    assert ctl("plan", "-q").err == ctl("plan", "--json=short").err == ""
    status = ctl("status")
    assert status.status == 0 and f"    Warnings: {lines[0]}\n              {lines[1]}\n" in status.out
    assert ctl("status", "--json=short").json["warnings"] == "\n".join(lines)
    daemon.says([relay("relay1")])
    assert ctl("plan").err == "" and "Warnings" not in ctl("status").out


def test_plan_groups_those_that_are_refused_for_one_reason(ctl, daemon):
    daemon.says([relay("a")], [(1, "a", "restart", "A", "x", "y"), *((0, f"r{i}", "refused", "B", "z", "it is refused") for i in range(14)),
                               (0, "s", "refused", "B", "z", "another reason")])
    lines = ctl("plan").out.splitlines()
    assert len(lines) == 6 and lines[-1].endswith("; 15 refused"), lines
    assert "14 relays refused B     z         it is refused (r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11 and 2 more)" in lines[2], lines
    assert len(ctl("plan", "--json=short").json) == 16


def test_plan_says_who_goes_back_to_glibc(ctl, daemon):
    """In a sentence of its own: a slip in a name looks like any other row."""
    home = [(i + 1, f"relay{i}", "restart", "", "", "no group takes it any more") for i in range(3)]
    others = [(9, "a", "restart", "A", "jemalloc", "x"), (9, "b", "remove", "", "", "no group takes it any more")]
    daemon.says([relay("a")], [*home, *others])
    assert ctl("plan").out.splitlines()[-1] == "3 relays go back to glibc: relay0, relay1, relay2."
    daemon.says([relay("a")], [home[0], *others])
    assert ctl("plan").out.splitlines()[-1] == "1 relay goes back to glibc: relay0."
    daemon.says([relay("a")], others)
    assert "glibc" not in ctl("plan").out
    daemon.says([relay("a")], [(1, f"r{i}", "restart", "", "", "x") for i in range(20)])
    assert ctl("plan").out.splitlines()[-1].endswith(", r11 and 8 more.")


def test_nothing_to_do(ctl, daemon):
    daemon.says([relay("a")])
    assert ctl("plan").out == "Nothing to do: no drop-in to write, no relay to restart.\n"
    assert ctl("plan", "--json=short").out == "[]\n"


@pytest.mark.skipif(os.path.exists("/etc/relayalloc.conf"), reason="this host has a configuration")
def test_a_lost_file_can_be_had_again(ctl, conf, editor):
    """Every message leads on to a step that works, and none to a file that takes all relays out of their groups."""
    missing = conf.with_name("gone.conf")
    for done in (ctl("list"), ctl("status", f"--config={missing}")):
        assert done.status == 2 and "the file is missing" in done.err and '"relayallocctl adopt"' in done.err and "edit" not in done.err, done
    done = ctl("edit", f"--config={missing}", **editor("true"))
    assert done.status == 1 and 'No such file or directory; "relayallocctl adopt" prints a file that' in done.err, done
    done = ctl("adopt")
    assert done.status == 0 and done.err == "/etc/relayalloc.conf does not exist; the defaults are in its place.\n", done
    assert "groups = (" in done.out
    done = ctl("adopt", f"--config={missing}")
    assert done.status == 2 and done.out == "", done
    conf.write_text("groups = 3;\n")
    assert '"relayallocctl edit"' in ctl("list", f"--config={conf}").err


def test_adopt_of_relays_that_cannot_be_read(ctl, conf):
    """They would stand in no group, lose our drop-ins, and be restarted, by a file of which it is said that it restarts nobody."""
    done = ctl("adopt", f"--config={conf}")
    assert done.status == 1 and "cannot reach systemd" in done.err and done.out == "", done


@pytest.mark.parametrize("which", ["ctl", "no_bus"])
def test_without_the_daemon_the_files_speak(request, which, conf):
    run = request.getfixturevalue(which)
    done = run(f"--config={conf}", "list", "--json=short")
    assert done.status == 0 and done.err == "relayallocd is not running; this is what files and systemd show.\n"
    assert [row["relay"] for row in done.json] == ["guard1", "guard2", "x-y.z_1", "zz"]
    assert done.json[0]["group"] == "A" and done.json[0]["assigned"] == "glibc"
    assert {row["state"] for row in done.json} == {None}  # nobody can be asked
    assert sorted(str(row["group"]) for row in done.json) == ["A", "A", "B", "None"]
    assert run(f"--config={conf}", "list", "-q").err == ""
    assert [row["relays"] for row in run(f"--config={conf}", "groups", "--json=short").json] == [2, 1, 1]
    assert run(f"--config={conf}", "list", "nobody").status == 4
    status = run(f"--config={conf}", "status")
    assert status.status == 1 and "○ relayallocd (not running)" in status.out and "Fleet: 4 relays" in status.out
    assert "guard1 - tor@guard1.service" in run(f"--config={conf}", "status", "guard1").out
    assert "3 relays to be restarted" in run(f"--config={conf}", "plan").out
    assert run(f"--config={conf}.no", "list").status == 2


@pytest.mark.parametrize("verb", ["pause", "resume", "abort", "verify", "revert", "reload", "top"])
def test_what_needs_the_daemon_says_so(ctl, verb):
    done = ctl.on_terminal(verb, "--yes")
    assert done.status == 1 and "relayallocd is not running" in done.out


def test_nothing_starts_the_daemon(ctl, conf, activated):
    """Not even the bus: a daemon that starts may restart relays."""
    for verb in ("list", "status", "groups", "allocators", "plan", "pause", "verify", "reload", "revert"):
        ctl(f"--config={conf}", verb)
        assert not activated.exists(), verb
    subprocess.run(["busctl", f"--address={ctl.environment['DBUS_SYSTEM_BUS_ADDRESS']}", "call", "org.relayalloc1",
                    "/org/relayalloc1", "org.relayalloc1.Manager", "Plan"], capture_output=True, timeout=60)
    assert activated.exists()  # it could have been


# ---- what is pasted and mistaken ----

ONE = 'groups = ( {{ name = "A"; allocator = {allocator}; relays = {relays}; }} );\n'


@pytest.mark.parametrize("text, words, marked", [
    ('{ "groups": [ { "name": "A" } ] }', "looks like JSON", "{"),
    ("groups:\n  - name: A\n    allocator: glibc\n", "looks like YAML", "-"),
    ("[groups]\nname = A\n", "looks like TOML or an INI file", "["),
    ("groups = ( { name = \u201cA\u201d; } );\n", "quotation mark of a word processor", "\u201cA"),
    ("groups = ( { name = 'A'; } );\n", "strings are in double quotes", "'A"),
    ('groups = ( { name = "A"; allocator = "glibc"; size = 1; }, );\n', "no comma after the last one", ");"),
    ("rollout = { parallel = 10%; };\n", "a percentage stands in quotes", "10%"),
    ("rollout = { settle = 1m; };\n", "no unit here", ";"),
    ("rollout = { parallel\u00a0= 4; };\n", "no-break space", "\u00a0="),
    ("unit = tor;\n", "a text stands in double quotes", "tor"),
    ('unit = "tor@.service"\n  instances_dir "x";\n', 'for a missing ";"', '"x"'),
])
def test_a_syntax_error_shows_the_line_and_the_place(no_bus, conf, text, words, marked):
    conf.write_text("# a comment\n" + text)
    done = no_bus("check", conf)
    assert done.status == 2 and done.out == "", done
    first, line, mark = done.err.splitlines()[:3]  # LeakSanitizer tells below what of libconfig it suppresses
    assert re.match(rf"{conf}:[23]: syntax error: ", first) and words in first, first
    assert mark.strip() == "^" and line[mark.index("^"):].startswith(marked), done
    (problem,) = no_bus("check", conf, "--json=short").json
    assert problem["line"] in (2, 3) and words in problem["message"]


@pytest.mark.parametrize("tail", ["", "\n", "\n\n\n", "\n# remark {\n\n", " # ) remark\n", "\n/* more (\n */\n", "\n  // and }"])
@pytest.mark.parametrize("text, words", [
    ('groups = (\n  { name = "A)"; allocator = "glibc"; relays = [ "*" ]; }', 'the file ends here, and the "(" of line 2 is not closed'),
    ('groups = ( { name = "A";\n  allocator = "glibc"; relays = [ "*" ]', 'the file ends here, and the "{" of line 2 is not closed'),
    ('instances_dir = "/x";\nunit =', "the file ends here, and something is missing"),
])
def test_a_file_that_ends_too_early_shows_its_last_line_with_text(no_bus, conf, text, words, tail):
    conf.write_text("# a comment\n" + text + tail)
    done = no_bus("check", conf)
    assert done.status == 2 and done.out == "", done
    first, line, mark = done.err.splitlines()[:3]
    last = text.splitlines()[1]
    assert first == f"{conf}:3: syntax error: {words}" and line.startswith("    " + last), done
    assert mark == " " * (4 + len(last)) + "^", done


@pytest.mark.parametrize("allocator, meant", [
    ("libjemalloc.so.2", "jemalloc"), ("/usr/lib/x86_64-linux-gnu/libmimalloc.so.2", "mimalloc"), ("libmimalloc.so.3", "mimalloc3"),
    ("mimalloc-2.0.9", "mimalloc"), ("Mimalloc", "mimalloc"), ("/opt/libtcmalloc_minimal.so.4", "tcmalloc"), ("jemaloc", "jemalloc")])
def test_an_allocator_named_by_its_library(no_bus, conf, allocator, meant):
    conf.write_text(ONE.format(allocator=f'"{allocator}"', relays='[ "*" ]'))
    done = no_bus("check", conf)
    assert done.status == 2 and f'no allocator named "{allocator}" (did you mean "{meant}"?)' in done.err, done


@pytest.mark.parametrize("text, words", [
    ('groups = { name = "A"; allocator = "glibc"; size = 1; };\n', "must be a list of groups"),
    ('group = ( );\n', 'did you mean "groups"?'),
    (ONE.format(allocator='"glibc"', relays='"*"'), 'must be a list: write [ "*" ]'),
    ('rollout = { window = "2:00-6:00"; };\n', 'such as "02:00-06:00"')])
def test_a_slip_in_a_setting_is_told_with_what_to_write(no_bus, conf, text, words):
    conf.write_text(text)
    done = no_bus("check", conf)
    assert done.status == 2 and words in done.err, done


@pytest.mark.parametrize("library, words", [
    ("libtcmalloc_minimal.so", "is not installed"), ("/usr/lib64/libmimalloc.so.2.0", "does not exist"),
    ("libjemalloc.so.1", "is not installed"), ("/usr/lib/other-linux-gnu/libjemalloc.so.2", "does not exist")])
def test_a_library_of_another_system_is_told(no_bus, conf, library, words):
    conf.write_text(f'allocators = {{ own = {{ library = "{library}"; }}; }};\n' + ONE.format(allocator='"own"', relays='[ "*" ]'))
    for verb in ("check", "plan"):
        done = no_bus(verb, conf)
        assert done.status == 0 and f"allocators.own: warning: {library} {words}" in done.err, done


@pytest.mark.parametrize("text", [
    'groups = ( { name = "A"; allocator = "glibc"; relays = [ "*" ], } );\n',
    'rollout = { settle = 60.0; parallel = 4L; };\n', 'rollout = { window = "22:00-02:00"; };\n'])
def test_what_looks_odd_and_is_fine(no_bus, conf, text):
    conf.write_text(text)
    assert no_bus("check", conf).status == 0


# ---- edit ----


@pytest.fixture
def editor(tmp_path):
    """An editor that runs a line of shell on the file $1."""

    def make(line):
        script = tmp_path / "editor"
        script.write_text(f"#!/bin/sh\n{line}\n")
        script.chmod(0o755)
        return {"SYSTEMD_EDITOR": str(script), "EDITOR": "false", "TMPDIR": str(tmp_path / "tmp")}

    (tmp_path / "tmp").mkdir()
    return make


def leftovers(conf):
    return [p.name for p in conf.parent.glob(".*")] + [p.name for p in (conf.parent / "tmp").iterdir()]


def kept_draft(conf, said):
    """The text of the draft that was kept, whose path was said; nothing else is left."""
    (draft,) = (conf.parent / "tmp").rglob("relayalloc.conf")
    assert f"nothing was changed; your draft is kept in {draft}\n" in said and len(leftovers(conf)) == 1, said
    return draft.read_text()


CHANGE = 'sed -i "s/size = 1/size = 2/" "$1"'


def test_edit_shows_the_plan_and_saves(no_bus, conf, editor):
    conf.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(conf, 0, 54321)
    before = conf.stat()
    done = no_bus("edit", f"--config={conf}", stdin="y\n", **editor(CHANGE))
    assert done.status == 0, done
    assert "4 relays to be restarted" in done.out and "[y/N]" in done.err and f"{conf}: saved" in done.out
    assert "size = 2" in conf.read_text()
    after = conf.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino and leftovers(conf) == []


def test_a_draw_that_comes_out_otherwise_is_told_and_can_be_declined(no_bus, conf, instances, editor, tmp_path):
    """The group has two relays by its drop-ins; the draw would give it two others. check, plan and edit (before its
    question) say so with the way to decline it; with that, the group keeps whom it has."""
    names = ["guard1", "guard2", "x-y.z_1", "zz"]

    def text(hold=""):
        return (f'instances_dir = "{instances}";\ngroups = (\n  {{ name = "S"; allocator = "glibc-tuned"; size = 2; {hold}}},\n'
                '  { name = "rest"; allocator = "glibc"; relays = [ "*" ]; }\n);\n')

    def members(file, **environment):
        return {row["relay"] for row in no_bus("plan", file, "--json=short", **environment).json if row["group"] == "S"}

    conf.write_text(text())
    drawn = members(conf)
    settled = sorted(set(names) - drawn)
    assert len(drawn) == 2
    for name in settled:
        dropin = tmp_path / "units" / f"tor@{name}.service.d" / "zz-relayalloc.conf"
        dropin.parent.mkdir(parents=True)
        dropin.write_text("# relayalloc: written from /etc/relayalloc.conf, group S, allocator glibc-tuned; changes made here are "
                          "lost\n[Service]\nEnvironment=\"LD_PRELOAD=\"\n")
    here = {"RELAYALLOC_DROPIN_ROOT": str(tmp_path / "units")}
    told = (f'{conf}:3: groups[0].size: warning: group S gives up 2 relays that it has ({", ".join(settled)}), because relays came or '
            'went or the file has changed; with "hold = true" it keeps what it may have')
    for verb in ("check", "plan"):
        done = no_bus(verb, conf, **here)
        assert done.status == 0 and told in done.err.splitlines(), done
    edited = no_bus("edit", f"--config={conf}", stdin="n\nn\n", **here, **editor('sed -i "s/^groups/# as before\\n&/" "$1"'))
    assert told.replace(":3:", ":4:") in edited.err and edited.err.index("gives up") < edited.err.index("[y/N]"), edited
    conf.write_text(text("hold = true; "))
    for verb in ("check", "plan"):
        done = no_bus(verb, conf, **here)
        assert done.status == 0 and "gives up" not in done.err, done
    assert members(conf, **here) == set(settled)


def test_edit_names_the_window(no_bus, conf, editor):
    hour = time.localtime().tm_hour
    window = f"{(hour + 6) % 24:02}:00-{(hour + 8) % 24:02}:00"
    done = no_bus("edit", f"--config={conf}", stdin="y\n",
                  **editor(CHANGE + f"; echo 'rollout = {{ window = \"{window}\"; }};' >>\"$1\""))
    assert done.status == 0, done
    assert re.search(rf'Relays are waiting for the window {window}, which opens in 5h( \d+min)?; "relayallocctl reload --now" '
                     "does not wait.", done.out)


@pytest.mark.parametrize("answer", ["n\n", "", "\n", "maybe\n"])
def test_edit_asks(no_bus, conf, editor, answer):
    done = no_bus("edit", f"--config={conf}", stdin=answer, **editor(CHANGE))
    assert done.status == 1 and "size = 1" in conf.read_text() and "size = 2" in kept_draft(conf, done.err)


@pytest.mark.parametrize("keys", [["n\n", "\n", "y\n"], ["\n", "y\n", "y\n"]])
def test_edit_goes_on_where_it_was_left(no_bus, conf, editor, keys):
    """No at the plan, Enter at "Edit it again?": the editor has the draft as it was."""
    line = f'grep -q "size = 2" "$1" && sed -i "s/size = 2/size = 3/" "$1"; {CHANGE}'
    done = no_bus.on_terminal("edit", f"--config={conf}", keys=keys, **editor(line))
    assert done.status == 0 and done.out.count("Edit it again? [Y/n]") == 1 and "size = 3" in conf.read_text(), done
    assert leftovers(conf) == []


def test_edit_again_is_declined(no_bus, conf, editor):
    done = no_bus.on_terminal("edit", f"--config={conf}", keys=["n\n", "n\n"], columns=200, **editor(CHANGE))
    assert done.status == 1 and "size = 1" in conf.read_text() and "size = 2" in kept_draft(conf, done.out)


def test_edit_with_yes_asks_nothing(no_bus, conf, editor):
    done = no_bus("edit", "--yes", f"--config={conf}", **editor(CHANGE))
    assert done.status == 0 and "[y/N]" not in done.err and "size = 2" in conf.read_text()


def test_edit_of_nothing(no_bus, conf, editor):
    inode = conf.stat().st_ino
    for line in ("true", 'touch "$1"', 'cp "$1" "$1.x"; mv "$1.x" "$1"'):
        done = no_bus("edit", "--yes", f"--config={conf}", **editor(line))
        assert done.status == 0 and "unchanged" in done.out and conf.stat().st_ino == inode and leftovers(conf) == []


def test_edit_that_breaks_the_file(no_bus, conf, editor):
    text = conf.read_text()
    done = no_bus("edit", f"--config={conf}", stdin="y\n", **editor('echo "nonsense = ;" >>"$1"'))
    assert done.status == 2 and f"{conf}:6: " in done.err
    assert str(conf.parent / ".relayalloc") not in done.err
    assert conf.read_text() == text and "nonsense = ;" in kept_draft(conf, done.err)


def test_edit_with_yes_does_not_ask_for_another_try(no_bus, conf, editor):
    done = no_bus.on_terminal("edit", "--yes", f"--config={conf}", timeout=10, **editor('echo "nonsense = ;" >>"$1"'))
    assert done.status == 2 and "again" not in done.out and "nothing was changed" in done.out


def test_edit_again_after_a_slip(no_bus, conf, editor):
    typo = f'if [ -e {conf}.once ]; then sed -i "/nonsense/d; s/size = 1/size = 2/" "$1"; else touch {conf}.once; echo "nonsense = ;" >>"$1"; fi'
    done = no_bus.on_terminal("edit", f"--config={conf}", keys=["y\n", "y\n"], **editor(typo))
    assert done.status == 0 and "Edit it again?" in done.out and "size = 2" in conf.read_text(), done


@pytest.mark.parametrize("line", ["exit 1", "kill -9 $$", 'echo x >>"$1"; kill -TERM $$', "exit 130"])
def test_edit_with_an_editor_that_fails_or_is_killed(no_bus, conf, editor, line):
    text = conf.read_text()
    done = no_bus("edit", "--yes", f"--config={conf}", **editor(line))
    assert done.status == 1 and "failed or was killed" in done.err and "nothing was changed" in done.err
    assert conf.read_text() == text
    if "echo" in line:
        assert kept_draft(conf, done.err) == text + "x\n"
    else:
        assert leftovers(conf) == []


def test_edit_again_after_the_editor_failed(no_bus, conf, editor):
    once = f'{CHANGE}; [ -e {conf}.once ] || {{ touch {conf}.once; exit 1; }}'
    done = no_bus.on_terminal("edit", f"--config={conf}", keys=["\n", "y\n"], **editor(once))
    assert done.status == 0 and "Edit it again? [Y/n]" in done.out and "size = 2" in conf.read_text(), done


def test_edit_without_an_editor(no_bus, conf, editor):
    environment = {**editor("true"), "SYSTEMD_EDITOR": "/no/such/editor --flag"}
    done = no_bus("edit", f"--config={conf}", **environment)
    assert done.status == 1 and "was not found" in done.err and leftovers(conf) == []


def test_the_editor_may_have_options_and_the_copy_is_private(no_bus, conf, editor, tmp_path):
    environment = editor(f'[ "$1" = --wait ] && stat -c "%a %n" "$2" "$(dirname "$2")" >{tmp_path}/seen')
    environment["SYSTEMD_EDITOR"] += " --wait"
    assert no_bus("edit", f"--config={conf}", **environment).status == 0
    copy, folder = (tmp_path / "seen").read_text().splitlines()
    assert copy.startswith("600 ") and copy.endswith("/relayalloc.conf") and folder.startswith("700 ")


def test_edit_refuses_when_somebody_else_was_faster(no_bus, conf, editor):
    line = f'{CHANGE}; echo "# theirs" >>{conf}'
    done = no_bus("edit", "--yes", f"--config={conf}", **editor(line))
    assert done.status == 1 and "changed on disk while you were editing" in done.err
    assert conf.read_text().endswith("# theirs\n") and "size = 1" in conf.read_text()
    (kept,) = (conf.parent / "tmp").rglob("relayalloc.conf")
    assert "size = 2" in kept.read_text() and str(kept) in done.err
    assert [p.name for p in conf.parent.glob(".*")] == []


def test_edit_of_a_link_and_of_includes(no_bus, conf, editor, tmp_path):
    (tmp_path / "more.conf").write_text('sample = { interval = 30; };\n')
    conf.write_text(conf.read_text() + '@include "more.conf"\n')
    link = tmp_path / "elsewhere" / "link.conf"
    link.parent.mkdir()
    link.symlink_to(conf)
    done = no_bus("edit", "--yes", f"--config={link}", **editor(CHANGE))
    assert done.status == 0, done
    assert link.is_symlink() and "size = 2" in conf.read_text()


def test_edit_of_what_is_not_there_or_no_file(no_bus, conf, editor, tmp_path):
    for path in (tmp_path / "missing.conf", tmp_path):
        done = no_bus("edit", f"--config={path}", **editor(CHANGE))
        assert done.status == 1 and str(path) in done.err


def test_a_signal_at_the_question_leaves_nothing_behind(no_bus, conf, editor):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        leader, follower = pty.openpty()
        process = subprocess.Popen([CTL, "edit", f"--config={conf}"], stdin=follower, stdout=follower, stderr=follower,
                                   env={**no_bus.environment, **editor(CHANGE)})
        os.close(follower)
        out = b""
        while b"[y/N]" not in out:
            out += os.read(leader, 4096)
        assert [p.name for p in conf.parent.glob(".relayalloc*")] != []
        process.send_signal(number)
        assert process.wait(timeout=20) == -number
        if select.select([leader], [], [], 5)[0]:
            out += os.read(leader, 4096)
        (draft,) = (conf.parent / "tmp").rglob("relayalloc.conf")
        assert f"your draft is kept in {draft}".encode() in out and "size = 2" in draft.read_text()
        shutil.rmtree(draft.parent)
        os.close(leader)
        assert [p.name for p in conf.parent.glob(".relayalloc*")] == [] and "size = 1" in conf.read_text()
