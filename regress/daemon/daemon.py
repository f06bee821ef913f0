#!/usr/bin/env python3
"""The daemon from outside: life of a guest, orders, restarts, reload,
permissions, console.  Guests of our own, directly on /dev/kvm."""
import fcntl
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

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
from vmdtest import (BUILD, Daemon, Stream, Tap, _die_with_us,  # noqa: E402
                     check_same, snapshot, wait_gone)

GUEST = BUILD + "/guest/"
F_OFD_SETLK = 37
CONF = """
vm "tick" {
	disable
	memory 64M
	boot "%(g)stick.elf"
	owner nobody
}
vm "uart" {
	disable
	memory 64M
	boot "%(g)suart.elf"
}
vm "button" {
	disable
	memory 64M
	boot "%(g)sacpi.elf"
	cmdline "button"
	stop timeout 20
}
vm "deaf" {
	disable
	memory 64M
	boot "%(g)stick.elf"
	stop timeout 1
}
vm "reset" {
	disable
	memory 64M
	boot "%(g)sreset.elf"
	cmdline "cf9"
}
vm "triple" {
	disable
	memory 64M
	boot "%(g)sreset.elf"
	cmdline "triple"
}
vm "short" {
	disable
	memory 64M
	boot "/etc/passwd"
}
vm "missing" {
	disable
	memory 64M
	boot "/nonexistent/bsd"
}
vm "disk" {
	disable
	memory 64M
	boot "%(g)stick.elf"
	disk "/dev/null"
}
vm "int3" {
	disable
	memory 64M
	boot "%(g)semul.elf"
}
vm "always" {
	disable
	memory 64M
	boot "%(g)shello.elf"
	restart always
}
vm "many" {
	disable
	cpus 4
	memory 64M
	boot "%(g)ssmp.elf"
}
""" % {"g": GUEST}

tap = Tap()
if not os.access("/dev/kvm", os.W_OK) or os.geteuid() != 0:
    tap.skip_all("needs root and /dev/kvm")


def as_nobody(vmd, *args):
    # The tree may lie where nobody may look.
    vmctl = vmd.dir + "/vmctl"
    if not os.path.exists(vmctl):
        shutil.copy(BUILD + "/vmctl", vmctl)
    p = subprocess.run([vmctl, "-s", vmd.sock, *args], user=65534,
                       group=65534, extra_groups=[], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return p.returncode, p.stdout.decode()


def uid(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"Uid:\s+(\d+)", f.read())[1])


def ended(vmd, name):
    vmd.vmctl("wait", name, status=None)
    info = vmd.info(name)
    assert info["state"] == "stopped", info
    return info


@tap.test
def status(vmd):
    """status lists every VM; an unknown name is status 3"""
    out = vmd.vmctl("status").splitlines()
    assert out[0].split() == ["ID", "PID", "VCPUS", "MAXMEM", "CURMEM", "TTY",
                              "OWNER", "STATE", "NAME"], out[0]
    assert [line.split()[-1] for line in out[1:]] == [
        "tick", "uart", "button", "deaf", "reset", "triple", "short",
        "missing", "disk", "int3", "always", "many"], out
    vmd.vmctl("status", "nosuch", status=3)
    vmd.vmctl("start", "nosuch", status=None)
    vmd.vmctl("stop", "tick", status=4)


@tap.test
def life(vmd):
    """start, status, pause, unpause, stop -f"""
    out = vmd.vmctl("start", "tick")
    info = vmd.info("tick")
    assert out == "vmctl: started vm %d successfully, tty %s\n" % (
        info["id"], info["tty"]), out
    assert info["state"] == "running" and info["pid"] > 0, info
    vmd.vmctl("start", "tick", status=4)
    with vmd.console("tick") as con:
        con.expect(r"tick \d+")
        vmd.vmctl("pause", "tick")
        assert vmd.info("tick")["state"] == "paused"
        vmd.vmctl("pause", "tick", status=4)
        vmd.vmctl("unpause", "tick")
        con.expect(r"tick \d+")
    vmd.vmctl("stop", "-f", "-w", "tick")
    info = ended(vmd, "tick")
    assert info["cause"] == "stopped", info


