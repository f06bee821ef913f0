#!/bin/sh
# Held and released; stopped while running, asleep and held.
# shellcheck disable=SC2016,SC2034
. regress/guest/tap.sh

guest tick -u 'tick 3' -x 'tick 12=q'
ok 'has paused && has "silent while paused" && has unpaused' "pause"
ok 'has typed && ends "poweroff: powered off"' "goes on"
guest tick -s 'tick 2'
ok 'ends "stopped: stopped"' "stop"
guest tick -c 4 -u 'tick 2' -s 'tick 2'
ok 'ends "stopped: stopped"' "stop while held"
plan
