#!/usr/bin/env python3
"""Each process of the daemon is killed in turn; what then happens is what
is promised, and the next start finds everything as before.  Guests of our
own, directly on /dev/kvm."""
import contextlib
import os
import select
import signal
import socket
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
from vmdtest import (BUILD, SLOW, Daemon, Stream, Tap,  # noqa: E402
                     check_same, descendants, snapshot, wait_gone)

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
    """See it run.  When it has answered after that, it knows that its console
    is closed."""
    with vmd.console(name) as con:
        con.expect(r"tick \d+")
    vmd.vmctl("pause", name)
    vmd.vmctl("unpause", name)


def start(vmd, name):
    vmd.vmctl("start", name)
    ticking(vmd, name)


@contextlib.contextmanager
def waiting(vmd, name):
    """`vmctl wait NAME', once the daemon has heard it."""
    with subprocess.Popen(
            [BUILD + "/vmctl", "-s", vmd.sock, "wait", name],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE) as p:
        try:
            Stream(os.dup(p.stderr.fileno())).expect("waiting for vm")
            vmd.info(name)
            yield p
        finally:
            p.kill()


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
    """control: started again, guests untouched; clients see end of file"""
    start(vmd, "plain")
    before, pid = snapshot(vmd), vmd.info("plain")["pid"]
    with vmd.connect() as client, waiting(vmd, "plain") as waiter:
        kill(vmd, "control")
        vmd.log.expect("control: killed by signal 9")
        assert client.recv(1) == b""
        assert waiter.wait(30 * SLOW) == 7
    after = vmd.info("plain")
    assert after["pid"] == pid and after["state"] == "running", after
    vmd.log.expect("control: ready")
    check_same(before, snapshot(vmd))


@tap.test
def priv_dies(vmd):
    """priv: started again, guests untouched"""
    before, pid = snapshot(vmd), vmd.info("plain")["pid"]
    kill(vmd, "priv")
    vmd.log.expect("priv: killed by signal 9")
    vmd.log.expect("priv: ready")
    assert vmd.info("plain")["pid"] == pid
    check_same(before, snapshot(vmd))


@tap.test
def vmm_dies(vmd):
    """vmm: its guests end, it is started again, `restart' applies"""
    start(vmd, "again")
    before = snapshot(vmd)
    guests = [vmd.info(n)["pid"] for n in ("plain", "again")]
    with waiting(vmd, "plain") as waiter:
        kill(vmd, "vmm")
        wait_gone(guests)
        assert waiter.wait(30 * SLOW) == 0
    vmd.log.expect("vmm: killed by signal 9")
    vmd.log.expect("again: started")
    info = vmd.info("plain")
    assert info["state"] == "stopped" and "vmm" in info["cause"], info
    ticking(vmd, "again")
    start(vmd, "plain")
    check_same(before, snapshot(vmd))
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
    check_same(before, snapshot(vmd))


def wait_hangup(s):
    """Wait, without reading, until the other end is closed."""
    poll = select.poll()
    poll.register(s, 0)
    assert poll.poll(30000 * SLOW), "a client that never reads is kept"


def fill(clients, data):
    """Send `data' on all, again and again, until none takes more."""
    while clients:
        clients = [s for s in clients if try_send(s, data)]


def try_send(s, data):
    """False if it would block.  What is cut off is lost: this client goes on
    no more."""
    s.setblocking(False)
    try:
        return s.send(data) == len(data)
    except BlockingIOError:
        return False


@tap.test
def clients_that_never_read(vmd):
    """100 clients that ask and never read do not keep another waiting"""
    clients = [vmd.connect() for _ in range(100)]
    fill(clients, vmd.status_request() * 64)
    times = []
    for _ in range(5):
        begin = time.monotonic()
        assert "plain" in vmd.info()
        times.append(time.monotonic() - begin)
    assert statistics.median(times) < SLOW, times
    # The daemon lets go of those that do not listen.
    for s in clients:
        wait_hangup(s)
        s.close()
    assert "plain" in vmd.info()


@tap.test
def parent_dies(vmd):
    """parent: everything ends at once; the next start finds it as before"""
    before = snapshot(vmd)
    start(vmd, "plain")
    ids = {n: v["id"] for n, v in vmd.info().items()}
    tree = descendants(vmd.proc.pid)
    assert len(tree) >= 5, tree
    vmd.proc.kill()
    vmd.proc.wait()
    wait_gone(tree)
    assert os.path.exists(vmd.sock)     # nobody was left to remove it
    vmd.start()
    vmd.probed()
    assert {n: v["id"] for n, v in vmd.info().items()} == ids
    assert vmd.info("plain")["state"] == "stopped"
    for name in "plain", "again":
        start(vmd, name)
    vmd.vmctl("stop", "-f", "-w", "-a")
    check_same(before, snapshot(vmd))
    assert vmd.stop() == 0
    assert not os.path.exists(vmd.sock)


with Daemon(CONF, "-v") as daemon:
    daemon.probed()
    tap.run(daemon)