@tap.test
def button(vmd):
    """stop presses the power button; the guest powers off"""
    vmd.vmctl("start", "button")
    with vmd.console("button") as con:
        con.expect("waiting")
        vmd.vmctl("stop", "-w", "button")
        con.out.wait_eof()
    assert ended(vmd, "button")["cause"] == "powered off"


@tap.test
def deaf(vmd):
    """a guest that does not react is forced after its timeout"""
    vmd.vmctl("start", "deaf")
    with vmd.console("deaf") as con:
        con.expect("tick 0")
    vmd.vmctl("stop", "-w", "deaf")
    assert ended(vmd, "deaf")["cause"] == "stopped"


@tap.test
def console(vmd):
    """console: pipes, history after the end, one writer, the pty"""
    vmd.vmctl("start", "uart")
    fd = os.open(vmd.info("uart")["tty"], os.O_RDWR | os.O_NOCTTY)
    typing = os.dup(fd)
    tty = Stream(fd)
    with vmd.console("uart") as con, vmd.console("uart", "-r") as look:
        con.expect("ready")
        look.expect("ready")
        con.send("hello ")
        con.expect("HELLO")
        os.write(typing, b"from the tty ")
        os.close(typing)
        con.expect("FROM THE TTY")
        # At the beginning of a line, and in the order it was typed.
        con.send("x\r~#after")
        con.expect("X\r<break>AFTER")
        con.send(".")
        con.expect("done")
        con.out.wait_eof()
        look.expect("done")
    tty.expect("done")
    tty.wait_eof()
    assert ended(vmd, "uart")["cause"] == "powered off"
    with vmd.console("uart") as con:
        con.expect("HELLO FROM THE TTY")
        con.expect("line 399")
        con.out.wait_eof()


@tap.test
def resets(vmd):
    """a guest that resets at once is stopped by the rate limit"""
    for name, cause in ("reset", "reset"), ("triple", "triple fault"):
        vmd.vmctl("start", name)
        vmd.log.expect(name + ": started")
        vmd.log.expect(name + ": started")
        vmd.log.expect(name + ": .*(too fast|too often|limit|rate)")
        info = ended(vmd, name)
        assert info["exit"] == cause, info
        assert "too often" in info["exit_text"], info
        # The limit is not for people.
        vmd.vmctl("start", name)
        vmd.vmctl("stop", "-f", "-w", name, status=None)
        vmd.vmctl("wait", name, status=None)


@tap.test
def reset_limit(vmd):
    """the limit of resets is a setting, and a reload changes it"""
    conf = """reset limit 1 in 86400
vm "reset" { disable, memory 64M, boot "%sreset.elf", cmdline "cf9" }
""" % GUEST
    with Daemon(conf) as other:
        other.vmctl("start", "reset")
        other.log.expect("reset: reset too often")
        assert other.log.text.count("reset: started") == 2, other.log.text
        other.write_conf(conf.replace("limit 1", "limit 4"))
        other.vmctl("reload")
        other.vmctl("start", "reset")
        other.log.expect("reset: reset too often")
        assert other.log.text.count("reset: started") == 7, other.log.text


@tap.test
def emulation(vmd):
    """an instruction that KVM cannot emulate is named everywhere"""
    vmd.vmctl("start", "int3")
    with vmd.console("int3") as con:
        con.out.wait_eof()
    info = ended(vmd, "int3")
    if info["exit"] == "powered off":
        return              # it works on this host
    assert re.search("could not emulate int3 .* at 0x[0-9a-f]+",
                     info["exit_text"]), info
    vmd.log.expect("int3: .*could not emulate int3")


