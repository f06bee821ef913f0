#!/usr/bin/env python3
"""A host without /dev/net/tun: a guest with a tap does not start and says
why; the daemon and all others go on.  In namespaces of this test's own."""
import json
import os
import subprocess
import sys

if len(sys.argv) < 2 or sys.argv[1] != "inside":
    os.execvp("unshare", ["unshare", "-n", "-m", "--propagation", "private",
                          sys.executable, __file__, "inside", *sys.argv[1:]])
sys.argv.pop(1)
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
from vmdtest import BUILD, Daemon, Tap  # noqa: E402
from hostnet import host, same  # noqa: E402

CONF = """
local nat
vm "net" {
	disable
	memory 64M
	boot "%(b)s/guest/tick.elf"
	local interface { forward 8080 to 80 }
}
vm "lan" {
	disable
	memory 64M
	boot "%(b)s/guest/tick.elf"
	interface
}
vm "alone" {
	disable
	memory 64M
	boot "%(b)s/guest/tick.elf"
}
""" % {"b": BUILD}

tap = Tap()
if not os.access("/dev/kvm", os.W_OK) or os.geteuid() != 0:
    tap.skip_all("needs root and /dev/kvm")
if subprocess.call("mount -t sysfs sysfs /sys && ip link set lo up",
                   shell=True) != 0:
    tap.skip_all("no network namespace of its own")
# Where there is none this is one more of the same.
if os.path.isdir("/dev/net"):
    subprocess.check_call(["mount", "-t", "tmpfs", "none", "/dev/net"])
assert not os.path.exists("/dev/net/tun")


def refused(vmd, name):
    out = vmd.vmctl("start", name, status=1)
    assert "interface 0: " in out and "(%s:" % vmd.conf in out, out
    assert "/dev/net/tun: No such file or directory" in out, out
    assert vmd.info(name)["state"] == "stopped", vmd.info(name)
    same(idle)


@tap.test
def told(vmd):
    """vmctl host says what there cannot be"""
    out = json.loads(vmd.vmctl("host", "-j").splitlines()[0])
    assert any("there can be no taps: /dev/net/tun" in n
               for n in out["network"]), out


@tap.test
def no_tap(vmd):
    """an error of that start, with its place, and nothing half done"""
    refused(vmd, "net")
    refused(vmd, "lan")


@tap.test
def others(vmd):
    """a guest without interfaces starts, before and after"""
    vmd.vmctl("start", "alone")
    refused(vmd, "net")
    assert vmd.info("alone")["state"] == "running"
    vmd.vmctl("stop", "-fw", "alone")
    vmd.vmctl("start", "alone")
    vmd.vmctl("stop", "-fw", "alone")
    same(idle)


idle = host()
with Daemon(CONF) as vmd:
    tap.run(vmd)
same(idle)
