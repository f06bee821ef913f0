#!/usr/bin/env python3
"""Images that no guest can start with: the one who starts it is told which
disk, which file and why, in one line, and nothing of the VM is there."""
import fcntl
import os
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
from vmdtest import (BUILD, Daemon, Tap, check_same,    # noqa: E402
                     snapshot)

MB = 1 << 20
NOBODY = 65534
F_OFD_SETLK = 37
TICK = BUILD + "/guest/tick.elf"
VM = """vm "%s" {
	disable
	memory 64M
	boot "%s"
	%s
	%s
}
"""

tap = Tap()
if not os.access("/dev/kvm", os.W_OK) or os.geteuid() != 0:
    tap.skip_all("needs root and /dev/kvm")


def raw(path, mode=0o600, owner=0):
    with open(path, "wb") as f:
        f.truncate(MB)
    os.chmod(path, mode)
    os.chown(path, owner, owner)


def qcow2(path, below=None, fmt="qcow2", owner=0, unsafe=False):
    cmd = ["qemu-img", "create", "-q", "-f", "qcow2"]
    if below:
        cmd += ["-b", below, "-F", fmt] + (["-u"] if unsafe else [])
    subprocess.run(cmd + [path, "1M"], check=True)
    os.chown(path, owner, owner)


def poke(path, off, data):
    with open(path, "r+b") as f:
        f.seek(off)
        f.write(data)


def lock(f):
    """Exclusively and as a whole, as vmd does."""
    fcntl.fcntl(f, F_OFD_SETLK,
                struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))


def rename(path, new, top):
    """What is at `path' is another from now on."""
    if os.path.isdir(path):
        os.rmdir(path)
    elif os.path.exists(path):
        os.unlink(path)
    if new:
        new(path)
    assert os.path.dirname(path) == top


class Cases:
    """VMs, each with a second disk that is wrong, and what is said of it."""

    def __init__(self, top):
        self.top = top
        self.conf = ""
        self.cases = []     # name, path, cause
        raw(top + "/good.raw")
        raw(top + "/good.own", owner=NOBODY)

    def add(self, name, path, cause, disk="", owner="", later=None):
        """`disk' is what follows the path in vm.conf; `later' makes what is
        bad of what was well when the configuration was read."""
        line = self.conf.count("\n") + 1
        good = "good.own" if owner else "good.raw"
        self.conf += VM % (name, TICK, 'disk "%s/%s"\n\tdisk "%s" %s' % (
            self.top, good, path, disk), owner)
        self.cases.append((name, path, "%s (%s/vm.conf:%d)" % (
            cause, self.top, line), later))


def cases(top):
    c = Cases(top)

    def at(name):
        return top + "/" + name

    def gone(name, make=None):
        return lambda: rename(at(name), make, top)

    raw(at("gone"))
    c.add("gone", at("gone"), "No such file or directory", later=gone("gone"))
    raw(at("dir"))
    c.add("dir", at("dir"), "Is a directory", later=gone("dir", os.mkdir))
    raw(at("fifo"))
    c.add("fifo", at("fifo"), "not a regular file or block device",
          later=gone("fifo", os.mkfifo))
    raw(at("empty"))
    c.add("empty", at("empty"), "is empty",
          later=lambda: os.truncate(at("empty"), 0))
    # In a directory of his the owner of the VM opens it, root does not.
    os.mkdir(at("home"))
    os.chown(at("home"), NOBODY, NOBODY)
    raw(at("home/secret"))
    c.add("secret", at("home/secret"), "Permission denied",
          owner="owner nobody")
    raw(at("home/readable"), 0o644)
    c.add("readable", at("home/readable"), "Permission denied",
          owner="owner nobody")
    raw(at("wrong"))
    c.add("wrong", at("wrong"), "not a qcow2 image", "format qcow2")
    qcow2(at("version"))
    poke(at("version"), 4, struct.pack(">I", 9))
    c.add("version", at("version"), "version 9 is not supported")
    qcow2(at("corrupt"))
    poke(at("corrupt"), 72, struct.pack(">Q", 2))
    c.add("corrupt", at("corrupt"), "the image is marked corrupt")
    qcow2(at("tables"))
    poke(at("tables"), 40, struct.pack(">Q", 1 << 40))
    c.add("tables", at("tables"),
          "the L1 table at 0x10000000000 is beyond the end of the file")
    qcow2(at("short"))
    c.add("short", at("short"),
          "the L1 table at 0x30000 is beyond the end of the file",
          "format qcow2", later=lambda: os.truncate(at("short"), 600))
    raw(at("base.secret"), 0o600)
    qcow2(at("top.secret"), at("base.secret"), "raw", NOBODY)
    c.add("basesecret", at("top.secret"),
          "backing file %s: Permission denied" % at("base.secret"),
          owner="owner nobody")
    raw(at("base.gone"))
    qcow2(at("top.gone"), "base.gone", "raw")
    c.add("basegone", at("top.gone"),
          "backing file %s: No such file or directory" % at("base.gone"),
          later=gone("base.gone"))
    raw(at("base.wrong"))
    qcow2(at("top.wrong"), "base.wrong", "qcow2", unsafe=True)
    c.add("basewrong", at("top.wrong"),
          "backing file %s: not a qcow2 image" % at("base.wrong"))
    qcow2(at("a.cycle"), "b.cycle", unsafe=True)
    qcow2(at("b.cycle"), "a.cycle", unsafe=True)
    c.add("cycle", at("a.cycle"),
          "backing file %s: is above itself in the chain" % at("a.cycle"))
    for i in range(17):
        qcow2(at("chain%d" % i), "chain%d" % (i + 1) if i < 16 else None,
              unsafe=True)
    c.add("chain", at("chain0"),
          "backing file %s: more than 16 images are chained" % at("chain15"))
    raw(at("held"))
    c.add("held", at("held"), "locked by another program")
    raw(at("used"))
    c.add("used", at("used"), "locked by vm user")
    raw(at("base.used"))
    qcow2(at("top.used"), "base.used", "raw")
    c.add("baseused", at("top.used"),
          "backing file %s: locked by vm user" % at("base.used"))
    c.conf += VM % ("user", TICK, 'disk "%s"\n\tdisk "%s"' % (
        at("used"), at("base.used")), "")
    return c


