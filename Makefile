# SPDX-License-Identifier: GPL-2.0
#
# The front door. Each verb is a script or two; `make help` lists them.

export BASE KSRC ARCH O J ACCEL SMP MEM PARAMS TIMEOUT V DURATION SEED SCENARIOS

.PHONY: help run check check-all bench stress series apply lint model matrix bisect-check port shell kernel tree paths refresh setup clean
.NOTPARALLEL:

help:
	@sed -n 's/^#| \{0,1\}//p' Makefile

#| Verbs
#|   make run      from nothing to a live report: install what is missing, fetch and assemble the kernel source,
#|                 build it, boot it in QEMU, show what KASAN_VMALLOC finds there
#|   make check    all tests; the last line is "N passed, N failed, N skipped"
#|   make check-all   with PREEMPT_RT, the tag-based modes, the sizes of pages and addresses of arm64, too
#|   make bench    measure the series beside the unmodified base: out/bench/report.md, and plots
#|   make stress   threads, loops and DIMMs that allocate, fail, free, purge, reclaim and access what they must not, on 4 CPUs, while
#|                 the kernel checks itself as hard as it can
#|   make series   the patches, with a cover letter and as an mbox, in out/series
#|   make apply    KSRC=PATH: the series as commits on a branch of your own git tree of BASE.y
#|   make lint     what the kernel's own tools say of the series
#|   make matrix   boot it in many ways, with both KUnit suites in each; ends with a table
#|   make model    prove the rules on the states of a shadow page in a Spin model; its mutants have to break them
#|   make bisect-check   each commit of it builds and boots
#|   make shell    the same kernel with a busybox shell
#|   make kernel   build only                    make tree     assemble only
#|   make paths    tree=, build=, image=         make refresh  bring edits of the assembled tree back to here
#|   make port     FROM=7.3: carry to BASE what changed in the patches of base FROM since the last commit
#|   make clean    remove out/
#|
#| Variables, with their defaults
#|   BASE=6.12     which kernel, or 7.3; then all of it is in out/7.3
#|   KSRC=         a tree of BASE.y of your own, instead of the Debian package; only make apply writes to it
#|   ARCH=x86_64   or arm64 (make check: both), s390, powerpc, arm, riscv, um (the last two: make check, make kernel)
#|   O=out (where everything is built)   J=(all CPUs)   V= (1: show the output of each step)
#|   ACCEL=tcg     or kvm    SMP=2    MEM=2G    TIMEOUT=300 (seconds until a guest is taken to hang)
#|   PARAMS=       more for the kernel's command line, such as kasan_vmalloc.share=1
#|   make stress:  DURATION=5 (minutes)   SEED=(random, and printed)   SCENARIOS=(all, apart and then together)   SMP=4
#|
#| Exit codes of the scripts, which make shows as "Error N"
#|   1 a test failed, or a report did not come as expected     2 bad input     3 packages missing, and no way to install
#|   4 no disk space     5 the download failed     6 the source or a patch does not fit     7 the build failed
#|   8 the guest hung     9 the guest panicked, or QEMU failed

run: kernel
	scripts/run

check check-all:
	@for arch in $${ARCH:-x86_64 arm64}; do ARCH=$$arch scripts/setup bench model || exit; done
	scripts/check $(if $(@:check=),all)

bench: tree
	@scripts/setup bench
	scripts/bench

stress: tree
	@scripts/setup stress
	scripts/stress

series: tree
	scripts/series

apply: setup
	scripts/apply

lint: tree
	@scripts/setup lint
	scripts/lint

model: tree
	@scripts/setup model
	scripts/model

matrix: tree
	scripts/matrix

bisect-check: tree
	scripts/bisect-check

port: setup
	scripts/port $(FROM)

shell: kernel
	scripts/run shell

kernel: tree
	scripts/build run

tree: setup
	scripts/assemble

setup:
	@scripts/setup

paths:
	@scripts/build run paths

refresh:
	scripts/refresh

clean:
	rm -rf "$${O:-out}"
