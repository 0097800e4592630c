"""A virtual machine over the disk that ./image makes: a kernel of its own, for what a container cannot show."""

import base64
import pathlib
import shutil
import socket
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
BOOT = 600  # seconds; nearly all of it is emulated, on machines that do other things besides
COMMAND = 300


class Vm:
    """Writes only to a copy of the disk, in `folder`. kill() is a power cut: what was not written is lost."""

    def __init__(self, image, folder):
        self.image, self.folder = image, folder
        self.disk = folder / "disk.img"
        subprocess.run(["cp", "--sparse=always", image / "disk.img", self.disk], check=True)
        self.qemu = None

    def boot(self):
        port = self.folder / "port"
        port.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(port))
        listener.listen()
        listener.settimeout(60)
        with open(self.folder / "qemu.log", "a") as log:
            self.qemu = subprocess.Popen(
                ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1536", "-nodefaults",
                 "-display", "none", "-no-reboot", "-kernel", self.image / "vmlinuz", "-initrd", self.image / "initrd",
                 "-append", "root=/dev/vda rw console=ttyS0 quiet", "-drive", f"file={self.disk},if=virtio,format=raw",
                 "-serial", f"file:{self.folder / 'console.log'}", "-serial", f"unix:{port}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.connection, _ = listener.accept()
        except TimeoutError:
            raise AssertionError(f"qemu did not start:\n{self.log()}") from None
        finally:
            listener.close()
        assert self.read_line(BOOT).endswith("ready"), self.log()
        self.sh("systemctl is-system-running --wait || systemctl --failed | grep -q ^0", BOOT)

    def kill(self):
        if self.qemu and self.qemu.poll() is None:
            self.qemu.kill()
            self.qemu.wait()
            self.connection.close()

    def log(self):
        return "".join(f"--- {name} ---\n{(self.folder / name).read_text(errors='replace')[-4000:]}"
                       for name in ("qemu.log", "console.log") if (self.folder / name).exists())

    def read_line(self, timeout):
        self.connection.settimeout(timeout)
        data = b""
        try:
            while not data.endswith(b"\n"):
                more = self.connection.recv(65536)
                assert more, f"the virtual machine ended:\n{self.log()}"
                data += more
        except TimeoutError:
            raise AssertionError(f"no answer in {timeout} s:\n{self.log()}") from None
        return data.decode().strip()

    def run(self, command, timeout=COMMAND):
        """Exit status and output of a shell command."""
        self.connection.sendall(base64.b64encode(command.encode()) + b"\n")
        status, output = (self.read_line(timeout) + " ").split(" ", 1)
        return int(status), base64.b64decode(output).decode().rstrip("\n")

    def sh(self, command, timeout=COMMAND):
        status, output = self.run(command, timeout)
        assert status == 0, f"{command}: exit status {status}\n{output}\n{self.run('journalctl -b -u relayallocd | tail -n 40')[1]}"
        return output

    def write(self, path, text):
        self.sh(f"mkdir -p {pathlib.Path(path).parent} && base64 -d >{path} <<<{base64.b64encode(text.encode()).decode()}")

    def wait_said(self, text, boot=True, timeout=BOOT):
        """Until relayallocd's journal, of this boot or of all, has a line with `text`; returns the line."""
        deadline = time.monotonic() + timeout
        while True:
            status, line = self.run(f"journalctl {'-b ' if boot else ''}-o cat -u relayallocd | grep -m1 -F -- '{text}'")
            if status == 0:
                return line
            assert time.monotonic() < deadline, (
                f"relayallocd did not say {text!r}:\n" + self.run("journalctl -o cat -u relayallocd")[1])
            time.sleep(0.2)

    def close(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
