#!/bin/sh
# A virtio device: registers, queue, interrupts.
# shellcheck disable=SC2016,SC2034
. regress/guest/tap.sh

guest virtio
ok 'passed 45' "entropy, by MSI-X, lines and capability"
ok 'ends "poweroff: powered off"' "poweroff"
plan
