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
exec regress/stock/rigs.py "$@"
