#!/bin/sh
# Processors come up by INIT and SIPI and share memory.
# shellcheck disable=SC2016,SC2034
. regress/guest/tap.sh

for cpus in 1 2 4; do
	guest smp -c $cpus
	ok 'has "cpus $cpus" && passed 1' "$cpus vcpus"
done
plan
