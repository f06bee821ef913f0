# Sourced by the guest tests: TAP with vmrun's output to look into.
# shellcheck shell=sh disable=SC2034

BUILD=${BUILD:-build}
ELF=$BUILD/guest
n=0
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT INT TERM

# skip_all: no KVM here.
if ! [ -r /dev/kvm ] || ! [ -w /dev/kvm ]; then
	echo "1..0 # SKIP no /dev/kvm"
	exit 0
fi

# guest NAME ARGS...: run a payload, output to $tmp/out, status in $rc.
guest() {
	name=$1
	shift
	rc=0
	"$BUILD/regress/vmrun" -g "$BUILD/vmd-guest" -k "$ELF/$name.elf" \
	    "$@" </dev/null >"$tmp/out" 2>"$tmp/err" || rc=$?
}

# ok COMMAND... -- TEXT: one test, passed if the command succeeds.
ok() {
	cmd=$1
	shift
	n=$((n + 1))
	if eval "$cmd"; then
		echo "ok $n - $*"
	else
		echo "not ok $n - $*"
		tail -n 70 "$tmp/out" "$tmp/err" | sed 's/^/# /'
	fi
}

# skip TEXT REASON
skip() {
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

# has LINE: the output has exactly this line.
has() {
	grep -qxF -- "$1" "$tmp/out"
}

# ends TEXT: the last line says so.
ends() {
	[ "$(tail -n 1 "$tmp/out")" = "exit: $1" ]
}

# Every check inside the guest passed, and there were as many as promised.
passed() {
	! grep -q '^FAIL' "$tmp/out" &&
	    [ "$(grep -c '^PASS' "$tmp/out")" -ge "$1" ]
}

plan() {
	echo "1..$n"
}
