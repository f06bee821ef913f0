#!/usr/bin/env python3
"""Networks from outside: what a daemon does to the host for its guests, and
that nothing of it is left, also when it is killed.  In a network namespace of
this test's own."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

if len(sys.argv) < 2 or sys.argv[1] != "inside":
    os.execvp("unshare", ["unshare", "-n", "-m", "--propagation", "private",
                          sys.executable, __file__, "inside", *sys.argv[1:]])
sys.argv.pop(1)
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
from vmdtest import BUILD, SLOW, Daemon, Tap, wait_gone  # noqa: E402
from hostnet import host, run as sh, same, sysctl  # noqa: E402

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
	local interface {
		forward 8080 to 80
	}
	interface { switch "lan" }
}
vm "db" {
	disable
	memory 64M
	boot "%(b)s/guest/tick.elf"
	local interface
	interface { switch "lan" isolated }
}
vm "again" {
	disable
	memory 64M
	boot "%(b)s/guest/reset.elf"
	cmdline "cf9"
	local interface
}
vm "lost" {
	disable
	memory 64M
	boot "%(b)s/guest/tick.elf"
	interface
	interface { switch "nosuch" }
}
vm "taken" {
	disable
	memory 64M
	boot "%(b)s/guest/tick.elf"
	interface
	local interface { forward 8081 to 80 }
}
vm "stranger" {
	disable
	memory 64M
	boot "%(b)s/guest/tick.elf"
	interface
	interface tap77
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


def links():
    return {o["ifname"]: o for o in json.loads(sh("ip", "-j", "-d", "link"))}


def addresses(ifname):
    (o,) = json.loads(sh("ip", "-j", "addr", "show", "dev", ifname))
    return {"%s/%d" % (a["local"], a["prefixlen"]) for a in o["addr_info"]}


def nics(vmd, name):
    out = vmd.vmctl("show", "-j", name)
    return json.loads(out)["interfaces"]


def made(ifname):
    """The daemon has it made some time after it was started."""
    end = time.monotonic() + 20 * SLOW
    while "UP" not in links().get(ifname, {"flags": ()})["flags"]:
        assert time.monotonic() < end, links().keys()
        os.sched_yield()


def hosts(vmd):
    with open(vmd.state + "/hosts") as f:
        return f.read()


def stop(vmd, *names):
    for name in names:
        vmd.vmctl("stop", "-fw", name)


@tap.test
def online(vmd):
    """two guests: taps, addresses, a bridge, rules; and nothing is left"""
    made("bridge7")
    idle.update(host())
    vmd.vmctl("start", "web")
    vmd.vmctl("start", "db")
    found = links()
    web, db = nics(vmd, "web"), nics(vmd, "db")
    for n, idx in ((web, 0), (db, 0)):
        t = found[n[idx]["interface"]]
        assert "vmd " in t["ifalias"] and "-if0-" in t["ifalias"], t
        assert "UP" in t["flags"] and "master" not in t, t
    for n in (web, db):
        assert found[n[1]["interface"]]["master"] == "bridge7", found
    w = vmd.info("web")["id"]
    assert "100.64.%d.2/31" % w in addresses(web[0]["interface"])
    rules = sh("nft", "list", "ruleset")
    assert "masquerade" in rules and "8080" in rules, rules
    assert sysctl("ipv4/ip_forward") == "1"
    lines = hosts(vmd).splitlines()
    assert "100.64.%d.3\tweb" % w in lines, lines
    assert len(lines) == 4, lines       # both, IPv4 and IPv6
    assert os.stat(vmd.state + "/hosts").st_mode & 0o777 == 0o644
    stop(vmd, "web")
    assert "\tweb" not in hosts(vmd)
    stop(vmd, "db")
    assert hosts(vmd) == ""
    same(idle)


@tap.test
def macs(vmd):
    """a guest has the same MAC each time, and no two the same"""
    before = host()
    vmd.vmctl("start", "web")
    vmd.vmctl("start", "db")
    first = [n["mac"] for n in nics(vmd, "web") + nics(vmd, "db")]
    assert len(set(first)) == 4 and first[0].startswith("fe:e1:bb:"), first
    stop(vmd, "web", "db")
    vmd.vmctl("start", "db")
    vmd.vmctl("start", "web")
    assert first == [n["mac"] for n in nics(vmd, "web") + nics(vmd, "db")]
    stop(vmd, "web", "db")
    same(before)


@tap.test
def bad_input(vmd):
    """an error of that start, with its place, and nothing half done"""
    same(idle)
    out = vmd.vmctl("start", "lost", status=1)
    assert 'interface 1: no switch "nosuch" (%s:' % vmd.conf in out, out
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 8081))
        s.listen()
        out = vmd.vmctl("start", "taken", status=1)
    assert re.search(r"interface 1: forward tcp 8081: .*\(/", out), out
    same(idle)
    sh("ip", "tuntap", "add", "dev", "tap77", "mode", "tap")
    try:
        out = vmd.vmctl("start", "stranger", status=1)
    finally:
        sh("ip", "link", "del", "tap77")
    assert "interface 1: " in out and "tap77: Device or" in out, out
    same(idle)
    vmd.vmctl("start", "taken")
    stop(vmd, "taken")
    same(idle)


@tap.test
def not_a_bridge(vmd):
    """a switch that is none keeps its guests from starting, not the daemon"""
    same(idle)
    sh("ip", "tuntap", "add", "dev", "bridge8", "mode", "tap")
    try:
        vmd.write_conf(CONF + 'switch "odd" { interface bridge8 }\n'
                       'vm "odd" {\n disable\n memory 64M\n'
                       ' boot "%s/guest/tick.elf"\n'
                       ' interface { switch "odd" }\n}\n' % BUILD)
        vmd.vmctl("reload")
        out = vmd.vmctl("start", "odd", status=1)
        assert 'interface 0: switch "odd": bridge8: not a bridge' in out, out
    finally:
        sh("ip", "link", "del", "bridge8")
    # Made, now that the name is free.
    vmd.vmctl("start", "odd")
    assert "bridge8" in links()
    stop(vmd, "odd")
    vmd.write_conf(CONF)
    vmd.vmctl("reload")
    same(idle)


@tap.test
def somebody_elses(vmd):
    """a bridge of the host's is as it was, also one that was down"""
    same(idle)
    sh("ip", "link", "add", "bridge9", "mtu", "1400", "type", "bridge")
    before = links()["bridge9"]
    try:
        vmd.write_conf(CONF + 'switch "its" { interface bridge9 }\n'
                       'vm "its" {\n disable\n memory 64M\n'
                       ' boot "%s/guest/tick.elf"\n'
                       ' interface { switch "its" }\n}\n' % BUILD)
        vmd.vmctl("reload")
        vmd.vmctl("start", "its")
        (n,) = nics(vmd, "its")
        found = links()
        assert found[n["interface"]]["master"] == "bridge9", found
        assert "UP" in found["bridge9"]["flags"], found
        stop(vmd, "its")
        vmd.write_conf(CONF)
        vmd.vmctl("reload")
        end = time.monotonic() + 20 * SLOW
        while "UP" in links()["bridge9"]["flags"]:
            assert time.monotonic() < end
            os.sched_yield()
        after = links()["bridge9"]
        for key in ("address", "mtu", "flags"):
            assert after[key] == before[key], (before, after)
    finally:
        sh("ip", "link", "del", "bridge9")
    same(idle)


