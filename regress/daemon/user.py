#!/usr/bin/env python3
"""User-mode interfaces: passt(1) is started with its guest and ends with it;
what it cannot do is the error of the start.  In a network namespace of this
test's own, with an uplink that leads to another."""
import json
import os
import re
import signal
import socket
import subprocess
import sys

if len(sys.argv) < 2 or sys.argv[1] != "inside":
    os.execvp("unshare", ["unshare", "-n", sys.executable, __file__,
                          "inside"])
sys.argv.pop(1)
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
from vmdtest import BUILD, Daemon, Tap, descendants, wait_gone  # noqa: E402

PASST = "/usr/bin/passt"
CONF = """
vm "one" {
	disable
	memory 64M
	boot "%(b)s/guest/tick.elf"
	interface {
		user
		forward 2222 to 22
		forward udp 5353 to 53
	}
}
vm "two" {
	disable
	memory 64M
	boot "%(b)s/guest/tick.elf"
	interface { user }
	interface { user forward 2223 to 22 }
}
vm "again" {
	disable
	memory 64M
	boot "%(b)s/guest/reset.elf"
	cmdline "cf9"
	interface { user forward 2225 to 22 }
}
vm "online" {
	disable
	memory 64M
	boot "%(b)s/guest/netuser.elf"
	interface { user forward 2224 to 22 }
}
"""
UPLINK = ("ip link set lo up && ip link add up0 type veth peer name up1 && "
          "ip link set up0 up && ip link set up1 up && "
          "ip addr add 192.0.2.2/24 dev up0 && "
          "ip route add default via 192.0.2.1")

tap = Tap()
if not os.access("/dev/kvm", os.W_OK) or os.geteuid() != 0:
    tap.skip_all("needs root and /dev/kvm")
if not os.access(PASST, os.X_OK):
    tap.skip_all("needs " + PASST)
if subprocess.call(UPLINK, shell=True) != 0:
    tap.skip_all("no uplink in a network namespace can be made")


def passts(vmd):
    """{pid: /proc/PID/status} of all that run below the daemon."""
    found = {}
    for pid in descendants(vmd.proc.pid):
        try:
            with open("/proc/%d/status" % pid) as f:
                st = dict(line.rstrip("\n").split(":\t", 1)
                          for line in f if ":\t" in line)
        except OSError:
            continue
        if st["Name"].startswith("passt"):
            found[pid] = st
    return found


def stop(vmd, *names):
    before = passts(vmd)
    for name in names:
        vmd.vmctl("stop", "-fw", name)
    return before


@tap.test
def starts(vmd):
    """one process for an interface, nobody's identity, none is left"""
    vmd.vmctl("start", "one")
    (pid, st), = passts(vmd).items()
    uid = int(st["Uid"].split()[0])
    assert uid >= 1000 and st["Uid"].split() == [str(uid)] * 4, st
    assert st["Gid"].split() == [str(uid)] * 4 and not st["Groups"].strip()
    assert st["NoNewPrivs"] == "1" and st["Seccomp"] == "2", st
    assert int(st["CapEff"], 16) == int(st["CapPrm"], 16) == 0, st
    socket.create_connection(("127.0.0.1", 2222), 10).close()
    stop(vmd, "one")
    wait_gone([pid])
    # The port is free again.
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 2222))


@tap.test
def own_ids(vmd):
    """no two have the same user id, and audit knows them"""
    vmd.vmctl("start", "one")
    vmd.vmctl("start", "two")
    uids = {st["Uid"] for st in passts(vmd).values()}
    assert len(uids) == 3, uids
    found = {}
    for line in vmd.vmctl("audit", "-j", status=None).splitlines():
        o = json.loads(line)
        found[o["name"]] = o
    for n in ["vm/one/passt0", "vm/two/passt0", "vm/two/passt1",
              "vm/one/vionet0", "vm/two/vionet1"]:
        assert n in found, found.keys()
        assert found[n]["ok"], found[n]
    wait_gone(list(stop(vmd, "one", "two")))


@tap.test
def port_taken(vmd):
    """a port that a program of the host has: passt's own words"""
    with socket.socket() as s:
        s.bind(("0.0.0.0", 2222))
        s.listen()
        out = vmd.vmctl("start", "one", status=1)
    assert re.search(r"interface 0: passt: .*2222", out), out
    assert "vm.conf:2" in out, out
    assert not passts(vmd)
    assert vmd.info("one")["state"] == "stopped"
    vmd.vmctl("start", "one")
    wait_gone(list(stop(vmd, "one")))


@tap.test
def dies(vmd):
    """the end of passt is not that of the guest; the next start has one"""
    vmd.vmctl("start", "one")
    (pid, _), = passts(vmd).items()
    os.kill(pid, signal.SIGKILL)
    vmd.log.expect(r"vm/one/passt0: killed by signal 9; no link")
    assert vmd.info("one")["state"] == "running"
    stop(vmd, "one")
    vmd.vmctl("start", "one")
    assert len(passts(vmd)) == 1
    stop(vmd, "one")


@tap.test
def online(vmd):
    """a lease, the router, a connection by a forwarded port, and no link"""
    vmd.vmctl("start", "online")
    (pid, _), = passts(vmd).items()
    with vmd.console("online") as c:
        c.expect("listening")
        # What takes its place goes on with the same stream.
        os.kill(vmd.pids()["vm/online/vionet0"][0], signal.SIGKILL)
        vmd.log.expect("vm/online/vionet0: started again")
        with socket.create_connection(("127.0.0.1", 2224), 20) as s:
            s.sendall(b"Hello, Guest")
            got = b""
            while True:
                data = s.recv(4096)
                if not data:
                    break
                got += data
        assert got == b"hELLO\x0c\x00gUEST", got
        c.expect("waiting")
        os.kill(pid, signal.SIGKILL)
        c.expect("no link")
        c.out.wait_eof(30)
        text = c.out.text
    assert "FAIL" not in text and "end of tests" in text, text
    assert "address 0xc0000202" in text and "router 0xc0000201" in text, text
    vmd.vmctl("wait", "online", status=None)


@tap.test
def resets(vmd):
    """a guest that resets has a new one each time, with the same port"""
    vmd.vmctl("start", "again")
    vmd.log.expect("again: reset too often")
    assert "again: not started" not in vmd.log.text
    wait_gone(list(passts(vmd)))


@tap.test
def daemon_killed(vmd):
    """no passt outlives the daemon"""
    vmd.vmctl("start", "two")
    pids = list(passts(vmd))
    assert len(pids) == 2
    vmd.proc.kill()
    vmd.proc.wait()
    wait_gone(pids)
    vmd.start()


@tap.test
def no_uplink(vmd):
    """a host without a network: passt's own words"""
    subprocess.check_call(["ip", "link", "del", "up0"])
    try:
        out = vmd.vmctl("start", "one", status=1)
        assert re.search("interface 0: passt: .*xternal interface not usable",
                         out), out
        assert not passts(vmd)
    finally:
        subprocess.check_call(UPLINK, shell=True)


with Daemon(CONF % {"b": BUILD}) as vmd:
    vmd.probed()
    sys.exit(tap.run(vmd))
