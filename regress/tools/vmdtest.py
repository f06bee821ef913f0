"""What tests of the whole daemon share: a daemon of their own, its console
and control program, events with deadlines, TAP.

Everything a test makes lies in one directory that is removed at the end;
the daemon and what it started end with it, also when the test is killed.
"""
import ctypes
import glob
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("BUILD", "build"))
SLOW = 6 if os.environ.get("RIG") else 1    # the rig is emulated


# Asked to end: clean up on the way.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def _die_with_us():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)      # PR_SET_PDEATHSIG


def no_ring():
    """For preexec: as on a kernel without io_uring."""
    _die_with_us()
    code = b"".join(struct.pack("HBBI", *i) for i in (
        (0x20, 0, 0, 0),                # the number of the call:
        (0x15, 1, 0, 425),              # io_uring_setup
        (0x06, 0, 0, 0x7fff0000),
        (0x06, 0, 0, 0x50000 | 38)))    # ENOSYS
    text = ctypes.create_string_buffer(code, len(code))
    prog = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(text)))
    # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
    if ctypes.CDLL(None).prctl(22, 2, prog) == -1:
        raise OSError("seccomp")


class Stream:
    """Output of a process, collected by a thread, searched with a deadline.
    With `show' it is printed as it comes."""

    def __init__(self, fd, show=False):
        self.show = show
        self.text = ""
        self.pos = 0
        self.eof = False
        self.cond = threading.Condition()
        threading.Thread(target=self._read, args=(fd,), daemon=True).start()

    def _read(self, fd):
        while True:
            try:
                data = os.read(fd, 65536)
            except OSError:         # a terminal that was hung up
                data = b""
            if self.show:
                # Without questions to a terminal: where is the cursor?
                sys.stdout.write(data.decode(errors="replace")
                                 .replace("\r", "").replace("\033[6n", ""))
                sys.stdout.flush()
            with self.cond:
                self.eof = not data
                self.text += data.decode(errors="replace")
                self.cond.notify_all()
                if not data:
                    break
        os.close(fd)

    def expect(self, pattern, timeout=30):
        """Wait for `pattern' after what was found last; the match."""
        rx = re.compile(pattern)
        end = time.monotonic() + timeout * SLOW
        with self.cond:
            while True:
                m = rx.search(self.text, self.pos)
                if m:
                    self.pos = m.end()
                    return m
                left = end - time.monotonic()
                if left <= 0 or self.eof:
                    raise AssertionError("no %r in %r" % (
                        pattern, self.text[self.pos:][-2000:]))
                self.cond.wait(left)

    def wait_eof(self, timeout=30):
        end = time.monotonic() + timeout * SLOW
        with self.cond:
            while not self.eof:
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError("no end of file")
                self.cond.wait(left)


