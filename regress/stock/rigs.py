#!/usr/bin/env python3
"""The stock tests, in the rig.  TAP.

The rig's processors are emulated, and hang now and then, all at once.  So a
test that fails is tried in the next rig, with those that could not run, and
its line says so; what fails in TRIES of them is ours.

usage: rigs.py [TEST ...]	all of them, or those functions
"""
import collections
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
from vmdtest import TOP, _die_with_us   # noqa: E402

TRIES = 3
RIGS = 8
LONG = os.environ.get("CHECK_LONG", "")
RIG = [TOP + "/regress/rig/rig", "-m", "8192", "-t", "1800" if LONG else "600"]


class Rig:
    """What one says of the tests that it is to run; all if there are none."""

    def __init__(self, tests):
        self.names = tests
        self.results = {}
        self.status = None

    def run(self):
        command = "CHECK_LONG=%s exec regress/stock/stock.py %s" % (
            LONG, " ".join(self.names))
        with subprocess.Popen(RIG + [command], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True,
                              errors="replace", cwd=TOP,
                              preexec_fn=_die_with_us) as p:
            for line in p.stdout:
                self.line(line.rstrip("\n"))
        self.status = p.returncode

    def line(self, line):
        """Keep what is a result, show it as a comment: each is counted once,
        when all is done."""
        if line.startswith("# tests: "):
            self.names = line.split()[2:]
        m = re.match(r"(ok|not ok) (\d+) - (.*)", line)
        if m and int(m[2]) <= len(self.names):
            self.results[self.names[int(m[2]) - 1]] = m[1], m[3]
        print(line if line.startswith("#") else "# " + line, flush=True)

    def left(self):
        return [t for t in self.names
                if self.results.get(t, ("not ok",))[0] != "ok"]

    def failed(self):
        """Those that said so, and who was at it when it ended."""
        unheard = [t for t in self.names if t not in self.results]
        return [t for t in self.left() if t in self.results] + unheard[:1]


def main():
    results, names, left = {}, [], sys.argv[1:]
    failures = collections.Counter()
    for n in range(1, RIGS + 1):
        rig = Rig(left)
        rig.run()
        names = names or rig.names
        for t, (word, title) in rig.results.items():
            title, *skip = title.split(" # ", 1)
            if n > 1:
                title += " (in rig %d)" % n
            results[t] = word, " # ".join([title] + skip)
        left = rig.left()
        failures.update(rig.failed() or ["the rig"] * (rig.status != 0))
        if rig.status == 0 and not left:
            break
        print("# rig %d: status %d, left: %s" % (
            n, rig.status, " ".join(left)), flush=True)
        if max(failures.values()) >= TRIES:
            break
        left = left or names
    print("1..%d" % max(len(names), 1))
    for n, t in enumerate(names, 1):
        word, title = results.get(t, ("not ok", t + ": did not run"))
        print("%s %d - %s" % (word, n, title))
    sys.exit(rig.status)


main()
