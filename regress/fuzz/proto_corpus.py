#!/usr/bin/env python3
"""Write the seeds of the fuzz targets of message bodies (lib/proto, vmd/parent).

usage: proto_corpus.py DIRECTORY	(regress/fuzz/corpus)

Integers are little-endian, strings have a 32-bit length in front, and all
ones there for a string that is absent: lib/proto/wire.h.
"""
import os
import struct
import sys

NO_GID = 2 ** 64 - 1


def u16(*v):
    return struct.pack("<%dH" % len(v), *v)


def u32(*v):
    return struct.pack("<%dI" % len(v), *v)


def u64(*v):
    return struct.pack("<%dQ" % len(v), *v)


def text(*strings):
    out = b""
    for s in strings:
        out += u32(2 ** 32 - 1) if s is None else u32(len(s)) + s.encode()
    return out


def forward(proto, port, to):
    return bytes([proto]) + u16(port, to)


def net(flags=0, mtu=0, pairs=1, dns4=(), dns6=(), ntp4=(), ifname="", host="",
        domain=""):
    out = u32(flags, mtu, pairs, 3600) + b"\xfe\xe1\xbb\x01\x02\x03"
    out += b"\xfe\xe1\xba\x01\x02\x03" + u32(0x64400102, 0x64400103)
    out += b"\xfd" + bytes(15) + b"\xfd" + bytes(14) + b"\x02"
    out += u32(len(dns4), len(dns6), len(ntp4)) + u32(*dns4)
    for a in dns6:
        out += a
    return out + u32(*ntp4) + text(ifname, host, domain)


def spec(name, disks=(), nics=(), **k):
    out = text(name, *(k.get(f) for f in (
        "parent", "boot", "initrd", "cmdline", "cdrom", "log", "file")))
    out += u32(k.get("line", 0), k.get("given", 0), k.get("flags", 0),
               k.get("id", 0)) + u64(k.get("generation", 0))
    out += u32(k.get("cpus", 0)) + u64(k.get("memory", 0), k.get("uid", 0),
                                       k.get("gid", NO_GID), 0, NO_GID)
    out += u32(k.get("insflags", 0), k.get("bootdev", 0),
               k.get("restart", 0), k.get("timeout", 120),
               k.get("min_nics", 0), len(disks), len(nics))
    for path, serial, form, flags, layers, qcow2 in disks:
        out += text(path, serial) + u32(form, flags, layers, qcow2)
    for ifname, switch, group, flags, rdomain, mtu, forwards, conf in nics:
        out += text(ifname, switch, group) + u32(flags, rdomain, mtu)
        out += b"\xfe\xe1\xbb\x01\x02\x03" + u32(len(forwards))
        out += b"".join(forwards) + conf
    return out


def info(s, state, pid, *strings, held=0, devices=None):
    return (s + u32(state, pid) + u64(1 << 20, 1000, 1700000000) + u32(1) +
            text(*strings) + u32(held) +
            (u32(0) if devices is None else u32(1) + devices))


# The first one has counted, of the other one nothing is known.
DEVICES = (u32(2) + u32(0, 0, 1, 2) + u64(1 << 30) + u32(1) +
           u64(1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0, 0) + u32(1, 0, 0, 0) + u64(0) + u32(0))
# An interface with a lease.
NICS = (u32(1) + u32(2, 15, 1, 0) + u64(0) + u32(1) +
        u64(0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 1700000000))


NET = net(3, 1500, 4, (0x08080808,), (bytes(16), b"\x20" + bytes(15)),
          (0x0a000001,), "tap0", "web1", "example.org")
FULL = spec("web1", [("/vm/a.img", "serial", 2, 1, 3, 7),
                      ("/vm/b", None, 1, 0, 0, 0)],
            [("tap0", "uplink", "grp", 0x0b, 7, 9000, (), net()),
             (None, None, None, 0x24, 0, 0,
              (forward(6, 8080, 80), forward(17, 53, 53)), NET)],
            boot="/bsd", initrd="/ird", cmdline="quiet", cdrom="/cd",
            log="/log", file="/etc/vm.conf", line=3, given=0x3ff, flags=8,
            id=5, generation=9, cpus=4, memory=512 << 20, uid=1000, gid=1000,
            insflags=0x7f, bootdev=1, restart=2, min_nics=2)

