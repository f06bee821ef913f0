#!/usr/bin/env python3
"""Test builds of the daemon: with one layer of the sandbox left out `vmctl
audit' finds just that; with none left out no process gets anywhere with what
it must not do, and with the system call filter left out the other layers
still hold."""
import contextlib
import ctypes
import errno
import json
import os
import re
import select
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time

# The one interface is of a network that nobody else sees.
if len(sys.argv) < 2 or sys.argv[1] != "inside":
    os.execvp("unshare", ["unshare", "-n", sys.executable, __file__, "inside",
                          *sys.argv[1:]])
sys.argv.pop(1)
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import vmdtest  # noqa: E402
from vmdtest import Daemon, Tap, descendants, wait_gone  # noqa: E402

BUILD = vmdtest.BUILD
LONG = bool(os.environ.get("CHECK_LONG"))
MARK = b"layers out:\0"
LAYERS = ["caps", "fds", "filter", "ids", "landlock", "memory", "nnp",
          "nodump", "ns", "pidns", "root", "slot", "tree", "userns"]
HOLD = b"hostile-hold"
VM = """
vm "%(name)s" {
	disable
	memory 64M
	boot "%(build)s/guest/tick.elf"
	disk "%(dir)s/%(name)s.img"%(more)s
}
"""
GUESTS = ["one", "two"]
# Started when they are wanted: one is held while its disk is opened by the
# one who owns it, the other while its header is read.
HELD = ["opener", "image"]
VMS = ["vm/one", "vm/two"]
# One has an interface as well.
MINE = ["vm/one/vioblk0", "vm/one/vioscsi", "vm/one/vionet0"]
DEVICES = MINE + ["vm/two/vioblk0", "vm/two/vioscsi"]
# Layers without which there are no taps: the interface is one of user mode.
NO_TAP = {"caps", "ids", "root"}
BELOW = ["control", "priv", "vmm"]
LOW = VMS + DEVICES

# Left out: {process: checks that have to fall short}.  Others may as well:
# what needs no_new_privs, say.
MISSED = {
    "caps": {n: ["capabilities"] for n in BELOW + LOW + ["image"]},
    "fds": {n: ["descriptors"] for n in BELOW + LOW + HELD},
    "filter": {n: ["filter"] for n in ["parent"] + BELOW + LOW + HELD},
    "ids": {n: ["ids"] for n in ["control", "priv", "image"] + LOW},
    "landlock": {n: ["landlock"] for n in BELOW + LOW + ["image"]},
    "memory": {n: ["guest memory"] for n in BELOW + LOW + HELD},
    "nnp": {n: ["no_new_privs"] for n in BELOW + LOW + HELD},
    "nodump": {n: ["dumpable"] for n in ["vmm"] + LOW},
    "ns": {n: ["namespaces"] for n in ["vmm"] + LOW},
    "pidns": {n: ["namespaces"] for n in ["control", "priv"] + LOW},
    "root": {n: ["root"] for n in BELOW + LOW + ["image"]},
    "slot": {n: ["ids"] for n in LOW},
    "userns": dict({n: ["namespaces"] for n in LOW},
                   vmm=["ids", "namespaces"]),
}
# These are nobody's business but of the layer that was left out.
ALONE = ["fds", "landlock", "memory", "nodump", "slot"]

# As in hostile.c.
ATTEMPTS = ["open", "file", "secret", "proc", "steal", "code", "uring",
            "socket", "ptrace", "exec", "fork", "signal", "memory", "mount",
            "root", "bpf", "ring-open", "ring-connect", "ring-read",
            "ring-register", "go"]
