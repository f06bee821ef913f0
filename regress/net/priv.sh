#!/bin/sh
# What priv does to a host, on the kernel of the distribution, in the rig:
# that one has VRFs.  The tests are those of regress/unit.  TAP.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck disable=SC2016 # expanded in there
exec regress/rig/rig -t 900 '
	n=0 bad=0
	for t in priv_vrf_test priv_net_test priv_switch_test priv_guest_test priv_bad_test; do
		n=$((n + 1))
		build/unit/$t >/tmp/out 2>&1 && ! grep -q "^not ok" /tmp/out &&
		    ! grep -q "here: without\$" /tmp/out && echo "ok $n - $t" &&
		    continue
		sed "s/^/# /" /tmp/out
		echo "not ok $n - $t"
		bad=1
	done
	echo "1..$n"
	exit $bad'
