"""Runs of ansible-playbook: the role as it lies in packaging/ansible."""

import json
import os
import pathlib
import re
import subprocess

from conftest import REPO

ANSIBLE = REPO / "packaging/ansible"


class Run:
    """{host: {"ok": 3, "changed": 0, …}} in recap, and all that was said."""

    def __init__(self, done):
        self.status, self.text = done.returncode, done.stdout + done.stderr
        self.recap = {host: {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", rest)}
                      for host, rest in re.findall(r"^(\S+)\s+: (ok=.*)$", self.text, re.M)}

    def changed(self):
        return {host: counts["changed"] for host, counts in self.recap.items()}


def playbook(folder, *arguments, variables=None, ssh_config=None, path=None):
    """folder: for what Ansible keeps, and the variables of this run."""
    folder = pathlib.Path(folder)
    (folder / "variables.json").write_text(json.dumps(variables or {}))
    environment = {
        "PATH": f"{path}:{os.environ['PATH']}" if path else os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8",
        "ANSIBLE_ROLES_PATH": f"{ANSIBLE}/roles:{folder}/roles", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_SSH_ARGS": f"-F {ssh_config} -o ControlMaster=auto -o ControlPersist=20s" if ssh_config else "",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"), "ANSIBLE_PIPELINING": "1", "ANSIBLE_TIMEOUT": "120",
        "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
    }
    done = subprocess.run(["ansible-playbook", "-e", f"@{folder}/variables.json", *map(str, arguments)], env=environment,
                          cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900)
    return Run(done)
