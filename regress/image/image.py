#!/usr/bin/env python3
"""Disk images from the outside: vmctl create, disk info and disk check, in
a directory of its own, against what qemu-img makes of the same images."""
import fcntl
import functools
import json
import os
import pty
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
from vmdtest import BUILD, Tap  # noqa: E402

VMCTL = os.path.abspath(BUILD + "/vmctl")
LIMIT = 120
MB = 1 << 20
tap = Tap()


def run(*args, status=0, **kw):
    """Run a program; what it wrote to stdout and stderr."""
    p = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True,
                       timeout=LIMIT, text=True, errors="replace", **kw)
    assert status is None or p.returncode == status, (
        "%s: status %d: %s%s" % (args, p.returncode, p.stdout, p.stderr))
    return p


def vmctl(*args, status=0):
    return run(VMCTL, *args, status=status)


def refused(text, *args, status=1):
    err = vmctl(*args, status=status).stderr
    assert text in err, "%r is not in %r" % (text, err)


def qemu_img(*args, status=0):
    return run("qemu-img", *args, status=status)


def qemu_info(path):
    return json.loads(qemu_img("info", "--output=json", path).stdout)


def qemu_check(path, status=0):
    return json.loads(
        qemu_img("check", "--output=json", path, status=status).stdout)


def qemu_io(path, *cmds, fmt="qcow2"):
    run("qemu-io", "-f", fmt, *[a for c in cmds for a in ("-c", c)], path)


def same(a, b):
    qemu_img("compare", a, b)


def make_raw(path, size, seed, pieces=12):
    """A sparse file with some data."""
    rnd = random.Random(seed)
    with open(path, "wb") as f:
        f.truncate(size)
        for _ in range(pieces):
            n = rnd.choice((512, 4096, 65536, 100000))
            f.seek(rnd.randrange(max(size - n, 1)) & ~511)
            f.write(rnd.randbytes(min(n, size)))
        f.truncate(size)


def poke(path, off, data):
    with open(path, "r+b") as f:
        f.seek(off)
        f.write(data)


def peek(path, off, fmt):
    with open(path, "rb") as f:
        f.seek(off)
        return struct.unpack(fmt, f.read(struct.calcsize(fmt)))[0]


def fresh():
    """The directory, empty."""
    for f in os.listdir("."):
        shutil.rmtree(f) if os.path.isdir(f) else os.unlink(f)


@tap.test
def create_texts():
    """create: formats, sizes, texts, exit status"""
    for name, fmt in (("a.qcow2", "qcow2"), ("b.raw", "raw"), ("c", "raw"),
                      ("d.QCOW2", "qcow2"), ("qcow2:e", "qcow2"),
                      ("raw:f.qcow2", "raw"), ("g.img", "raw")):
        p = vmctl("create", "-s", "3M", name)
        assert p.stdout == ""
        assert p.stderr == "vmctl: %s imagefile created\n" % fmt, p.stderr
        path = name.split(":")[-1]
        assert qemu_info(path)["format"] == fmt
        assert qemu_info(path)["virtual-size"] == 3 * MB
        assert os.stat(path).st_mode & 0o777 == 0o600
    assert vmctl("create", "h", "-s", "1500k").stderr == (
        "vmctl: size rounded to 1 megabytes\nvmctl: raw imagefile created\n")
    assert os.path.getsize("h") == MB
    assert json.loads(vmctl("-j", "create", "-s2M", "i.qcow2").stdout) == {
        "file": "i.qcow2", "format": "qcow2", "size": 2 * MB,
        "backing": None}
    for f in ("a.qcow2", "b.raw"):
        before = open(f, "rb").read()
        refused("%s: File exists" % f, "create", "-s", "3M", f)
        assert open(f, "rb").read() == before
    os.symlink("nowhere", "dangling")
    refused("File exists", "create", "-s", "3M", "dangling")
    refused("missing size argument", "create", "x", status=2)
    refused("conflicting", "create", "-b", "x", "-i", "y", "z.qcow2",
            status=2)
    refused("at least one megabyte", "create", "-s", "1000k", "x")
    refused("not a number", "create", "-s", "big", "x")
    refused("require qcow2", "create", "-b", "a.qcow2", "x.raw")
    refused("none/x: No such file", "create", "-s", "1M", "none/x")
    refused("too large", "create", "-s", "3P", "x.qcow2")
    refused("x: /etc: not a regular file", "create", "-i", "/etc", "x")
    assert not os.path.exists("x") and not os.path.exists("x.qcow2")
    vmctl("create", "-s", "1P", "big.qcow2")
    assert qemu_check("big.qcow2")["check-errors"] == 0


