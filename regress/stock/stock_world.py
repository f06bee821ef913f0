"""What lies beyond the host in tests of networks: a network namespace at the
other end of a cable, with a resolver and servers that say whom they see.  And
frames, as a guest that pretends would send them."""
import contextlib
import ctypes
import ipaddress
import json
import os
import socket
import struct
import threading

from vmdtest import SLOW
from hostnet import run

HOST = "203.0.113.2"            # the host, as the world knows it
WORLD = "203.0.113.1"
HOST6 = "2001:db8:1::2"
WORLD6 = "2001:db8:1::1"
NAME = "name.world.test"        # what the resolver knows
NAMED = "198.51.100.77"

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def answer(query):
    """What a resolver says that knows one name and has no other."""
    if len(query) < 17:
        return None
    end = query.index(0, 12) + 5
    name, at = [], 12
    while query[at]:
        name.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    known = ".".join(name).lower() == NAME
    found = known and query[end - 4:end - 2] == b"\0\1"
    head = query[:2] + struct.pack(">HHHHH", 0x8580 | (0 if known else 3),
                                   1, int(found), 0, 0)
    record = (b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) +
              socket.inet_aton(NAMED)) if found else b""
    return head + query[12:end] + record


class World:
    """Made on entry, its cable is taken away at the end."""

    def __enter__(self):
        self.inner = None
        self.outer = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.sockets = []
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self):
        if libc.unshare(CLONE_NEWNET) == -1:
            raise OSError(ctypes.get_errno(), "unshare")
        self.inner = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        libc.setns(self.outer, CLONE_NEWNET)
        run("ip", "link", "add", "w0", "type", "veth", "peer", "name", "w1")
        run("ip", "link", "set", "w1", "netns",
            "/proc/%d/fd/%d" % (os.getpid(), self.inner))
        for dev, four, six in (("w0", HOST, HOST6), ("w1", WORLD, WORLD6)):
            with self.entered() if dev == "w1" else contextlib.nullcontext():
                run("ip", "link", "set", dev, "addrgenmode", "none")
                run("ip", "addr", "add", four + "/24", "dev", dev)
                run("ip", "addr", "add", six + "/64", "dev", dev, "nodad")
                run("ip", "link", "set", "lo", "up")
                run("ip", "link", "set", dev, "up")
        run("ip", "route", "add", "default", "via", WORLD)
        run("ip", "-6", "route", "add", "default", "via", WORLD6)
        self._serve(self._resolver, socket.SOCK_DGRAM, 53)
        self._serve(self._who, socket.SOCK_STREAM, 7000)

    def __exit__(self, *exc):
        for s in self.sockets:
            s.close()
        run("ip", "link", "del", "w0", status=(0, 1))
        for fd in self.inner, self.outer:
            if fd is not None:
                os.close(fd)

    @contextlib.contextmanager
    def entered(self):
        """Be there, with sockets and commands of this thread."""
        if libc.setns(self.inner, CLONE_NEWNET) == -1:
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            if libc.setns(self.outer, CLONE_NEWNET) == -1:
                raise OSError(ctypes.get_errno(), "setns")

    def _serve(self, what, kind, port):
        with self.entered():
            s = socket.socket(socket.AF_INET6, kind)
        self.sockets.append(s)
        s.bind(("::", port))
        threading.Thread(target=what, args=(s,), daemon=True).start()

    @staticmethod
    def _resolver(s):
        with contextlib.suppress(OSError):
            while True:
                query, peer = s.recvfrom(1500)
                data = answer(query)
                if data:
                    s.sendto(data, peer)

    @staticmethod
    def _who(s):
        s.listen()
        with contextlib.suppress(OSError):
            while True:
                c, peer = s.accept()
                with c:
                    c.sendall(("you are %s\n" % peer[0]).encode())

    def ask(self, address, port):
        """Ask a web server from there; all that it says."""
        with self.entered():
            return fetch(address, port)


