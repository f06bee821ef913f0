"""A stock guest: how it is started, seen to run, and stopped."""
import collections
import time

from vmdtest import BUILD, TOP

KERNEL = TOP + "/build/cache/guest/vmlinuz"
INITRD = BUILD + "/stock/initrd"
ROOT = BUILD + "/stock/root.qcow2"

runs = collections.Counter()


def boot(vmd, name):
    """Start it and wait on its console, which begins with what it said in
    earlier runs; what it saw."""
    runs[name] += 1
    vmd.vmctl("start", name)
    with vmd.console(name) as con:
        for _ in range(runs[name]):
            seen = booted(con)
    return seen


def booted(console):
    """Wait for the guest's own words; what it saw."""
    m = console.expect(r"GUEST cpus=(\d+) memory=(\d+) clock=(\d+)\s", 25)
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
