#!/bin/sh
# Tables, power off as they say, the power button.
# shellcheck disable=SC2016,SC2034
. regress/guest/tap.sh

guest acpi -c 3
ok 'passed 7' "tables"
ok '[ "$(grep -c ^lapic "$tmp/out")" -eq 3 ]' "a local APIC for each vcpu"
ok 'has "override 0 gsi 2" && has "ioapic 0xfec00000"' "interrupt routing"
ok 'ends "poweroff: powered off"' "power off"
guest acpi -a button -p waiting
ok 'has pressed && ends "poweroff: powered off"' "power button"
plan
