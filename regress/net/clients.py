#!/usr/bin/env python3
"""Real clients take what lib/net answers: busybox udhcpc and the kernel's
IPv6, and dhclient where it is installed, each on a tap of answerd in a network
namespace of this test."""
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
from vmdtest import BUILD, Tap  # noqa: E402

ANSWERD = os.path.abspath(BUILD + "/regress/answerd")
DEADLINE = 60
GUEST6 = "fd12:3456:789a:bcde:fce1:bbff:fed1:203"
# Tells of each event, and sets the address as a system would.
SCRIPT = """#!/bin/sh
what=$1$reason
ip=$ip$new_ip_address
test -n "$ip" && busybox ip addr replace $ip/31 dev $interface
echo $what ip=$ip mask=$mask$new_subnet_mask router=$router$new_routers \
    dns=$dns$new_domain_name_servers domain=$domain$new_domain_name \
    mtu=$mtu$new_interface_mtu ntp=$ntpsrv$new_ntp_servers \
    host=$hostname$new_host_name lease=$lease$new_dhcp_lease_time \
    dns6=$new_dhcp6_name_servers search=$new_dhcp6_domain_search
exit 0
"""
tap = Tap()


class Program:
    """A program whose lines are waited for; it ends with the block."""

    def __init__(self, *args):
        self.lines = queue.Queue()
        self.seen = []
        self.p = subprocess.Popen(args, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.p.stdout:
            self.lines.put(line.rstrip())
        self.lines.put(None)

    def wait(self, *words):
        """The next line that has all of these words."""
        end = time.monotonic() + DEADLINE
        while True:
            try:
                line = self.lines.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                line = None
            assert line is not None, "no %s in\n%s" % (
                words, "\n".join(self.seen))
            self.seen.append(line)
            if all(w in line for w in words):
                return line

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.p.kill()
        self.p.wait()
        self.reader.join()
        self.p.stdin.close()
        self.p.stdout.close()


class Link(Program):
    """A tap that is answered, and up."""

    def __init__(self):
        super().__init__(ANSWERD, "t0")

    def __enter__(self):
        self.wait("ready")
        subprocess.check_call(["busybox", "ip", "link", "set", "t0", "up"])
        return self

    def state(self, line):
        """until, grants, refused, declined"""
        return [int(x) for x in line.split()[2:]]


def udhcpc(*args):
    return Program("busybox", "udhcpc", "-f", "-i", "t0", "-s", "./script",
                   "-T", "2", "-t", "9", "-O", "mtu", "-O", "ntpsrv", "-O",
                   "hostname", *args)


def complete(line):
    for word in ("ip=100.64.1.3 ", "router=100.64.1.2 ",
                 "dns=100.64.1.2 9.9.9.9 ", "domain=example.org ",
                 "mtu=1400 ", "ntp=100.64.1.2 ", "host=web ", "lease=3600 "):
        assert word in line, "%s is not in %s" % (word, line)


@tap.test
def lease():
    """udhcpc gets a lease, renews it, gives it back"""
    with Link() as link, udhcpc() as client:
        line = client.wait("bound ip=")
        complete(line)
        assert " mask=31 " in line, line
        until, grants, *bad = link.state(link.wait("answered", " 1 0 0"))
        assert (until > 0, grants, bad) == (True, 1, [0, 0])
        client.p.send_signal(signal.SIGUSR1)
        complete(client.wait("renew ip="))
        link.wait("answered", " 2 0 0")
        client.p.send_signal(signal.SIGUSR2)
        client.wait("deconfig")
        assert link.state(link.wait("eaten"))[0] == 0


@tap.test
def broadcast():
    """udhcpc that wants broadcasts, and another address at first"""
    with Link() as link, udhcpc("-B", "-q", "-r", "10.0.0.9") as client:
        complete(client.wait("bound ip="))
        link.wait("answered", " 1 0 0")
        assert client.p.wait(DEADLINE) == 0


@tap.test
def slaac():
    """The kernel takes prefix, router and MTU from the advertisement"""
    with Program("ip", "-6", "monitor", "address", "route") as monitor:
        with Link():
            monitor.wait("default via fe80::1 ")
            monitor.wait(GUEST6 + "/64")    # when it is known to be unique
            with open("/proc/sys/net/ipv6/conf/t0/mtu") as f:
                assert f.read().strip() == "1400"
            out = subprocess.check_output(
                ["ip", "-6", "route", "show", "table", "all"], text=True)
            assert "fd12:3456:789a:bcde::/64" not in out, out


def dhclient(*args):
    with open("leases", "a"):
        pass
    return Program("dhclient", "-v", "-1", "-d", "-sf",
                   os.path.abspath("script"), "-pf", "pid", "-lf",
                   "leases", "-cf", "conf", *args, "t0")


def dhclient4():
    """dhclient gets a lease, and takes it up again"""
    with Link() as link:
        for what in "BOUND", "REBOOT":
            with dhclient() as client:
                complete(client.wait(what + " ip="))
                client.wait("bound to")     # and remembered
        link.wait("answered", " 2 0 0")


def dhclient6():
    """dhclient gets DNS by stateless DHCPv6, and no address"""
    with Program("ip", "-6", "monitor", "address") as monitor, Link() as link:
        monitor.wait(GUEST6 + "/64")    # then the others are there, too
        with dhclient("-6", "-S") as client:
            line = client.wait("RENEW6 ", "dns6=fd12:3456:789a:bcde:6440:")
            assert "search=example.org." in line, line
        with dhclient("-6") as client:
            client.wait("no addrs")
        link.wait("answered", "partial")


def main():
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        tap.skip_all("needs root and /dev/net/tun")
    if sys.argv[1:] != ["inside"]:
        os.execvp("unshare", ["unshare", "-n", sys.executable,
                              os.path.abspath(__file__), "inside"])
    if shutil.which("dhclient"):
        tap.test(dhclient4)
        tap.test(dhclient6)
    for name, value in (("all/disable_ipv6", 0), ("default/disable_ipv6", 0),
                        ("default/accept_ra", 1), ("default/autoconf", 1)):
        with open("/proc/sys/net/ipv6/conf/" + name, "w") as f:
            f.write(str(value))
    with tempfile.TemporaryDirectory() as tmp:
        os.chdir(tmp)
        with open("script", "w") as f:
            f.write(SCRIPT)
        os.chmod("script", 0o755)
        with open("conf", "w") as f:
            f.write("request subnet-mask, routers, domain-name, "
                    "domain-name-servers, host-name, interface-mtu, "
                    "ntp-servers, dhcp6.name-servers, dhcp6.domain-search;\n")
        bad = tap.run()
        os.chdir("/")
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
