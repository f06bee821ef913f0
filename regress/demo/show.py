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
vm "demo" {
	memory 256M
	boot "%s/build/cache/guest/vmlinuz"
	initrd "%s/stock/initrd"
	cmdline "console=ttyS0 root=/dev/vda"
	disk "%s/demo.qcow2"
	disable
}
""" % (TOP, BUILD, DIR)


def say(text):
    print("\n=== " + text, flush=True)


def vmctl(vmd, *args):
    print("$ vmctl " + " ".join(args), flush=True)
    rc = subprocess.run([BUILD + "/vmctl", "-s", vmd.sock, *args]).returncode
    if rc != 0:
        sys.exit("demo: vmctl %s: exit status %d" % (" ".join(args), rc))


say("The configuration")
print(CONF, end="")
with Daemon(CONF, dir=DIR) as vmd:
    say("Its disk, over an image with a root file system")
    vmctl(vmd, "create", "-b", BUILD + "/stock/root.qcow2",
          DIR + "/demo.qcow2")
    say("vmd starts")
    print("$ vmd -f vm.conf")
    vmd.log.expect("host: .*")
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
        print(flush=True)
    say("Its status")
    vmctl(vmd, "status")
    say("It is stopped, by its power button")
    vmctl(vmd, "stop", "-w", "demo")
    vmctl(vmd, "status")
    say("vmd ends")
    if vmd.stop() != 0:
        sys.exit("demo: vmd: exit status %d" % vmd.proc.returncode)
    print(vmd.log.text.splitlines()[-1])