@tap.test
def causes(vmd):
    """wait says why a guest ended that nobody stopped"""
    vmd.vmctl("start", "tick")
    pid = vmd.info("tick")["pid"]
    p = subprocess.Popen([BUILD + "/vmctl", "-s", vmd.sock, "wait", "tick"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE)
    out = Stream(os.dup(p.stderr.fileno()))
    out.expect("waiting for vm tick")
    # A request of its own: the one before is on its way then.
    vmd.info("tick")
    os.kill(pid, signal.SIGKILL)
    out.expect("killed by signal 9")
    assert p.wait() == 0
    p.stderr.close()


@tap.test
def always(vmd):
    """`restart always' starts it again, until a person stops it"""
    vmd.vmctl("start", "always")
    vmd.log.expect("always: started")
    vmd.log.expect("always: powered off")
    vmd.log.expect("always: started")
    vmd.log.expect("always: powered off")
    vmd.vmctl("stop", "-f", "-w", "always", status=None)
    assert vmd.info("always")["state"] == "stopped"


@tap.test
def staggered(vmd):
    """staggered start: some at once, the others after the delay"""
    conf = "staggered start parallel 1 delay 1\n" + "".join(
        'vm "s%d" { memory 64M boot "%stick.elf" }\n' % (i, GUEST)
        for i in range(3))
    with Daemon(conf) as other:
        for i in range(3):
            other.log.expect("s%d: started" % i)
        assert all(v["state"] == "running" for v in other.info().values())
        # Two daemons share the host and its ids.
        vmd.vmctl("start", "tick")
        pids = [v["pid"] for v in other.info().values()]
        pids.append(vmd.info("tick")["pid"])
        pids += vmd.pids()["vmm"] + other.pids()["vmm"]
        uids = {uid(pid) for pid in pids}
        assert len(uids) == 6 and 0 not in uids, uids
        vmd.vmctl("stop", "-f", "-w", "tick")
        other.vmctl("stop", "-f", "-w", "-a")


@tap.test
def disabled(vmd):
    """a VM that is disabled is not started by the daemon until enabled"""
    conf = """staggered start parallel 1 delay 600
socket owner nobody
vm "s0" { memory 64M, boot "%(g)stick.elf" }
vm "s1" { memory 64M, boot "%(g)stick.elf", owner nobody }
""" % {"g": GUEST}
    with Daemon(conf) as other:
        other.vmctl("disable", "s1")
        assert other.info("s1")["disabled"] == "vmctl"
        other.vmctl("disable", "s1", status=4)
        assert " disabled s1" in other.vmctl("status")
        other.write_conf(conf.replace("600", "0"))
        other.vmctl("reload")
        assert other.info("s1")["state"] == "stopped"
        rc, out = as_nobody(other, "enable", "s1")
        assert rc == 0, out
        other.log.expect("s1: started")
        rc, out = as_nobody(other, "disable", "s0")
        assert rc == 5, out
        other.vmctl("stop", "-f", "-w", "-a")


@tap.test
def smp(vmd):
    """a guest with four vcpus starts all of them"""
    vmd.vmctl("start", "many")
    with vmd.console("many") as con:
        con.out.wait_eof()
        assert "4" in con.out.text, con.out.text
    assert ended(vmd, "many")["cause"] == "powered off"


@tap.test
def bad_starts(vmd):
    """starts that cannot work say why, and leave nothing"""
    # What a VM keeps from its first start on (the console) is there then.
    vmd.vmctl("start", "short", status=1)
    before = snapshot(vmd)
    out = vmd.vmctl("start", "short", status=1)
    assert "not a kernel" in out or "kernel" in out, out
    out = vmd.vmctl("start", "missing", status=1)
    assert "/nonexistent/bsd" in out and "No such file" in out, out
    out = vmd.vmctl("start", "disk", status=1)
    assert "disk 0 /dev/null: not a regular file or block device" in out, out
    check_same(before, snapshot(vmd))


@tap.test
def permissions(vmd):
    """an owner may operate its VM and no other"""
    rc, out = as_nobody(vmd, "status")
    assert rc in (5, 7), (rc, out)       # the socket is root's
    os.chmod(vmd.sock, 0o666)
    rc, out = as_nobody(vmd, "start", "uart")
    assert rc == 5, (rc, out)
    rc, out = as_nobody(vmd, "reload")
    assert rc == 5, (rc, out)
    rc, out = as_nobody(vmd, "start", "tick")
    assert rc == 0, (rc, out)
    rc, out = as_nobody(vmd, "stop", "-f", "-w", "tick")
    assert rc == 0, (rc, out)
    os.chmod(vmd.sock, 0o660)


@tap.test
def named_files(vmd):
    """files are opened with the rights of the one who names them"""
    mine = vmd.dir + "/mine"
    os.mkdir(mine)
    os.chmod(vmd.sock, 0o666)
    secret = vmd.dir + "/secret.elf"
    shutil.copy(GUEST + "tick.elf", secret)
    os.chmod(secret, 0o600)
    shutil.copy(secret, mine + "/own.elf")
    os.chown(mine + "/own.elf", 65534, 65534)
    os.symlink(secret, mine + "/link")
    os.mkfifo(mine + "/fifo", 0o644)
    for path, why in ((secret, "Permission denied"),
                      (mine + "/link", "Permission denied"),
                      (mine, "is a directory"),
                      (mine + "/fifo", "is a FIFO"),
                      ("/dev/null", "not a regular file or block device"),
                      (mine + "/none", "No such file or directory")):
        rc, out = as_nobody(vmd, "start", "-b", path, "tick")
        assert rc == 1, (path, rc, out)
        assert out == "vmctl: start tick: boot %s: %s\n" % (path, why), out
    rc, out = as_nobody(vmd, "start", "-b",
                        os.path.relpath(mine + "/own.elf"), "tick")
    assert rc == 0, out
    as_nobody(vmd, "stop", "-f", "-w", "tick")
    os.chmod(vmd.sock, 0o660)
    shutil.rmtree(mine)
    os.unlink(secret)


@tap.test
def no_descriptors(vmd):
    """nobody can send the daemon a descriptor"""
    pids = [p for ps in vmd.pids().values() for p in ps]
    before = {p: len(os.listdir("/proc/%d/fd" % p)) for p in pids}
    for n in range(1, 80):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            r, w = os.pipe()
            s.connect(vmd.sock)
            try:
                # A header of imsg(3), type n, with the mark of descriptors.
                socket.send_fds(s, [struct.pack("=IIII", n, 40 | 1 << 31, 0,
                                                0), bytes(24)], [w])
            except PermissionError:
                pass        # the kernel knows already
            os.close(w)
            assert os.read(r, 1) == b"", n
            os.close(r)
    vmd.vmctl("status")
    assert before == {p: len(os.listdir("/proc/%d/fd" % p)) for p in pids}


@tap.test
def json_lines(vmd):
    """-j prints one object a line"""
    for line in vmd.vmctl("status", "-j").splitlines():
        assert json.loads(line)["name"], line
    host = vmd.vmctl("-j", "host")
    assert json.loads(host), host
    assert vmd.vmctl("host"), "host"


@tap.test
def reload(vmd):
    """reload adds and removes; a bad file changes nothing"""
    more = CONF + 'vm "added" { disable memory 64M boot "%stick.elf" }\n' % (
        GUEST)
    vmd.write_conf(more)
    vmd.vmctl("reload")
    assert "added" in vmd.info()
    vmd.write_conf('vm "x" {')
    vmd.vmctl("reload", status=1)
    assert "added" in vmd.info()
    vmd.write_conf(CONF)
    vmd.proc.send_signal(signal.SIGHUP)
    vmd.log.expect("reload")
    vmd.vmctl("reload")
    assert "added" not in vmd.info()
    # Files of VMs are not looked for: their file system may not answer.
    assert "kernel path not found" not in vmd.log.text


@tap.test
def macros(vmd):
    """a macro on the command line without a value is ignored"""
    p = subprocess.run([BUILD + "/vmd", "-n", "-D", "x", "-D", "size=64M",
                        "-f", "/dev/stdin"],
                       input=b'vm "a" { disable memory $size boot "/bin/sh" }',
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert p.returncode == 0, p.stdout
    assert p.stdout == (b"vmd: -D x: not name=value, ignored\n"
                        b"configuration OK\n"), p.stdout


@tap.test
def names(vmd):
    """relative names begin where the daemon was started, at a reload too"""
    d = tempfile.mkdtemp(prefix="vmdtest.")
    sock = d + "/vmd.sock"
    conf = 'vm "a" { disable, boot "kernel" }\n'
    with open(d + "/vm.conf", "w") as f:
        f.write('include "more.conf"\n')
    with open(d + "/more.conf", "w") as f:
        f.write(conf)
    # In a pid namespace, with whose first process all of the daemon ends.
    box = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh",
         "-c", '"$0" -f vm.conf -s vmd.sock -S state && echo up && read x',
         BUILD + "/vmd"],
        cwd=d, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, preexec_fn=_die_with_us)

    def vmctl(*args):
        p = subprocess.run([BUILD + "/vmctl", "-s", sock, *args], cwd="/",
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=60)
        return p.returncode, p.stdout.decode()

    try:
        for line in box.stdout:
            if line == b"up\n":
                break
        assert vmctl("reload") == (0, "")
        with open(d + "/more.conf", "w") as f:
            f.write(conf + 'vm "b" { disable, boot "kernel" }\n')
        assert vmctl("reload", "-n") == (0, "add b\n")
        out = vmctl("start", "a")[1]
        assert d + "/kernel: No such file" in out, out
    finally:
        box.kill()
        box.communicate()
        shutil.rmtree(d)


