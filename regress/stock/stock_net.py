"""Networks of stock guests: two of them are up once, for all tests: on local
interfaces, on bridges, in a routing domain, in user mode.  Part of
stock.py."""
import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import threading

from vmdtest import BUILD, SLOW, Daemon, descendants, wait_gone
from stock_guest import INITRD, KERNEL, booted
import stock_world as world
from stock_world import HOST, HOST6, NAME, NAMED, WORLD, WORLD6
from hostnet import host, run, same

# "online" has all that it takes to be online.
CONF = """
local nat
local inet6
dns %(dns)s
domain "guests.test"
switch "lan" { interface bridge7 }
switch "apart" { interface bridge8 }
vm "online" {
	disable
	memory 256M
	boot "%(kernel)s"
	initrd "%(initrd)s"
	cmdline "console=ttyS0 quiet"
	local interface
}
vm "web" {
	disable
	memory 256M
	boot "%(kernel)s"
	initrd "%(initrd)s"
	cmdline "console=ttyS0 quiet"
	local interface {
		mtu 9000
		forward 8080 to 80
	}
	interface { switch "lan" }
	interface { switch "apart" isolated }
	local interface { rdomain 5 }
	interface { down }
}
vm "db" {
	disable
	memory 256M
	boot "%(kernel)s"
	initrd "%(initrd)s"
	cmdline "console=ttyS0 quiet"
	interface {
		user
		forward 2280 to 80
	}
	interface { switch "lan" locked lladdr }
	interface { switch "apart" isolated }
	local interface { locked lladdr }
}
"""
LEASE = ("udhcpc -f -O mtu -O ntpsrv -s /etc/udhcpc/default.script "
         "-p /tmp/%s.pid -i %s")
MIB = 1 << 20


class Guest:
    """A guest at its prompt."""

    def __init__(self, vmd, name):
        self.vmd = vmd
        self.name = name
        vmd.vmctl("start", name)
        self.con = vmd.console(name)
        booted(self.con)
        self.sh("stty cols 250 -echo; mkdir -p /www; echo I am %s >/www/who; "
                "httpd -p 80 -h /www" % name)

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

    def until(self, command, timeout=20):
        """Run it until it succeeds; what it says then."""
        return self.sh("n=0; until %s; do n=$((n + 1)); [ $n -lt %d ] || "
                       "break; usleep 200000; done; [ $n -lt %d ]" %
                       (command, timeout * 5, timeout * 5), 2 * timeout)

    def ping(self, address, status=0, more=""):
        self.sh("ping -c 1 -W %d %s %s >/dev/null" % (
            3 if status else 10, more, address), status=status)

    def nic(self, idx):
        """What the daemon says of its interface."""
        out = self.vmd.vmctl("show", "-j", self.name)
        return json.loads(out)["interfaces"][idx]

    def lease(self, idx):
        """Have an address by DHCP, renewed from then on."""
        dev = "eth%d" % idx
        self.sh("ip link set %s up; cat /tmp/%s.pid 2>/dev/null || " % (
            dev, dev) + "{ %s >/tmp/%s 2>&1 & }" % (LEASE % (dev, dev), dev))
        return self.until("grep 'DHCP bound' /tmp/" + dev)

    def address6(self, idx):
        """Its IPv6 address, from when it may be used."""
        return self.until("ip -6 addr show dev eth%d | grep -v tentative | "
                          "grep 'scope global'" % idx)

    def give(self, dev, address):
        self.sh("ip addr add %s dev %s && ip link set %s up" % (
            address, dev, dev))

    def close(self):
        self.con.close()


class Net:
    """A world, a daemon in it, and its guests, from the first test that asks
    for them on."""

    def __init__(self):
        self.world = self.vmd = None
        self.guests = {}

    def start(self, vmd):
        if self.vmd:
            return
        self.world = world.World().__enter__()
        self.before = host()
        path = vmd.dir + "/net"
        os.mkdir(path)
        self.vmd = Daemon(CONF % {"dns": WORLD, "kernel": KERNEL,
                                  "initrd": INITRD + "-net"}, dir=path)

    def guest(self, name):
        if name not in self.guests:
            self.guests[name] = Guest(self.vmd, name)
        return self.guests[name]

    def stop(self, *names):
        for name in names:
            if name in self.guests:
                self.guests.pop(name).close()
                self.vmd.vmctl("stop", "-fw", name)

    def close(self, *exc):
        for g in self.guests.values():
            g.close()
        if self.vmd:
            self.vmd.__exit__(*(exc or (None,)))
        if self.world:
            self.world.__exit__()
        self.__init__()


net = Net()