@tap.test
def create_base():
    """create -b: the size, the name and the format of the base"""
    os.mkdir("sub")
    make_raw("base.raw", 4 * MB + 300, 1)
    vmctl("create", "-i", "base.raw", "base.qcow2")
    vmctl("create", "-b", "base.qcow2", "o.qcow2")
    assert qemu_info("o.qcow2")["backing-filename"] == "base.qcow2"
    assert qemu_info("o.qcow2")["backing-filename-format"] == "qcow2"
    same("base.qcow2", "o.qcow2")
    # Seen from another directory that name leads nowhere.
    vmctl("create", "-b", "base.qcow2", "sub/o.qcow2")
    assert qemu_info("sub/o.qcow2")["backing-filename"] == (
        os.path.abspath("base.qcow2"))
    same("base.qcow2", "sub/o.qcow2")
    vmctl("create", "-s", "5M", "-b", "base.qcow2", "p.qcow2")
    refused("size of the base is 5242880 bytes", "create", "-s", "6M", "-b",
            "base.qcow2", "x.qcow2")
    # A raw one is no whole number of sectors.
    vmctl("create", "-b", "raw:base.raw", "r.qcow2")
    info = qemu_info("r.qcow2")
    assert info["backing-filename-format"] == "raw"
    assert info["virtual-size"] == 4 * MB + 512
    shutil.copy("base.raw", "with:colon")
    vmctl("create", "-b", "with:colon", "colon.qcow2")
    assert qemu_info("colon.qcow2")["backing-filename"] == (
        os.path.abspath("with:colon"))
    refused("missing: No such file", "create", "-b", "missing", "x.qcow2")
    for f in ("o.qcow2", "p.qcow2", "r.qcow2"):
        assert qemu_check(f)["check-errors"] == 0
        vmctl("disk", "check", f)


@tap.test
def create_copy():
    """create -i: raw and qcow2, sizes, zeros are left out"""
    make_raw("s.raw", 40 * MB, 2)
    with open("s.raw", "r+b") as f:
        f.seek(20 * MB)
        f.write(bytes(8 * MB))
    vmctl("create", "-i", "s.raw", "a.qcow2")
    vmctl("create", "-i", "a.qcow2", "b.raw")
    assert qemu_check("a.qcow2")["check-errors"] == 0
    same("s.raw", "a.qcow2")
    same("s.raw", "b.raw")
    assert os.stat("b.raw").st_blocks * 512 < 6 * MB
    assert os.stat("a.qcow2").st_blocks * 512 < 6 * MB
    make_raw("odd", 3 * MB + 1, 3)
    for size, want in ((None, 4), ("4M", 4), ("9M", 9)):
        for out in ("x.raw", "x.qcow2"):
            arg = ["-s", size] if size else []
            vmctl("create", *arg, "-i", "odd", out)
            assert qemu_info(out)["virtual-size"] == want * MB
            vmctl("create", "-i", out, "back")
            with open("odd", "rb") as a, open("back", "rb") as b:
                assert a.read() == b.read()[:3 * MB + 1]
            os.unlink(out)
            os.unlink("back")
    refused("more than that", "create", "-s", "3M", "-i", "odd", "x.raw")
    open("empty", "w").close()
    vmctl("create", "-i", "empty", "e.qcow2")
    assert qemu_info("e.qcow2")["virtual-size"] == 0
    vmctl("disk", "check", "e.qcow2")
    assert not os.path.exists("x.raw")


