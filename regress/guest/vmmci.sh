#!/bin/sh
# vmmci: told to shut down, to set the clock; what ends a guest that does not.
# shellcheck disable=SC2016,SC2034
. regress/guest/tap.sh

guest vmmci -a 'answer down' -p waiting
ok 'has "vmmci in slot 3" && passed 9' "device"
ok 'has "command 1" && ends "poweroff: powered off"' "shutdown"
guest vmmci -a answer -p waiting
ok 'has told && ends "poweroff: powered off through vmmci"' \
    "one that can only halt"
guest vmmci -a halt
ok 'has halting && ends "poweroff: powered off through vmmci"' \
    "one that halts by itself"
guest vmmci -a deaf -p waiting
ok 'ends "poweroff: no answer to vmmci shutdown"' "one that does not answer"
guest vmmci -a clock -u waiting
ok 'has "command 3" && passed 11 && ends "poweroff: powered off"' \
    "its clock is to be set after a pause"
guest vmmci -a 'answer down' -u waiting -p 'command 3'
ok 'has unpaused && has "command 3" && ends "poweroff: powered off"' \
    "pause, then shutdown"
plan
