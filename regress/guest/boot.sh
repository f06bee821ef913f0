#!/bin/sh
# A kernel with command line and initrd; what cannot be booted says why.
# shellcheck disable=SC2016,SC2034
. regress/guest/tap.sh

guest hello -a "one two"
ok 'has "hello one two" && ends "poweroff: powered off"' "command line"
printf 'contents\n\0' >"$tmp/initrd"
guest hello -i "$tmp/initrd"
ok 'has "initrd 10" && has contents' "initrd"
guest hello -m 2
ok 'ends "poweroff: powered off"' "2 MiB of memory"
guest hello -m 3500
ok 'ends "poweroff: powered off"' "memory above 4 GiB"
guest hello -c 64
ok 'ends "poweroff: powered off"' "64 vcpus"
guest hello -m 1
ok '[ $rc -ne 0 ] && ! has hello && grep -q malformed "$tmp/err"' \
    "less than 2 MiB is refused"
guest hello -y
ok 'has "magic 0x336ec578" && ends "poweroff: powered off"' "console on a pty"
guest hello -L "$tmp/log"
ok 'grep -q "^magic 0x336ec578" "$tmp/log"' "console log"

head -c 3000 "$ELF/hello.elf" >"$tmp/cut.elf"
ELF=$tmp guest cut
ok '[ $rc -ne 0 ] && grep -q "^start: .*boot: " "$tmp/out"' "truncated kernel"
: >"$tmp/empty.elf"
ELF=$tmp guest empty
ok '[ $rc -ne 0 ] && grep -q "^start: .*boot: " "$tmp/out"' "empty kernel"
plan