VARIANTS = [
    "compat=0.10", "compat=1.1", "cluster_size=512", "cluster_size=4k",
    "cluster_size=2M", "refcount_bits=1", "refcount_bits=2",
    "refcount_bits=4", "refcount_bits=8", "refcount_bits=32",
    "refcount_bits=64", "lazy_refcounts=on", "preallocation=metadata",
    "preallocation=falloc", "compression_type=zstd",
    "compression_type=zstd,cluster_size=4k", "cluster_size=512,compat=0.10",
]


@tap.test
def variants():
    """every variant of qcow2 that qemu-img writes is read and checks clean"""
    make_raw("s.raw", 24 * MB, 4, 30)
    for v in VARIANTS:
        for compressed in ([], ["-c"]):
            if compressed and "prealloc" in v:
                continue
            qemu_img("convert", "-O", "qcow2", "-o", v, *compressed, "s.raw",
                     "v.qcow2")
            out = vmctl("disk", "check", "v.qcow2").stdout
            assert out.startswith("0 corruptions, 0 leaked"), v + out
            assert bool(compressed) == (" 0 compressed" not in out), out
            for new in ("n.raw", "n.qcow2"):
                vmctl("create", "-i", "v.qcow2", new)
                same("s.raw", new)
                os.unlink(new)
            info = json.loads(vmctl("disk", "info", "-j", "v.qcow2").stdout)
            theirs = qemu_info("v.qcow2")
            assert info["size"] == theirs["virtual-size"]
            assert info["cluster_size"] == theirs["cluster-size"]
            data = theirs["format-specific"]["data"]
            assert info["refcount_bits"] == data["refcount-bits"]
            assert info["lazy_refcounts"] == data.get("lazy-refcounts",
                                                      False)
            assert info["compression"] == {"zlib": "deflate",
                                           "zstd": "zstd"}[
                data["compression-type"]]


@tap.test
def entries():
    """zero clusters, discards, snapshots, bitmaps, an image in use"""
    qemu_img("create", "-q", "-f", "qcow2", "base.qcow2", "8M")
    qemu_io("base.qcow2", "write -P 1 0 8M")
    qemu_img("create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F",
             "qcow2", "-o", "cluster_size=4k", "z.qcow2", "12M")
    qemu_io("z.qcow2", "write -z 1M 1M", "write -P 2 3M 100k",
            "write -z -u 3M 8k", "discard 5M 64k", "write -c -P 3 6M 4k",
            "write -P 4 11M 300k")
    for f in ("n.raw", "n.qcow2"):
        vmctl("create", "-i", "z.qcow2", f)
        same("z.qcow2", f)
    qemu_img("snapshot", "-c", "one", "z.qcow2")
    qemu_io("z.qcow2", "write -P 5 0 64k", "write -P 6 11M 64k")
    qemu_img("snapshot", "-c", "two", "z.qcow2")
    qemu_img("bitmap", "--add", "z.qcow2", "bits")
    qemu_io("z.qcow2", "write -P 7 2M 1M")
    vmctl("disk", "check", "z.qcow2")
    info = json.loads(vmctl("-j", "disk", "info", "z.qcow2").stdout)
    assert info["snapshots"] == 2 and info["bitmaps"] == 1
    assert info["backing"] == "base.qcow2"
    assert info["backing_format"] == "qcow2"
    vmctl("create", "-i", "z.qcow2", "m.raw")
    same("z.qcow2", "m.raw")