class Console:
    """`vmctl console NAME' between two pipes."""

    def __init__(self, daemon, name, *options, show=False):
        r, w = os.pipe()
        self.proc = subprocess.Popen(
            [BUILD + "/vmctl", "-s", daemon.sock, "console", *options, name],
            stdin=subprocess.PIPE, stdout=w, stderr=subprocess.STDOUT,
            preexec_fn=_die_with_us)
        os.close(w)
        self.out = Stream(r, show)
        self.expect = self.out.expect

    def send(self, text):
        self.proc.stdin.write(text.encode())
        self.proc.stdin.flush()

    def close(self):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Daemon:
    """A vmd with a socket and a state directory of its own."""

    def __init__(self, conf, *options, dir=None, preexec=_die_with_us):
        self.dir = dir or tempfile.mkdtemp(prefix="vmdtest.")
        os.chmod(self.dir, 0o755)
        self.sock = self.dir + "/vmd.sock"
        self.state = self.dir + "/state"
        self.conf = self.dir + "/vm.conf"
        self.options = options
        self.preexec = preexec
        self.request = None
        self.write_conf(conf)
        self.start()

    def write_conf(self, conf):
        with open(self.conf, "w") as f:
            f.write(conf)
        os.chmod(self.conf, 0o600)

    def start(self):
        r, w = os.pipe()
        self.proc = subprocess.Popen(
            [BUILD + "/vmd", "-d", "-f", self.conf, "-s", self.sock,
             "-S", self.state, *self.options],
            stdin=subprocess.DEVNULL, stdout=w, stderr=subprocess.STDOUT,
            preexec_fn=self.preexec)
        os.close(w)
        self.log = Stream(r)
        self.log.expect(r"startup")

    def probed(self):
        """Wait for the end of the probe guest."""
        self.log.expect("host: ")
        wait_gone(self.pids().get("vm/probe", []))

    def vmctl(self, *args, timeout=30, status=0):
        """Run vmctl; its output, after checking its exit status."""
        p = subprocess.run(
            [BUILD + "/vmctl", "-s", self.sock, *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=timeout * SLOW)
        out = p.stdout.decode(errors="replace")
        if status is not None and p.returncode != status:
            raise AssertionError("vmctl %s: status %d: %s" % (
                " ".join(args), p.returncode, out))
        return out

    def info(self, name=None):
        """Objects of `vmctl status -j'; that of `name', or all by name."""
        out = self.vmctl("status", "-j")
        vms = {v["name"]: v for v in map(json.loads, out.splitlines())}
        for v in vms.values():
            v["cause"] = v["exit_text"] or v["exit"]
        return vms[name] if name else vms

    def connect(self):
        """A client's connection."""
        s = socket.socket(socket.AF_UNIX)
        s.connect(self.sock)    # waits for its turn, only a blocking one does
        s.settimeout(30 * SLOW)
        return s

    def status_request(self):
        """The bytes that `vmctl status' sends, taken from itself."""
        if self.request is None:
            path = self.dir + "/fake.sock"
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path)
                listener.listen()
                listener.settimeout(10 * SLOW)
                with subprocess.Popen(
                        [BUILD + "/vmctl", "-s", path, "status"],
                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL, preexec_fn=_die_with_us):
                    with listener.accept()[0] as s:
                        self.request = s.recv(65536)
            os.unlink(path)
        return self.request

    def console(self, name, *options, show=False):
        return Console(self, name, *options, show=show)

    def pids(self):
        """Our processes, by title: {"control": [pid], "vm/a": [pid] ...}."""
        found = {}
        for pid in descendants(self.proc.pid):
            title = cmdline(pid)
            if title.startswith("vmd: "):
                found.setdefault(title[5:], []).append(pid)
        return found

    def stop(self, timeout=60):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
        return self.proc.wait(timeout * SLOW)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0]:
            print("# log of the daemon:")
            print("".join("# %s\n" % line
                          for line in self.log.text.splitlines()[-60:]))
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def cmdline(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read().split(b"\0")[0].decode(errors="replace").strip()
    except OSError:
        return ""


def parents():
    """{pid: parent} of all processes."""
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as f:
                    table[int(name)] = int(f.read().rsplit(")", 1)[1]
                                           .split()[1])
            except OSError:
                pass
    return table


def descendants(pid):
    table = parents()
    found = [pid]
    for p in found:
        found += [c for c, parent in table.items() if parent == p]
    return found


def wait_gone(pids, timeout=30):
    """Wait, by pidfd, until all of `pids' have ended."""
    end = time.monotonic() + timeout * SLOW
    import select
    for pid in pids:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        left = max(0, end - time.monotonic())
        ready = select.select([fd], [], [], left)[0]
        os.close(fd)
        if not ready:
            raise AssertionError("process %d is still there" % pid)


def descriptors(pid):
    """What the descriptors of a process are, without numbers that are new
    each time."""
    found = []
    try:
        for fd in os.listdir("/proc/%d/fd" % pid):
            link = os.readlink("/proc/%d/fd/%s" % (pid, fd))
            # Others take ptys, too: the numbers mean nothing.
            found.append(re.sub(r"^(socket|pipe):\[\d+\]$|^(/dev/pts)/\d+$",
                                r"\1\2", link))
    except OSError:         # it has just ended
        pass
    return sorted(found)


def files(daemon):
    """What lies where the daemon, or a test of it, may leave something.  Only
    the rig is ours alone."""
    tops = [daemon.dir] + glob.glob("/run/vmd*")
    if os.environ.get("RIG"):
        tops += ["/run", "/dev/shm"]
    return sorted({os.path.join(d, f) for top in tops
                   for d, _, names in os.walk(top) for f in names})


def snapshot(daemon):
    """What a guest may leave behind, to be compared before and after."""
    # Those that have answered are killed, and may take a moment to end, and
    # to be reaped: then they have no command line any more.
    wait_gone(p for p in descendants(daemon.proc.pid)
              if re.search("opener|image|^$", cmdline(p)))
    with daemon.connect() as s:
        # When this is answered, connections closed before are gone.
        s.sendall(daemon.status_request())
        assert s.recv(65536)
        tree = [p for p in descendants(daemon.proc.pid) if cmdline(p)]
        snap = {"processes": sorted(cmdline(p) for p in tree)}
        for p in tree:
            snap.setdefault("descriptors of " + cmdline(p), []).extend(
                descriptors(p))
    if os.environ.get("RIG"):       # elsewhere people open some, too
        snap["ptys"] = sorted(os.listdir("/dev/pts"))
    with open("/proc/self/mounts") as f:
        snap["mounts"] = sorted(f)
    snap["files"] = files(daemon)
    return snap


def check_same(before, after):
    """Complain of the first list of a snapshot that has changed."""
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        assert old == new, "%s: %s, was %s" % (key, new, old)


def rig_state(why):
    """Say, in comments, what KVM and the guests do in a rig."""
    subprocess.run("mount -t debugfs none /sys/kernel/debug", shell=True,
                   stderr=subprocess.DEVNULL)
    show = ("for f in /sys/kernel/debug/kvm/*; do [ -f $f ] && "
            "echo $(basename $f) $(cat $f); done | grep -v ' 0$' | xargs; "
            "grep -E 'LOC|RES|CAL' /proc/interrupts; "
            "cd /sys/kernel/debug/tracing && echo >trace && "
            "echo 1 >events/kvm/enable && sleep 0.2; "
            "echo 0 >events/kvm/enable; head -40 trace | cut -c 1-160; "
            "for p in $(pgrep -f 'vmd: vm/'); do cat /proc/$p/cmdline "
            "/proc/$p/task/*/wchan /proc/$p/task/*/stack; echo; done")
    p = subprocess.run(["bash", "-c", show], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, errors="replace")
    for line in [why] + p.stdout.splitlines():
        print("# rig: " + line.replace("\0", " "))
    sys.stdout.flush()


class Skip(Exception):
    """This host lacks what a test needs: the words say what."""


def brief(e):
    """An exception in a line."""
    text = "%s: %s" % (type(e).__name__, e)
    text = re.sub(r"\s+", " ", text.replace("#", "=")).strip()
    return text if len(text) < 300 else text[:150] + " ... " + text[-150:]


class Tap:
    """Test functions run in order; each one's failure is its own."""

    def __init__(self):
        self.tests = []

    def test(self, fn):
        self.tests.append(fn)
        return fn

    def skip_all(self, why):
        print("1..0 # SKIP " + why, flush=True)
        sys.exit(0)

    def run(self, *args):
        bad = 0
        print("1..%d" % len(self.tests), flush=True)
        if os.environ.get("RIG"):
            print("# tests: " + " ".join(t.__name__ for t in self.tests))
        for n, fn in enumerate(self.tests, 1):
            name = (fn.__doc__ or fn.__name__).splitlines()[0]
            try:
                fn(*args)
            except Skip as e:
                print("ok %d - %s # SKIP %s" % (n, name, e))
            except Exception as e:
                bad += 1
                print("not ok %d - %s: %s" % (n, name, brief(e)))
                for line in traceback.format_exc().splitlines():
                    print("# " + line)
                if os.environ.get("RIG"):
                    rig_state("after this failure")
            else:
                print("ok %d - %s" % (n, name))
            sys.stdout.flush()
        return bad
