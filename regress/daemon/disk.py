#!/usr/bin/env python3
"""The disks of a guest, from the images in vm.conf to what a driver in the
guest sees, and back: what it wrote is in the image."""
import contextlib
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import disks                                            # noqa: E402
import loopdev                                          # noqa: E402
from vmdtest import BUILD, Daemon, Skip, Tap            # noqa: E402

SECTORS = 8192
SIZE = SECTORS * disks.SECTOR
HOSTILE_CHECKS = 23
CONF = """
vm "raw" {
	disable
	memory 64M
	cpus 2
	boot "%(g)sblk.elf"
	disk "%(d)s/raw.raw" serial "serial of disk 0"
	disk "%(d)s/sevens.raw" readonly
}
vm "qcow2" {
	disable
	memory 64M
	cpus 2
	boot "%(g)sblk.elf"
	disk "%(d)s/qcow2.qcow2" format qcow2 serial "serial of disk 0"
	disk "%(d)s/sevens.raw" readonly
}
vm "base" {
	disable
	memory 64M
	boot "%(g)sblkmore.elf"
	cmdline "base"
	disk "%(d)s/base.qcow2" format qcow2
}
vm "boot" {
	disable
	memory 64M
	boot "%(g)sblkmore.elf"
	cmdline "boot"
	disk "%(d)s/boot.qcow2" format qcow2
}
vm "many" {
	disable
	memory 64M
	boot "%(g)sblkmore.elf"
	cmdline "many"
	%(many)s
}
vm "bad" {
	disable
	memory 64M
	boot "%(g)sblkbad.elf"
	disk "%(d)s/bad0.raw"
	disk "%(d)s/bad1.qcow2" format qcow2
}
vm "run" {
	disable
	memory 64M
	cpus 2
	boot "%(g)sblkrun.elf"
	disk "%(d)s/run.raw"
	disk "%(d)s/run.qcow2" format qcow2
}
"""
BLOCK = """
vm "block" {
	disable
	memory 64M
	cpus 2
	boot "%(g)sblk.elf"
	disk "%(d)s/dev/%(disk)s" format %(format)s serial "serial of disk 0"
	disk "%(d)s/dev/sevens" format raw readonly
}
vm "joes" {
	disable
	memory 64M
	boot "%(g)sblk.elf"
	disk "%(d)s/%(joes)s" format raw
	owner nobody
}
"""

tap = Tap()
if not os.access("/dev/kvm", os.W_OK) or os.geteuid() != 0:
    tap.skip_all("needs root and /dev/kvm")


def run(vmd, name):
    """All the guest says; none of its checks has failed."""
    vmd.vmctl("start", name)
    with vmd.console(name) as c:
        c.out.wait_eof(120)
        text = c.out.text
    vmd.vmctl("wait", name, status=None)
    assert "FAIL" not in text and "end of tests" in text, text
    info = vmd.info(name)
    assert info["exit"] == "powered off", (info, text)
    return text


def expect(path, fmt, sectors):
    """An image of which {number: generation} is known."""
    disks.check(path, fmt)
    with open(disks.raw(path, fmt), "rb") as f:
        for s, gen in sectors.items():
            f.seek(s * disks.SECTOR)
            found = f.read(disks.SECTOR)
            assert found == disks.sector(s, gen), (path, s, gen, found[:16])


def ranges(*parts):
    return {s: gen for at, n, gen in parts for s in range(at, at + n)}


# What regress/guest/blk.c leaves; a sector that it discards.
DISCARDED = 1024 + 256
LEFT = ranges((0, 8, 1), (16, 4, 1), (20, 8, 0), (28, 4, 1), (32, 8, 0),
              (40, 8, 1), (96, 8, 2), (104, 8, 2), (120, 24, 3),
              (256, 20, 4), (300, 8, 20), (1024, 8, 1),
              (SECTORS - 8, 8, 1), (2048, 512, 0))
for _i in range(150):
    LEFT[512 + _i % 64] = LEFT[576 + _i % 64] = 2 * _i // 2 + 1