def online(vmd):
    """three lines of vm.conf: address, route, DNS, a name on the host"""
    net.start(vmd)
    g = net.guest("online")
    lease = g.lease(0)
    n = g.nic(0)
    assert n["address"] in lease and n["address"] in g.sh("ip addr"), lease
    for what in ("dns=" + WORLD, "domain=guests.test", "mtu=1500",
                 "router=" + n["host_address"], "lease=3600"):
        assert what in lease, (what, lease)
    assert n["lease"], n
    assert "default via " + n["host_address"] in g.sh("ip route")
    assert "nameserver " + WORLD in g.sh("cat /etc/resolv.conf")
    g.ping(n["host_address"])
    g.until("nslookup %s | grep -F %s" % (NAME, NAMED))
    g.sh("nslookup other.world.test", status=1)
    assert world.ping(n["address"])
    assert world.fetch(n["address"], 80).endswith("I am online\n")
    # A lease is renewed by the guest's own client.
    g.sh("kill -USR1 $(cat /tmp/eth0.pid)")
    assert n["address"] in g.until("grep 'DHCP renew' /tmp/eth0")
    with open(net.vmd.state + "/hosts") as f:
        names = f.read()
    assert "%s\tonline" % n["address"] in names, names
    assert "%s\tonline" % n["address6"] in names, names
    net.stop("online")
    with open(net.vmd.state + "/hosts") as f:
        assert "online" not in f.read()


def nat(vmd):
    """NAT: the world sees the host only, and reaches a forwarded port"""
    net.start(vmd)
    g = net.guest("web")
    g.lease(0)
    g.ping(WORLD)
    g.address6(0)
    for address, seen in (WORLD, "::ffff:" + HOST), (WORLD6, HOST6):
        said = g.sh("nc %s 7000" % address)
        assert "you are " + seen in said, said
    for address in HOST, HOST6:
        assert net.world.ask(address, 8080).endswith("I am web\n")
        assert world.fetch(address, 8080).endswith("I am web\n")


def inet6(vmd):
    """IPv6: a guest makes its address from what it is told"""
    net.start(vmd)
    g = net.guest("web")
    g.sh("ip link set eth0 up")
    n = g.nic(0)
    assert n["address6"] in g.address6(0), n
    assert re.search(r"default via fe80::1 ", g.sh("ip -6 route")), n
    g.ping(n["host_address6"])
    assert world.ping(n["address6"])


def tell(vmd, *guests):
    """Where frames may have got lost."""
    for g in guests:
        print("# " + g.sh("cat /proc/interrupts /proc/net/dev; ip addr",
                          status=None).replace("\n", "\n# "))
        print("# " + vmd.vmctl("show", g.name).replace("\n", "\n# "))
    for command in ("bridge link", "bridge fdb", "ip -s link"):
        print("# " + run(*command.split()).replace("\n", "\n# "))


def advertised(vmd):
    """a router advertisement of a guest changes its neighbour, not the host"""
    net.start(vmd)
    web, db = net.guest("web"), net.guest("db")
    for g in web, db:
        g.sh("ip link set eth1 up")
    web.sh("ip link set eth0 up")
    local = web.nic(0)
    before = host()
    for idx, prefix in (0, "2001:db8:bad::/64"), (1, "2001:db8:bad:1::/64"):
        n = web.nic(idx)
        frame = world.advert(n["mac"], prefix)
        with world.Seen(n["interface"]) as seen:
            # Twice: the second after whatever the first may have done.
            web.sh("rawframe eth%d %s" % (idx, frame.hex()))
            assert seen.wait(frame), n
            web.sh("rawframe eth%d %s" % (idx, frame.hex()))
            assert seen.wait(frame), n
    try:
        db.until("ip -6 addr show dev eth1 | grep 2001:db8:bad:1:")
    except AssertionError:
        tell(vmd, web, db)
        raise
    assert "2001:db8:bad" not in web.sh("ip -6 addr")
    after = host()
    assert before == after, (before, after)
    assert local["host_address6"] in after["addr"]
    # Forget it.
    db.sh("ip link set eth1 down")


def bridge(vmd):
    """two guests and the host on a switch"""
    net.start(vmd)
    web, db = net.guest("web"), net.guest("db")
    run("ip", "addr", "add", "10.9.0.254/24", "dev", "bridge7")
    web.give("eth1", "10.9.0.1/24")
    db.give("eth1", "10.9.0.2/24")
    web.ping("10.9.0.2")
    web.ping("10.9.0.254")
    db.ping("10.9.0.1")
    db.ping("10.9.0.254")
    assert world.ping("10.9.0.1") and world.ping("10.9.0.2")
    assert web.nic(1)["switch"] == "lan", web.nic(1)