def fetch(address, port):
    """What a web server says of /who."""
    with socket.create_connection((address, port), 10 * SLOW) as s:
        s.settimeout(10 * SLOW)
        s.sendall(b"GET /who HTTP/1.0\r\n\r\n")
        text = b""
        while True:
            data = s.recv(4096)
            if not data:
                return text.decode()
            text += data


def ping(address, dev=None, size=56):
    """Does it answer the host?  Never in fragments."""
    six = ":" in address
    with socket.socket(socket.AF_INET6 if six else socket.AF_INET,
                       socket.SOCK_RAW,
                       socket.IPPROTO_ICMPV6 if six else
                       socket.IPPROTO_ICMP) as s:
        if dev:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE,
                         dev.encode())
        if not six:             # IP_MTU_DISCOVER, IP_PMTUDISC_DO
            s.setsockopt(socket.IPPROTO_IP, 10, 2)
        packet = struct.pack(">BBHHH", 128 if six else 8, 0, 0, 4711, 1)
        packet += bytes(size)
        if not six:
            packet = packet[:2] + checksum(packet) + packet[4:]
        s.connect((address, 0))
        s.settimeout(5 * SLOW)
        s.send(packet)
        with contextlib.suppress(socket.timeout):
            while True:
                got = s.recv(65536)
                got = got if six else got[(got[0] & 15) * 4:]
                if got[0] == (129 if six else 0) and got[4:] == packet[4:]:
                    return True
    return False


# --- frames ------------------------------------------------------------------

def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return struct.pack(">H", ~total & 0xffff)


def advert(source, prefix):
    """A router advertisement, RFC 4861, 4.2, with all that could change a
    host: a router, a prefix, an MTU."""
    src = ipaddress.IPv6Address("fe80::bad").packed
    dst = ipaddress.IPv6Address("ff02::1").packed
    net = ipaddress.IPv6Network(prefix)
    body = (struct.pack(">BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) +
            b"\1\1" + mac(source) +
            struct.pack(">BBHI", 5, 1, 0, 1280) +
            struct.pack(">BBBBIII", 3, 4, net.prefixlen, 0xc0, 7200, 3600,
                        0) + net.network_address.packed)
    pseudo = src + dst + struct.pack(">II", len(body), 58)
    body = body[:2] + checksum(pseudo + body) + body[4:]
    return (mac("33:33:00:00:00:01") + mac(source) + b"\x86\xdd" +
            struct.pack(">IHBB", 6 << 28, len(body), 58, 255) + src + dst +
            body)


def echo(source, to, src, dst):
    """An echo request, RFC 792."""
    icmp = struct.pack(">BBHHH", 8, 0, 0, 1, 1) + b"pretends"
    icmp = icmp[:2] + checksum(icmp) + icmp[4:]
    head = (struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(icmp), 0, 0, 64, 1, 0) +
            socket.inet_aton(src) + socket.inet_aton(dst))
    head = head[:10] + checksum(head) + head[12:]
    return mac(to) + mac(source) + b"\x08\0" + head + icmp


def arp(source, src, dst):
    """Who has `dst'?  RFC 826."""
    return (b"\xff" * 6 + mac(source) + b"\x08\x06" +
            struct.pack(">HHBBH", 1, 0x800, 6, 4, 1) + mac(source) +
            socket.inet_aton(src) + bytes(6) + socket.inet_aton(dst))


class Seen:
    """Frames that arrive on an interface."""

    def __init__(self, ifname):
        self.s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                               socket.htons(3))
        self.s.bind((ifname, 0))
        self.all = []           # that were looked at

    def wait(self, what, timeout=10):
        """Is there one with these bytes?"""
        self.s.settimeout(timeout * SLOW)
        with contextlib.suppress(socket.timeout):
            while True:
                self.all.append(self.s.recv(65536))
                if what in self.all[-1]:
                    return True
        return False

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.s.close()


def link(ifname):
    (o,) = json.loads(run("ip", "-j", "-d", "link", "show", "dev", ifname))
    return o