@tap.test
def chains():
    """backing chains: mixed clusters, sizes, depth, cycles, declarations"""
    make_raw("0.raw", 6 * MB, 5)
    below, fmt = "0.raw", "raw"
    for i in range(1, 16):
        bits = 9 + i % 13
        size = (5 + i % 3) * MB
        f = "%d.qcow2" % i
        qemu_img("create", "-q", "-f", "qcow2", "-b", below, "-F", fmt, "-o",
                 "cluster_size=%d" % (1 << bits), f, str(size))
        qemu_io(f, "write -P %d %dk 20k" % (i, 100 * i))
        below, fmt = f, "qcow2"
    vmctl("create", "-i", "15.qcow2", "n.raw")
    same("15.qcow2", "n.raw")
    refused("more than 16 images", "create", "-b", "15.qcow2", "x.qcow2")
    qemu_img("create", "-q", "-f", "qcow2", "-b", "15.qcow2", "-F", "qcow2",
             "16.qcow2")
    refused("more than 16 images", "create", "-i", "16.qcow2", "x.raw")
    # The layer that is damaged is named.
    qemu_img("create", "-q", "-f", "qcow2", "low.qcow2", "1M")
    qemu_io("low.qcow2", "write 0 64k")
    l2 = peek("low.qcow2", peek("low.qcow2", 40, ">Q"), ">Q") % (1 << 56)
    poke("low.qcow2", l2, struct.pack(">Q", 1 << 60))
    vmctl("create", "-b", "low.qcow2", "high.qcow2")
    refused("x.raw: low.qcow2: the L2 entry of offset 0x0 is malformed",
            "create", "-i", "high.qcow2", "x.raw")
    # 1 has 2 below it, which has 1 below it.
    for a, b in (("c1", "c2"), ("c2", "c1"), ("self", "./self")):
        qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", b, "-F", "qcow2",
                 a, "1M")
        refused("c2: the chain leads back" if a == "c2" else
                "c2: No such file" if a == "c1" else
                "self: the chain leads back", "create", "-i", a, "x.raw")
    # What is not declared may be raw and only look like qcow2.
    qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", "0.raw", "-F", "raw",
             "u.qcow2", "6M")
    vmctl("create", "-i", "u.qcow2", "y.raw")
    ext = open("u.qcow2", "rb").read(4096).index(
        struct.pack(">II", 0xe2792aca, 3))
    poke("u.qcow2", ext, struct.pack(">I", 0x12345678))
    refused("0.raw: the image above does not say that it is raw", "create",
            "-i", "u.qcow2", "x.raw")
    qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", "/dev/null", "-F",
             "raw", "d.qcow2", "6M")
    refused("/dev/null: not a regular file", "create", "-i", "d.qcow2",
            "x.raw")
    os.mkfifo("fifo")
    refused("not a regular file", "disk", "info", "fifo")
    assert not os.path.exists("x.raw") and not os.path.exists("x.qcow2")


def set_ref(path, cluster, value):
    """Change a 16-bit refcount of an image with clusters of 64 KiB."""
    table = peek(path, 48, ">Q")
    block = peek(path, table, ">Q")
    poke(path, block + 2 * cluster, struct.pack(">H", value))


@tap.test
def check_leaks():
    """disk check: leaks are found and freed, as by qemu-img"""
    make_raw("s.raw", 4 * MB, 6)
    vmctl("create", "-i", "s.raw", "a.qcow2")
    end = os.path.getsize("a.qcow2") // 65536
    with open("a.qcow2", "ab") as f:
        f.write(bytes(3 * 65536))
    for i in range(3):
        set_ref("a.qcow2", end + i, i + 1)
    assert qemu_check("a.qcow2", status=3)["leaks"] == 3
    out = vmctl("disk", "check", "a.qcow2", status=1).stdout
    assert out.startswith("0 corruptions, 3 leaked clusters;"), out
    res = json.loads(vmctl("-j", "disk", "check", "a.qcow2",
                           status=1).stdout)
    assert (res["leaks"], res["leaks_freed"], res["good"]) == (3, 0, False)
    out = vmctl("disk", "check", "-r", "a.qcow2").stdout
    assert "3 leaked clusters, 3 of them freed" in out, out
    assert qemu_check("a.qcow2").get("leaks", 0) == 0
    vmctl("disk", "check", "a.qcow2")
    same("s.raw", "a.qcow2")
    for bits in (1, 2, 4, 8, 32, 64):
        qemu_img("create", "-q", "-f", "qcow2", "-o",
                 "refcount_bits=%d" % bits, "b.qcow2", "1M")
        qemu_io("b.qcow2", "write 0 1M")
        l1 = peek("b.qcow2", 40, ">Q")
        l2 = peek("b.qcow2", l1, ">Q") & ((1 << 56) - 1)
        poke("b.qcow2", l2, bytes(16))
        assert qemu_check("b.qcow2", status=3)["leaks"] == 2
        out = vmctl("disk", "check", "-r", "b.qcow2").stdout
        assert "2 leaked clusters, 2 of them freed" in out, out
        assert qemu_check("b.qcow2").get("leaks", 0) == 0