@tap.test
def raw(vmd):
    """every request, interrupt and reset; a raw image"""
    run(vmd, "raw")
    expect(vmd.dir + "/raw.raw", "raw", LEFT)


@tap.test
def qcow2(vmd):
    """the same with qcow2, which is sound afterwards"""
    run(vmd, "qcow2")
    expect(vmd.dir + "/qcow2.qcow2", "qcow2", LEFT)


@tap.test
def readonly(vmd):
    """the read-only image is as it was"""
    expect(vmd.dir + "/sevens.raw", "raw", ranges((0, SECTORS, 7)))


@tap.test
def backing(vmd):
    """sectors of a backing file, some of them written over"""
    run(vmd, "base")
    left = ranges((0, SECTORS, 7))
    left.update({s: 8 for s in range(0, 300, 3)})
    expect(vmd.dir + "/base.qcow2", "qcow2", left)
    readonly(vmd)


@tap.test
def reboot(vmd):
    """the guest resets with requests in flight"""
    assert "second boot" in run(vmd, "boot")
    expect(vmd.dir + "/boot.qcow2", "qcow2", ranges((0, 1, 5), (8, 8, 6)))


@tap.test
def many(vmd):
    """16 disks on two slots"""
    run(vmd, "many")
    for i in range(16):
        expect("%s/many%d.raw" % (vmd.dir, i), "raw",
               {0: i + 1, i + 1: i + 1})


@contextlib.contextmanager
def devices(vmd, mode=0o600, **images):
    """Block devices over images, by nodes of that mode in a directory: that,
    and the devices."""
    if loopdev.why_not():
        raise Skip(loopdev.why_not())
    top = vmd.dir + "/dev"
    os.mkdir(top)
    with contextlib.ExitStack() as stack:
        stack.callback(os.rmdir, top)
        disks.mount("dev", top, "tmpfs", 0, "size=64k,mode=755")
        stack.callback(disks.libc.umount2, top.encode(), disks.MNT_DETACH)
        loops = []
        for name, image in images.items():
            loops.append(loopdev.Loop(image))
            stack.callback(loops[-1].close)
            loops[-1].node(top + "/" + name, mode)
        yield top, loops


def block(vmd, fmt):
    """blk.elf with a block device in format `fmt', and one to be read."""
    image = vmd.dir + "/block." + fmt
    disks.image(image, SIZE, fmt)
    with open(image, "r+b") as f:
        if fmt == "raw":            # no holes: DISCARD is to make one
            f.write(bytes(SIZE))
        else:                       # it cannot grow there
            f.truncate(2 * SIZE)
    with devices(vmd, disk=image, sevens=vmd.dir + "/sevens.raw") as (
            _, loops):
        configure(vmd, disk="disk", format=fmt)
        run(vmd, "block")
        holes = loops[0].discards()
    expect(image, fmt, LEFT)
    if fmt == "raw" and holes:
        at = DISCARDED * disks.SECTOR
        with open(image, "rb") as f:
            assert os.lseek(f.fileno(), at, os.SEEK_HOLE) == at
    readonly(vmd)


@tap.test
def block_raw(vmd):
    """a block device, and one that is read-only, of a VM of root"""
    block(vmd, "raw")


@tap.test
def block_qcow2(vmd):
    """qcow2 on a block device"""
    block(vmd, "qcow2")


@tap.test
def block_joes(vmd):
    """a VM of somebody else's has no block device, also one he may open"""
    with devices(vmd, 0o666, disk=vmd.dir + "/raw.raw") as (top, _):
        cause = ("%s/disk: a block device, which only VMs of root may have" %
                 top)
        # It has become one since the configuration was read.
        image = vmd.dir + "/joes.raw"
        disks.image(image, SIZE)
        os.chmod(image, 0o666)
        configure(vmd, joes="joes.raw")
        os.unlink(image)
        os.symlink(top + "/disk", image)
        out = vmd.vmctl("start", "joes", status=1)
        os.unlink(image)
        assert out.startswith("vmctl: start joes: disk 0 %s: a block device, "
                              "which only VMs of root may have" % image), out
        configure(vmd, joes="dev/disk", reload=False)
        p = subprocess.run([BUILD + "/vmd", "-n", "-f", vmd.conf],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=30)
        assert p.returncode != 0 and cause in p.stdout, p
    configure(vmd)


