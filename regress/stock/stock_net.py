"""Networks of stock guests: two of them are up once, for all tests: on local
interfaces, on bridges, in a routing domain, in user mode.  Part of
stock.py."""
import contextlib
import hashlib
import os
import re
import signal
import socket
import subprocess
import threading
import time

from vmdtest import BUILD, SLOW, Daemon, wait_gone
from stock_guest import INITRD, KERNEL, booted
import stock_world as world
from stock_world import NAME, NAMED, WORLD, WORLD6, run

# This, and a guest with `local interface', is all that it takes.
CONF = """
local nat
dns %(dns)s
vm "web" {
	disable
	memory 256M
	boot "%(kernel)s"
	initrd "%(initrd)s"
	cmdline "console=ttyS0 quiet"
	local interface
}
"""
NETINITRD = INITRD + "-net"
LEASE = "udhcpc -f -s /etc/udhcpc/default.script -p /tmp/%s.pid -i %s"


class Guest:
    """A guest at its prompt."""

    def __init__(self, vmd, name):
        self.vmd = vmd
        self.name = name
        vmd.vmctl("start", name)
        self.con = vmd.console(name)
        booted(self.con)
        self.sh("stty cols 250; mkdir -p /www; echo I am %s >/www/who" % name)

    def sh(self, command, timeout=30, status=0):
        """Run a command in it; what it says."""
        self.con.send('echo "="BEGIN; %s; echo "="END $?\n' % command)
        self.con.expect(r"=BEGIN\s*\n", timeout)
        begin = self.con.out.pos
        m = self.con.expect(r"=END (\d+)\s", timeout)
        text = self.con.out.text[begin:m.start()].replace("\r", "")
        if status is not None:
            assert int(m[1]) == status, (command, m[1], text)
        return text

    def nic(self, idx):
        """What the host says of its interface."""
        import json
        out = self.vmd.vmctl("show", "-j", self.name)
        return json.loads(out)["interfaces"][idx]

    def lease(self, dev):
        """Have an address by DHCP, and renew it from then on."""
        out = "/tmp/%s.out" % dev
        self.sh("{ %s >%s 2>&1 & }" % (LEASE % (dev, dev), out))
        return self.heard(out, "DHCP bound")

    def heard(self, path, what, timeout=30):
        """Wait until a file in it has a line with this."""
        text = self.sh("n=0; until grep '%s' %s; do n=$((n + 1)); "
                       "[ $n -lt %d ] || { cat %s; break; }; usleep 100000; "
                       "done" % (what, path, timeout * 10, path), 2 * timeout)
        assert what in text, text
        return text


def headline(vmd):
    """three lines of vm.conf, and a guest is online"""
    path = vmd.dir + "/three"
    os.mkdir(path)
    conf = CONF % {"dns": WORLD, "kernel": KERNEL, "initrd": NETINITRD}
    with world.World() as w:
        before = world.host()
        with Daemon(conf, dir=path) as other:
            g = Guest(other, "web")
            print("# " + g.lease("eth0"))
            print(g.sh("ip addr; ip route; cat /etc/resolv.conf; nslookup " + NAME))
            print(g.sh("nc %s 7000" % WORLD))
            print(g.nic(0))
            print(world.host()["nft"])
        assert before == world.host()


def add(tap, vmd):
    """Add the tests of networks to `tap'."""
    for fn in headline,:
        tap.test(fn)
