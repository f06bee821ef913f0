#!/bin/sh
# Stock guests, on this machine's KVM, in a network namespace of their own, or
# in the rig.  TAP.
# usage: stock.sh [test ...]	all of them, or those functions
cd "$(dirname "$0")/../.." || exit 1
if ! regress/stock/initrd >&2; then
	echo "1..0 # SKIP no stock kernel could be fetched"
	exit 0
fi
regress/stock/rootdisk >&2 || exit 1
# The probe guest says which kind of KVM this is.
if build/regress/vmrun -P 2>/dev/null | grep -q '^probe: done'; then
	# shellcheck disable=SC2016 # for that shell
	exec unshare -n -m --propagation private sh -c '
	    mount -t sysfs sysfs /sys && ip link set lo up &&
	    exec regress/stock/stock.py "$@"' stock "$@"
fi
rig() {
	regress/rig/rig -m 8192 -t 1200 \
	    "CHECK_LONG=$CHECK_LONG exec regress/stock/stock.py $*"
}
# A person sees what comes.
[ ! -t 1 ] || { rig "$@"; exit; }
# The rig's emulated CPU mixes up a guest and its host once in hundreds of
# boots: guests reset or hang, or the rig's own kernel dies.  So what fails
# gets a second rig; what fails there, too, is ours.
out=$(mktemp)
trap 'rm -f "$out"' EXIT
trap 'exit 143' INT TERM HUP
rc=0
rig "$@" >"$out" || rc=$?
if [ $rc -ne 0 ] || grep -q '^not ok' "$out"; then
	sed 's/^/# first rig: /' "$out"
	rc=0
	rig "$@" >"$out" || rc=$?
fi
cat "$out"
exit $rc