RING = ["ring-open", "ring-connect", "ring-read", "ring-register"]
COMMON = ATTEMPTS[:ATTEMPTS.index("bpf") + 1]
# That is what they are for: vmm changes ids and makes the rings of devices,
# the opener opens what its user may open, the parent does most of it.
MAY = {
    "vmm": ["root", "uring"],
    "opener": ["open", "file"],
    "parent": [a for a in COMMON
               if a not in ("steal", "ptrace", "memory", "bpf")],
}
# Without the filter: what the other layers have to hold.
KEPT = ["open", "file", "secret", "proc", "steal", "ptrace", "exec", "signal",
        "memory", "mount", "root", "bpf"]
# /dev/null and /dev/kvm.
PUBLIC = [os.makedev(1, 3), os.makedev(10, 232)]
LIBC = ctypes.CDLL(None, use_errno=True)
TRY = signal.SIGRTMAX - 1
# passt wants to see a way out.
UPLINK = ("ip link set lo up && ip link add up0 type veth peer name up1 && "
          "ip link set up0 up && ip link set up1 up && "
          "ip addr add 192.0.2.2/24 dev up0 && "
          "ip route add default via 192.0.2.1")
tap = Tap()


# --- daemons -----------------------------------------------------------------

@contextlib.contextmanager
def build(layers):
    """The programs with `layers' (a list) left out, in a directory."""
    mask = sum(1 << LAYERS.index(name) for name in layers)
    with tempfile.TemporaryDirectory(prefix="vmdhostile.") as path:
        os.chmod(path, 0o755)
        for name in "vmd", "vmd-guest":
            with open("%s/hostile/%s" % (BUILD, name), "rb") as f:
                data = f.read()
            assert data.count(MARK) == 1, name
            at = data.index(MARK) + len(MARK)
            with open(path + "/" + name, "wb") as f:
                f.write(data[:at] + struct.pack("=I", mask) + data[at + 4:])
                os.fchmod(f.fileno(), 0o755)
        shutil.copy(BUILD + "/vmctl", path)
        yield path


def make_files(path):
    for name in GUESTS + HELD:
        with open("%s/%s.img" % (path, name), "wb") as f:
            # Read by the opener, then by image.
            f.write(HOLD * 2 if name in HELD else b"")
            f.truncate(1 << 20)
            if name in HELD:
                os.fchown(f.fileno(), 65534, 65534)
    for name in GUESTS:
        with open("%s/%s.iso" % (path, name), "wb") as f:
            f.truncate(1 << 20)


def configure(vmd, layers):
    interface = "interface user" if NO_TAP & set(layers) else "interface"
    cdrom = '\n\tcdrom "%s/%s.iso"'
    # It is not one, but that is for image to find out.
    qcow2 = " format qcow2\n\towner nobody"
    vmd.write_conf("".join(VM % {
        "name": name, "build": BUILD, "dir": vmd.dir,
        "more": (qcow2 if name in HELD else cdrom % (vmd.dir, name)) +
                ("\n\t" + interface if name == "one" else ""),
    } for name in GUESTS + HELD))


@contextlib.contextmanager
def start(*layers):
    """A daemon of that build, with two guests; killed at the end, as guests
    that do not react take their time to stop."""
    with build(layers) as path:
        vmdtest.BUILD = path
        try:
            vmd = Daemon("")
        finally:
            vmdtest.BUILD = BUILD
        with vmd:
            try:
                make_files(vmd.dir)
                configure(vmd, layers)
                vmd.vmctl("reload")
                vmd.probed()
                for name in GUESTS:
                    vmd.vmctl("start", name)
                yield vmd
            finally:
                tree = descendants(vmd.proc.pid)
                vmd.proc.kill()
                wait_gone(tree)


def the_last(vmd, name):
    """One of these stays; others, which have done their work, are ending."""
    while len(pids := vmd.pids()[name]) > 1:
        fds = []
        with contextlib.suppress(ProcessLookupError):
            for pid in pids:
                fds.append(os.pidfd_open(pid))
        done = len(fds) < len(pids) or select.select(fds, [], [], 30)[0]
        for fd in fds:
            os.close(fd)
        assert done, pids
    return pids[0]