@tap.test
def limits(vmd):
    """a limit counts what is up, names itself, and spares others"""
    conf = """limit user nobody { vms 1 memory 100M }
vm "a" { disable memory 64M boot "%(g)stick.elf" owner nobody }
vm "b" { disable memory 64M boot "%(g)stick.elf" owner nobody }
vm "big" { disable memory 128M boot "%(g)stick.elf" owner nobody }
vm "mine" { disable memory 64M boot "%(g)stick.elf" }
""" % {"g": GUEST}
    with Daemon(conf) as other:
        out = other.vmctl("start", "big", status=1)
        assert ("limit of user nobody (%s:1): memory: 100M allowed, 0B in "
                "use, this VM needs 128M" % other.conf) in out, out
        other.vmctl("start", "a")
        out = other.vmctl("start", "b", status=1)
        assert ("limit of user nobody (%s:1): vms: 1 allowed, 1 in use, "
                "this VM needs 1" % other.conf) in out, out
        other.vmctl("start", "mine")
        other.vmctl("stop", "-f", "-w", "a")
        other.vmctl("start", "b")
        # A file that is loaded may bring limits, but does not change them.
        more = other.dir + "/more.conf"
        with open(more, "w") as f:
            f.write("limit user nobody { vms 9 }\n"
                    "limit user root { vms 1 }\n"
                    "staggered start parallel 1 delay 0\n")
        out = other.vmctl("load", more)
        assert out == ("vmctl: load %s: warning: global settings are not "
                       "taken over\n" % more), out
        other.log.expect("global settings are not taken over")
        out = other.vmctl("start", "a", status=1)
        assert "vms: 1 allowed" in out, out
        out = other.vmctl("start", "-b", GUEST + "tick.elf", "-m", "64M",
                          "new", status=1)
        assert "limit of user root (%s:2)" % more in out, out
        other.vmctl("stop", "-f", "-w", "-a")


