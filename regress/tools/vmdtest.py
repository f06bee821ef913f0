"""What tests of the whole daemon share: a daemon of their own, its console
and control program, events with deadlines, TAP.

Everything a test makes lies in one directory that is removed at the end;
the daemon and what it started end with it, also when the test is killed.
"""
import ctypes
import json
import os
import re
import shutil
import signal
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


def _die_with_us():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)      # PR_SET_PDEATHSIG


class Stream:
    """Output of a process, collected by a thread, searched with a deadline."""

    def __init__(self, fd):
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

    def __init__(self, daemon, name, *options):
        r, w = os.pipe()
        self.proc = subprocess.Popen(
            [BUILD + "/vmctl", "-s", daemon.sock, "console", *options, name],
            stdin=subprocess.PIPE, stdout=w, stderr=subprocess.STDOUT,
            preexec_fn=_die_with_us)
        os.close(w)
        self.out = Stream(r)
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

    def __init__(self, conf, *options, dir=None):
        self.dir = dir or tempfile.mkdtemp(prefix="vmdtest.")
        os.chmod(self.dir, 0o755)
        self.sock = self.dir + "/vmd.sock"
        self.state = self.dir + "/state"
        self.conf = self.dir + "/vm.conf"
        self.options = options
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
            preexec_fn=_die_with_us)
        os.close(w)
        self.log = Stream(r)
        self.log.expect(r"startup")

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

    def console(self, name, *options):
        return Console(self, name, *options)

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


def snapshot(daemon):
    """What a guest may leave behind, to be compared before and after."""
    tree = descendants(daemon.proc.pid)
    snap = {"processes": sorted(cmdline(p) for p in tree)}
    for p in tree:
        try:
            names = os.listdir("/proc/%d/fd" % p)
        except OSError:
            continue
        snap["descriptors of " + cmdline(p)] = len(names)
    snap["ptys"] = sorted(os.listdir("/dev/pts"))
    with open("/proc/self/mounts") as f:
        snap["mounts"] = sorted(f)
    snap["files"] = sorted(
        os.path.join(d, f) for top in (daemon.dir, "/run", "/dev/shm")
        for d, _, files in os.walk(top) for f in files)
    return snap


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
        for n, fn in enumerate(self.tests, 1):
            name = (fn.__doc__ or fn.__name__).splitlines()[0]
            try:
                fn(*args)
            except Exception:
                bad += 1
                print("not ok %d - %s" % (n, name))
                for line in traceback.format_exc().splitlines():
                    print("# " + line)
            else:
                print("ok %d - %s" % (n, name))
            sys.stdout.flush()
        return bad
