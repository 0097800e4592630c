"""BUILD is the folder with the disk that ./image has made, in vm/."""

import os
import pathlib
import tempfile

import pytest

from vm import Vm

IMAGE = pathlib.Path(os.environ["BUILD"]).resolve() / "vm"


@pytest.fixture
def vm():
    machine = Vm(IMAGE, pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=IMAGE)))
    try:
        machine.boot()
        yield machine
    finally:
        machine.close()
