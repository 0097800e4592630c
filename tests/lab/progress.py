"""What a trial says while it runs: on a terminal one line that is written anew, else a line only where something begins."""

import time

WIDTH = 100


def clock(seconds):
    seconds = max(0, round(seconds))
    return f"{seconds // 60}:{seconds % 60:02}"


class Progress:
    def __init__(self, out):
        self.out = out
        self.terminal = out.isatty()
        self._said = 0.0

    def line(self, text):
        self._end_part()
        print(text, file=self.out, flush=True)

    def part(self, text):
        """How far something is; soon replaced by the next."""
        if self.terminal:
            print("\r" + text[:WIDTH].ljust(WIDTH), end="", file=self.out, flush=True)
        elif time.monotonic() - self._said > 30:
            print(text, file=self.out, flush=True)
        else:
            return
        self._said = time.monotonic()

    def time_left(self, passed, of, what):
        self.part(f"{clock(passed)} of {clock(of)}, {clock(of - passed)} left: {what}")

    def _end_part(self):
        if self.terminal and self._said:
            print("\r" + " " * WIDTH + "\r", end="", file=self.out)
