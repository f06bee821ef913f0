#!/bin/sh
# A network interface with a tap in a network namespace of the test's own.
# shellcheck disable=SC2016,SC2034
if [ "${NET_NS:-}" = "" ]; then
	NET_NS=1 exec unshare -n "$0"
	echo "1..0 # SKIP no network namespace"
	exit 0
fi
. regress/guest/tap.sh
if ! [ -c /dev/net/tun ]; then
	echo "1..0 # SKIP no /dev/net/tun"
	exit 0
fi

# tap NAME ADDRESS OPTIONS: one that stays while the namespace does.
tap() {
	ip link set lo up
	# shellcheck disable=SC2086
	ip tuntap add dev "$1" mode tap vnet_hdr ${3:-} &&
	    sysctl -q -w "net.ipv6.conf.$1.disable_ipv6=1" &&
	    ip addr add "$2" dev "$1" && ip link set "$1" up
}

# peer NAME ADDRESS: start the other side.
peer() {
	mkfifo "$tmp/in"
	regress/guest/net.py "$1" "$2" <"$tmp/in" >"$tmp/peer" 2>&1 &
	exec 3>"$tmp/in"
	until grep -q ready "$tmp/peer"; do
		kill -0 $! || exit 1
	done
}

tap t0 100.64.1.2/31 multi_queue
peer t0 100.64.1.2
guest net -n t0,local,pairs=4 -r "replace me"
ok 'passed 49' "frames both ways in all modes, four pairs"
ok 'ends "poweroff: powered off"' "poweroff"
guest net -n t0,local,locked,pairs=2
ok 'passed 47' "the same on a locked interface"
guest net -n t0,local,pairs=2 -a hostile
ok 'passed 22' "hostile rings and headers"
exec 3>&-
i=1
set --
while [ "$i" -le 16 ]; do
	tap "n$i" "100.65.$i.0/31"
	set -- "$@" -n "n$i,local"
	i=$((i + 1))
done
guest net -a nics "$@"
ok 'has "interfaces 16" && passed 16' "sixteen interfaces"
plan
