#!/usr/bin/env python3
"""Each process of the daemon is killed in turn; what then happens is what
is promised, and the next start finds everything as before.  Guests of our
own, directly on /dev/kvm."""
import os
import signal
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
from vmdtest import (BUILD, Daemon, Tap, descendants, snapshot,  # noqa: E402
                     wait_gone)

TICK = BUILD + "/guest/tick.elf"
CONF = """
vm "plain" {
	disable
	memory 64M
	boot "%s"
}
vm "again" {
	disable
	memory 64M
	boot "%s"
	restart on-failure
}
""" % (TICK, TICK)

tap = Tap()
if not os.access("/dev/kvm", os.W_OK) or os.geteuid() != 0:
    tap.skip_all("needs root and /dev/kvm")


def kill(vmd, title):
    """SIGKILL the one process called `title' and wait for its end."""
    pids = vmd.pids()[title]
    assert len(pids) == 1, (title, pids)
    os.kill(pids[0], signal.SIGKILL)
    wait_gone(pids)


def ticking(vmd, name):
    with vmd.console(name) as con:
        con.expect(r"tick \d+")


def start(vmd, name):
    vmd.vmctl("start", name)
    ticking(vmd, name)


@tap.test
def vm_dies(vmd):
    """vm: a power cut for that guest, its cause kept; it starts again"""
    start(vmd, "plain")
    kill(vmd, "vm/plain")
    vmd.log.expect("plain: .*killed by signal 9")
    info = vmd.info("plain")
    assert info["state"] == "stopped", info
    assert "killed by signal 9" in info["cause"], info
    start(vmd, "plain")
    vmd.vmctl("stop", "-f", "-w", "plain")


@tap.test
def vm_restarts(vmd):
    """vm with `restart on-failure': starts again by itself"""
    start(vmd, "again")
    old = vmd.info("again")
    kill(vmd, "vm/again")
    vmd.log.expect("again: .*killed by signal 9")
    vmd.log.expect("again: started")
    ticking(vmd, "again")
    new = vmd.info("again")
    assert new["id"] == old["id"] and new["pid"] != old["pid"], (old, new)
    vmd.vmctl("stop", "-f", "-w", "again")


@tap.test
def control_dies(vmd):
    """control: started again, guests untouched"""
    start(vmd, "plain")
    before = vmd.info("plain")
    kill(vmd, "control")
    vmd.log.expect("control: killed by signal 9")
    after = vmd.info("plain")
    assert after["pid"] == before["pid"], (before, after)
    assert after["state"] == "running", after


@tap.test
def priv_dies(vmd):
    """priv: started again, guests untouched"""
    before = vmd.info("plain")
    kill(vmd, "priv")
    vmd.log.expect("priv: killed by signal 9")
    vmd.log.expect("priv: ready")
    assert len(vmd.pids()["priv"]) == 1
    assert vmd.info("plain")["pid"] == before["pid"]


@tap.test
def vmm_dies(vmd):
    """vmm: its guests end, it is started again, `restart' applies"""
    start(vmd, "again")
    guests = [vmd.info(n)["pid"] for n in ("plain", "again")]
    kill(vmd, "vmm")
    wait_gone(guests)
    vmd.log.expect("vmm: killed by signal 9")
    vmd.log.expect("again: started")
    info = vmd.info("plain")
    assert info["state"] == "stopped" and "vmm" in info["cause"], info
    ticking(vmd, "again")
    start(vmd, "plain")
    vmd.vmctl("stop", "-f", "-w", "-a")


@tap.test
def nothing_left(vmd):
    """twenty launches and kills leave nothing behind"""
    before = snapshot(vmd)
    for _ in range(20):
        vmd.vmctl("start", "plain")
        pid = vmd.info("plain")["pid"]
        os.kill(pid, signal.SIGKILL)
        vmd.vmctl("wait", "plain", status=None)
        wait_gone([pid])
    after = snapshot(vmd)
    for key in before.keys() | after.keys():
        assert before.get(key) == after.get(key), (
            key, before.get(key), after.get(key))


@tap.test
def clients_that_never_read(vmd):
    """100 clients that never read do not keep another waiting"""
    clients = []
    # A status request: type, length, then request id and connection.
    request = b""
    for _ in range(100):
        s = socket.socket(socket.AF_UNIX)
        s.connect(vmd.sock)
        s.setblocking(False)
        clients.append(s)
        try:
            for _ in range(200):
                s.send(os.urandom(16) + request)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass
    idle = []
    for _ in range(100):
        s = socket.socket(socket.AF_UNIX)
        s.connect(vmd.sock)
        idle.append(s)
    assert "plain" in vmd.info()
    for s in clients + idle:
        s.close()
    assert "plain" in vmd.info()


@tap.test
def parent_dies(vmd):
    """parent: everything ends at once; the next start finds it as before"""
    start(vmd, "plain")
    ids = {n: v["id"] for n, v in vmd.info().items()}
    tree = descendants(vmd.proc.pid)
    assert len(tree) >= 5, tree
    vmd.proc.kill()
    vmd.proc.wait()
    wait_gone(tree)
    vmd.start()
    assert {n: v["id"] for n, v in vmd.info().items()} == ids
    assert vmd.info("plain")["state"] == "stopped"
    start(vmd, "plain")
    vmd.vmctl("stop", "-f", "-w", "plain")
    assert vmd.stop() == 0
    assert not os.path.exists(vmd.sock)


with Daemon(CONF, "-v") as daemon:
    tap.run(daemon)
