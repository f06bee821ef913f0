#!/usr/bin/env python3
"""`vmctl audit' of a running daemon with two guests: every process is there
and as it should be, and what is printed is what /proc says."""
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
from vmdtest import BUILD, Daemon, Tap, descendants  # noqa: E402

CONF = """
vm "tick" {
	disable
	memory 64M
	boot "%(build)s/guest/tick.elf"
	disk "%(dir)s/disk.img"
	cdrom "%(dir)s/cd.iso"
}
vm "tock" {
	disable
	memory 64M
	boot "%(build)s/guest/tick.elf"
}
"""
NDISKS = 16
WIDE = """
vm "wide" {
	disable
	memory 64M
	boot "%(build)s/guest/tick.elf"
%(disks)s}
"""
DEVICES = ["vm/tick/vioblk0", "vm/tick/vioscsi"]
CHECKS = ["process", "ids", "capabilities", "no_new_privs", "filter",
          "namespaces", "root", "descriptors", "guest memory", "landlock",
          "dumpable"]
tap = Tap()


def audit(vmd, *args, status=0):
    """{name: object}, each with its checks as {name: check}."""
    out = vmd.vmctl("audit", "-j", *args, status=status)
    found = {}
    for line in out.splitlines():
        o = json.loads(line)
        o["checks"] = {c["check"]: c for c in o["checks"]}
        found[o["name"]] = o
    return found


def status(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1)
                    for line in f if ":\t" in line)


@tap.test
def as_it_should_be(vmd):
    """with two guests running no process falls short"""
    procs = audit(vmd)
    assert sorted(procs) == ["control", "parent", "priv", "vm/tick", *DEVICES,
                             "vm/tock", "vmm"], sorted(procs)
    for o in procs.values():
        assert o["ok"] and list(o["checks"]) == CHECKS, o
    assert ({o["pid"] for o in procs.values()} ==
            set(descendants(vmd.proc.pid))), procs
    out = vmd.vmctl("audit")
    assert "8 processes, none falls short" in out, out
    assert "yes (own report)" in out, out


@tap.test
def as_proc_says(vmd):
    """ids, filters and descriptors are those of /proc"""
    for o in audit(vmd).values():
        st, checks = status(o["pid"]), o["checks"]
        assert (checks["ids"]["found"].split(",")[0] ==
                "uid " + st["Uid"].split()[0]), o
        assert checks["filter"]["found"].startswith(
            st["Seccomp_filters"] + " filter"), o
        fds = len(os.listdir("/proc/%d/fd" % o["pid"]))
        counts = checks["descriptors"]["found"].split(", ")
        if o["name"].startswith("vm/"):
            for which in "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
                assert int(st[which], 16) == 0, (o["name"], which, st[which])
            assert "securebits locked" in checks["capabilities"]["found"], o
        # One that we open to ask may come and go.
        assert abs(sum(int(c.split()[0]) for c in counts) - fds) <= 1, o


@tap.test
def small_filters(vmd):
    """the filters get smaller towards the guest, but for its two ends"""
    calls = {name: o["calls"] for name, o in audit(vmd).items()}
    assert calls["parent"] > calls["vmm"] > calls["vm/tick"], calls
    assert calls["vm/tick"] == calls["vm/tock"] <= 50, calls
    assert all(calls[name] <= 25 for name in DEVICES), calls
    assert calls["control"] <= 35 and calls["priv"] <= 42, calls


@tap.test
def calls_by_name(vmd):
    """which calls a filter allows is told by name"""
    procs = audit(vmd)
    for o in procs.values():
        assert len(set(o["allowed"])) == o["calls"] > 0, o
        assert "exit_group" in o["allowed"], o
    disk = procs["vm/tick/vioblk0"]["allowed"]
    assert "io_uring_enter" in disk, disk
    assert not {"openat", "socket", "execve", "ptrace"} & set(disk), disk
    assert "openat" in procs["parent"]["allowed"], procs["parent"]
    out = vmd.vmctl("audit", "vm/tick/vioblk0")
    m = re.search(r"filter +\d+ filters, \d+ calls\n((?:\t {14}.*\n)+)", out)
    assert m and m[1].split() == disk, (out, disk)
    assert "io_uring_enter" not in vmd.vmctl("audit"), "only when asked for"


@tap.test
def by_name(vmd):
    """one VM, one process; a name that is not there is status 3"""
    assert sorted(audit(vmd, "tick")) == ["vm/tick", *DEVICES]
    assert list(audit(vmd, "vm/tick/vioblk0")) == ["vm/tick/vioblk0"]
    assert list(audit(vmd, "vm/tock")) == ["vm/tock"]
    assert list(audit(vmd, "vmm")) == ["vmm"]
    vmd.vmctl("audit", "tic", status=3)
    vmd.vmctl("audit", "a", "b", status=2)


@tap.test
def for_root(vmd):
    """nobody but root may look; the daemon tells nobody else its processes"""
    p = subprocess.run(
        [BUILD + "/vmctl", "-s", vmd.sock, "audit"], user="nobody",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=30, check=False)
    assert p.returncode == 5 and b"root" in p.stdout, p


@tap.test
def ended(vmd):
    """a guest that has ended is forgotten"""
    vmd.vmctl("stop", "-f", "-w", "tock")
    assert "vm/tock" not in audit(vmd)
    vmd.vmctl("start", "tock")
    assert audit(vmd)["vm/tock"]["ok"]


@tap.test
def many_disks(vmd):
    """a guest with as many disks as there can be: each has its own id"""
    vmd.vmctl("start", "wide")
    procs = audit(vmd, "wide")
    assert sorted(procs) == sorted(
        ["vm/wide"] + ["vm/wide/vioblk%d" % i for i in range(NDISKS)]), procs
    ids = {o["checks"]["ids"]["found"] for o in procs.values()}
    assert len(ids) == NDISKS + 1, ids
    audit(vmd)
    out = vmd.vmctl("audit", "vm/wide/vioblk15")
    assert re.match(r"vm/wide/vioblk15: pid \d+\n\tprocess +below the "
                    r"parent\n\tids +uid \d+, gid \d+, 0 groups\n", out), out
    assert out.endswith("\n1 process, none falls short\n"), out


with tempfile.TemporaryDirectory(prefix="vmdaudit.") as files:
    for name in "disk.img", "cd.iso":
        with open("%s/%s" % (files, name), "wb") as f:
            f.truncate(1 << 20)
    for n in range(NDISKS):
        with open("%s/wide%d" % (files, n), "wb") as f:
            f.truncate(1 << 20)
    disks = "".join('\tdisk "%s/wide%d"\n' % (files, n)
                    for n in range(NDISKS))
    daemon = Daemon(CONF % {"build": BUILD, "dir": files} +
                    WIDE % {"build": BUILD, "disks": disks})
    with daemon:
        daemon.probed()
        for vm in "tick", "tock":
            daemon.vmctl("start", vm)
        tap.run(daemon)