@tap.test
def changed_switch(vmd):
    """what it says of its ports is pending for guests that run"""
    same(idle)
    vmd.vmctl("start", "web")
    assert vmd.info("web")["pending"] is None
    vmd.write_conf(CONF.replace("group lans", "group lans\n\tlocked lladdr"))
    vmd.vmctl("reload")
    text = 'interface 1: switch "lan": locked lladdr changed'
    assert vmd.info("web")["pending"] == text
    vmd.log.expect("web: " + re.escape(text))
    # It is gone, and comes back with the next guest, also for those on it.
    sh("ip", "link", "del", "bridge7")
    vmd.vmctl("start", "db")
    found = links()
    for name in ("web", "db"):
        port = found[nics(vmd, name)[1]["interface"]]
        assert port["master"] == "bridge7", port
    stop(vmd, "web", "db")
    vmd.vmctl("start", "web")
    assert vmd.info("web")["pending"] is None
    stop(vmd, "web")
    vmd.write_conf(CONF)
    vmd.vmctl("reload")
    # But for the bridge, which is another one.
    same({k: v for k, v in idle.items() if k not in ("link", "addr")})
    idle.update(host())


@tap.test
def reset(vmd):
    """a guest that resets keeps its tap"""
    same(idle)
    vmd.vmctl("start", "again")
    vmd.vmctl("wait", "again", status=None)
    same(idle)


@tap.test
def ad_hoc(vmd):
    """vmctl start -L -n lan -i"""
    same(idle)
    vmd.vmctl("start", "-b", BUILD + "/guest/tick.elf", "-m", "64M", "-L",
              "-n", "lan", "-i", "3", "mine")
    n = nics(vmd, "mine")
    assert len(n) == 3, n
    stop(vmd, "mine")
    same(idle)


@tap.test
def killed_priv(vmd):
    """guests go on; all is as it was when they have ended"""
    same(idle)
    vmd.vmctl("start", "web")
    rules = sh("nft", "list", "ruleset")
    during = host()
    for _ in range(3):
        (pid,) = vmd.pids()["priv"]
        os.kill(pid, signal.SIGKILL)
        wait_gone([pid])
        # One more interface is made by the next one.
        end = time.monotonic() + 30 * SLOW
        while "priv" in vmd.vmctl("start", "db", status=None):
            assert time.monotonic() < end
        stop(vmd, "db")
        assert "masquerade" in rules and "masquerade" in sh(
            "nft", "list", "ruleset")
    assert vmd.info("web")["state"] == "running"
    same(during)
    stop(vmd, "web")
    same(idle)


@tap.test
def killed_parent(vmd):
    """the next daemon, and its end, leave the host as it was"""
    vmd.vmctl("start", "web")
    vmd.vmctl("start", "db")
    pids = [p for l in vmd.pids().values() for p in l]
    vmd.proc.kill()
    vmd.proc.wait()
    wait_gone(pids)
    vmd.start()
    assert hosts(vmd) == ""
    assert "masquerade" not in sh("nft", "list", "ruleset")
    vmd.vmctl("start", "db")
    stop(vmd, "db")
    vmd.stop()
    same(vanilla)
    vmd.start()


@tap.test
def killed_all(vmd):
    """as above, when every process is killed at once"""
    vmd.vmctl("start", "web")
    pids = [p for l in vmd.pids().values() for p in l]
    for p in pids:
        os.kill(p, signal.SIGSTOP)
    for p in pids:
        os.kill(p, signal.SIGKILL)
    vmd.proc.wait()
    wait_gone(pids)
    vmd.start()
    vmd.stop()
    same(vanilla)
    vmd.start()


@tap.test
def host_notes(vmd):
    """vmctl host says what it was started into"""
    out = json.loads(vmd.vmctl("host", "-j").splitlines()[0])
    assert out["network"] is not None, out


idle = {}       # with a daemon and no guest
vanilla = host()
with Daemon(CONF) as vmd:
    tap.run(vmd)
same(vanilla)
