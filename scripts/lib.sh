# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced by the other scripts: settings, messages, and the way a long step runs.
# What a script exits with is listed in `make help`.

set -euo pipefail

# What is made does not depend on the language, on a hook's environment, or on how somebody has set git up. Only apply asks the
# latter, as it commits to a tree of the user's.
export LC_ALL=C.UTF-8 GIT_ATTR_NOSYSTEM=1
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_COMMON_DIR GIT_PREFIX GIT_EXTERNAL_DIFF GIT_DIFF_OPTS
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
[ "${0##*/}" = apply ] || export GIT_CONFIG_GLOBAL=$root/scripts/gitconfig GIT_CONFIG_NOSYSTEM=1

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

default_base=6.12
export BASE=${BASE:-$default_base}
ARCH=${ARCH:-x86_64}
J=${J:-$(nproc)}
ACCEL=${ACCEL:-tcg}
SMP=${SMP:-2}
MEM=${MEM:-2G}
TIMEOUT=${TIMEOUT:-300}
V=${V:-}

[ -f "$root/patches/$BASE/base" ] || die 2 "BASE=$BASE: no patches for it; there are:$(cd "$root/patches" && for base in */base; do printf ' %s' "${base%/base}"; done)"
testing=$root/tools/testing/kasan_vmalloc
[ -f "$testing/arch-$ARCH.config" ] ||
	die 2 "ARCH=$ARCH: not supported; there are: $(cd "$testing" && echo arch-*.config | sed 's/arch-//g; s/\.config//g')"
[[ $ACCEL = tcg || $ACCEL = kvm ]] || die 2 "ACCEL=$ACCEL: tcg or kvm"
[[ $MEM =~ ^[1-9][0-9]*[MG]$ ]] || die 2 "MEM=$MEM: give it as 2048M or 2G"
number J "$J"
number SMP "$SMP"
number TIMEOUT "$TIMEOUT"

top=$(realpath -m "${O:-$root/out}") out=$top
# shellcheck disable=SC2034 # for those who source this
dl=$top/dl
[ "$BASE" = "$default_base" ] || out+=/$BASE
tree=$out/tree
log=$out/log/$ARCH
# What tree was made of, in three lines: a hash of everything, the commit that came out, a hash of inputs().
# shellcheck disable=SC2034 # for those who source this
made=$tree/.git/kasan_vmalloc
# shellcheck disable=SC2034 # for those who source this
patches=$root/patches/$BASE
mkdir -p "$log" 2>/dev/null || die 2 "O=$out: cannot be written to"

# Where the series has new files; and the files that decide what becomes of BASE.
sources=(arch Documentation include kernel lib mm)
inputs() { (cd "$root" && find patches/{strip.msg,common,"$BASE"} MAINTAINERS "${sources[@]}" -type f ! -name differs -print0 | LC_ALL=C sort -z | xargs -0 sha256sum); }

# Who wrote the series. The commits of the assembled tree are the same whoever makes them, and whenever.
series_author() {
	export GIT_AUTHOR_NAME='KASAN_VMALLOC developers' GIT_AUTHOR_EMAIL=maintainers@users.noreply.r-seed-0280a30c.example
	export GIT_AUTHOR_DATE='2026-11-22T12:00:00+0000'
}
series_committer() {
	series_author
	export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE
}

# is_kernel DIR: is it a tree of BASE.y without the series? Sets version.
is_kernel() {
	[ -f "$1/Makefile" ] && [ -d "$1/mm/kasan" ] || die 2 "KSRC=$1 is no kernel tree"
	version=$(sed -n 's/^\(VERSION\|PATCHLEVEL\|SUBLEVEL\) = //p' "$1/Makefile" | paste -sd.)
	[[ $version = "$BASE".* ]] || die 2 "KSRC=$1 is Linux $version, not $BASE.y"
	[ ! -e "$1/include/linux/kasan-vmalloc.h" ] || die 2 "KSRC=$1 has the series already"
}

