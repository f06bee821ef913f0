#!/bin/sh
# Every way a PC is reset ends the run, under its own name.
# shellcheck disable=SC2016,SC2034
. regress/guest/tap.sh

while read -r how want; do
	guest reset -a "$how"
	ok "ends '$want' && has resetting" "$how"
done <<'END'
cf9 reset: reset through port 0xcf9
i8042 reset: reset through port 0x64
p92 reset: reset through port 0x92
acpi reset: reset through port 0xcf9
triple triple: triple fault
END
plan
