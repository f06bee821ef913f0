#!/usr/bin/env python3
"""What devices of a guest have counted, from the page that their processes
write to what `vmctl show' prints; also when a process dies or hangs."""
import contextlib
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
from vmdtest import BUILD, Daemon, Tap, wait_gone       # noqa: E402

BLOCKS = 150
SIZE = BLOCKS * 2048
COUNTERS = ("reads", "writes", "read_bytes", "written_bytes", "flushes",
            "errors")
TESTS = ("counted", "replaced", "table", "hung")
# One for each test: a console shows what earlier runs have said.
CONF = """
vm "%(name)s" {
	disable
	memory 64M
	boot "%(g)sscsi.elf"
	cmdline "again"
	cdrom "%(d)s/cd.iso"
	disk "%(d)s/disk.raw" serial "number one"
	disk "%(d)s/disk.qcow2"
}
"""
BARE = """
vm "bare" {
	disable
	memory 64M
	boot "%stick.elf"
}
"""

tap = Tap()
if not os.access("/dev/kvm", os.W_OK) or os.geteuid() != 0:
    tap.skip_all("needs root and /dev/kvm")


def devices(vmd, name):
    return {d["name"]: d for d in vmd.info(name)["devices"]}


@contextlib.contextmanager
def running(vmd, name):
    """The guest has read its disc once and waits."""
    vmd.vmctl("start", name)
    try:
        with vmd.console(name) as console:
            console.expect("again\\?")
            yield
    finally:
        vmd.vmctl("stop", "-fw", name)


@tap.test
def counted(vmd):
    """each device: what it is, how large, what it has done"""
    with running(vmd, "counted"):
        d = devices(vmd, "counted")
        assert list(d) == ["vioblk0", "vioblk1", "vioscsi"], d
        cd = d["vioscsi"]
        assert cd["reads"] > 0 and cd["errors"] == 0, cd
        # The guest reads each block more than once.
        assert cd["read_bytes"] >= SIZE, cd
        assert (cd["writes"], cd["written_bytes"]) == (0, 0), cd
        for name, want in {
                "vioscsi": ("cd.iso", "raw", True, None, 1, SIZE),
                "vioblk0": ("disk.raw", "raw", False, "number one", 1,
                            1 << 20),
                "vioblk1": ("disk.qcow2", "qcow2", False, None, 2,
                            2 << 20)}.items():
            x = d[name]
            assert (os.path.basename(x["path"]), x["format"], x["read_only"],
                    x["serial"], x["layers"], x["size"]) == want, x
            assert (x["state"], x["replaced"]) == ("running", 0), x
        assert not any(d["vioblk0"][k] for k in COUNTERS), d


@tap.test
def replaced(vmd):
    """a process that was replaced; the numbers go on from where they were"""
    with running(vmd, "replaced"):
        before = devices(vmd, "replaced")["vioscsi"]
        old = vmd.pids()["vm/replaced/vioscsi"]
        os.kill(old[0], signal.SIGKILL)
        wait_gone(old)
        deadline = time.monotonic() + 30
        while True:
            now = devices(vmd, "replaced")["vioscsi"]
            if (now["state"], now["replaced"]) == ("running", 1):
                break
            assert time.monotonic() < deadline, now
        assert now["reads"] >= before["reads"] > 0, (before, now)


@tap.test
def table(vmd):
    """`show NAME' has a second table; `status' has not"""
    with running(vmd, "table"):
        plain = vmd.vmctl("status", "table")
        assert len(plain.splitlines()) == 2, plain
        assert vmd.vmctl("show").count("\n") == 6
        shown = vmd.vmctl("show", "table").splitlines()
        assert len(shown) == 7 and shown[2] == "", shown
        heads = shown[3].split()
        for line in shown[4:]:
            assert len(line.split()) == len(heads), line
        row = dict(zip(heads, shown[4].split()))
        assert row["DEVICE"] == "vioblk0" and row["STATE"] == "running", row
        assert row["SERIAL"] == "number_one" and row["SIZE"] == "1.0M", row


@tap.test
def hung(vmd):
    """a vm process that does not answer costs a second, and only that"""
    with running(vmd, "hung"):
        vmd.vmctl("start", "bare")
        pid = vmd.info("hung")["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(2):
                begin = time.monotonic()
                lines = vmd.vmctl("status", "-j").splitlines()
                took = time.monotonic() - begin
                assert took < 5, took
                infos = {i["name"]: i for i in map(json.loads, lines)}
                assert infos["bare"]["devices"] == [], infos
                for d in infos["hung"]["devices"]:
                    assert d["path"].startswith(vmd.dir), d
                    assert all(d[k] is None for k in COUNTERS), d
                    assert d["state"] is None, d
            vmd.vmctl("status")
        finally:
            os.kill(pid, signal.SIGCONT)
        deadline = time.monotonic() + 30
        while devices(vmd, "hung")["vioscsi"]["reads"] is None:
            assert time.monotonic() < deadline
            time.sleep(0)
        vmd.vmctl("stop", "-fw", "bare")


def main():
    with Daemon("") as vmd:
        with open(vmd.dir + "/cd.iso", "wb") as f:
            for n in range(BLOCKS):
                text = b"block %d " % n
                f.write(text.ljust(64, b" ") + bytes([n & 255]) * (2048 - 64))
        for args in (("-s", "1M", "raw:%s/disk.raw"),
                     ("-s", "2M", "qcow2:%s/base.qcow2"),
                     ("-b", "%s/base.qcow2", "qcow2:%s/disk.qcow2")):
            subprocess.run([BUILD + "/vmctl", "create"] +
                           [a % vmd.dir if "%" in a else a for a in args],
                           check=True, stderr=subprocess.DEVNULL)
        guest = BUILD + "/guest/"
        vmd.write_conf(BARE % guest + "".join(
            CONF % {"name": name, "g": guest, "d": vmd.dir}
            for name in TESTS))
        vmd.vmctl("reload")
        return tap.run(vmd)


sys.exit(main())