@tap.test
def status_own(vmd):
    """status own: others' VMs do not exist for a user, in any command"""
    conf = """socket owner nobody
vm "his" { disable memory 64M boot "%(g)stick.elf" owner nobody }
vm "mine" { disable memory 64M boot "%(g)stick.elf" }
""" % {"g": GUEST}
    with Daemon(conf) as other:
        assert "mine" in as_nobody(other, "status")[1]
        assert as_nobody(other, "stop", "mine")[0] == 5
        other.write_conf("status own\n" + conf)
        other.vmctl("reload")
        rc, out = as_nobody(other, "status")
        assert rc == 0 and "his" in out and "mine" not in out, out
        assert "mine" not in as_nobody(other, "status", "-j")[1]
        nosuch = as_nobody(other, "status", "nosuch")
        assert nosuch[0] == 3, nosuch
        for cmd in ("status", "show", "start", "stop", "wait", "console"):
            want = as_nobody(other, cmd, "nosuch")
            rc, out = as_nobody(other, cmd, "mine")
            assert (rc, out) == (3, want[1].replace("nosuch", "mine")), out
        assert "mine" in other.vmctl("status")


@tap.test
def load_ids(vmd):
    """a fixed id of a VM that is known is an error of the load"""
    more = vmd.dir + "/more.conf"
    taken = vmd.info("uart")["id"]
    with open(more, "w") as f:
        f.write('vm "late" { disable boot "%stick.elf" id %d }\n' % (
            GUEST, taken))
    out = vmd.vmctl("load", more, status=1)
    assert ('%s:1: vm "late" failed: id %d is that of vm "uart" (%s:' % (
        more, taken, vmd.conf)) in out, out
    assert "late" not in vmd.info()
    os.unlink(more)