@tap.test
def check_corruptions():
    """disk check: corruptions are found and nothing is repaired"""
    make_raw("s.raw", 4 * MB, 7)
    vmctl("create", "-i", "s.raw", "good.qcow2")
    l1 = peek("good.qcow2", 40, ">Q")
    l2 = peek("good.qcow2", l1, ">Q") & ((1 << 56) - 1)
    with open("good.qcow2", "rb") as f:
        f.seek(l2)
        table = struct.unpack(">64Q", f.read(512))
    used = [i for i in range(64) if table[i]]
    first, second = used[:2]
    copied = 1 << 63

    def entry(i, v):
        return [(l2 + 8 * i, struct.pack(">Q", v))]

    kinds = {
        "used 2 times": entry(first, table[second]),
        "beyond the end of the file": entry(first, copied | 1 << 40),
        "not at the beginning": entry(first, table[first] + 512),
        "malformed L2 entry": entry(first, table[first] | 1 << 60),
        "L1 table at 0x10000 is used": entry(first, copied | 0x10000),
        "its entry says something else": entry(first,
                                               table[first] & ~copied),
        "malformed L1 entry": [(l1, struct.pack(">Q", l2 | copied | 1))],
        "L2 table at 0x20000000000 is beyond": [
            (l1, struct.pack(">Q", 1 << 41 | copied))],
        "has refcount 0 and is used 1 times": "ref",
        "refcount table entry 1 is malformed": [
            (peek("good.qcow2", 48, ">Q") + 8, struct.pack(">Q", 3))],
        "refcount block at 0x10000000000 is beyond": [
            (peek("good.qcow2", 48, ">Q") + 8, struct.pack(">Q", 1 << 40))],
    }
    for text, pokes in kinds.items():
        shutil.copy("good.qcow2", "bad.qcow2")
        if pokes == "ref":
            set_ref("bad.qcow2", (table[first] & ~copied) >> 16, 0)
        else:
            for off, data in pokes:
                poke("bad.qcow2", off, data)
        before = open("bad.qcow2", "rb").read()
        out = vmctl("disk", "check", "-r", "bad.qcow2", status=1).stdout
        assert text in out, "%s: %s" % (text, out)
        assert not out.startswith("0 corruptions"), out
        res = json.loads(vmctl("-j", "disk", "check", "bad.qcow2",
                               status=1).stdout)
        assert text in "\n".join(res["problems"]), res
        assert res["corruptions"] > 0 and not res["good"]
        assert open("bad.qcow2", "rb").read() == before, text
        qemu_img("check", "-q", "bad.qcow2", status=2)
    # Many of them are not all said.
    shutil.copy("good.qcow2", "bad.qcow2")
    poke("bad.qcow2", l2, struct.pack(">Q", 3 << 57) * 60)
    out = vmctl("disk", "check", "bad.qcow2", status=1).stdout
    assert len(out.splitlines()) == 22 and "and 4" in out, out


@tap.test
def check_statuses():
    """disk check: exit status 0, 1 or 2; one corruption, and no leak is freed"""
    make_raw("s.raw", 4 * MB, 7)
    vmctl("create", "-i", "s.raw", "e.qcow2")
    vmctl("disk", "check", "e.qcow2", status=0)
    vmctl("disk", "check", "-r", "e.qcow2", status=0)
    l1 = peek("e.qcow2", 40, ">Q")
    l2 = peek("e.qcow2", l1, ">Q") & ((1 << 56) - 1)
    at = [l2 + 8 * i for i in range(64) if peek("e.qcow2", l2 + 8 * i, ">Q")]
    entry = peek("e.qcow2", at[0], ">Q")
    poke("e.qcow2", at[0], struct.pack(">Q", entry | 1 << 60))  # corrupt
    poke("e.qcow2", at[1], struct.pack(">Q", 0))                # leaked
    before = open("e.qcow2", "rb").read()
    for args in ([], ["-r"]):
        for json_too in ([], ["-j"]):
            out = vmctl(*json_too, "disk", "check", *args, "e.qcow2",
                        status=1).stdout
            if json_too:
                res = json.loads(out)
                assert res["corruptions"] == 1 and res["leaks"] > 0, res
                assert res["leaks_freed"] == 0 and not res["good"], res
            else:
                assert "1 corruption" in out, out
        assert open("e.qcow2", "rb").read() == before
    poke("e.qcow2", at[0], struct.pack(">Q", entry))
    vmctl("disk", "check", "e.qcow2", status=1)
    vmctl("disk", "check", "-r", "e.qcow2", status=0)
    vmctl("disk", "check", "e.qcow2", status=0)
    # What is no image, or is not there.
    os.mkdir("dir")
    for name in "nothing", "dir", "qcow2:s.raw":
        vmctl("disk", "check", name, status=1)
    vmctl("disk", "check", status=2)
    vmctl("disk", "check", "-x", "e.qcow2", status=2)
    os.rmdir("dir")


