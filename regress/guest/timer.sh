#!/bin/sh
# PIT, local APIC, PM timer, RTC.
# shellcheck disable=SC2016,SC2034
. regress/guest/tap.sh

guest timer
ok 'passed 5 && ends "poweroff: powered off"' "timers"
before=$(date -u +%s)
guest rtc -m 64
after=$(date -u +%s)
at=$(date -u -d "$(sed -n 's/^time //p' "$tmp/out")" +%s)
ok '[ "$at" -ge $((before - 1)) ] && [ "$at" -le "$after" ]' "date and time"
ok 'passed 2' "periodic interrupt"
ok 'has "above16M 768" && has "cpus 1"' "memory and processors in CMOS"
plan