@contextlib.contextmanager
def holding(vmd):
    """One opener and one image process are kept at work."""
    clients = []
    try:
        for name in reversed(HELD):
            clients.append(subprocess.Popen(
                [BUILD + "/vmctl", "-s", vmd.sock, "start", name],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL))
            vmd.log.expect("opener: held")
            if name == "image":
                attempt(vmd, the_last(vmd, "opener"), "go", 0)
                vmd.log.expect("image: held")
        yield
    finally:
        for p in clients:
            p.kill()
            p.wait()


def audit(vmd, status):
    out = vmd.vmctl("audit", "-j", timeout=90, status=status)
    return [json.loads(line) for line in out.splitlines()
            if line.startswith("{")], out


def up(vmd):
    """{name: pid} once all have reported."""
    vmd.vmctl("status")
    return {o["name"]: o["pid"] for o in audit(vmd, None)[0]}


# --- attempts ----------------------------------------------------------------

def attempt(vmd, pid, what, target, survives=True):
    """Have it try; the line of the log."""
    value = ATTEMPTS.index(what) | survives << 6 | target << 7
    if LIBC.sigqueue(pid, TRY, ctypes.c_void_p(value)) != 0:
        raise OSError(ctypes.get_errno(), "sigqueue")
    m = vmd.log.expect(r"([\w/]+): (attempt %s: .*|denied: .*)\n" % what)
    return m.group(1), m.group(2)


def refused(what, words):
    if what in RING and "errno" in words:
        return words.endswith("errno %d" % errno.EACCES)
    return ": denied" in words or "errno" in words


def try_all(vmd, names, attempts, target):
    """All attempts of all these processes; each survives."""
    pids = up(vmd)
    for what in attempts:
        for name in names:
            if what in RING and "/vio" not in name:
                continue
            if what in MAY.get(name, []):
                continue
            who, words = attempt(vmd, pids[name], what, target)
            assert who == name, (name, what, who, words)
            assert refused(what, words), (name, what, words)


@contextlib.contextmanager
def target_of(vmd):
    """A process of the other guest, and a file that everybody may open."""
    pid = up(vmd)["vm/two"]
    path = "/tmp/vmd-hostile.%d" % pid
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    os.fchmod(fd, 0o666)
    os.close(fd)
    try:
        yield pid
    finally:
        os.unlink(path)


def ends(vmd, name):
    """Without mercy it ends of what it tried, and that is named."""
    pid = up(vmd)[name]
    who, words = attempt(vmd, pid, "ptrace", 1, survives=False)
    assert who == name, (name, who, words)
    assert re.match(r"denied: system call 101 \(ptrace\)", words), words
    wait_gone([pid] if name != "parent" else [])


# --- what other guests have ----------------------------------------------------

def things(pid):
    """What a process has that only its guest should have: files, memory,
    sockets, eventfds, each by a number of its own."""
    found = set()
    for fd in os.listdir("/proc/%d/fd" % pid):
        path = "/proc/%d/fd/%s" % (pid, fd)
        link, st = os.readlink(path), os.stat(path)
        if stat.S_ISCHR(st.st_mode) and st.st_rdev in PUBLIC:
            continue
        with open("/proc/%d/fdinfo/%s" % (pid, fd)) as f:
            m = re.search(r"(eventfd-id|tty-index):\s*\d+", f.read())
        if m:
            found.add(m[0])
        elif not link.startswith("anon_inode:"):
            found.add((link, st.st_dev, st.st_ino))
    with open("/proc/%d/maps" % pid) as f:
        found |= {m[0] for m in re.finditer(
            r"\S+ \d+ +/memfd:.*", f.read())}
    return found


