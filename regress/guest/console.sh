#!/bin/sh
# The serial line, both ways, through a socket and through a pty.
# shellcheck disable=SC2016,SC2034
. regress/guest/tap.sh

for via in socket pty; do
	y=
	[ $via = pty ] && y=-y
	# shellcheck disable=SC2086
	guest uart $y -x 'ready=hello, world.'
	ok 'grep -q "HELLO, WORLD" "$tmp/out"' "input by $via"
	ok 'passed 2' "UART registers by $via"
	i=0
	while [ $i -lt 400 ]; do
		echo "line $i"
		i=$((i + 1))
	done >"$tmp/want"
	grep '^line' "$tmp/out" >"$tmp/got"
	ok 'cmp -s "$tmp/want" "$tmp/got"' "output by $via is complete"
	ok 'ends "poweroff: powered off"' "ends by $via"
done

# More than the UART's queues hold: nothing is lost on the way in.
long=$(printf '%0900d' 7)
guest uart -x "ready=$long."
ok 'grep -q "$long" "$tmp/out"' "900 bytes of input at once"
plan
