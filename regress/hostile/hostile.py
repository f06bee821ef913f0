#!/usr/bin/env python3
"""Test builds of the daemon: with one layer of the sandbox left out `vmctl
audit' finds just that; with none left out no process gets anywhere with what
it must not do, and with the system call filter left out the other layers
still hold."""
import contextlib
import ctypes
import json
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import vmdtest  # noqa: E402
from vmdtest import Daemon, Tap, descendants, wait_gone  # noqa: E402

BUILD = vmdtest.BUILD
CONF = "".join("""
vm "%s" {
	disable
	memory 64M
	boot "%s/guest/tick.elf"
}
""" % (name, BUILD) for name in ("one", "two"))
VMS = ["vm/one", "vm/two"]
BELOW = ["control", "priv", "vmm"]

# Left out: {process: checks that have to fall short}.  Others may as well:
# what needs no_new_privs, say.
MISSED = {
    "caps": {"control": ["capabilities"], "priv": ["capabilities"],
             "vmm": ["capabilities"], "vm/one": ["capabilities"]},
    "fds": {n: ["descriptors"] for n in BELOW},
    "filter": {n: ["filter"] for n in ["parent"] + BELOW + VMS},
    "ids": {n: ["ids"] for n in ["control", "priv"] + VMS},
    "landlock": {n: ["landlock"] for n in BELOW + VMS},
    "memory": {n: ["guest memory"] for n in BELOW},
    "nnp": {n: ["no_new_privs"] for n in BELOW + VMS},
    "nodump": {n: ["dumpable"] for n in ["vmm"] + VMS},
    "ns": {n: ["namespaces"] for n in ["vmm"] + VMS},
    "pidns": {n: ["namespaces"] for n in ["control", "priv"] + VMS},
    "root": {n: ["root"] for n in BELOW + VMS},
    "slot": {n: ["ids"] for n in VMS},
    "userns": {"vmm": ["ids", "namespaces"], "vm/one": ["namespaces"]},
}
# These are nobody's business but of the layer that was left out.
ALONE = ["fds", "landlock", "memory", "nodump", "slot"]

ATTEMPTS = ["open", "file", "socket", "ptrace", "exec", "fork", "signal",
            "memory", "mount", "root", "bpf"]
# vmm may fork and change ids: that is what it is for.  Nothing is to be seen
# of the host or of a guest even so.
MAY = {"vmm": ["fork", "root"]}
# Without the filter: what the other layers have to hold.
HELD = ["open", "file", "ptrace", "exec", "signal", "memory", "mount", "root",
        "bpf"]
LIBC = ctypes.CDLL(None, use_errno=True)
TRY = signal.SIGRTMAX - 1
tap = Tap()


@contextlib.contextmanager
def start(layers):
    """A daemon of that build, with two guests; killed at the end, as guests
    that do not react take their time to stop."""
    vmdtest.BUILD = "%s/hostile/%s" % (BUILD, layers)
    try:
        vmd = Daemon(CONF)
    finally:
        vmdtest.BUILD = BUILD
    with vmd:
        try:
            vmd.probed()
            for name in "one", "two":
                vmd.vmctl("start", name)
            yield vmd
        finally:
            tree = descendants(vmd.proc.pid)
            vmd.proc.kill()
            wait_gone(tree)


def audit(vmd, status):
    out = vmd.vmctl("audit", "-j", timeout=90, status=status)
    return [json.loads(line) for line in out.splitlines()
            if line.startswith("{")], out


def attempt(vmd, pid, what, target):
    """Have it try; the line of the log."""
    value = ATTEMPTS.index(what) | target << 5
    if LIBC.sigqueue(pid, TRY, ctypes.c_void_p(value)) != 0:
        raise OSError(ctypes.get_errno(), "sigqueue")
    m = vmd.log.expect(r"([\w/]+): (attempt %s: .*|denied: .*)\n" % what)
    return m.group(1), m.group(2)


def refused(words):
    return words.startswith("denied: system call") or "errno" in words


