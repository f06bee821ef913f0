#!/bin/sh
# An instruction that KVM cannot emulate ends the guest with its name.
# shellcheck disable=SC2016,SC2034
. regress/guest/tap.sh

"$BUILD/regress/vmrun" -g "$BUILD/vmd-guest" -P >"$tmp/out" 2>"$tmp/err"
ok 'grep -q "^probe: .*: \(hardware\|kernel code is emulated\)" "$tmp/out"' \
    "probe guest"
probe=$(sed -n 's/^probe: //p' "$tmp/out")
guest emul
case $probe in
*" int3"*)
	ok 'grep -q "^exit: emulation: KVM could not emulate int3 (cc.*) at 0x10" \
	    "$tmp/out" && has trying' "int3 in ring 0"
	;;
*)
	ok 'has "int3 works"' "int3 in ring 0"
	skip "failed emulation" "this KVM runs everything"
	;;
esac
plan