@tap.test
def dirty():
    """disk check -r: an image that was not closed is clean afterwards"""
    for opts in ("cluster_size=64k", "cluster_size=512",
                 "cluster_size=1k,refcount_bits=1"):
        qemu_img("create", "-q", "-f", "qcow2", "-o",
                 "lazy_refcounts=on," + opts, "d.qcow2", "8M")
        run("qemu-io", "-f", "qcow2", "-c", "write -P 1 100k 1M", "-c",
            "write -P 2 4M 2M", "-c", "flush", "-c", "abort", "d.qcow2",
            status=None)
        assert peek("d.qcow2", 72, ">Q") == 1
        refused("was not closed and needs repair", "create", "-i", "d.qcow2",
                "x.raw")
        out = vmctl("disk", "check", "d.qcow2", status=1).stdout
        assert re.search(r"was not closed: [1-9]\d* refcounts are too low\n"
                         "0 corruptions", out), out
        out = vmctl("disk", "check", "-r", "d.qcow2").stdout
        assert "too low, which is repaired\n0 corruptions" in out, out
        assert peek("d.qcow2", 72, ">Q") == 0
        vmctl("disk", "check", "d.qcow2")
        assert qemu_check("d.qcow2")["check-errors"] == 0
        vmctl("create", "-i", "d.qcow2", "x.raw")
        data = open("x.raw", "rb").read()
        k = 1024
        assert data == (bytes(100 * k) + b"\1" * MB + bytes(2972 * k) +
                        b"\2" * (2 * MB) + bytes(2 * MB))
        os.unlink("x.raw")
    # Not closed, and nothing is wrong but that.
    poke("d.qcow2", 72, struct.pack(">Q", 1))
    vmctl("disk", "check", "d.qcow2", status=1)
    vmctl("disk", "check", "-r", "d.qcow2")
    # Not closed, and two uses of a cluster: that cannot be repaired.
    l1 = peek("d.qcow2", 40, ">Q")
    l2 = peek("d.qcow2", l1, ">Q") & ((1 << 56) - 1)
    poke("d.qcow2", 72, struct.pack(">Q", 1))
    used = peek("d.qcow2", l2 + 8 * 100, ">Q")
    assert used
    poke("d.qcow2", l2, struct.pack(">Q", used))
    assert " is used 2 times" in vmctl("disk", "check", "-r", "d.qcow2",
                                       status=1).stdout
    assert peek("d.qcow2", 72, ">Q") == 1
    poke("d.qcow2", l2, struct.pack(">Q", 0))
    vmctl("disk", "check", "-r", "d.qcow2")
    vmctl("create", "-i", "d.qcow2", "x.raw")
    poke("d.qcow2", 72, struct.pack(">Q", 2))
    refused("marked corrupt", "create", "-i", "d.qcow2", "y.raw")
    assert "marked corrupt" in vmctl("disk", "info", "d.qcow2").stdout
    assert "marked corrupt\n0 corr" in vmctl("disk", "check", "d.qcow2",
                                             status=1).stdout
    assert "which is repaired\n0 corr" in vmctl("disk", "check", "-r",
                                                "d.qcow2").stdout
    assert peek("d.qcow2", 72, ">Q") == 0


