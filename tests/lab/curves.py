"""The curves of a kept trial: RUN.svg from RUN.curve.csv, by gnuplot. Live bytes are an area; what of them nobody has
touched takes no memory, so that a line may dip into it where there are peaks."""

import csv
import re
import subprocess

COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f")
DASHES = ("1", "(10,4)", "(3,3)", "(12,3,3,3)", "(1,4)")
LIVE = "live bytes"
FEWEST_PIXELS, A_NAME = 520, 16  # of height


def script(path, columns):
    """gnuplot's commands; columns: those of the table."""
    plots = []
    if LIVE in columns:
        plots.append(f"'{path}' using 1:{columns.index(LIVE) + 1} with filledcurves y1=0 lc rgb '#dddddd' title '{LIVE}'")
    lines = [name for name in columns[1:] if name != LIVE]
    for i, name in enumerate(lines):
        plots.append(f"'{path}' using 1:{columns.index(name) + 1} with lines lw 1.6 lc rgb '{COLOURS[i % len(COLOURS)]}' "
                     f"dt {DASHES[i // len(COLOURS) % len(DASHES)]} title '{name}'")
    return "\n".join((
        f"set terminal svg size 900,{max(FEWEST_PIXELS, A_NAME * len(columns) + 60)} font 'sans-serif,12' background '#ffffff' noenhanced", "set datafile separator ','",
        "set key outside right top maxcols 1",
        "set xlabel 'minutes of load'", "set ylabel 'anonymous memory of a relay, MiB'", "set yrange [0:*]", "set grid ytics lc rgb '#e5e5e5'",
        "plot " + ", \\\n  ".join(plots), ""))


def draw(path):
    with path.open() as file:
        columns = next(csv.reader(file))
    done = subprocess.run(["gnuplot"], input=script(path, columns), check=True, capture_output=True, text=True)
    path.with_name(re.sub(r"\.curve\.csv$", ".svg", path.name)).write_text(done.stdout)