SEEDS = {
    "vmspec": {
        "plain": spec("a"),
        "full": FULL,
        "instance": spec("b", parent="a", given=0x40),
        "counts": spec("c")[:-8] + u32(16, 16),
        "name": spec("-x"),
    },
    "vminfo": {
        "result": b"\0" + u32(0, 7, 1, 99) + u64(3) +
                  text("web1", "/dev/pts/3", None),
        "error": b"\0" + u32(5, 0, 0, 0) + u64(0) +
                 text(None, None, "is running already"),
        "id": b"\1" + text("web1") + u32(3, 0) + u64(0) + u32(60),
        "path": b"\1" + text("/etc/vm.conf") + u32(8, 0) + u64(0) + u32(0),
        "info": b"\2" + info(spec("a", id=1), 3, 42, None, "/dev/pts/1",
                             None, None),
        "info-full": b"\2" + info(FULL, 5, 0, "gone", None, "changed",
                                  "no disk", held=1),
        "info-devices": b"\2" + info(spec("a", id=1), 3, 42, None, None, None,
                                     None, devices=DEVICES),
        "info-nics": b"\2" + info(FULL, 3, 42, None, None, None, None,
                                  devices=NICS),
        "devices": b"\7" + DEVICES,
        "devices-net": b"\7" + NICS,
        "log": b"\3" + u32(4) + text("something happened"),
        "host": b"\4" + text("API=12\n") + u32(1) + text("ok", "KVM", None),
        "host-net": b"\4" + text("API=12\n") + u32(1) +
                    text("ok", "KVM", "br_netfilter is loaded\n"),
        "image": b"\5" + u32(2) + u64(1 << 30) + text("../base.img") +
                 u32(1) + text(None),
        "image-raw": b"\5" + u32(1) + u64(4096) + text(None) + u32(0) +
                     text(None),
        "image-error": b"\5" + u32(0) + u64(0) + text(None) + u32(0) +
                       text("is encrypted"),
    },
    "devmsg": {
        "id": b"\0" + u32(0, 3, 1, 2) + text("gone"),
        "start": b"\1" + u32(0, 1, 1, 1, 2) + text("web1", "/vm/a", "x1") +
                 net(),
        "start-net": b"\1" + u32(2, 15, 0, 0, 0) + text("web1", None, None) +
                     NET,
        "ready": b"\2" + u64(1 << 32) + u32(8) + b"12345678" + text(None),
        "refused": b"\2" + u64(0) + u32(0) + text("is corrupt"),
        "hello": b"\3" + u32(1, 2, 128, 8192, 2) +
                 u64(0) + u64(0x9f000) + u32(0) +
                 u64(1 << 20) + u64(1 << 26) + u32(0),
        "activate": b"\4" + u64(1) + u64(1 << 32) + u32(0, 1) + u16(128) +
                    u64(0x1000) + u64(0x2000) + u64(0x3000),
        "order": b"\5" + u64(1) + u32(32, 1, 0),
    },
    "openmsg": {
        "disk": b"\0" + text("/vm/a.img") + u32(1, 1, 1001, 100, 2) +
                u32(7, 1000),
        "root": b"\0" + text("/vm/kernel") + u32(0, 1, 0, 0, 0),
        "many": b"\0" + text("/x") + u32(2, 0, 1, 1, 65537, 0),
    },
    "privmsg": {
        "init": b"\0" + text("0123456789abcdef") +
                u32(0x64400000, 0xffc00000) + b"\xfd" + bytes(15) + u32(1) +
                text("4eth0 6eth0"),
        "nic": b"\1" + text("tap0", "vm1-if0-web1", "bridge0", "grp", None) +
               u32(0xff, 7, 1500, 4) + b"\xfe\xe1\xbb\x01\x02\x03" +
               u32(1, 2) + bytes(32) + u32(2) + forward(6, 8080, 80) +
               forward(17, 53, 53),
        "nic-plain": b"\1" + text(None, "x", None, None, None) +
                     u32(1, 0, 0, 1) + bytes(6) + u32(0, 0) + bytes(32) +
                     u32(0),
        "switch": b"\2" + text("bridge0", "switch1-lan") + u32(5, 3),
        "name": b"\3" + text("tap12"),
        "result": b"\4" + u32(0) + text(None, "tap0") +
                  b"\xfe\xe1\xba\x01\x02\x03" + u32(1500, 0, 3) +
                  text("6eth0") + u32(0),
        "refused": b"\4" + u32(5) + text("no such bridge", None) + bytes(6) +
                   u32(0, 0, 0) + text(None) + u32(0),
        "check": b"\4" + u32(0) + text(None, None) + bytes(6) +
                 u32(0, 0, 0) + text(None) + u32(2) +
                 text("forwarding is off", "br_netfilter is loaded"),
        "conf": b"\5" + NET,
        "forward": b"\6" + forward(6, 80, 80),
    },
    "wire": {
        "none": b"\0" + u32(0),
        "start": b"\3" + u32(3) + u16(1, 0, 0, 4, 0, 0, 4, 0, 1),
        "twice": b"\2" + u32(2) + u16(5, 1, 0, 5, 1, 0),
        "kind": b"\2" + u32(2) + u16(1, 0, 0, 99, 0, 0),
        "fewer": b"\1" + u32(2) + u16(1, 0, 0, 2, 0, 0),
        "many": b"\2" + u32(2 ** 32 - 1) + u16(1, 0, 0, 2, 0, 0),
    },
}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for target, seeds in SEEDS.items():
        d = os.path.join(sys.argv[1], target)
        os.makedirs(d, exist_ok=True)
        for name, data in seeds.items():
            with open(os.path.join(d, name), "wb") as f:
                f.write(data)


main()