@tap.test
def not_yet(vmd):
    """what cannot be had is refused by its option"""
    for args, why in ((("-n", "sw"), 'interface 0: no switch "sw"'),
                      (("-B", "net"), "boot device net is not supported")):
        out = vmd.vmctl("start", "-b", GUEST + "tick.elf", *args, "new",
                        status=1)
        assert why in out, out
        assert "new" not in vmd.info()


@tap.test
def bad_disks(vmd):
    """a disk that cannot be had is named with the cause; nothing stays"""
    image = vmd.dir + "/image"
    fifo = vmd.dir + "/fifo"
    with open(image, "w") as f:
        f.truncate(1 << 20)
    os.mkfifo(fifo)

    def fails(cause, *args):
        out = vmd.vmctl("start", "-m", "64M", "-b", GUEST + "tick.elf", *args,
                        "new", status=1)
        assert cause in out, (cause, out)
        assert "new" not in vmd.info()

    fails("No such file", "-d", vmd.dir + "/none")
    fails("Is a directory", "-d", vmd.dir)
    fails("disk 0 %s: is a FIFO" % fifo, "-d", fifo)
    fails("cdrom %s: is a FIFO" % fifo, "-r", fifo)
    fails("disk 0 %s: not a qcow2 image" % image, "-d", "qcow2:" + image)
    fails("disk 1 %s: used by another disk" % image, "-d", image, "-d", image)
    fails("at most 16", *["-d", image] * 17)
    # As any other program may, the lock is one on the open file.
    with open(image, "r+b") as f:
        fcntl.fcntl(f, F_OFD_SETLK,
                    struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0))
        fails("disk 0 %s: locked by another program" % image, "-d", image)
    os.unlink(image)
    os.unlink(fifo)


@tap.test
def unlocked(vmd):
    """when its end is reported nobody has the images of a VM any more"""
    images = [vmd.dir + "/image%d" % i for i in range(4)]
    args = []
    for i in images:
        with open(i, "w") as f:
            f.truncate(1 << 20)
        args += ["-r" if i == images[0] else "-d", i]
    for _ in range(6):
        vmd.vmctl("start", "-m", "64M", "-b", GUEST + "tick.elf", *args, "new")
        vmd.vmctl("stop", "-f", "-w", "new")
        for i in images:
            with open(i, "r+b") as f:
                fcntl.fcntl(f, F_OFD_SETLK, struct.pack(
                    "hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
    for i in images:
        os.unlink(i)


@tap.test
def terminates(vmd):
    """SIGTERM stops all guests and leaves nothing"""
    vmd.vmctl("start", "deaf")
    vmd.vmctl("start", "button")
    with vmd.console("button") as con:
        con.expect("waiting")
    pids = [p for ps in vmd.pids().values() for p in ps]
    assert vmd.stop() == 0
    wait_gone(pids)
    assert not os.path.exists(vmd.sock)
    assert sorted(os.listdir(vmd.dir)) == ["state", "vm.conf", "vmctl"]


with Daemon(CONF) as daemon:
    tap.run(daemon)
