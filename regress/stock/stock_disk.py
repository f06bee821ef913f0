"""Disks of a stock guest: its root file system on a qcow2 image over a
backing file; trimmed, verified while disk processes die, cut off from power.
Part of stock.py."""
import contextlib
import hashlib
import os
import re
import signal
import subprocess
import time

from vmdtest import (BUILD, SLOW, Daemon, descendants, wait_gone)
from stock_guest import INITRD, KERNEL, ROOT, boot, booted, runs, stopped

MIB = 1 << 20
CPUS = 2 if os.environ.get("CHECK_LONG") else 1
CONF = """
vm "root" {
	disable
	memory 256M
	boot "%(kernel)s"
	initrd "%(initrd)s"
	cmdline "console=ttyS0 quiet root=/dev/vda"
	disk "%(dir)s/root.qcow2"
	disk "%(dir)s/second.img" format raw readonly serial "a second one"
}
vm "verify" {
	disable
	cpus %(cpus)d
	memory 256M
	boot "%(kernel)s"
	initrd "%(initrd)s"
	cmdline "console=ttyS0 quiet root=/dev/vda"
	disk "%(dir)s/verify.qcow2"
}
"""
CUT = """
vm "cut" {
	disable
	cpus %(cpus)d
	memory 256M
	boot "%(kernel)s"
	initrd "%(initrd)s"
	cmdline "console=ttyS0 quiet root=/dev/vda"
	disk "%(dir)s/cut.qcow2"
}
"""
FIO = ("fio --name=v --filename=/data/fio --size=8M --bs=4k --rw=randwrite "
       "--verify=crc32c --verify_fatal=1 --ioengine=libaio --iodepth=8 "
       "--direct=1 --thread --fallocate=none --rate_iops=400 --eta=always "
       "--eta-interval=250ms")


def run(*command, status=(0,)):
    """Run a command of the host; its output."""
    p = subprocess.run(command, stdin=subprocess.DEVNULL, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=60 * SLOW,
                       env={**os.environ, "PATH": os.environ["PATH"] +
                            ":/sbin:/usr/sbin"})
    assert p.returncode in status, (command, p.returncode, p.stdout)
    return p.stdout


def sh(con, command, timeout=30, status=0):
    """Run a command in the guest; what the console says meanwhile."""
    begin = con.out.pos
    con.send(command + '; echo "=""=$?"\n')
    m = con.expect(r"==(\d+)\s", timeout)
    text = con.out.text[begin:m.start()]
    assert int(m[1]) == status, (command, text)
    return text


def no_errors(con):
    """The guest's kernel has not complained."""
    m = re.search(r".*(I/O error|EXT4-fs (error|warning)|Call Trace).*",
                  con.out.text)
    assert not m, m[0]


@contextlib.contextmanager
def running(vmd, name):
    """Start it, yield its console when it has booted, and stop it."""
    boot(vmd, name)
    try:
        with vmd.console(name) as con:
            for _ in range(runs[name]):
                booted(con)
            yield con
            no_errors(con)
        stopped(vmd, name)
    except BaseException:
        vmd.vmctl("stop", "-f", "-w", name, status=None)
        raise


def directory(vmd):
    """Where disks lie.  The rig's own file systems are in memory and over
    9P; there it is an ext4."""
    path = vmd.dir + "/disks"
    if not os.path.isdir(path):
        os.mkdir(path)
        if os.environ.get("RIG"):
            with open(path + ".img", "wb") as f:
                f.truncate(2048 * MIB)
            run("mke2fs", "-q", "-t", "ext4", path + ".img")
            run("mount", "-o", "loop", path + ".img", path)
    return path


def overlay(path):
    """A disk to write to, with the root file system below."""
    run(BUILD + "/vmctl", "create", "-b", ROOT, path)


def allocated(path):
    return os.stat(path).st_blocks * 512


def digest(path):
    with open(path, "rb") as f:
        return hashlib.md5(f.read()).hexdigest()


def content(image):
    """What a guest would see on it, as QEMU reads it."""
    raw = image + ".raw"
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, raw)
    return raw


def clean(image, leaks=False):
    """Its file system was unmounted, and is consistent.  A disk process that
    was killed may leave clusters that nothing uses."""
    run("qemu-img", "check", "-f", "qcow2", image,
        status=(0, 3) if leaks else (0,))
    raw = content(image)
    state = run("dumpe2fs", "-h", raw)
    assert re.search(r"Filesystem state: +clean\n", state), state
    assert "needs_recovery" not in state, state
    run("e2fsck", "-fn", raw)
    os.unlink(raw)


def trim(con, image):
    """What is deleted in the guest is given back to the host."""
    sh(con, "dd if=/dev/urandom of=/data/big bs=64k count=256; sync", 60)
    full = allocated(image)
    assert full >= 16 * MIB, full
    sh(con, "rm /data/big; sync; fstrim /; sync", 60)
    end = time.monotonic() + 10 * SLOW
    while allocated(image) > full - 15 * MIB:
        assert time.monotonic() < end, (full, allocated(image))
        time.sleep(0.1)


