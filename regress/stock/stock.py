#!/usr/bin/env python3
"""Debian's cloud kernel as a guest of vmd.  Needs a KVM that runs stock
kernels: regress/stock/stock.sh starts this in the rig where the host has
none.  CHECK_LONG=1: more cycles."""
import collections
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
from vmdtest import (BUILD, TOP, Daemon, Tap, check_same,  # noqa: E402
                     snapshot, wait_gone)

KERNEL = TOP + "/build/cache/guest/vmlinuz"
INITRD = BUILD + "/stock/initrd"
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
""" % ((KERNEL, INITRD) * 2)

tap = Tap()


runs = collections.Counter()


def boot(vmd, name):
    """Start it and wait on its console, which begins with what it said in
    earlier runs; what it saw."""
    vmd.vmctl("start", name)
    runs[name] += 1
    with vmd.console(name) as con:
        for _ in range(runs[name]):
            seen = booted(con)
    return seen


def booted(console):
    """Wait for the guest's own words; what it saw."""
    m = console.expect(r"GUEST cpus=(\d+) memory=(\d+) clock=(\d+)\s", 60)
    now = time.time()
    console.expect("guest# ", 30)
    return int(m[1]), int(m[2]) << 10, int(m[3]) - now


def stopped(vmd, name):
    """Stop it by its button and check that this is what ended it."""
    with vmd.console(name) as con:
        vmd.vmctl("stop", "-w", name, timeout=60)
        con.out.wait_eof()
        assert "GUEST power button" in con.out.text, con.out.text[-500:]
    info = vmd.info(name)
    assert info["state"] == "stopped", info
    assert info["cause"] == "powered off", info


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


@tap.test
def cycles(vmd):
    """start and stop, again and again, leave nothing behind"""
    before = snapshot(vmd)
    for _ in range(CYCLES):
        boot(vmd, "one")
        pid = vmd.info("one")["pid"]
        vmd.vmctl("stop", "-w", "one", timeout=60)
        wait_gone([pid])
    check_same(before, snapshot(vmd))


with Daemon(CONF) as daemon:
    tap.run(daemon)
