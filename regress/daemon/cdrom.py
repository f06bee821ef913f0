#!/usr/bin/env python3
"""The CD-ROM of a guest, from the image in vm.conf to what a driver in the
guest reads; its process dies on the way."""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
from vmdtest import BUILD, Daemon, Tap, wait_gone       # noqa: E402

BLOCKS = 150
CHECKS = 55
HOSTILE_CHECKS = 44
CONF = """
vm "cd" {
	disable
	memory 64M
	boot "%(g)sscsi.elf"
	cdrom "%(d)s/cd.iso"
}
vm "empty" {
	disable
	memory 64M
	boot "%(g)sscsi.elf"
	cmdline "empty"
	cdrom "%(d)s/empty.iso"
}
vm "again" {
	disable
	memory 64M
	boot "%(g)sscsi.elf"
	cmdline "again"
	cdrom "%(d)s/cd.iso"
}
vm "loop" {
	disable
	memory 64M
	boot "%(g)sscsi.elf"
	cmdline "loop"
	cdrom "%(d)s/cd.iso"
}
vm "bad" {
	disable
	memory 64M
	boot "%(g)svirtbad.elf"
	cdrom "%(d)s/cd.iso"
}
"""

tap = Tap()
if not os.access("/dev/kvm", os.W_OK) or os.geteuid() != 0:
    tap.skip_all("needs root and /dev/kvm")


def image(path, blocks):
    with open(path, "wb") as f:
        for n in range(blocks):
            text = b"block %d " % n
            f.write(text.ljust(64, b" ") + bytes([n & 255]) * (2048 - 64))


def to_the_end(console):
    """All the guest says; none of its checks has failed."""
    console.out.wait_eof()
    text = console.out.text
    assert "FAIL" not in text, text
    return text


def run(vmd, name):
    vmd.vmctl("start", name)
    vmd.vmctl("wait", name, status=None, timeout=120)
    with vmd.console(name) as c:
        text = to_the_end(c)
    info = vmd.info(name)
    assert info["exit"] == "powered off", (info, text)
    return text


@tap.test
def whole(vmd):
    """the whole medium, before and after a reset"""
    text = run(vmd, "cd")
    assert text.count("blocks %d" % BLOCKS) == 2, text
    assert text.count("PASS all blocks") == 2, text
    assert "PASS unit reset" in text, text
    assert text.count("PASS") == CHECKS, text


@tap.test
def empty(vmd):
    """an image shorter than a block is no medium"""
    assert "PASS no medium" in run(vmd, "empty")


@tap.test
def replaced(vmd):
    """its process is killed and replaced; the guest reads on"""
    vmd.vmctl("start", "again")
    with vmd.console("again") as c:
        c.expect("again\\?")
        old = vmd.pids()["vm/again/vioscsi"]
        os.kill(old[0], signal.SIGKILL)
        wait_gone(old)
        c.send("x")
        text = to_the_end(c)
    assert text.count("PASS all blocks") == 3, text
    vmd.vmctl("wait", "again", status=None)


@tap.test
def hostile(vmd):
    """a hostile guest hurts neither the daemon nor a guest beside it"""
    def others():
        return {k: v for k, v in vmd.pids().items() if "bad" not in k}

    vmd.vmctl("start", "loop")
    with vmd.console("loop") as c:
        c.expect("PASS all blocks")
        before = others()
        text = run(vmd, "bad")
        assert text.count("PASS") == HOSTILE_CHECKS, text
        assert "end of tests" in text, text
        assert others() == before, (before, others())
        assert "vm/bad/vioscsi: started again" not in vmd.log.text
        c.out.pos = len(c.out.text)
        for _ in range(2):
            c.expect("PASS all blocks")
        c.send("x")
        to_the_end(c)
    vmd.vmctl("wait", "loop", status=None)


@tap.test
def read_only(vmd):
    """the image is as it was"""
    with open(vmd.dir + "/cd.iso", "rb") as f:
        data = f.read()
    image(vmd.dir + "/copy", BLOCKS)
    with open(vmd.dir + "/copy", "rb") as f:
        assert f.read() == data


def main():
    with Daemon("") as vmd:
        image(vmd.dir + "/cd.iso", BLOCKS)
        with open(vmd.dir + "/empty.iso", "wb") as f:
            f.write(bytes(512))
        vmd.write_conf(CONF % {"g": BUILD + "/guest/", "d": vmd.dir})
        vmd.vmctl("reload")
        vmd.probed()
        return tap.run(vmd)


if len(sys.argv) > 1:       # by name, some of them
    tap.tests = [t for t in tap.tests if t.__name__ in sys.argv[1:]]
sys.exit(main())