@tap.test
def exact(vmd, c):
    """each bad image is named with its cause, and nothing is half started"""
    vmd.vmctl("start", "user")
    before = None
    with open(vmd.dir + "/held", "r+b") as held:
        lock(held)
        for name, path, cause, later in c.cases:
            if later:
                later()
            want = "vmctl: start %s: disk 1 %s: %s\n" % (name, path, cause)
            # What a VM keeps from its first start on is there then.
            for _ in range(2):
                out = vmd.vmctl("start", name, status=1)
                assert out == want, (out, want)
                if before:
                    check_same(before, snapshot(vmd))
                before = snapshot(vmd)
            before = None
            info = vmd.info(name)
            assert info["state"] == "stopped" and not info["pid"], info
            # Its other disk is nobody's.
            for good in "good.raw", "good.own":
                with open(vmd.dir + "/" + good, "r+b") as f:
                    lock(f)
    vmd.vmctl("stop", "-f", "-w", "user")


@tap.test
def by_client(vmd, c):
    """the same words for images named on the command line"""
    for name, path, cause, _ in c.cases:
        if name in ("secret", "readable", "basesecret", "held", "used",
                    "baseused"):
            continue        # not for root; not now
        fmt = "qcow2:" if name in ("wrong", "short") else ""
        cause = cause[:cause.rindex(" (")]
        if name == "fifo":
            cause = "is a FIFO"     # not opened for who may wait for ever
        out = vmd.vmctl("start", "-m", "64M", "-b", TICK, "-d",
                        vmd.dir + "/good.raw", "-d", fmt + path, "new",
                        status=1)
        want = "vmctl: start new: disk 1 %s: %s\n" % (path, cause)
        assert out == want, (out, want)
    assert "new" not in vmd.info()


@tap.test
def seventeen(vmd, c):
    """a 17th disk is refused, in vm.conf and on the command line"""
    disks = ["%s/many%d" % (vmd.dir, i) for i in range(17)]
    for path in disks:
        raw(path)
    args = [a for path in disks for a in ("-d", path)]
    out = vmd.vmctl("start", "-m", "64M", "-b", TICK, *args, "new", status=1)
    assert out == "vmctl: start: -d: too many disks: at most 16\n", out
    conf = VM % ("many", TICK, "\n\t".join('disk "%s"' % p for p in disks),
                 "")
    with open(vmd.dir + "/many.conf", "w") as f:
        f.write(conf)
    os.chmod(vmd.dir + "/many.conf", 0o600)
    out = vmd.vmctl("load", vmd.dir + "/many.conf", status=1)
    assert "many.conf:21: too many disks: at most 16" in out, out


def main():
    if not shutil.which("qemu-img"):
        tap.skip_all("needs qemu-img")
    with Daemon("") as vmd:
        vmd.probed()
        c = cases(vmd.dir)
        vmd.write_conf(c.conf)
        vmd.vmctl("reload")
        return tap.run(vmd, c)


sys.exit(main())
