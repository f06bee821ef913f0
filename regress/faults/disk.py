#!/usr/bin/env python3
"""The processes of disks are killed while a guest keeps them busy: no sector
is wrong or lost.  A guest of our own, directly on /dev/kvm.

KILLS=n in the environment says how often; CHECK_LONG=1 means often."""
import contextlib
import errno
import os
import random
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import disks                                            # noqa: E402
import loopdev                                          # noqa: E402
from slowfs import SlowFile                             # noqa: E402
from vmdtest import (BUILD, Daemon, Skip, Tap,         # noqa: E402
                     descendants, wait_gone)

KILLS = int(os.environ.get("KILLS") or
            (5000 if os.environ.get("CHECK_LONG") else 200))
# Of these on a loop device that is slow; it has as many sectors as it can
# write back in a second.
LOOP_KILLS = max(1, KILLS // 5)
LOOP_SIZE = 1 << 20
LOOP_IOPS = 256
SIZE = 4 << 20
CONF = """
vm "kill" {
	disable
	memory 64M
	cpus 2
	boot "%(g)sblkrun.elf"
	disk "%(d)s/kill.raw"
	disk "%(d)s/kill.qcow2" format qcow2
}
vm "slow" {
	disable
	memory 64M
	cpus 2
	boot "%(g)sblkrun.elf"
	disk "%(d)s/slow/disk" format raw
}
vm "loop" {
	disable
	memory 64M
	cpus 2
	boot "%(g)sblkrun.elf"
	disk "%(loop)s" format raw
}
vm "full" {
	disable
	memory 64M
	cpus 2
	boot "%(g)sblkrun.elf"
	disk "%(d)s/small/full.raw"
	disk "%(d)s/small/full.qcow2" format qcow2
}
"""

tap = Tap()
if not os.access("/dev/kvm", os.W_OK) or os.geteuid() != 0:
    tap.skip_all("needs root and /dev/kvm")


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return {int(c) for c in f.read().split()}


class Guest:
    """One that runs blkrun, and its disks' processes."""

    def __init__(self, vmd, name, ndisks):
        self.vmd, self.name = vmd, name
        self.seed = int(os.environ.get("SEED") or time.time())
        self.random = random.Random(self.seed)
        print("# SEED=%d" % self.seed)
        self.console = disks.start(vmd, name, ndisks)
        self.out = self.console.out
        pids = vmd.pids()
        self.vmm = pids["vmm"][0]
        self.vm = pids["vm/" + name][0]
        self.pids = [pids["vm/%s/vioblk%d" % (name, i)][0]
                     for i in range(ndisks)]
        self.records = disks.Records(self.vm, queues=2)

    def progress(self):
        self.console.send("p")
        m = self.out.expect(r"progress (\d+) errors (\d+)")
        return int(m.group(1)), int(m.group(2))

    def freeze(self):
        """Have the first half of each disk flushed and left alone: how many
        sectors, and their sum."""
        self.console.send("f")
        found = []
        for _ in self.pids:
            m = self.out.expect(
                r"frozen (\d+)\s+unknown 0\s+sum (0x\w+)\s", 120)
            found.append((int(m.group(1)), int(m.group(2), 16)))
        return found

    def kill(self, disk):
        """Kill the process of a disk; requests in flight when it died, and
        whether it was replaced: not if it was once too often."""
        before = children(self.vmm)
        pid = self.pids[disk]
        os.kill(pid, signal.SIGKILL)
        wait_gone([pid])
        hits = self.records.in_flight(disk)
        m = self.vmd.log.expect(
            r"vioblk%d: started again|%s: paused, id" % (disk, self.name))
        if m.group(0).startswith("vioblk"):
            self.pids[disk] = (children(self.vmm) - before).pop()
            return hits, True
        return hits, False

    def unpause(self, disk):
        before = children(self.vmm)
        self.vmd.vmctl("unpause", self.name)
        self.pids[disk] = (children(self.vmm) - before).pop()

    def finish(self, *files):
        """Let the guest look at all, then look ourselves."""
        self.console.send("q")
        self.out.wait_eof(120)
        self.console.close()
        self.vmd.vmctl("wait", self.name, status=None)
        text = self.out.text
        assert "FAIL" not in text and "PASS all sectors" in text, text
        sums = re.findall(r"sectors (\d+)\s+unknown 0\s+sum (0x\w+)", text)
        assert len(sums) >= len(files), text
        for (n, total), name in zip(sums[-len(files):], files):
            path, fmt = self.vmd.dir + "/" + name, name.split(".")[-1]
            disks.check(path, fmt, leaks=True)
            found = disks.read_sectors(disks.raw(path, fmt), int(n))
            assert found == int(total, 16), (hex(found), total, fmt)


def until(g, what):
    """Ask the guest until `what' of its numbers of requests and errors."""
    end = time.monotonic() + 60
    while not what(*g.progress()):
        assert time.monotonic() < end, g.out.text[-500:]


def is_slow(loop):
    """Reads of what is not cached take their time, once the throttle's first
    tenth of a second is used up."""
    loop.forget()
    os.posix_fadvise(loop.fd, 0, 0, os.POSIX_FADV_RANDOM)
    begin = time.monotonic()
    for at in range(0, LOOP_SIZE, LOOP_SIZE // LOOP_IOPS):
        os.pread(loop.fd, disks.SECTOR, at)
    took = time.monotonic() - begin
    assert took > 0.5, "%f s for a second's reads" % took


@contextlib.contextmanager
def slow_loop(vmd, image):
    """A loop device, throttled by its cgroup, or where there is no version 1
    of these by the file below it; and what ends that."""
    with contextlib.ExitStack() as stack:
        if loopdev.throttles():
            loop = stack.enter_context(contextlib.closing(
                loopdev.Loop(image)))
            loop.set(LOOP_IOPS)
            yield loop, lambda: loop.set(0)
        else:
            fs = stack.enter_context(contextlib.closing(
                SlowFile(image, vmd.dir + "/below")))
            loop = stack.enter_context(contextlib.closing(
                loopdev.Loop(fs.path)))
            fs.set(delay=1 / LOOP_IOPS)
            yield loop, fs.set


@tap.test
def throttled(vmd):
    """killed with a loop device that is throttled: all requests are slow"""
    if loopdev.why_not():
        raise Skip(loopdev.why_not())
    image = vmd.dir + "/loop.raw"
    disks.image(image, LOOP_SIZE)
    with slow_loop(vmd, image) as (loop, unthrottle):
        configure(vmd, loop.path)
        is_slow(loop)
        g = Guest(vmd, "loop", 1)
        total, slowest = 0, 0.0
        while vmd.loop_hits < LOOP_KILLS:
            assert total < 2 * LOOP_KILLS + 20, vmd.loop_hits
            was = g.progress()[0]
            until(g, lambda done, errors, was=was: done > was)
            loop.forget()       # it reads anew, and waits for its flushes
            time.sleep(g.random.uniform(0, 0.05))
            begin = time.monotonic()
            hits, replaced = g.kill(0)
            slowest = max(slowest, time.monotonic() - begin)
            total += 1
            vmd.loop_hits += hits > 0
            if not replaced:
                g.unpause(0)
        unthrottle()
        done, errors = g.progress()
        print("# %d kills, %d hit requests in flight, %d requests, a death "
              "took %.2f s at most" % (total, vmd.loop_hits, done, slowest))
        assert errors == 0, errors
        g.finish("loop.raw")
    configure(vmd)


@tap.test
def killed(vmd):
    """each death of a disk is survived, with requests in flight"""
    g = Guest(vmd, "kill", 2)
    hits = total = pauses = 0
    while hits < KILLS - vmd.loop_hits:
        assert total < 2 * KILLS + 20, "%d of %d kills hit" % (hits, total)
        time.sleep(g.random.uniform(0, 0.08))
        disk = g.random.randrange(2)
        n, replaced = g.kill(disk)
        total += 1
        hits += n > 0
        if not replaced:
            pauses += 1
            info = vmd.info("kill")
            assert info["state"] == "paused", info
            assert "died 3 times in a minute" in info["error"], info
            g.unpause(disk)
            if pauses == 1:
                assert not vmd.info("kill")["error"]
    done, errors = g.progress()
    print("# %d kills, %d hit requests in flight, %d pauses, %d requests"
          % (total, hits, pauses, done))
    assert errors == 0 and pauses >= total // 6, (errors, pauses)
    g.finish("kill.raw", "kill.qcow2")


@tap.test
def slow(vmd):
    """killed with an image on which each request takes 10 ms"""
    image = vmd.dir + "/slow.raw"
    disks.image(image, SIZE)
    with contextlib.closing(SlowFile(image, vmd.dir + "/slow")) as fs:
        g = Guest(vmd, "slow", 1)
        fs.set(delay=0.01)
        hits = 0
        for n in range(12):
            until(g, lambda done, errors, n=n: done > 20 * n)
            was, replaced = g.kill(0)
            hits += was > 0
            if not replaced:
                g.unpause(0)
        assert hits >= 10, hits
        fs.set()
        assert g.progress()[1] == 0, vmd.log.text[-1500:]
        g.finish("slow.raw")


@tap.test
def broken(vmd):
    """EIO reaches the guest, which lives, also with a new process"""
    image = vmd.dir + "/slow.raw"
    os.unlink(image)
    disks.image(image, SIZE)
    with contextlib.closing(SlowFile(image, vmd.dir + "/slow")) as fs:
        g = Guest(vmd, "slow", 1)
        fs.set(error=errno.EIO)
        until(g, lambda done, errors: errors > 100)
        g.kill(0)
        until(g, lambda done, errors: errors > 200)
        fs.set()
        was = g.progress()[1]
        until(g, lambda done, errors: done > was + 1000)
        g.finish("slow.raw")


@tap.test
def vanished(vmd):
    """an image that is gone: errors, the guest and the others live"""
    image = vmd.dir + "/slow.raw"
    with contextlib.closing(SlowFile(image, vmd.dir + "/slow")) as fs:
        g = Guest(vmd, "slow", 1)
        g.progress()
        fs.vanish()
        until(g, lambda done, errors: errors > 100)
        assert vmd.info("slow")["state"] == "running"
        vmd.vmctl("stop", "-f", "-w", "slow", timeout=60)
        g.console.close()


@tap.test
def hung(vmd):
    """a killed guest whose disk does not answer is stopping, and says why"""
    image = vmd.dir + "/slow.raw"
    with contextlib.closing(SlowFile(image, vmd.dir + "/slow")) as fs:
        g = Guest(vmd, "slow", 1)
        g.progress()
        fs.set(delay=600)
        fs.wait_late(60)
        os.kill(g.vm, signal.SIGKILL)
        vmd.log.expect("slow: killed, waiting for the disk")
        info = vmd.info("slow")
        assert info["state"] == "stopping", info
        assert info["error"] == "killed, waiting for the disk", info
        out = vmd.vmctl("start", "slow", status=1)
        assert "killed, waiting for the disk" in out, out
        fs.vanish()
        vmd.vmctl("wait", "slow", status=None)
        info = vmd.info("slow")
        assert info["state"] == "stopped" and info["error"] is None, info
        g.console.close()


@tap.test
def full(vmd):
    """a full file system: errors until there is room again"""
    top = vmd.dir + "/small"
    os.mkdir(top)
    disks.mount("small", top, "tmpfs", 0, "size=3m,mode=755")
    try:
        disks.image(top + "/full.raw", SIZE)
        disks.image(top + "/full.qcow2", SIZE, "qcow2")
        g = Guest(vmd, "full", 2)
        until(g, lambda done, errors: errors > 100)
        disks.mount("small", top, "tmpfs", disks.MS_REMOUNT, "size=64m")
        was = g.progress()[0]
        until(g, lambda done, errors: done > was + 1000)
        g.finish("small/full.raw", "small/full.qcow2")
    finally:
        disks.libc.umount2(top.encode(), disks.MNT_DETACH)
        os.rmdir(top)


def cut(vmd, victim):
    """Two disks of a busy guest, which has flushed the first halves of them,
    when `victim' is killed: that is on disk and the images are sound."""
    for fmt in "raw", "qcow2":      # the guest expects zeroes
        disks.image(vmd.dir + "/kill." + fmt, SIZE, fmt)
    g = Guest(vmd, "kill", 2)
    frozen = g.freeze()
    done = g.progress()[0]
    until(g, lambda now, errors: now > done + 500)
    mine = [g.vm] + g.pids
    if victim is vmd.proc:
        mine = descendants(victim.pid)
        victim.kill()
        victim.wait()
    else:
        os.kill(victim or g.vm, signal.SIGKILL)
    wait_gone(mine)
    g.console.close()
    for (n, total), fmt in zip(frozen, ("raw", "qcow2")):
        path = vmd.dir + "/kill." + fmt
        assert n == SIZE // disks.SECTOR // 2 and total != 0, frozen
        disks.check(path, fmt, leaks=True)
        flat = disks.raw(path, fmt)
        found = disks.read_sectors(flat, n)
        assert found == total, (fmt, hex(found), hex(total))
        disks.read_sectors(flat, 2 * n)     # the others are whole


@tap.test
def vm_killed(vmd):
    """a killed vm process takes its disks along; what was flushed is there"""
    for _ in range(5):
        cut(vmd, None)
        vmd.vmctl("wait", "kill", status=None)
        assert "killed by signal 9" in vmd.info("kill")["cause"]


@tap.test
def vmm_killed(vmd):
    """so does a killed vmm"""
    for _ in range(2):
        cut(vmd, vmd.pids()["vmm"][0])
        vmd.log.expect("vmm: killed by signal 9")
        vmd.vmctl("wait", "kill", status=None)
        vmd.log.expect("host: ")


@tap.test
def parent_killed(vmd):
    """and a killed parent"""
    cut(vmd, vmd.proc)
    vmd.runs.clear()        # consoles begin anew with it
    vmd.start()
    cut(vmd, None)


def configure(vmd, loop=None):
    vmd.write_conf(CONF % {"g": BUILD + "/guest/", "d": vmd.dir,
                           "loop": loop or vmd.dir + "/loop.raw"})
    vmd.vmctl("reload")


def main():
    disks.own_mounts()
    with Daemon("") as vmd:
        for fmt in "raw", "qcow2":
            disks.image(vmd.dir + "/kill." + fmt, SIZE, fmt)
        configure(vmd)
        vmd.loop_hits = 0
        return tap.run(vmd)


if len(sys.argv) > 1:       # by name, some of them
    tap.tests = [t for t in tap.tests if t.__name__ in sys.argv[1:]]
sys.exit(main())
