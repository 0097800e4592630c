"""The machine's network is a namespace with nothing but a loopback device. This process, and what it starts from then on,
enters it and can reach nothing else."""

import ctypes
import os
import pathlib

CLONE_NEWNET = 0x40000000
# tor shall hold what it has to send, not the kernel.
SMALL_BUFFERS = {"tcp_wmem": "4096 16384 65536"}


def enter_network_of(leader):
    """Before any thread is started: it holds for the calling one."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/proc/{leader}/ns/net", "rb") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    for name, value in SMALL_BUFFERS.items():
        pathlib.Path(f"/proc/sys/net/ipv4/{name}").write_text(value)