class Busy:
    """The guest that keeps its disks busy."""

    def __init__(self, vmd):
        self.vmd = vmd
        for fmt in "raw", "qcow2":      # the guest expects zeroes
            disks.image("%s/run.%s" % (vmd.dir, fmt), SIZE, fmt)
        self.console = disks.start(vmd, "run", 2)

    def progress(self):
        self.console.send("p")
        m = self.console.expect(r"progress (\d+) errors (\d+)")
        assert m.group(2) == "0", m
        return int(m.group(1))

    def finish(self):
        self.console.send("q")
        self.console.out.wait_eof(120)
        self.console.close()
        self.vmd.vmctl("wait", "run", status=None)
        text = self.console.out.text
        assert "FAIL" not in text and "PASS all sectors" in text, text
        for fmt in "raw", "qcow2":
            path = "%s/run.%s" % (self.vmd.dir, fmt)
            disks.check(path, fmt)
            disks.read_sectors(disks.raw(path, fmt), SECTORS)


@tap.test
def hostile(vmd):
    """a hostile guest hurts neither the daemon nor a guest beside it"""
    busy = Busy(vmd)
    before = {k: v for k, v in vmd.pids().items() if "bad" not in k}
    text = run(vmd, "bad")
    assert text.count("PASS") == HOSTILE_CHECKS, text
    after = {k: v for k, v in vmd.pids().items() if "bad" not in k}
    assert before == after, (before, after)
    assert "vm/bad/vioblk0: started again" not in vmd.log.text
    first = busy.progress()
    assert busy.progress() > first
    busy.finish()


@tap.test
def pause(vmd):
    """pause and unpause while requests are in flight"""
    busy = Busy(vmd)
    for _ in range(10):
        vmd.vmctl("pause", "run")
        assert vmd.info("run")["state"] == "paused"
        vmd.vmctl("unpause", "run")
        first = busy.progress()
        while busy.progress() == first:
            pass
    busy.finish()


@tap.test
def stop(vmd):
    """`vmctl stop -f' of a busy guest: the image is sound"""
    for _ in range(3):
        busy = Busy(vmd)
        busy.progress()
        vmd.vmctl("stop", "-f", "-w", "run", timeout=60)
        busy.console.close()
        disks.check(vmd.dir + "/run.qcow2", "qcow2", leaks=True)


def images(top):
    for name in "raw.raw", "bad0.raw":
        disks.image(top + "/" + name, SIZE)
    for name in "qcow2", "bad1", "boot":
        disks.image("%s/%s.qcow2" % (top, name), SIZE, "qcow2")
    for i in range(16):
        disks.image("%s/many%d.raw" % (top, i), 1 << 20)
    with open(top + "/sevens.raw", "wb") as f:
        for s in range(SECTORS):
            f.write(disks.sector(s, 7))
    disks.image(top + "/base.qcow2", SIZE, "qcow2", top + "/sevens.raw")


def configure(vmd, reload=True, **names):
    """The VMs above; those with block devices have `names'."""
    words = {"disk": "disk", "format": "raw", "joes": "raw.raw", **names}
    vmd.write_conf((CONF + (BLOCK if names else "")) % {
        **words, "g": BUILD + "/guest/", "d": vmd.dir,
        "many": "\n\t".join(
            'disk "%s/many%d.raw" serial "number %c"' %
            (vmd.dir, i, ord("a") + i) for i in range(16))})
    if reload:
        vmd.vmctl("reload")


def main():
    disks.own_mounts()
    with Daemon("") as vmd:
        images(vmd.dir)
        configure(vmd)
        vmd.probed()
        return tap.run(vmd)


if len(sys.argv) > 1:       # by name, some of them
    tap.tests = [t for t in tap.tests if t.__name__ in sys.argv[1:]]
sys.exit(main())