# is_clean DIR: has that git tree nothing that is not committed?
is_clean() {
	local status
	status=$(git -C "$1" status --porcelain --untracked-files=no) && [ -z "$status" ] || die 2 "KSRC=$1 has changes that are not committed"
}

# need_space MIB DIR: so much must be free there.
need_space() {
	local free
	free=$(df -Pm "$2" | awk 'END { print $4 }')
	[ "$free" -ge "$1" ] || die 4 "no disk space: $free MiB free in $2, $1 MiB needed; free some, or set O= to another place"
}

# step CODE NAME COMMAND...: run it, with its output in out/log/ARCH/NAME.log (and on the terminal with V=1).
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

# How make is called for a kernel, what Debian calls ARCH, and where the image is. The compiler goes through ccache where there is
# one (scripts/cc): in depend mode, as looking things up costs half as much as compiling otherwise.
export CCACHE_DEPEND=1
# shellcheck disable=SC2034 # for those who source this
case $ARCH in
x86_64) cross='' debian=amd64 image_path=arch/x86/boot/bzImage ;;
arm64) cross=aarch64-linux-gnu- debian=arm64 image_path=arch/arm64/boot/Image ;;
riscv) cross=riscv64-linux-gnu- debian=riscv64 image_path=arch/riscv/boot/Image ;;
s390) cross=s390x-linux-gnu- debian=s390x image_path=arch/s390/boot/bzImage ;;
powerpc) cross=powerpc64le-linux-gnu- debian=ppc64el image_path=vmlinux ;;
arm) cross=arm-linux-gnueabihf- debian=armhf image_path=arch/arm/boot/zImage ;;
um) cross='' debian=amd64 image_path=linux ;;
esac
# shellcheck disable=SC2034 # for those who source this
kernel_make=("ARCH=$ARCH" "CROSS_COMPILE=$cross" "CC=$root/scripts/cc ${cross}gcc" LOCALVERSION=)

# native: do this machine's programs run in the guest?
native() { [ "$(dpkg --print-architecture)" = "$debian" ]; }

# wanted FLAVOUR: what to ask of Kconfig for a flavour of kernel, see scripts/build.
wanted() {
	local mode=../../../kernel/configs/kasan_vmalloc.config tests='kunit.config tests.config history.config'
	case ${1#base-} in
	run) ;;
	debug) tests+=' debug.config' ;;
	rt) tests+=' debug.config rt.config' ;;
	outline) tests+=" outline.config numa-$ARCH.config" ;;
	stress)
		tests='debug.config stress.config'
		[ "$ARCH" != x86_64 ] || tests+=' stress-x86_64.config'
		;;
	39bit | 16k | 64k) tests+=" ${1#base-}.config" ;;
	sw_tags) mode=sw_tags.config tests='kunit.config tests.config' ;;
	hw_tags) mode=hw_tags.config tests=kunit.config ;;
	bench | base) tests= ;;
	history) tests=history.config ;;
	count) tests=count.config ;;
	floor) mode=generic.config tests= ;;
	*) die 2 "no flavour $1" ;;
	esac
	[[ $1 != base-* ]] || { tests=${tests/tests.config/}; tests=${tests/history.config/}; }
	# What a fragment does without, as an architecture does not have it, is named in it.
	local fragments without fragment
	fragments=$(cd "$testing" && for fragment in common.config $mode $tests "arch-$ARCH.config"; do
		cat "$fragment"
		[ ! -e "$BASE/$fragment" ] || cat "$BASE/$fragment"
	done)
	without=$(sed -n 's/^# without: //p' <<<"$fragments" | paste -sd' ')
	grep -vE "^CONFIG_(${without// /|})=" <<<"$fragments"
}

