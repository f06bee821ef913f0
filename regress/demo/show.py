#!/usr/bin/env python3
"""What make demo shows, on a KVM that runs stock kernels."""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
from vmdtest import BUILD, TOP, Daemon  # noqa: E402

DIR = tempfile.mkdtemp(prefix="vmdtest.")
CONF = """# vm.conf
local nat
vm "demo" {
	memory 256M
	boot "%s/build/cache/guest/vmlinuz"
	initrd "%s/stock/initrd"
	cmdline "console=ttyS0 root=/dev/vda"
	disk "%s/demo.qcow2"
	local interface
	disable
}
""" % (TOP, BUILD, DIR)


def say(text):
    print("\n=== " + text, flush=True)


def run(*args, show=None):
    print("$ " + " ".join(show or args), flush=True)
    rc = subprocess.run(args).returncode
    if rc != 0:
        sys.exit("demo: %s: exit status %d" % (" ".join(args), rc))


def vmctl(vmd, *args):
    run(BUILD + "/vmctl", "-s", vmd.sock, *args, show=("vmctl", *args))


say("The configuration")
print(CONF, end="")
say("Its disk, over an image with a root file system")
create = ("create", "-b", BUILD + "/stock/root.qcow2", DIR + "/demo.qcow2")
run(BUILD + "/vmctl", *create, show=("vmctl", *create))
with Daemon(CONF, dir=DIR) as vmd:
    say("vmd starts")
    print("$ vmd -f vm.conf")
    vmd.probed()
    print(vmd.log.text, end="")
    say("The guest starts, and boots on its console")
    vmctl(vmd, "start", "demo")
    print("$ vmctl console demo", flush=True)
    with vmd.console("demo", show=True) as con:
        con.expect("GUEST cpus", 120)
        con.expect("guest# ", 60)
        con.send("uname -srm\n")
        con.expect("Linux .*\n", 60)
        con.expect("guest# ", 60)
        con.send("df -h /\n")
        con.expect("/dev/vda .*\n", 60)
        con.expect("guest# ", 60)
        con.send("udhcpc -qi eth0\n")
        address = con.expect(r"DHCP bound eth0 ([0-9.]+)/", 60).group(1)
        con.expect("guest# ", 60)
        con.send("echo Hello from the guest >/tmp/index.html; "
                 "httpd -h /tmp\n")
        con.expect("guest# ", 60)
        print(flush=True)
    say("The host knows its name, and reaches it")
    run("cat", vmd.state + "/hosts")
    run("busybox", "wget", "-qO-", "http://%s/" % address)
    say("Its status, its disk and its interface with the lease")
    vmctl(vmd, "show", "demo")
    say("It is stopped, by its power button")
    vmctl(vmd, "stop", "-w", "demo")
    vmctl(vmd, "status")
    say("vmd ends")
    if vmd.stop() != 0:
        sys.exit("demo: vmd: exit status %d" % vmd.proc.returncode)
    print(vmd.log.text.splitlines()[-1])
