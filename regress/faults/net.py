#!/usr/bin/env python3
"""Processes of networks are killed, one or all, at any moment of a guest's
life: after the next start and stop the host is as it was.  Guests of our own,
directly on /dev/kvm, in a network namespace of this test.  CHECK_LONG=1: 100
rounds."""
import os
import random
import signal
import subprocess
import sys
import time

if len(sys.argv) < 2 or sys.argv[1] != "inside":
    os.execvp("unshare", ["unshare", "-n", "-m", "--propagation", "private",
                          sys.executable, __file__, "inside", *sys.argv[1:]])
sys.argv.pop(1)
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
from vmdtest import (BUILD, SLOW, Daemon, Tap, descendants,  # noqa: E402
                     wait_gone)
from hostnet import host, run, same, sysctl  # noqa: E402

ROUNDS = 25 if os.environ.get("CHECK_LONG") else 5
SEED = int(os.environ.get("SEED", random.randrange(1 << 30)))
CONF = """
local nat
local inet6
dns 192.0.2.53
switch "lan" {
	interface bridge7
	group lans
}
vm "web" {
	disable
	memory 64M
	boot "%(b)s/guest/tick.elf"
	local interface { forward 8080 to 80 }
	interface { switch "lan" }
}
vm "db" {
	disable
	memory 64M
	boot "%(b)s/guest/tick.elf"
	interface { switch "lan" isolated }
	local interface
}
""" % {"b": BUILD}

tap = Tap()
if not os.access("/dev/kvm", os.W_OK) or os.geteuid() != 0:
    tap.skip_all("needs root and /dev/kvm")
if not os.path.exists("/dev/net/tun"):
    tap.skip_all("needs /dev/net/tun")
if subprocess.call("mount -t sysfs sysfs /sys && ip link set lo up",
                   shell=True) != 0:
    tap.skip_all("no network namespace of its own")
rng = random.Random(SEED)
print("# SEED=%d" % SEED)


def up(vmd):
    """Start it; its bridge is there some time later."""
    vmd.start()
    vmd.log.expect("bridge7: made")


def starting(vmd, *names):
    """Begin to start them; it may take any turn."""
    return [subprocess.Popen(
        [BUILD + "/vmctl", "-s", vmd.sock, "start", name],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL) for name in names]


def ended(clients):
    for c in clients:
        c.wait(60 * SLOW)


def some_time():
    """Within a start, mostly."""
    time.sleep(rng.uniform(0, 0.25))


def kill(pids):
    """All at once."""
    for sig in signal.SIGSTOP, signal.SIGKILL:
        for pid in pids:
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass
    wait_gone(pids)


def next_one(vmd):
    """A start and an orderly end of both, as if nothing had happened."""
    for name in "web", "db":
        # Killed again and again, priv takes its time to come again.
        end = time.monotonic() + 60 * SLOW
        while "priv is being started again" in vmd.vmctl(
                "start", name, timeout=60, status=None):
            assert time.monotonic() < end
        assert vmd.info(name)["state"] == "running"
    assert "masquerade" in run("nft", "list", "ruleset")
    assert sysctl("ipv4/ip_forward") == "1"
    for name in "web", "db":
        vmd.vmctl("stop", "-fw", name, timeout=60)


def idle(vmd):
    """No guest runs, whatever became of those that were started."""
    vmd.vmctl("stop", "-fw", "-a", timeout=60, status=None)
    states = {v["state"] for v in vmd.info().values()}
    assert states == {"stopped"}, states


@tap.test
def vionet(vmd):
    """vionet: another takes its place, and nothing is left"""
    made = host()
    for _ in range(ROUNDS):
        next_one(vmd)
        for name in "web", "db":
            vmd.vmctl("start", name)
        during = host()
        title = rng.choice(("vm/web/vionet0", "vm/web/vionet1",
                            "vm/db/vionet0", "vm/db/vionet1"))
        kill(vmd.pids()[title])
        vmd.log.expect(title + ": started again")
        same(during)
        idle(vmd)
        same(made)


@tap.test
def priv(vmd):
    """priv, while guests start: what it made is known to the next"""
    for n in range(ROUNDS):
        if n % 3 == 0:          # who dies often is started ever later
            assert vmd.stop() == 0
            same(vanilla)
            up(vmd)
            made = host()
        clients = starting(vmd, "web", "db")
        some_time()
        kill(vmd.pids()["priv"])
        ended(clients)
        vmd.log.expect("priv: ready")
        idle(vmd)
        next_one(vmd)
        same(made)


def crash(vmd, victims):
    """Kill some of its processes, of which the first is one, and come
    again."""
    for _ in range(ROUNDS):
        clients = starting(vmd, "web", "db")
        some_time()
        tree = descendants(vmd.proc.pid)
        kill(victims(tree))
        vmd.proc.wait()
        wait_gone(tree)
        ended(clients)
        up(vmd)
        next_one(vmd)
        assert vmd.stop() == 0
        same(vanilla)
        up(vmd)


@tap.test
def parent(vmd):
    """parent, while guests start"""
    crash(vmd, lambda tree: tree[:1])


@tap.test
def everything(vmd):
    """every process, while guests start"""
    crash(vmd, lambda tree: tree)


@tap.test
def together(vmd):
    """after all that"""
    assert vmd.stop() == 0
    same(vanilla)
    up(vmd)


# As who has care: the kernel would turn it on with forwarding off.
with open("/proc/sys/net/ipv4/conf/all/accept_redirects", "w") as redirects:
    redirects.write("0")
vanilla = host()
with Daemon(CONF, "-v") as daemon:
    daemon.log.expect("bridge7: made")
    tap.run(daemon)
same(vanilla)
