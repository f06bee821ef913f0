"""A loop device over a file of the test's own, and a throttle on it that makes
it slow.  The kernel takes the device away when the last who has it open ends;
a watcher takes the throttle away, also when the test is killed."""
import errno
import fcntl
import os
import signal
import stat
import struct
import time

LOOP_CONFIGURE, LOOP_CTL_GET_FREE, BLKFLSBUF = 0x4c0a, 0x4c82, 0x1261
AUTOCLEAR = 4
V1 = "/sys/fs/cgroup/blkio"


def why_not():
    """Why there can be no loop device; "" if there can."""
    try:
        fd = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
        try:
            n = fcntl.ioctl(fd, LOOP_CTL_GET_FREE)
        finally:
            os.close(fd)
        os.close(os.open("/dev/loop%d" % n, os.O_RDWR | os.O_CLOEXEC))
    except OSError as e:
        return "no loop device: %s" % e
    return ""


def cgroup(controller):
    """The cgroup we are in, of a controller, or of version 2 with ""."""
    with open("/proc/self/cgroup") as f:
        for line in f:
            _, names, path = line.rstrip("\n").split(":", 2)
            if controller in names.split(","):
                return path
    return "/"


def throttles():
    """Files that take `MAJ:MIN iops' for us and for the kernel's own writing
    back, which is done as the root of the hierarchy: version 1 only, as with
    version 2 its root has none."""
    tops = {V1, V1 + cgroup("blkio").rstrip("/")}
    files = ["%s/blkio.throttle.%s_iops_device" % (top, what)
             for top in sorted(tops) for what in ("read", "write")]
    return [f for f in files if os.access(f, os.W_OK)]


class Loop:
    """With `path' and `rdev', over the file `image'."""

    def __init__(self, image):
        ctl = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
        file = os.open(image, os.O_RDWR | os.O_CLOEXEC)
        try:
            for _ in range(20):     # another may be faster
                n = fcntl.ioctl(ctl, LOOP_CTL_GET_FREE)
                if self.configure(n, file):
                    break
            else:
                raise OSError(errno.EBUSY, "loop devices")
        finally:
            os.close(ctl)
            os.close(file)
        self.watcher = self.gate = None

    def configure(self, n, file):
        self.path = "/dev/loop%d" % n
        self.backing = "/sys/block/loop%d/loop" % n
        self.fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        info = struct.pack("<5Q4I64s64s32s2Q", 0, 0, 0, 0, 0, 0, 0, 0,
                           AUTOCLEAR, b"", b"", b"", 0, 0)
        try:
            fcntl.ioctl(self.fd, LOOP_CONFIGURE,
                        struct.pack("<II", file, 512) + info + bytes(64))
        except OSError as e:
            os.close(self.fd)
            if e.errno != errno.EBUSY:
                raise
            return False
        self.rdev = os.fstat(self.fd).st_rdev
        return True

    def node(self, path, mode):
        """The same device by another name."""
        os.mknod(path, stat.S_IFBLK | mode, self.rdev)
        os.chmod(path, mode)

    def discards(self):
        """Does it make holes in the file?"""
        with open(os.path.dirname(self.backing) +
                  "/queue/discard_max_bytes") as f:
            return int(f.read()) > 0

    def set(self, iops):
        """So many requests a second; 0: as many as it can."""
        rule = "%d:%d %d" % (os.major(self.rdev), os.minor(self.rdev), iops)
        if iops and not self.watcher:
            self.watch()
        for name in throttles():
            with open(name, "w") as f:
                f.write(rule)

    def watch(self):
        r, self.gate = os.pipe()
        self.watcher = os.fork()
        if self.watcher == 0:
            try:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                os.setsid()
                # Nothing of the test's is to live on in here.
                for fd in map(int, os.listdir("/proc/self/fd")):
                    if fd != r:
                        try:
                            os.close(fd)
                        except OSError:
                            pass
                os.read(r, 1)
                self.set(0)
            finally:
                os._exit(0)
        os.close(r)

    def forget(self):
        """What is cached of it is written and dropped."""
        fcntl.ioctl(self.fd, BLKFLSBUF)

    def close(self):
        if self.watcher:
            os.close(self.gate)
            os.waitpid(self.watcher, 0)
            self.watcher = None
        os.close(self.fd)
        end = time.monotonic() + 30
        while os.path.exists(self.backing):
            assert time.monotonic() < end, self.path + " is still in use"
            time.sleep(0.01)
