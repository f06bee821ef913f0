"""A file system (FUSE) with one file, `disk', that is as slow and as broken
as a test wants: a window to a real file.  Its server is a child that ends
with the test; the mount is in a name space of the test's own."""
import ctypes
import errno
import mmap
import os
import select
import signal
import struct
import time

import disks

LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE = 1, 2, 3, 4, 14, 15, 16
STATFS, RELEASE, FSYNC, FLUSH, INIT, OPENDIR, RELEASEDIR = (
    17, 18, 20, 25, 26, 27, 29)
ACCESS, INTERRUPT, DESTROY, BATCH_FORGET = 34, 36, 38, 42
DIRECT_IO = 1
ROOT, FILE = 1, 2


class SlowFile:
    """Mounted at `where' while it lives; its path is in `path'."""

    def __init__(self, real, where):
        self.where, self.path = where, where + "/disk"
        self.state = mmap.mmap(-1, 4096)    # delay in seconds, errno
        self.late = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.set()
        os.mkdir(where)
        dev = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        disks.mount("slowfs", where, "fuse", 0, "fd=%d,rootmode=40755,"
                    "user_id=0,group_id=0,allow_other" % dev)
        self.pid = os.fork()
        if self.pid == 0:
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            try:
                self.serve(dev, os.open(real, os.O_RDWR))
            finally:
                os._exit(0)
        os.close(dev)

    def set(self, delay=0.0, error=0):
        """From now on each READ and WRITE takes `delay' seconds, and fails
        if `error' is not 0."""
        self.state[:12] = struct.pack("<di", delay, error)

    def wait_late(self, timeout):
        """Until one takes its time; in how many seconds it has to."""
        assert select.select([self.late], [], [], timeout)[0], "none is late"

    def vanish(self):
        """The server is gone: whoever asks for something gets an error."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0

    def close(self):
        self.vanish()
        disks.libc.umount2(self.where.encode(), disks.MNT_DETACH)
        os.rmdir(self.where)
        os.close(self.late)

    # --- the server --------------------------------------------------------

    def attr(self, ino, fd):
        mode, size = 0o40755, 0
        if ino == FILE:
            mode, size = 0o100600, os.fstat(fd).st_size
        return struct.pack("<6Q10I", ino, size, size // 512, 0, 0, 0, 0, 0, 0,
                           mode, 1, 0, 0, 0, 4096, 0)

    def read_write(self, op, body, fd):
        delay, error = struct.unpack("<di", self.state[:12])
        if delay > 0:
            os.eventfd_write(self.late, 1)
        time.sleep(delay)
        if error:
            raise OSError(error, "as the test wants it")
        _, off, size = struct.unpack_from("<QQI", body)
        if op == READ:
            return os.pread(fd, size, off)
        return struct.pack("<II", os.pwrite(fd, body[40:40 + size], off), 0)

    def answer(self, op, ino, body, fd):
        if op == INIT:
            return struct.pack("<4I2H2I2H8I", 7, 31, 0, 0, 64, 64, 1 << 17,
                               1, 32, 0, *[0] * 8)
        if op == LOOKUP:
            if body != b"disk\0":
                raise OSError(errno.ENOENT, "not there")
            return struct.pack("<4Q2I", FILE, 0, 3600, 3600, 0, 0) + \
                self.attr(FILE, fd)
        if op in (GETATTR, SETATTR):
            return struct.pack("<Q2I", 3600, 0, 0) + self.attr(ino, fd)
        if op in (OPEN, OPENDIR):
            return struct.pack("<Q2I", 1, DIRECT_IO if op == OPEN else 0, 0)
        if op in (READ, WRITE):
            return self.read_write(op, body, fd)
        if op == STATFS:
            return struct.pack("<5Q4I24x", 1 << 20, 1 << 19, 1 << 19, 9, 9,
                               4096, 255, 4096, 0)
        if op in (RELEASE, RELEASEDIR, FSYNC, FLUSH, ACCESS, DESTROY):
            return b""
        raise OSError(errno.ENOSYS, "not here")

    def serve(self, dev, fd):
        while True:
            try:
                data = os.read(dev, (1 << 17) + 4096)
            except InterruptedError:
                continue
            size, op, unique, ino = struct.unpack_from("<IIQQ", data)
            if op in (FORGET, BATCH_FORGET, INTERRUPT):
                continue
            error = 0
            try:
                out = self.answer(op, ino, data[40:size], fd)
            except OSError as e:
                error, out = -e.errno, b""
            try:
                os.write(dev, struct.pack("<IiQ", 16 + len(out), error,
                                          unique) + out)
            except FileNotFoundError:       # nobody waits for it any more
                pass