def misses(layer):
    """The audit of a build without a layer says so, and where."""
    with start(layer) as vmd:
        procs, out = audit(vmd, 1)
    short = {o["name"]: [c["check"] for c in o["checks"] if not c["ok"]]
             for o in procs}
    for name, checks in MISSED[layer].items():
        for check in checks:
            assert check in short[name], (name, check, out)
    if layer in ALONE:
        wanted = {c for checks in MISSED[layer].values() for c in checks}
        for name, checks in short.items():
            assert set(checks) <= wanted | {"descriptors"}, (name, out)


def add_miss(layer):
    def test():
        misses(layer)
    test.__doc__ = "without %s the audit falls short, where it should" % layer
    tap.test(test)


@tap.test
def nothing_missing():
    """a test build with all layers passes the audit"""
    with start("none") as vmd:
        audit(vmd, 0)


for missing in MISSED:
    add_miss(missing)


def try_all(vmd, name, attempts, may):
    """One after the other; a process that dies of one is found again."""
    for what in attempts:
        pids = {o["name"]: o["pid"] for o in audit(vmd, None)[0]}
        who, words = attempt(vmd, pids[name], what, pids["vm/two"])
        assert who == name, (name, what, who, words)
        if what in may:
            continue
        assert refused(words), (name, what, words)
        if not words.startswith("denied"):
            continue
        assert re.search(r"\(\w+\)", words), words
        if name.startswith("vm/"):
            vmd.vmctl("wait", name[3:], status=None)
            vmd.vmctl("start", name[3:])


def with_target(layers, fn):
    """Run `fn' with a daemon and a file that everybody may open."""
    with start(layers) as vmd:
        pids = {o["name"]: o["pid"] for o in audit(vmd, None)[0]}
        path = "/tmp/vmd-hostile.%d" % pids["vm/two"]
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        os.fchmod(fd, 0o666)
        os.close(fd)
        try:
            fn(vmd, pids)
        finally:
            os.unlink(path)


@tap.test
def guest_tries():
    """a guest's process: each attempt is denied and named, it alone ends"""
    def run(vmd, pids):
        try_all(vmd, "vm/one", ATTEMPTS, [])
        assert vmd.info("two")["state"] == "running"
        assert vmd.info("two")["pid"] == pids["vm/two"]
    with_target("none", run)


def add_try(name):
    def test():
        for what in ATTEMPTS:
            def run(vmd, pids, what=what):
                try_all(vmd, name, [what], MAY.get(name, []))
            with_target("none", run)
    test.__doc__ = "%s: each attempt is denied" % name
    tap.test(test)


for role in BELOW:
    add_try(role)


@tap.test
def parent_tries():
    """parent: may open files, but not look into others or load programs"""
    for what in "ptrace", "memory", "bpf":
        with start("none") as vmd:
            pids = {o["name"]: o["pid"] for o in audit(vmd, 0)[0]}
            who, words = attempt(vmd, pids["parent"], what, pids["vm/two"])
            assert who == "parent" and words.startswith("denied"), words
            assert vmd.proc.wait(30) == 31


def other_layers(layers, attempts):
    def run(vmd, pids):
        for what in attempts:
            who, words = attempt(vmd, pids["vm/one"], what, pids["vm/two"])
            assert who == "vm/one" and "errno" in words, (what, words)
    with_target(layers, run)


@tap.test
def without_filter():
    """without the filter a guest's process gets at nothing even so"""
    other_layers("filter", HELD)


@tap.test
def only_landlock():
    """without filter and empty root: Landlock keeps it from files"""
    other_layers("filter-root", ["open", "file"])


@tap.test
def only_root():
    """without filter and Landlock: the empty root keeps it from files"""
    other_layers("filter-landlock", ["open", "file"])


@tap.test
def nothing_left():
    """without all three nothing keeps it from files: these tests can fail"""
    with start("filter-landlock-root") as vmd:
        pids = {o["name"]: o["pid"] for o in audit(vmd, 1)[0]}
        _, words = attempt(vmd, pids["vm/one"], "open", pids["vm/two"])
        assert "succeeded" in words, words


def unknown_process():
    """a process that the daemon does not know is found"""
    with start("tree") as vmd:
        _, out = audit(vmd, 1)
        assert "does not know it" in out, out


if os.environ.get("CHECK_LONG"):    # it is given 40 s to end or be known
    tap.test(unknown_process)

tap.run()