# progress [TOTAL]: the output of make as steps done, of how many, and the time so far. One line on a terminal, else a
# line now and then. Warnings are shown whole.
progress() {
	local total=${1:-} done=0 shown=0 line end=$'\n' every=15
	[ ! -t 1 ] || { end=$'\r'; every=1; }
	[ -z "$V" ] || { cat; return; }
	while IFS= read -r line; do
		[[ $line != *warning:* ]] || printf '%s\n' "$line"
		[[ $line =~ ^\ \ [A-Z] ]] || continue
		done=$((done + 1))
		if [ $((SECONDS - shown)) -ge "$every" ]; then
			shown=$SECONDS
			printf '  %5d%s steps, %d:%02d   %s' "$done" "${total:+/$total}" $((SECONDS / 60)) $((SECONDS % 60)) "$end"
		fi
	done
	printf '  %5d%s steps, %d:%02d   \n' "$done" "${total:+/$done}" $((SECONDS / 60)) $((SECONDS % 60))
}

# strip_commit COMMIT [REPO]: the commit before COMMIT of REPO, or of the assembled tree, that takes the base's own vmalloc shadow out.
# What is before it is a backport.
strip_commit() {
	git -C "${2:-$tree}" log --format=%H -F --grep="$(head -n 1 "$root/patches/strip.msg")" "base..$1" | tail -n 1
}

# Have the unmodified base in out/base, beside the assembled tree.
base_tree() {
	[ "$(git -C "$out/base" rev-parse HEAD 2>/dev/null)" != "$(git -C "$tree" rev-parse base)" ] || return 0
	rm -rf "$out/base"
	git -C "$tree" worktree prune
	step 6 base git -C "$tree" worktree add --detach "$out/base" base
}

# no_unknown_files: in the assembled tree. Debian's .gitignore hides what is new there.
no_unknown_files() {
	local unknown
	unknown=$(cd "$tree" && git ls-files -o -- "${sources[@]}" | grep -E '(\.([chS]|rst|litmus|config|kunitconfig)|/Makefile|/Kconfig[^/]*)$' || true)
	[ -z "$unknown" ] || die 6 "$tree has files that are in no commit: git add -f them, or remove them:" "$unknown"
}

# message PATCH: the message in it. Leaves what git has found in PATCH in patch.head and patch.text.
message() {
	git mailinfo "$log/patch.text" /dev/null <"$1" >"$log/patch.head"
	{ sed -n 's/^Subject: //p' "$log/patch.head" && echo && cat "$log/patch.text"; } | git stripspace
}

# new_files DIR: the files that the patches there are about
new_files() { sed -n 's|^diff --git a/.* b/||p' "$1"/*.patch | LC_ALL=C sort -u; }

# work_tree DIR COMMIT [REPO]: another worktree of the assembled tree, or of REPO, and without REPO's hooks. In it is what the
# strip looks at and where the series has its files, as each step looks at all that there is; git am brings what else a patch
# is for. It goes when the script ends, or with drop_work_tree.
work_tree() {
	drop_work_tree() {
		unset GIT_CONFIG_COUNT
		git -C "$work_repo" worktree remove -f -f "$work_tree" 2>/dev/null || rm -rf "$work_tree"
	}
	work_tree=$1 work_repo=${3:-$tree}
	trap drop_work_tree EXIT
	drop_work_tree
	# by force, as REPO may know one there that is gone
	git -C "$work_repo" worktree add -f -f -q --no-checkout --detach "$work_tree" "$2"
	# By the environment, so that the configuration of REPO stays as it is.
	export GIT_CONFIG_COUNT=4 GIT_CONFIG_KEY_0=core.hooksPath GIT_CONFIG_VALUE_0=/dev/null
	export GIT_CONFIG_KEY_1=core.sparseCheckout GIT_CONFIG_VALUE_1=true GIT_CONFIG_KEY_2=core.autocrlf GIT_CONFIG_VALUE_2=false
	export GIT_CONFIG_KEY_3=commit.gpgSign GIT_CONFIG_VALUE_3=false
	local info
	info=$(git -C "$work_tree" rev-parse --absolute-git-dir)/info
	mkdir -p "$info"
	printf '%s\n' /{Makefile,MAINTAINERS} /Documentation/{dev-tools,litmus-tests}/ '/arch/**/Kconfig*' \
		'/arch/*/'{include/asm,kernel,mm}/ /{include,kernel,lib,mm}/ '!/include/dt-bindings/' >"$info/sparse-checkout"
	git -C "$work_tree" checkout -q
}