def root(vmd):
    """root on qcow2 over a backing file, 1 vcpu: trimmed, a second disk"""
    path = directory(vmd)
    second = path + "/second.img"
    os.mkdir(path + "/files")
    with open(path + "/files/file", "wb") as f:
        f.write(b"on the second disk\n" * 10000)
    run("mke2fs", "-q", "-t", "ext4", "-d", path + "/files", second, "8M")
    before = digest(ROOT), digest(second)
    overlay(path + "/root.qcow2")
    with running(vmd, "root") as con:
        assert "/dev/vda / ext4 rw" in sh(con, "grep ' / ' /proc/mounts")
        assert digest("/bin/busybox") in sh(con, "md5sum /bin/busybox", 60)
        about = sh(con, "cd /sys/block/vdb; cat ro serial; cd /")
        assert re.search(r"\s1\s+a second one$", about), about
        sh(con, "dd if=/dev/zero of=/dev/vdb bs=4k count=1", status=1)
        sh(con, "mount -o ro /dev/vdb /mnt")
        assert digest(path + "/files/file") in sh(con, "md5sum /mnt/file")
        trim(con, path + "/root.qcow2")
    clean(path + "/root.qcow2")
    assert before == (digest(ROOT), digest(second))


def verify(vmd):
    """fio verifies what it wrote, its disk process dies twice"""
    image = directory(vmd) + "/verify.qcow2"
    overlay(image)
    with running(vmd, "verify") as con:
        con.send("stty cols 200\n")
        con.send(FIO + '; echo "=""=$?"\n')
        for phase in r"\[w\(1\)\]", r"\[V\(1\)\]":
            con.expect(phase, 60)
            old = vmd.pids()["vm/verify/vioblk0"]
            os.kill(old[0], signal.SIGKILL)
            vmd.log.expect("vm/verify/vioblk0: started again", 60)
        begin = con.out.pos
        assert con.expect(r"==(\d+)\s", 60)[1] == "0", con.out.text
        report = con.out.text[begin:]
        assert re.search(r"err= 0", report), report
        assert "total=2048,2048" in report, report
        assert vmd.pids()["vm/verify/vioblk0"] != old
    clean(image, leaks=True)


def power_cut(vmd):
    """Everything of it dies at once."""
    pids = descendants(vmd.proc.pid)
    for pid in pids:            # with the first go some of the others
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    vmd.proc.wait()
    wait_gone(pids)


def busy(con):
    """Write in many ways, until the power is cut; what was promised: the
    checksum of a file."""
    sh(con, "cd /data; dd if=/dev/urandom of=synced bs=64k count=64; sync",
       60)
    md5 = re.search(r"([0-9a-f]{32}) ", sh(con, "md5sum synced"))[1]
    sh(con, "{ fio --name=w --filename=fio --size=4M --bs=4k --rw=randwrite "
       "--direct=1 --ioengine=libaio --iodepth=8 --thread --time_based "
       "--runtime=600 >/dev/null 2>&1 & }")
    con.send("n=0; while :; do n=$((n + 1)); echo $n >>lines; "
             "dd if=/dev/urandom of=f$((n % 5)) bs=64k count=8 2>/dev/null; "
             "sync; echo lines are $n; done\n")
    con.expect(r"lines are 12\s", 120)
    return md5


def recovered(image, md5, lines):
    """After the journal nothing is to be repaired, and what was synced is
    there."""
    run("qemu-img", "check", "-f", "qcow2", image, status=(0, 3))
    raw = content(image)
    state = run("dumpe2fs", "-h", raw)
    assert "needs_recovery" in state, state
    text = run("e2fsck", "-p", raw, status=(0, 1))
    assert "recovering journal" in text and "FIXED" not in text, text
    run("e2fsck", "-fn", raw)
    run("debugfs", "-R", "dump /data/synced %s.f" % raw, raw)
    assert digest(raw + ".f") == md5
    text = run("debugfs", "-R", "cat /data/lines", raw)
    assert "\n%d\n" % lines in text, (lines, text)
    os.unlink(raw)


def cut(vmd):
    """power cut while it writes: what was synced is there, it goes on"""
    path = directory(vmd)
    image = path + "/cut.qcow2"
    overlay(image)
    conf = CUT % {"kernel": KERNEL, "initrd": INITRD, "dir": path,
                  "cpus": CPUS}
    os.mkdir(path + "/daemon")
    other = Daemon(conf, dir=path + "/daemon")
    try:
        other.vmctl("start", "cut")
        with other.console("cut") as con:
            booted(con)
            md5 = busy(con)
            power_cut(other)
            con.out.wait_eof()
            lines = re.findall(r"lines are (\d+)\s", con.out.text)
            no_errors(con)
        recovered(image, md5, int(lines[-1]))
        other.start()
        other.vmctl("start", "cut")
        with other.console("cut") as con:
            booted(con)
            assert md5 in sh(con, "md5sum /data/synced")
            no_errors(con)
            stopped(other, "cut")
    finally:
        other.__exit__(None)
    run(BUILD + "/vmctl", "disk", "check", "-r", image)
    clean(image)


def add(tap, vmd):
    """Add the tests of disks to `tap'; their machines."""
    for fn in root, verify, cut:
        tap.test(fn)
    return CONF % {"kernel": KERNEL, "initrd": INITRD,
                   "dir": vmd.dir + "/disks", "cpus": CPUS}
