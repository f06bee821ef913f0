#!/bin/sh
# The PCI bus and the places where nothing is.
# shellcheck disable=SC2016,SC2034
. regress/guest/tap.sh

guest pci
ok 'has "dev 0 0x12378086 class 0x60000"' "host bridge"
ok 'has "subsystem 0x11001af4"' "subsystem"
ok 'passed 6 && ends "poweroff: powered off"' "configuration space"
guest void
ok 'passed 4 && ends "poweroff: powered off"' "ports and memory of nobody"
plan
