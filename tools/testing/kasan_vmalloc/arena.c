// SPDX-License-Identifier: GPL-2.0
/*
 * BPF arenas: sparse areas of 4 GiB, whose PTEs kernel/bpf/arena.c sets and clears by
 * itself. A program for the guest, linked with the kernel's nolibc.
 *
 *   arena PROCESSES TIMES [FILE]
 *
 * Each process repeats this TIMES times: it creates an arena, writes to some of its pages,
 * has a BPF program read and change them and access pages that are not populated, and
 * closes the arena. With FILE, a process prints that file in one line while its last arena
 * exists. The program exits with 1 and a message if a step fails or a value is wrong.
 */

#include <linux/bpf.h>

#define ARENA_SIZE	(4UL << 30)

/* What the BPF program is given, and what it found. */
struct access {
	unsigned long addr;
	unsigned long new;
	unsigned long old;
};

/* In pages of their own, the first and the last, and around the end of a table. */
static const unsigned long places[] = {
	0, 0x1000, 0x1ffff8, 0x200000, 0x4000000, ARENA_SIZE / 2, ARENA_SIZE - 8,
};

static void check(int ok, const char *what)
{
	if (ok)
		return;
	printf("arena: failed: %s (errno %d)\n", what, errno);
	exit(1);
}

static int bpf(int cmd, union bpf_attr *attr)
{
	return syscall(__NR_bpf, cmd, attr, sizeof(*attr));
}

static int new_arena(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARENA,
		.max_entries = ARENA_SIZE >> 12,
		.map_flags = BPF_F_MMAPABLE,
	};
	int fd = bpf(BPF_MAP_CREATE, &attr);

	check(fd >= 0, "BPF_MAP_CREATE");
	return fd;
}

/* A program that swaps access.new with what is in the arena. */
static int new_prog(int arena)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 1 },
		/* makes it a program with this arena */
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = arena },
		{ },
		{ .code = BPF_LDX | BPF_DW | BPF_MEM, .dst_reg = 2, .src_reg = 6, .off = 0 },
		/* from the user's address space, 1, to the kernel's, 0 */
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 2, .off = 1, .imm = 1 },
		{ .code = BPF_LDX | BPF_DW | BPF_MEM, .dst_reg = 3, .src_reg = 6, .off = 8 },
		{ .code = BPF_LDX | BPF_DW | BPF_MEM, .dst_reg = 4, .src_reg = 2, .off = 0 },
		{ .code = BPF_STX | BPF_DW | BPF_MEM, .dst_reg = 6, .src_reg = 4, .off = 16 },
		{ .code = BPF_STX | BPF_DW | BPF_MEM, .dst_reg = 2, .src_reg = 3, .off = 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	static char log[4096];
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SYSCALL,
		.prog_flags = BPF_F_SLEEPABLE,
		.insns = (unsigned long)insns,
		.insn_cnt = sizeof(insns) / sizeof(*insns),
		.license = (unsigned long)"GPL",
		.log_buf = (unsigned long)log,
		.log_size = sizeof(log),
		.log_level = 1,
	};
	int fd = bpf(BPF_PROG_LOAD, &attr);

	check(fd >= 0, log);
	return fd;
}

static unsigned long swap(int prog, volatile unsigned long *addr, unsigned long new)
{
	struct access access = { .addr = (unsigned long)addr, .new = new };
	union bpf_attr attr = {
		.test.prog_fd = prog,
		.test.ctx_in = (unsigned long)&access,
		.test.ctx_size_in = sizeof(access),
	};

	check(!bpf(BPF_PROG_TEST_RUN, &attr), "BPF_PROG_TEST_RUN");
	return access.old;
}

static void print(const char *file)
{
	char text[1000];
	int fd = open(file, O_RDONLY), n, i;

	check(fd >= 0, file);
	n = read(fd, text, sizeof(text) - 1);
	check(n >= 0, file);
	text[n] = 0;
	for (i = 0; i < n; i++)
		if (text[i] == '\n')
			text[i] = ' ';
	printf("%s\n", text);
	close(fd);
}

static void use_arena(unsigned long seed, const char *file)
{
	int arena = new_arena(), prog;
	volatile unsigned long *addr;
	unsigned long i, n = sizeof(places) / sizeof(*places);
	char *start = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, arena, 0);

	check(start != MAP_FAILED, "mmap");
	prog = new_prog(arena);
	for (i = 0; i < n; i++) {
		addr = (void *)(start + places[i]);
		*addr = seed + i;
	}
	for (i = 0; i < n; i++) {
		addr = (void *)(start + places[i]);
		check(swap(prog, addr, ~(seed + i)) == seed + i, "what the kernel reads");
		check(*addr == ~(seed + i), "what the kernel wrote");
		/* 64K on there is no page */
		swap(prog, (void *)(start + (places[i] ^ 0x10000)), seed);
	}
	if (file)
		print(file);
	check(!munmap(start, ARENA_SIZE), "munmap");
	close(prog);
	close(arena);
}

int main(int argc, char **argv)
{
	int processes = atoi(argv[1]), times = atoi(argv[2]), i, j, status;

	for (i = 0; i < processes; i++) {
		if (fork())
			continue;
		for (j = 0; j < times; j++)
			use_arena(i * 1000000UL + j * 1000,
				  j == times - 1 ? argv[3] : NULL);
		exit(0);
	}
	for (i = 0; i < processes; i++)
		check(wait(&status) > 0 && !status, "a process");
	return 0;
}