@tap.test
def nothing_shared():
    """processes of two guests have nothing in common; all pass the audit"""
    with start() as vmd, holding(vmd):
        pids = {o["name"]: o["pid"] for o in audit(vmd, 0)[0]}
        assert set(HELD) <= set(pids), pids
        mine, other = ({name: things(pid) for name, pid in pids.items()
                        if name.startswith(vm)} for vm in VMS)
        for name, found in mine.items():
            assert len(found) >= 4, (name, found)
            for neighbour, theirs in other.items():
                assert not found & theirs, (name, neighbour, found & theirs)
        # Memory and eventfds of one guest are seen to be so.
        assert mine["vm/one"] & mine["vm/one/vioblk0"], mine


# --- without a layer -----------------------------------------------------------

def misses(layer):
    """The audit of a build without a layer says so, and where."""
    with start(layer) as vmd, holding(vmd):
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
    test.__name__ = layer
    test.__doc__ = "without %s the audit falls short, where it should" % layer
    tap.test(test)


for missing in MISSED:
    add_miss(missing)


# --- attempts of all -------------------------------------------------------------

@tap.test
def all_try():
    """each attempt of each kind of process is denied"""
    with start() as vmd, holding(vmd), target_of(vmd) as target:
        try_all(vmd, ["parent"] + BELOW + ["vm/one"] + MINE + HELD, COMMON,
                target)
        audit(vmd, 0)


# On its own: of one process no more than 20 lines a second are let through.
@tap.test
def ring_tries():
    """the ring of a device gets it nothing that its calls do not"""
    with start() as vmd:
        try_all(vmd, MINE, RING, 1)


@tap.test
def all_end():
    """who tries ends of it, is named, and nobody above or beside it ends"""
    with start() as vmd:
        before = up(vmd)
        for name in MINE:
            ends(vmd, name)
            vmd.log.expect(name + ": started again")
        ends(vmd, "vm/one")
        vmd.vmctl("wait", "one", status=None)
        with holding(vmd):
            for name in HELD:
                ends(vmd, name)
        for name in "control", "priv":
            ends(vmd, name)
            end = time.monotonic() + 30
            while up(vmd).get(name, 0) in (0, before[name]):
                assert time.monotonic() < end, name
        after = up(vmd)
        for name, pid in before.items():
            if name in ("parent", "vmm") or name.startswith("vm/two"):
                assert after[name] == pid, (name, before, after)
        ends(vmd, "vmm")
        ends(vmd, "parent")
        assert vmd.proc.wait(30) == 31


@tap.test
def without_filter():
    """without the filter nobody whom a guest can enter gets at anything"""
    with start("filter") as vmd, holding(vmd), target_of(vmd) as target:
        try_all(vmd, ["vm/one", *MINE, "image"], KEPT + RING, target)


def files_kept(*layers):
    with start(*layers) as vmd, target_of(vmd) as target:
        try_all(vmd, ["vm/one", *MINE], ["open", "file", "proc"], target)


@tap.test
def only_landlock():
    """without filter and empty root: Landlock keeps them from files"""
    files_kept("filter", "root")


@tap.test
def only_root():
    """without filter and Landlock: the empty root keeps them from files"""
    files_kept("filter", "landlock")


@tap.test
def nothing_left():
    """without all three nothing keeps them from files: this can fail"""
    with start("filter", "landlock", "root") as vmd:
        pids = up(vmd)
        for name in "vm/one", *MINE:
            _, words = attempt(vmd, pids[name], "open", pids["vm/two"])
            assert "succeeded" in words, (name, words)


@tap.test
def unknown_process():
    """a process that the daemon does not know is found"""
    with start("tree") as vmd:
        # This one gives it 3 s to end or be known, that of other builds 40.
        p = subprocess.run(
            [(BUILD if LONG else BUILD + "/hostile") + "/vmctl", "-s",
             vmd.sock, "audit"], stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
            check=False)
    assert p.returncode == 1, p
    assert "does not know it" in p.stdout, p


subprocess.run(UPLINK, shell=True, check=True)
if len(sys.argv) > 1:       # by name, one of them
    tap.tests = [t for t in tap.tests if t.__name__ in sys.argv[1:]]
sys.exit(1 if tap.run() else 0)