def link(vmd):
    """the link is up and down with the interface of the host"""
    net.start(vmd)
    g = net.guest("web")
    tap = g.nic(4)["interface"]
    g.sh("ip link set eth4 up")
    for up in 0, 1, 0, 1:
        if up:
            run("ip", "link", "set", tap, "up")
        elif "UP" in world.link(tap)["flags"]:
            run("ip", "link", "set", tap, "down")
            # The next frame tells.
            g.sh("rawframe eth4 " + world.arp(g.nic(4)["mac"], "192.0.2.1",
                                              "192.0.2.2").hex())
        g.until("[ $(cat /sys/class/net/eth4/carrier) = %d ]" % up)
    assert "replaced" not in g.nic(4) or g.nic(4)["replaced"] == 0


def isolated(vmd):
    """isolated guests reach the host and not each other"""
    net.start(vmd)
    web, db = net.guest("web"), net.guest("db")
    run("ip", "addr", "add", "10.8.0.254/24", "dev", "bridge8")
    web.give("eth2", "10.8.0.1/24")
    db.give("eth2", "10.8.0.2/24")
    web.ping("10.8.0.254")
    db.ping("10.8.0.254")
    web.ping("10.8.0.2", status=1)
    db.ping("10.8.0.1", status=1)


def locked(vmd):
    """a guest with a locked address that uses another is not heard"""
    net.start(vmd)
    web, db = net.guest("web"), net.guest("db")
    run("ip", "addr", "replace", "10.9.0.254/24", "dev", "bridge7")
    db.sh("ip addr replace 10.9.0.2/24 dev eth1; ip link set eth1 up")
    db.ping("10.9.0.254")
    drops = db.nic(1)["sent_drops"]
    mac = db.nic(1)["mac"]
    db.sh("ip link set eth1 down; ip link set eth1 address "
          "02:00:00:00:00:99; ip link set eth1 up")
    db.ping("10.9.0.254", status=1)
    assert db.nic(1)["sent_drops"] > drops, db.nic(1)
    db.sh("ip link set eth1 down; ip link set eth1 address %s; "
          "ip link set eth1 up" % mac)
    db.ping("10.9.0.254")
    # On a local interface it has one IPv4 address, too.  The one that is not
    # locked shows that such frames do arrive.
    for g, idx, passes in (web, 0, True), (db, 3, False):
        n = g.nic(idx)
        g.sh("ip link set eth%d up" % idx)
        to = world.link(n["interface"])["address"]
        bad, good = ([world.echo(n["mac"], to, a, n["host_address"]),
                      world.arp(n["mac"], a, n["host_address"])]
                     for a in ("192.0.2.66", n["address"]))
        bad.append(world.advert("02:00:00:00:00:99", "2001:db8:bad::/64"))
        with world.Seen(n["interface"]) as seen:
            for frame in bad + good:
                g.sh("rawframe eth%d %s" % (idx, frame.hex()))
            for frame in (bad if passes else []) + good:
                assert seen.wait(frame), (n, frame)
            assert passes or not [f for f in bad if f in seen.all]
        drops = g.nic(idx)["sent_drops"] - n["sent_drops"]
        assert (drops >= len(bad)) == (not passes), (drops, n)


def rdomain(vmd):
    """a routing domain: its host's address answers there and not elsewhere"""
    net.start(vmd)
    g = net.guest("web")
    n = g.nic(3)
    g.give("eth3", n["address"] + "/31")
    tap = world.link(n["interface"])
    vrf = world.link(tap["master"])
    assert vrf["linkinfo"]["info_data"]["table"] == 5, vrf
    assert "l3mdev" in run("ip", "rule")
    g.ping(n["host_address"], more="-I eth3")
    assert world.ping(n["address"], vrf["ifname"])
    assert n["address"] not in run("ip", "route")
    g.ping(WORLD, status=1, more="-I eth3")


def vrf(vmd):
    """the tests of routing domains of priv itself, where there are VRFs"""
    out = run(BUILD + "/unit/priv_vrf_test")
    assert "\nok " in out and "\nnot ok" not in out, out
    if os.environ.get("RIG"):
        assert "without" not in out, out


def user(vmd):
    """user mode: address, the world by way of the host, a forwarded port"""
    net.start(vmd)
    g = net.guest("db")
    lease = g.lease(0)
    assert HOST in lease and "dns=" + WORLD in lease, lease
    assert g.nic(0)["address"] == HOST and g.nic(0)["lease"], g.nic(0)
    said = g.sh("nc %s 7000" % WORLD)
    assert "you are ::ffff:" + HOST in said, said
    g.until("nslookup %s | grep -F %s" % (NAME, NAMED))
    assert net.world.ask(HOST, 2280).endswith("I am db\n")
    assert world.fetch("127.0.0.1", 2280).endswith("I am db\n")


