"""The lab's arithmetic, without a machine. What needs python3-cryptography is tested where that is installed."""

import importlib.util
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]

collect_ignore = [] if importlib.util.find_spec("cryptography") else ["test_descriptors.py"]
