# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced by the other scripts: settings, messages, and the way a long step runs.
# What a script exits with is listed in `make help`.

set -euo pipefail

root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")

# die CODE MESSAGE [LINE...]
die() {
	local code=$1
	shift
	echo "error: $1" >&2
	shift
	[ $# -eq 0 ] || printf '%s\n' "$@" >&2
	exit "$code"
}

number() { [[ $2 =~ ^[1-9][0-9]*$ ]] || die 2 "$1=$2 is not a number"; }

BASE=${BASE:-6.12}
ARCH=${ARCH:-x86_64}
J=${J:-$(nproc)}
ACCEL=${ACCEL:-tcg}
SMP=${SMP:-2}
MEM=${MEM:-2G}
TIMEOUT=${TIMEOUT:-300}
V=${V:-}

[ -d "$root/patches/$BASE" ] || die 2 "BASE=$BASE: no patches for it; there are: $(ls "$root/patches")"
testing=$root/tools/testing/kasan_vmalloc
[ -f "$testing/arch-$ARCH.config" ] ||
	die 2 "ARCH=$ARCH: not supported; there are: $(cd "$testing" && echo arch-*.config | sed 's/arch-//g; s/\.config//g')"
[[ $ACCEL = tcg || $ACCEL = kvm ]] || die 2 "ACCEL=$ACCEL: tcg or kvm"
[[ $MEM =~ ^[1-9][0-9]*[MG]$ ]] || die 2 "MEM=$MEM: give it as 2048M or 2G"
number J "$J"
number SMP "$SMP"
number TIMEOUT "$TIMEOUT"

out=$(realpath -m "${O:-$root/out}")
tree=$out/tree
log=$out/log
patches=$root/patches/$BASE
mkdir -p "$log" 2>/dev/null || die 2 "O=$out: cannot be written to"

# need_space MIB DIR: so much must be free there.
need_space() {
	local free
	free=$(df -Pm "$2" | awk 'END { print $4 }')
	[ "$free" -ge "$1" ] || die 4 "no disk space: $free MiB free in $2, $1 MiB needed; free some, or set O= to another place"
}

# step CODE NAME COMMAND...: run it, with its output in out/log/NAME.log (and on the terminal with V=1).
# If it fails, say so, show the end of the log, exit with CODE.
step() {
	local code=$1 name=$2 status=0
	shift 2
	echo "+ $*"
	if [ -n "$V" ]; then
		"$@" 2>&1 | tee "$log/$name.log" || status=$?
	else
		"$@" >"$log/$name.log" 2>&1 || status=$?
	fi
	[ "$status" -eq 0 ] && return
	[ -n "$V" ] || tail -n 15 "$log/$name.log" >&2
	die "$code" "\`$1\` failed (status $status); its log is $log/$name.log"
}