def jumbo(vmd):
    """packets of 9000 bytes, in one piece"""
    net.start(vmd)
    g = net.guest("web")
    g.lease(0)
    n = g.nic(0)
    assert "9000" in g.sh("cat /sys/class/net/eth0/mtu")
    assert world.ping(n["address"], size=8972)
    fragments = "awk '/^Ip:/ { print $(NF-1), $NF }' /proc/net/snmp"
    before = g.sh(fragments)
    g.ping(n["host_address"], more="-s 8972")
    assert g.sh(fragments) == before


def iperf(vmd):
    """iperf3 both ways"""
    net.start(vmd)
    g = net.guest("web")
    g.lease(0)
    n = g.nic(0)
    for title, option in ("guest to host", ""), ("host to guest", "-R"):
        with subprocess.Popen(["iperf3", "-s", "-1", "-B", n["host_address"]],
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL) as server:
            try:
                out = g.until("iperf3 -t 2 -J %s -c %s >/tmp/iperf && "
                              "grep -A 12 '\"sum_received\"' /tmp/iperf" %
                              (option, n["host_address"]), 30)
                server.wait(20 * SLOW)
            finally:
                server.kill()
        rate = float(re.search(r'"bits_per_second":\s*([\d.e+]+)', out)[1])
        print("# iperf3 %s: %.0f Mbit/s" % (title, rate / 1e6))
        assert rate > 0


def mirror(listener, sums, marks):
    """Send back what one connection sends; at each of `marks' bytes call
    what it has."""
    c, _ = listener.accept()
    with c:
        done, md5 = 0, hashlib.md5()
        while True:
            data = c.recv(65536)
            if not data:
                break
            md5.update(data)
            c.sendall(data)
            done += len(data)
            if marks and done >= marks[0][0]:
                marks.pop(0)[1].set()
        sums.append((done, md5.hexdigest()))


def killed(vmd):
    """a killed vionet comes back and the guest's connection survives"""
    net.start(vmd)
    g = net.guest("web")
    g.lease(0)
    n = g.nic(0)
    md5 = g.sh("dd if=/dev/urandom of=/tmp/data bs=64k count=128 2>/dev/null; "
               "md5sum </tmp/data", 60).split()[0]
    sums, marks = [], [(MIB, threading.Event()), (4 * MIB, threading.Event())]
    events = [e for _, e in marks]
    with socket.socket() as listener:
        listener.bind((n["host_address"], 7001))
        listener.listen()
        thread = threading.Thread(target=mirror, daemon=True,
                                  args=(listener, sums, marks))
        thread.start()
        g.sh("{ nc %s 7001 </tmp/data >/tmp/back & }" % n["host_address"])
        for e in events:
            assert e.wait(30 * SLOW), "the stream stopped"
            (pid,) = net.vmd.pids()["vm/web/vionet0"]
            os.kill(pid, signal.SIGKILL)
            net.vmd.log.expect("vm/web/vionet0: started again", 30)
        thread.join(60 * SLOW)
    assert sums == [(8 * MIB, md5)], (sums, md5)
    assert md5 in g.until("md5sum /tmp/back | grep " + md5)
    assert g.nic(0)["replaced"] == 2, g.nic(0)
    assert len(net.vmd.pids()["vm/web/vionet0"]) == 1


def leaves_nothing(vmd):
    """when they have ended the host is as it was before"""
    net.start(vmd)
    for name in "web", "db":
        net.guest(name)
    net.stop("web", "db")
    assert net.vmd.stop() == 0
    same(net.before)


def crashed(vmd):
    """when all of it was killed, the next daemon finds what was left"""
    net.start(vmd)
    net.stop("web", "db")
    if net.vmd.proc.poll() is not None:
        net.vmd.start()
    for name in "web", "db":
        net.vmd.vmctl("start", name)
    assert "l3mdev" in run("ip", "rule")
    tree = descendants(net.vmd.proc.pid)
    for pid in tree:            # with the first go some of the others
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    net.vmd.proc.wait()
    wait_gone(tree)
    net.vmd.start()
    for name in "web", "db":
        net.vmd.vmctl("start", name)
        net.vmd.vmctl("stop", "-fw", name)
    assert net.vmd.stop() == 0
    same(net.before)


TESTS = (online, nat, inet6, advertised, bridge, link, isolated, locked, rdomain,
         vrf, user, jumbo, iperf, killed, leaves_nothing, crashed)


def end(bad):
    """Whatever was chosen, and however it went."""
    if net.vmd and bad:
        net.close(bad)
    else:
        net.close()


def add(tap):
    """Add the tests of networks to `tap'."""
    for fn in TESTS:
        fn.__name__ = "net_" + fn.__name__
        tap.test(fn)
