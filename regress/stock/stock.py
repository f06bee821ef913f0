#!/usr/bin/env python3
"""Debian's cloud kernel as a guest of vmd.  Needs a KVM that runs stock
kernels: regress/stock/stock.sh starts this in the rig where the host has
none.  CHECK_LONG=1: more cycles."""
import hashlib
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
from vmdtest import Daemon, Tap, check_same, snapshot, wait_gone  # noqa: E402
from stock_guest import (INITRD, KERNEL, boot, booted, runs,  # noqa: E402
                         stopped)
import stock_disk       # noqa: E402
import stock_net        # noqa: E402

CYCLES = 20 if os.environ.get("CHECK_LONG") else 5
CONF = """
vm "one" {
	disable
	memory 256M
	boot "%s"
	initrd "%s"
	cmdline "console=ttyS0 quiet"
}
vm "four" {
	disable
	cpus 4
	memory 4G
	boot "%s"
	initrd "%s"
	cmdline "console=ttyS0 quiet"
}
vm "line" {
	disable
	memory 256M
	boot "%s"
	initrd "%s"
	cmdline "console=ttyS0 quiet pci=nomsi"
}
vm "cd" {
	disable
	memory 256M
	boot "%s"
	initrd "%s"
	cmdline "console=ttyS0 quiet"
	cdrom "%s"
}
"""

tap = Tap()


def both(fmt, n):
    """A number of ISO 9660: in both byte orders."""
    return struct.pack("<" + fmt, n) + struct.pack(">" + fmt, n)


def iso_record(name, block, size, flags):
    """A directory record, ECMA-119, 9.1."""
    pad = (len(name) + 1) % 2
    return (bytes([33 + len(name) + pad, 0]) + both("I", block) +
            both("I", size) + bytes([126, 1, 1, 0, 0, 0, 0, flags, 0, 0]) +
            both("H", 1) + bytes([len(name)]) + name + bytes(pad))


def iso_make(path, data):
    """A medium with one file; ECMA-119, 8.4: descriptor, terminator, two
    path tables, the root directory, the file."""
    root = iso_record(b"\0", 20, 2048, 2)
    blocks = 21 + (len(data) + 2047) // 2048
    primary = (b"\1CD001\1\0" + b" " * 32 + b"TEST".ljust(32) + bytes(8) +
               both("I", blocks) + bytes(32) + both("H", 1) + both("H", 1) +
               both("H", 2048) + both("I", 10) +
               struct.pack("<II", 18, 0) + struct.pack(">II", 19, 0) + root +
               b" " * (813 - 190) + b"0" * 16 + b"\0" + b"0" * 16 + b"\0" +
               b"0" * 16 + b"\0" + b"0" * 16 + b"\0" + b"\1")
    directory = (root + iso_record(b"\1", 20, 2048, 2) +
                 iso_record(b"FILE.TXT;1", 21, len(data), 0))
    with open(path, "wb") as f:
        f.write(bytes(16 * 2048))
        for block in (primary, b"\xffCD001\1",
                      b"\1\0" + struct.pack("<IH", 20, 1) + b"\0\0",
                      b"\1\0" + struct.pack(">IH", 20, 1) + b"\0\0",
                      directory):
            f.write(block.ljust(2048, b"\0"))
        f.write(data.ljust((blocks - 21) * 2048, b"\0"))


@tap.test
def one_vcpu(vmd):
    """boots with 1 vcpu, its clock is right, stops by the button"""
    cpus, memory, drift = boot(vmd, "one")
    assert cpus == 1, cpus
    assert 200 << 20 < memory <= 256 << 20, memory
    assert abs(drift) <= 2, drift
    stopped(vmd, "one")


@tap.test
def four_vcpus(vmd):
    """boots with 4 vcpus and 4 GiB and sees all of them"""
    cpus, memory, drift = boot(vmd, "four")
    assert cpus == 4, cpus
    assert 3800 << 20 < memory <= 4096 << 20, memory
    assert abs(drift) <= 2, drift
    stopped(vmd, "four")


@tap.test
def reboots(vmd):
    """reboot inside restarts it with the same id and tty, then poweroff"""
    boot(vmd, "one")
    before = vmd.info("one")
    with vmd.console("one") as con:
        for _ in range(runs["one"]):
            booted(con)
        con.send("reboot -f\n")
        # The console follows the guest into its next run.
        booted(con)
        runs["one"] += 1
        after = vmd.info("one")
        assert after["state"] == "running", after
        assert after["pid"] != before["pid"], after
        assert after["id"] == before["id"], after
        assert after["tty"] == before["tty"], after
        con.send("poweroff -f\n")
        con.out.wait_eof()
    vmd.vmctl("wait", "one", status=None)
    after = vmd.info("one")
    assert after["state"] == "stopped", after
    assert after["cause"] == "powered off", after


def entropy(vmd, name, kind):
    """Read from the entropy device, and see what interrupts it has."""
    boot(vmd, name)
    with vmd.console(name) as con:
        for _ in range(runs[name]):
            booted(con)
        con.send("cat /sys/class/misc/hw_random/rng_current\n")
        con.expect(r"virtio_rng\.0\s", 10)
        con.send("dd if=/dev/hwrng bs=4096 count=16 | wc -c\n")
        con.expect(r"\s65536\s", 20)
        con.send("grep virtio0 /proc/interrupts\n")
        con.expect(r"[1-9][0-9]* +\S*%s\S* .*virtio0" % kind, 10)
    vmd.vmctl("stop", "-w", name, timeout=60)


@tap.test
def entropy_msi(vmd):
    """reads random bytes from the host, interrupts by MSI-X"""
    entropy(vmd, "one", "MSI")


@tap.test
def entropy_line(vmd):
    """the same with interrupts by a line"""
    entropy(vmd, "line", "IO-APIC")


@tap.test
def cdrom(vmd):
    """reads and mounts a CD-ROM"""
    iso_make(vmd.dir + "/cd.iso", b"a file on a CD\n" * 40000)
    with open(vmd.dir + "/cd.iso", "rb") as f:
        md5 = hashlib.md5(f.read()).hexdigest()
    boot(vmd, "cd")
    with vmd.console("cd") as con:
        booted(con)
        con.send("cat /sys/class/block/sr0/device/model\n")
        con.expect(r"VMM CD-ROM", 10)
        con.send("md5sum /dev/sr0\n")
        con.expect(md5, 60)
        con.send("mkdir /cd; mount -t iso9660 -o ro /dev/sr0 /cd && "
                 "wc -l /cd/*\n")
        con.expect(r"40000 /cd/file.txt", 60)
    stopped(vmd, "cd")


@tap.test
def cycles(vmd):
    """start and stop, again and again, leave nothing behind"""
    if not runs["one"]:         # its console stays
        boot(vmd, "one")
        stopped(vmd, "one")
    before = snapshot(vmd)
    for _ in range(CYCLES):
        boot(vmd, "one")
        pid = vmd.info("one")["pid"]
        vmd.vmctl("stop", "-w", "one", timeout=60)
        wait_gone([pid])
    check_same(before, snapshot(vmd))


with Daemon("") as daemon:
    daemon.write_conf(CONF % ((KERNEL, INITRD) * 4 +
                              (daemon.dir + "/cd.iso",)) +
                      stock_disk.add(tap, daemon))
    daemon.vmctl("reload")
    stock_net.add(tap)
    if sys.argv[1:]:
        tap.tests = [t for t in tap.tests if t.__name__ in sys.argv[1:]]
    stock_net.end(tap.run(daemon))
