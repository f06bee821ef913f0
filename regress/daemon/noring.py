#!/usr/bin/env python3
"""Disks and a CD-ROM on a kernel without io_uring: their processes do without
one, in filters of their own."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import disks                                            # noqa: E402
from vmdtest import BUILD, Daemon, Tap, descriptors, no_ring    # noqa: E402

SIZE = 8192 * disks.SECTOR
BLOCKS = 150
CONF = """
vm "tick" {
	disable
	memory 64M
	boot "%(g)stick.elf"
	disk "%(d)s/tick.raw"
	cdrom "%(d)s/cd.iso"
}
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
vm "cd" {
	disable
	memory 64M
	boot "%(g)sscsi.elf"
	cdrom "%(d)s/cd.iso"
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
    info = vmd.info(name)
    assert "FAIL" not in text and info["exit"] == "powered off", (info, text)
    assert "denied" not in vmd.log.text, vmd.log.text
    return text


@tap.test
def without(vmd):
    """there is no ring, and no process falls short"""
    vmd.vmctl("start", "tick")
    pids = vmd.pids()
    for name in "vm/tick/vioblk0", "vm/tick/vioscsi":
        fds = descriptors(pids[name][0])
        assert fds and not [f for f in fds if "uring" in f], fds
    out = vmd.vmctl("audit")
    assert "none falls short" in out, out
    vmd.vmctl("stop", "-f", "-w", "tick")


@tap.test
def raw(vmd):
    """a disk: every request, interrupt and reset; a raw image"""
    assert "end of tests" in run(vmd, "raw")


@tap.test
def qcow2(vmd):
    """the same with qcow2, which is sound afterwards"""
    assert "end of tests" in run(vmd, "qcow2")
    disks.check(vmd.dir + "/qcow2.qcow2", "qcow2")


@tap.test
def cdrom(vmd):
    """a CD-ROM: the whole medium, before and after a reset"""
    assert run(vmd, "cd").count("PASS all blocks") == 2


def main():
    with Daemon("", preexec=no_ring) as vmd:
        disks.image(vmd.dir + "/tick.raw", SIZE)
        disks.image(vmd.dir + "/raw.raw", SIZE)
        disks.image(vmd.dir + "/qcow2.qcow2", SIZE, "qcow2")
        with open(vmd.dir + "/sevens.raw", "wb") as f:
            for s in range(8192):
                f.write(disks.sector(s, 7))
        with open(vmd.dir + "/cd.iso", "wb") as f:
            for n in range(BLOCKS):
                text = b"block %d " % n
                f.write(text.ljust(64, b" ") + bytes([n & 255]) * (2048 - 64))
        vmd.write_conf(CONF % {"g": BUILD + "/guest/", "d": vmd.dir})
        vmd.vmctl("reload")
        return tap.run(vmd)


sys.exit(main())