@tap.test
def raw_images():
    """disk info and disk check of raw images, and prefixes"""
    vmctl("create", "-s", "2M", "a.raw")
    assert vmctl("disk", "check", "a.raw").stdout == (
        "a raw image has no tables to check\n")
    assert json.loads(vmctl("-j", "disk", "info", "a.raw").stdout) == {
        "file": "a.raw", "format": "raw", "size": 2 * MB, "allocated": 0}
    refused("not a qcow2 image", "disk", "info", "qcow2:a.raw")
    vmctl("create", "-s", "2M", "b.qcow2")
    assert vmctl("disk", "info", "raw:b.qcow2").stdout.startswith(
        "format:          raw\n")
    for args in ([], ["info"], ["check"], ["info", "-r", "a.raw"],
                 ["what", "a.raw"], ["info", "a.raw", "b.qcow2"]):
        vmctl("disk", *args, status=2)


@tap.test
def locks():
    """an image that is in use is neither repaired nor copied nor a base"""
    vmctl("create", "-s", "2M", "a.qcow2")
    with open("a.qcow2", "r+b") as f:
        whole = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
        fcntl.fcntl(f, 37, whole)  # F_OFD_SETLK
        for args in (("disk", "check", "a.qcow2"),
                     ("disk", "check", "-r", "a.qcow2"),
                     ("create", "-i", "a.qcow2", "x.raw"),
                     ("create", "-b", "a.qcow2", "x.qcow2")):
            refused("in use: locked by another program", *args)
        vmctl("disk", "info", "a.qcow2")
        whole = struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0)
        fcntl.fcntl(f, 37, whole)
        vmctl("disk", "check", "a.qcow2")
        refused("in use", "disk", "check", "-r", "a.qcow2")
    p = subprocess.Popen(["qemu-io", "-f", "qcow2", "a.qcow2"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        # An answer says that it is open.
        p.stdin.write(b"length\n")
        p.stdin.flush()
        assert b"2 MiB" in p.stdout.readline()
        refused("in use", "disk", "check", "a.qcow2")
        refused("in use", "create", "-b", "a.qcow2", "x.qcow2")
    finally:
        p.kill()
        p.wait()
    vmctl("disk", "check", "a.qcow2")


@tap.test
def interrupted():
    """create -i: SIGINT leaves nothing, progress is for terminals only"""
    with open("s.raw", "wb") as f:
        for i in range(400):
            f.write(bytes([i % 255 + 1]) * MB)
    p = vmctl("create", "-i", "s.raw", "a.raw")
    assert p.stderr == "vmctl: raw imagefile created\n"
    os.unlink("a.raw")
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(VMCTL, ["vmctl", "create", "-i", "s.raw", "b.raw"])
    seen = b""
    while not re.search(rb"b\.raw: +\d+%", seen):
        seen += os.read(fd, 1024)
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        child = f.read().split()[0]
    with open("/proc/%s/status" % child) as f:
        have = dict(line.rstrip("\n").split(":\t", 1) for line in f
                    if ":\t" in line)
    assert have["NoNewPrivs"] == "1" and have["Seccomp"] == "2"
    for caps in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(have[caps], 16) == 0
    if os.getuid() == 0:
        assert have["Uid"] == have["Gid"] == "\t".join(["65534"] * 4)
        assert os.listdir("/proc/%s/root" % child) == []
    names = [os.readlink("/proc/%s/fd/%s" % (child, fd))
             for fd in os.listdir("/proc/%s/fd" % child)]
    assert len(names) == 3, names
    os.kill(pid, signal.SIGINT)
    _, st = os.waitpid(pid, 0)
    os.close(fd)
    assert os.WIFSIGNALED(st), st
    assert os.listdir(".") == ["s.raw"], os.listdir(".")


@tap.test
def no_space():
    """create: a full file system is reported and nothing is left"""
    if os.getuid() != 0:
        return
    make_raw("s.raw", 8 * MB, 10, 60)
    os.mkdir("small")
    p = run("unshare", "-m", "sh", "-c",
            "mount -t tmpfs -o size=1m none small && "
            "%s create -i s.raw small/x.qcow2; echo $?; "
            "%s create -i s.raw small/x.raw; echo $?; ls -A small" % (
                VMCTL, VMCTL))
    assert p.stdout == "1\n1\n", p
    for f in ("x.qcow2", "x.raw"):
        assert ("vmctl: create small/%s: cannot write: No space left on "
                "device\n" % f) in p.stderr, p.stderr


@tap.test
def other_user():
    """without root: the same, with the rights of that user"""
    if os.getuid() != 0:
        return
    vmctl("create", "-s", "2M", "secret.raw")
    qemu_img("create", "-q", "-u", "-f", "qcow2", "-b", "secret.raw", "-F",
             "raw", "a.qcow2", "2M")
    os.mkdir("his")
    for f in (".", "a.qcow2"):
        os.chmod(f, 0o755)
    os.chown("his", 65534, 65534)

    def nobody(*args, status=0):
        return run(VMCTL, *args, status=status, user=65534, group=65534,
                   extra_groups=[])
    try:
        nobody("disk", "info", "a.qcow2")
        nobody("disk", "check", "a.qcow2")
        err = nobody("create", "-i", "a.qcow2", "his/x.raw", status=1).stderr
        assert "secret.raw: Permission denied" in err, err
        nobody("disk", "check", "-r", "a.qcow2", status=5)
        nobody("create", "-s", "2M", "his/b.qcow2")
        nobody("create", "-b", "his/b.qcow2", "his/c.qcow2")
        nobody("create", "-i", "his/c.qcow2", "his/d.raw")
        nobody("create", "-s", "2M", "x.raw", status=5)
        assert os.stat("his/d.raw").st_uid == 65534
    finally:
        os.chmod(".", 0o700)


@tap.test
def hostile():
    """damaged images: an answer, no signal, nothing denied, no half image"""
    make_raw("s.raw", 2 * MB, 8, 20)
    rnd = random.Random(9)
    for n, opts in enumerate((["-o", "cluster_size=512"],
                              ["-c", "-o", "cluster_size=4k"],
                              ["-c", "-o", "compression_type=zstd"],
                              ["-o", "refcount_bits=1"])):
        qemu_img("convert", "-O", "qcow2", *opts, "s.raw", "good")
        if n == 0:
            qemu_img("snapshot", "-c", "one", "good")
            qemu_img("bitmap", "--add", "good", "bits")
        size = os.path.getsize("good")
        for _ in range(12):
            shutil.copy("good", "bad")
            for _ in range(rnd.randrange(1, 6)):
                where = rnd.choice((120, 0x1000, size))
                poke("bad", rnd.randrange(4, where), rnd.choice((
                    b"\0", b"\xff", b"\0" * 8, b"\xff" * 8,
                    rnd.randbytes(8), b"\x80" + bytes(7))))
            if rnd.random() < 0.2:
                os.truncate("bad", rnd.randrange(size))
            for args in (("disk", "info", "qcow2:bad"),
                         ("disk", "check", "-r", "qcow2:bad"),
                         ("create", "-i", "qcow2:bad", "out")):
                p = vmctl(*args, status=None)
                assert p.returncode in (0, 1), (args, p.returncode, p.stderr)
                assert "denied" not in p.stderr, p.stderr
                assert "process that reads" not in p.stderr, p.stderr
                made = os.path.exists("out")
                assert made == (args[0] == "create" and p.returncode == 0)
            if made:
                os.unlink("out")


def in_fresh(fn):
    """The same test, in an empty directory."""
    @functools.wraps(fn)
    def wrapped():
        fresh()
        fn()
    return wrapped


def main():
    if shutil.which("qemu-img") is None or shutil.which("qemu-io") is None:
        tap.skip_all("qemu-img and qemu-io are not installed")
    for n, fn in enumerate(tap.tests):
        tap.tests[n] = in_fresh(fn)
    with tempfile.TemporaryDirectory(prefix="vmd-image-") as d:
        signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))
        os.chdir(d)
        try:
            sys.exit(1 if tap.run() else 0)
        finally:
            os.chdir("/")


main()
