"""What a daemon may have changed in the host's network, to be compared before
and after."""
import os
import re
import subprocess
import time

from vmdtest import SLOW

PATH = {**os.environ, "PATH": os.environ["PATH"] + ":/sbin:/usr/sbin"}


def run(*command, status=(0,)):
    """Run a command of the host; its output."""
    p = subprocess.run(command, stdin=subprocess.DEVNULL, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=60 * SLOW, env=PATH)
    assert p.returncode in status, (command, p.returncode, p.stdout)
    return p.stdout


def sysctl(name):
    with open("/proc/sys/net/" + name) as f:
        return f.read().strip()


def calm(text):
    """Without what the kernel says some time later: is anybody there?"""
    return re.sub(r"NO-CARRIER,|,LOWER_UP| state \w+|\bqlen \d+|"
                  r"(valid|preferred)_lft \w+", "", text)


def host():
    """Everything of the network that a daemon could change."""
    return {
        "link": calm(run("ip", "link")),
        "addr": calm(run("ip", "addr")),
        "rule": run("ip", "rule") + run("ip", "-6", "rule"),
        "route": re.sub(r"expires \w+", "",
                        run("ip", "route", "show", "table", "all")),
        "nft": run("nft", "list", "ruleset"),
        "forwarding": sysctl("ipv4/ip_forward") +
        sysctl("ipv6/conf/all/forwarding") +
        sysctl("ipv4/conf/all/accept_redirects"),
    }


def same(want):
    """It takes the kernel a moment to remove what a dead process had."""
    end = time.monotonic() + 20 * SLOW
    while True:
        now = host()
        wrong = [k for k in want if now[k] != want[k]]
        if not wrong:
            return
        assert time.monotonic() < end, "\n".join(
            "%s: %s\nwas %s" % (k, now[k], want[k]) for k in wrong)
        time.sleep(0.05)
