"""What tests of disks share: the sectors that the guests of regress/guest
write, images and their checks, records of requests in flight, and mounts
that end with the test."""
import array
import ctypes
import mmap
import os
import struct
import subprocess

SECTOR = 512
MIX = 0x9e3779b97f4a7c15
U64 = (1 << 64) - 1

RECORDS = 1024      # of a device's shared page: where the records begin
HEAD, SLOT = 8, 16  # bytes of a record and of each of its slots
TAKEN = 1


def sector(s, gen):
    """Sector `s' as a guest writes it in generation `gen'; 0 is zeroes."""
    if gen == 0:
        return bytes(SECTOR)
    w = gen << 32 | s
    return struct.pack("<Q", w) + struct.pack("<Q", w * MIX & U64) * 62 + \
        struct.pack("<Q", w ^ U64)


def read_sectors(path, n):
    """The sum of the first words of `n' sectors of a raw file, each of which
    is complete and of that place."""
    total, bad = 0, []
    with open(path, "rb") as f:
        for s in range(n):
            data = f.read(SECTOR)
            w = array.array("Q", data[:8])[0]
            total += w
            if (w & 0xffffffff != s and w != 0) or data != sector(s, w >> 32):
                bad.append(s)
    assert not bad, "%d wrong sectors: %s" % (len(bad), bad[:20])
    return total & U64


def image(path, size, fmt="raw", base=None):
    cmd = ["qemu-img", "create", "-q", "-f", fmt]
    if base:
        cmd += ["-b", base, "-F", "raw"]
    subprocess.run(cmd + [path, str(size)], check=True)


def check(path, fmt, leaks=False):
    """The image is sound: not so much as a leaked cluster, unless its process
    was killed, which harms nothing else."""
    if fmt == "qcow2":
        p = subprocess.run(["qemu-img", "check", "-f", "qcow2", path],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert p.returncode == 0 or leaks and p.returncode == 3, p.stdout.decode()


def raw(path, fmt):
    """The name of a raw file with the contents of an image."""
    if fmt == "raw":
        return path
    subprocess.run(["qemu-img", "convert", "-f", fmt, "-O", "raw", path,
                    path + ".raw"], check=True)
    return path + ".raw"


def start(vmd, name, ndisks):
    """Start a VM that runs blkrun; its console, past what earlier runs of it
    have said."""
    runs = vmd.__dict__.setdefault("runs", {})
    runs[name] = runs.get(name, 0) + 1
    vmd.vmctl("start", name)
    console = vmd.console(name)
    for _ in range(runs[name]):
        console.expect("disks %d" % ndisks)
    return console


class Records:
    """The records of requests in flight of a guest's devices."""

    def __init__(self, vm, queues=4, size=128):
        """Of the vm process `vm', whose devices have as many queues."""
        self.maps = []
        self.queues = queues
        self.size = size
        top = "/proc/%d/fd/" % vm
        for fd in sorted(map(int, os.listdir(top))):
            if os.readlink(top + str(fd)).startswith("/memfd:device"):
                with open(top + str(fd), "rb") as f:
                    self.maps.append(mmap.mmap(f.fileno(), 0,
                                               prot=mmap.PROT_READ))

    def in_flight(self, disk):
        """How many requests of the disk are taken and not given back."""
        m, n = self.maps[disk], 0
        step = (HEAD + SLOT * self.size + 63) & ~63
        for q in range(self.queues):
            at = RECORDS + q * step
            size = struct.unpack_from("<H", m, at)[0]
            for i in range(min(size, self.size)):
                state = struct.unpack_from("<I", m, at + HEAD + SLOT * i + 8)
                n += state[0] & 0xffff == TAKEN
        return n


# --- mounts ----------------------------------------------------------------

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS = 0x20000
MNT_DETACH = 2
MS_REMOUNT, MS_REC, MS_PRIVATE = 0x20, 0x4000, 0x40000


def mount(what, where, fstype, flags=0, data=None):
    if libc.mount(what.encode(), where.encode(), fstype.encode(), flags,
                  data.encode() if data else None) == -1:
        raise OSError(ctypes.get_errno(), "mount " + where)


def own_mounts():
    """From here on what is mounted is seen by us and our children alone, and
    is gone when the last of us is."""
    if libc.unshare(CLONE_NEWNS) == -1:
        raise OSError(ctypes.get_errno(), "unshare")
    if libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == -1:
        raise OSError(ctypes.get_errno(), "private mounts")
