// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that allocate, touch and free memory of all kinds in vmalloc space,
 * with allocations that fail, purges and reclaim between. Each keeps areas of its
 * own, knows what their shadow has to be, to the byte, and looks. Now and then
 * one does what it must not, and KASAN has to report that.
 *
 * In /sys/module/stress/parameters/:
 *
 *   echo churn 8 > phase   8 threads of this kind, see phases[]; those of before
 *                          stop and free what they have
 *   cat stats              of each operation how often it was done, failed, and
 *                          could not be judged; bad accesses that were provoked
 *
 * A thread's choices follow from the seed, what comes of them from the others.
 */

#define pr_fmt(fmt) "stress: " fmt

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/kasan.h>
#include <linux/kasan-checks.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

/* from mm/kasan: the values of poison, and what a report knows */
#include "kasan.h"
#include "vmalloc_history.h"

/* ------------------------------- Settings -------------------------------- */

static ulong seed = 1;
module_param(seed, ulong, 0444);

/* Milliseconds between two bad accesses, of which each prints a hundred lines. */
static uint report_ms = 1000;
module_param(report_ms, uint, 0644);

/* Addresses of what is not exported, from /proc/kallsyms. */
static ulong find_vmap_area_at;
module_param(find_vmap_area_at, ulong, 0400);
static ulong reclaim_at;
module_param(reclaim_at, ulong, 0400);
static ulong get_vm_area_at;
module_param(get_vm_area_at, ulong, 0400);
static ulong map_pages_at;
module_param(map_pages_at, ulong, 0400);
static ulong unmap_pages_at;
module_param(unmap_pages_at, ulong, 0400);
static ulong find_at;
module_param(find_at, ulong, 0400);
static ulong to_page_at;
module_param(to_page_at, ulong, 0400);

/* ----------------------------- What is counted --------------------------- */

enum op {
	OP_VMALLOC, OP_VZALLOC, OP_BIG, OP_NOFS, OP_NOIO, OP_VREALLOC, OP_VMAP,
	OP_RAM, OP_PERCPU, OP_THREAD, OP_HUGE, OP_HUGE_MAP, OP_SPARSE, OP_FREE, OP_CHECK,
	OP_DESCRIBE, OP_PURGE, OP_RECLAIM, OP_BAD,
	NR_OPS
};

static const char * const op_names[] = {
	"vmalloc", "vzalloc", "big", "nofs", "noio", "vrealloc", "vmap",
	"vm_map_ram", "percpu", "thread", "huge", "huge_map", "sparse", "free", "check",
	"describe", "purge", "reclaim", "bad",
};

static_assert(ARRAY_SIZE(op_names) == NR_OPS);

/* A bad access, by the function that it is in and the kind that it is. */
enum provoke {
	PROVOKE_OOB, PROVOKE_UAF, PROVOKE_PERCPU, PROVOKE_GLOBAL, PROVOKE_STACK,
	NR_PROVOKE
};

static const char * const bad_names[] = {
	"stress_oob", "stress_uaf", "stress_percpu_oob", "stress_global_oob",
	"stress_stack_oob",
};

static_assert(ARRAY_SIZE(bad_names) == NR_PROVOKE);

static atomic_long_t done[NR_OPS], failed[NR_OPS], provoked[NR_PROVOKE];
/* Of what was freed: no telling, as others came to use the space meanwhile. */
static atomic_long_t unsure[NR_OPS];
static atomic_long_t wrong;

#define complain(fmt, ...)						\
do {									\
	if (atomic_long_inc_return(&wrong) <= 20)			\
		pr_err("WRONG: " fmt "\n", ##__VA_ARGS__);		\
} while (0)

/* -------------------------------- Workers -------------------------------- */

struct area {
	enum op kind;
	u8 *addr;		/* of per-cpu memory that of no CPU */
	size_t size;		/* as asked for */
	size_t span;		/* up to the end of the guard page */
	bool shrunk;		/* vrealloc() was here */
	u8 fill;		/* what its bytes are, if they are its own */
};

#define NR_AREAS	24

/* Addresses of one OP_DESCRIBE. */
#define DESCRIBED	16

struct worker {
	struct task_struct *task;
	const struct phase *phase;
	struct rnd_state rnd;
	int id;
	int cpu;		/* -1: any */
	struct area areas[NR_AREAS];
};

/* How often which, and what else is special. */
struct phase {
	const char *name;
	u8 weights[NR_OPS];
	size_t max_size;
	bool faults;		/* allocations fail, as the fault attributes say */
};

static const struct phase phases[] = {
	{ "churn", {
		[OP_VMALLOC] = 60, [OP_FREE] = 40, [OP_CHECK] = 15,
		[OP_PURGE] = 2, [OP_RECLAIM] = 2, [OP_BAD] = 2,
	}, 8 * PAGE_SIZE },
	{ "mixed", {
		[OP_VMALLOC] = 20, [OP_VZALLOC] = 5, [OP_BIG] = 1, [OP_NOFS] = 3,
		[OP_NOIO] = 3, [OP_VREALLOC] = 10, [OP_VMAP] = 10, [OP_RAM] = 15,
		[OP_PERCPU] = 5, [OP_THREAD] = 3, [OP_SPARSE] = 3, [OP_FREE] = 20,
		[OP_CHECK] = 20, [OP_PURGE] = 1, [OP_RECLAIM] = 2, [OP_BAD] = 3,
	}, SZ_64K + SZ_8K },
	{ "nofs", {
		[OP_VMALLOC] = 5, [OP_NOFS] = 30, [OP_NOIO] = 30, [OP_FREE] = 30,
		[OP_CHECK] = 5, [OP_PURGE] = 2, [OP_RECLAIM] = 2, [OP_BAD] = 1,
	}, SZ_64K + SZ_8K },
	{ "faults", {
		[OP_VMALLOC] = 20, [OP_VZALLOC] = 5, [OP_BIG] = 1, [OP_NOFS] = 3,
		[OP_NOIO] = 3, [OP_VREALLOC] = 5, [OP_VMAP] = 10, [OP_RAM] = 20,
		[OP_PERCPU] = 10, [OP_THREAD] = 3, [OP_SPARSE] = 3, [OP_FREE] = 10,
		[OP_CHECK] = 5, [OP_PURGE] = 2, [OP_RECLAIM] = 4, [OP_BAD] = 1,
	}, SZ_64K + SZ_8K, true },
	{ "describe", {
		[OP_VMALLOC] = 20, [OP_BIG] = 1, [OP_VMAP] = 10, [OP_RAM] = 20,
		[OP_PERCPU] = 20, [OP_THREAD] = 5, [OP_SPARSE] = 3, [OP_FREE] = 30,
		[OP_DESCRIBE] = 50, [OP_PURGE] = 2, [OP_RECLAIM] = 2, [OP_BAD] = 1,
	}, SZ_64K + SZ_8K },
	{ "huge", {
		[OP_VMALLOC] = 4, [OP_HUGE] = 1, [OP_HUGE_MAP] = 2, [OP_FREE] = 2,
		[OP_PURGE] = 1, [OP_RECLAIM] = 1,
	}, 8 * PAGE_SIZE },
	{ "all", {
		[OP_VMALLOC] = 80, [OP_VZALLOC] = 20, [OP_BIG] = 2, [OP_NOFS] = 12,
		[OP_NOIO] = 12, [OP_VREALLOC] = 20, [OP_VMAP] = 40, [OP_RAM] = 60,
		[OP_PERCPU] = 30, [OP_THREAD] = 12, [OP_HUGE_MAP] = 1, [OP_SPARSE] = 12,
		[OP_FREE] = 80, [OP_CHECK] = 40, [OP_DESCRIBE] = 10, [OP_PURGE] = 6,
		[OP_RECLAIM] = 8,
		[OP_BAD] = 8,
	}, SZ_64K + SZ_8K, true },
};

static u32 below(struct worker *w, u32 limit)
{
	return prandom_u32_state(&w->rnd) % limit;
}

/* Many just at or around a page's end, or a granule's. */
static size_t random_size(struct worker *w)
{
	size_t max = w->phase->max_size, size = 1 + below(w, max);

	switch (below(w, 4)) {
	case 0:
		size = round_up(size, PAGE_SIZE);
		break;
	case 1:
		size = round_up(size, PAGE_SIZE) - 8 + below(w, 17);
		break;
	case 2:
		size = 1 + below(w, PAGE_SIZE);
		break;
	}
	return min(size, max);
}

static bool own_memory(const struct area *a)
{
	return a->kind != OP_VMAP && a->kind != OP_RAM;
}

/* ---------------------------- What shadow says --------------------------- */

/* Shadow has none of its own to be checked against. */
static __no_sanitize_address u8 shadow_byte(const void *mem)
{
	return READ_ONCE(*(u8 *)kasan_mem_to_shadow(mem));
}

/* -1: none there */
static int shadow_byte_nofault(const void *mem)
{
	u8 byte;

	if (get_kernel_nofault(byte, (u8 *)kasan_mem_to_shadow(mem)))
		return -1;
	return byte;
}

/* What vrealloc() has cut off a large area has no shadow: who reads that sets a trap. */
static bool is_poison(u8 byte)
{
	return byte == KASAN_VMALLOC_INVALID || byte == KASAN_VMALLOC_FREE ||
	       byte == KASAN_VMALLOC_ABSENT;
}

/* The first granule in [@from, @to) whose shadow is not @value, or @to. */
static __no_sanitize_address const u8 *shadow_differs(const u8 *from, const u8 *to, u8 value)
{
	const u8 *s = kasan_mem_to_shadow(from), *end = kasan_mem_to_shadow(to);
	const u64 pattern = value * 0x0101010101010101ULL;

	while (s < end) {
		if (IS_ALIGNED((unsigned long)s, 8) && s + 8 <= end &&
		    *(u64 *)s == pattern) {
			s += 8;
			continue;
		}
		if (*s != value)
			break;
		s++;
	}
	return s < end ? kasan_shadow_to_mem(s) : to;
}

/* Memory that a page of shadow describes. */
#define PER		(PAGE_SIZE << 3)

/*
 * A large area that vrealloc() cut, where no memory was to be had for the page of
 * shadow with the new end in it: all of that page says accessible.
 */
static bool left_accessible(const struct area *a)
{
	const u8 *end = (u8 *)round_up((unsigned long)a->addr + a->size, PER);

	return a->shrunk && !shadow_byte(a->addr + a->size) && !shadow_byte(end - 8) &&
	       end > a->addr + a->size;
}

/* What lies in [@mem, @mem + @size) may be touched, and nothing up to @end. */
static void check_range(const struct area *a, const u8 *mem, const u8 *end, const char *when)
{
	const u8 *last = mem + round_down(a->size, 8), *at;

	at = shadow_differs(mem, last, 0);
	if (at != last)
		goto bad;
	at = last;
	if (left_accessible(a)) {
		at = (u8 *)round_up((unsigned long)mem + a->size, PER);
	} else if (a->size % 8) {
		if (shadow_byte(at) != a->size % 8)
			goto bad;
		at += 8;
	}
	for (; at < end; at += 8) {
		at = shadow_differs(at, end, KASAN_VMALLOC_INVALID);
		if (at == end)
			return;
		if (!is_poison(shadow_byte(at)) || (!a->shrunk && a->kind != OP_PERCPU))
			goto bad;
	}
	return;
bad:
	complain("%s: %s of %zu bytes at %lx: shadow of byte %td is %02x",
		 when, op_names[a->kind], a->size, (unsigned long)mem, at - mem,
		 shadow_byte(at));
}

static void check_shadow(const struct area *a, const char *when)
{
	int cpu;

	if (a->kind != OP_PERCPU) {
		check_range(a, a->addr, a->addr + a->span, when);
		return;
	}
	for_each_possible_cpu(cpu) {
		const u8 *mem = per_cpu_ptr((u8 __percpu *)a->addr, cpu);

		/* the first chunk is in the linear map, and not checked */
		if (is_vmalloc_addr(mem))
			check_range(a, mem, mem + round_up(a->size, 8) + 8, when);
	}
}

/* Is there an area of somebody's at an address that was freed? */
static bool reused(const void *mem)
{
	struct vmap_area *(*find)(unsigned long) = (void *)find_vmap_area_at;
	int i, byte;

	for (i = 0; i < 4; i++) {
		if (find((unsigned long)mem))
			return true;
		byte = shadow_byte_nofault(mem);
		if (byte < 0 || is_poison(byte))
			return true;
		/* one that has come may have gone already */
		schedule_timeout_uninterruptible(1);
	}
	return false;
}

/*
 * What was freed is poison at once. Parts of a block of vm_map_ram(), and of a
 * per-cpu chunk, can have been used again and nobody can tell. That it looks so
 * is counted: it has to be rare.
 */
static void check_freed(const struct area *a, const u8 *mem)
{
	size_t offs[] = { 0, a->size / 2, a->size - 1 };
	int i, byte;

	for (i = 0; i < ARRAY_SIZE(offs); i++) {
		byte = shadow_byte_nofault(mem + offs[i]);
		if (byte < 0 || is_poison(byte))
			continue;
		if (a->kind != OP_RAM && a->kind != OP_PERCPU && !reused(mem + offs[i]))
			complain("freed: %s of %zu bytes at %lx: shadow of byte %zu is %02x",
				 op_names[a->kind], a->size, (unsigned long)mem, offs[i], byte);
		atomic_long_inc(&unsure[a->kind]);
		return;
	}
}

/* ------------------------------ Bad accesses ----------------------------- */

static u8 global[13];
static unsigned long next_report;
static bool provoke;

static bool may_provoke(void)
{
	unsigned long next = READ_ONCE(next_report);

	return READ_ONCE(provoke) && time_after(jiffies, next) &&
	       try_cmpxchg(&next_report, &next, jiffies + msecs_to_jiffies(report_ms));
}

/* For what is mapped a load, else the question that a load asks. */
static noinline void stress_oob(const struct area *a)
{
	u8 *p = a->addr + a->size;

	OPTIMIZER_HIDE_VAR(p);
	if (!IS_ALIGNED(a->size, PAGE_SIZE))
		(void)READ_ONCE(*p);
	else
		(void)kasan_check_read(p, 1);
	/* not as a tail call: the report is to name this */
	barrier();
}

static noinline bool stress_uaf(const u8 *p)
{
	bool good = kasan_check_read(p, 1);

	OPTIMIZER_HIDE_VAR(good);
	return good;
}

static noinline void stress_percpu_oob(u8 *p)
{
	OPTIMIZER_HIDE_VAR(p);
	(void)READ_ONCE(*p);
}

static noinline void stress_global_oob(void)
{
	u8 *p = global;

	OPTIMIZER_HIDE_VAR(p);
	(void)READ_ONCE(p[13]);
}

static noinline void stress_stack_oob(void)
{
	u8 array[13];
	u8 *p = array;

	OPTIMIZER_HIDE_VAR(p);
	WRITE_ONCE(p[12], 1);
	(void)READ_ONCE(p[13]);
}

static void area_free(struct area *a);

static bool is_vmalloced(const struct area *a)
{
	return a->addr && own_memory(a) && a->kind != OP_PERCPU &&
	       a->kind != OP_HUGE && a->kind != OP_HUGE_MAP;
}

#define shadow_page(addr)	((unsigned long)(addr) >> (PAGE_SHIFT + 3))

/*
 * Free an area and use it. Its shadow must not be gone by then: where that of a
 * live one is in the same page it cannot be.
 */
static bool provoke_uaf(void)
{
	u8 *p[8] = {}, before, after;
	unsigned int i, j, nr = 0;
	bool found = false;

	while (nr < ARRAY_SIZE(p) && !found) {
		p[nr] = vmalloc(1);
		if (!p[nr])
			break;
		for (i = 0; i < nr; i++)
			if (shadow_page(p[i]) == shadow_page(p[nr]))
				found = true;
		nr++;
	}
	if (found) {
		vfree(p[nr - 1]);
		before = shadow_byte(p[nr - 1]);
		if (!stress_uaf(p[nr - 1])) {
			after = shadow_byte(p[nr - 1]);
			atomic_long_inc(&provoked[PROVOKE_UAF]);
			if (before != KASAN_VMALLOC_FREE || after != before)
				atomic_long_inc(&unsure[OP_BAD]);
		} else if (reused(p[nr - 1])) {
			atomic_long_inc(&unsure[OP_BAD]);
		} else {
			complain("use after free of %lx not noticed", (unsigned long)p[nr - 1]);
		}
		nr--;
	}
	for (j = 0; j < nr; j++)
		vfree(p[j]);
	return found;
}

static int op_bad(struct worker *w)
{
	enum provoke kind = below(w, NR_PROVOKE);
	unsigned int i;

	if (!may_provoke())
		return -EAGAIN;

	switch (kind) {
	case PROVOKE_UAF:
		if (provoke_uaf())
			return 0;
		fallthrough;
	case PROVOKE_OOB:
		for (i = 0; i < NR_AREAS; i++) {
			if (is_vmalloced(&w->areas[i]) || w->areas[i].kind == OP_VMAP) {
				if (!w->areas[i].addr || left_accessible(&w->areas[i]))
					continue;
				atomic_long_inc(&provoked[PROVOKE_OOB]);
				/* what was shrunk may say freed */
				stress_oob(&w->areas[i]);
				return 0;
			}
		}
		fallthrough;
	case PROVOKE_PERCPU:
		for (i = 0; i < NR_AREAS; i++) {
			struct area *a = &w->areas[i];
			u8 *p;

			if (!a->addr || a->kind != OP_PERCPU)
				continue;
			p = per_cpu_ptr((u8 __percpu *)a->addr, below(w, num_possible_cpus()));
			if (!is_vmalloc_addr(p))
				continue;
			atomic_long_inc(&provoked[PROVOKE_PERCPU]);
			stress_percpu_oob(p + a->size);
			return 0;
		}
		fallthrough;
	case PROVOKE_GLOBAL:
		atomic_long_inc(&provoked[PROVOKE_GLOBAL]);
		stress_global_oob();
		return 0;
	default:
		atomic_long_inc(&provoked[PROVOKE_STACK]);
		stress_stack_oob();
		return 0;
	}
}

/* ------------------------------- Operations ------------------------------ */

/* Pages that vmap() and vm_map_ram() map, anywhere and any number of times. */
#define NR_PAGES	65
static struct page *pages[NR_PAGES];

/* Taken by a shrinker, hence nothing may go into reclaim with it held. */
static DEFINE_MUTEX(reclaim_lock);

static DEFINE_MUTEX(huge_lock);

static void write_bytes(u8 *mem, size_t size, u8 fill, bool bytewise)
{
	size_t i = 0;

	if (!bytewise)
		for (; i + 8 <= size; i += 8)
			WRITE_ONCE(*(u64 *)(mem + i), fill * 0x0101010101010101ULL);
	for (; i < size; i++)
		WRITE_ONCE(mem[i], fill);
}

/* Return: the first byte that is not @fill, or @size. */
static size_t read_bytes(const u8 *mem, size_t size, u8 fill)
{
	size_t i = 0;

	for (; i + 8 <= size; i += 8)
		if (READ_ONCE(*(u64 *)(mem + i)) != fill * 0x0101010101010101ULL)
			break;
	for (; i < size; i++)
		if (READ_ONCE(mem[i]) != fill)
			return i;
	return size;
}

static void fill_area(struct worker *w, struct area *a)
{
	bool bytewise = a->size <= 2 * PAGE_SIZE && !below(w, 4);
	int cpu;

	a->fill = prandom_u32_state(&w->rnd);
	if (a->kind == OP_PERCPU) {
		for_each_possible_cpu(cpu)
			write_bytes(per_cpu_ptr((u8 __percpu *)a->addr, cpu), a->size,
				    a->fill, bytewise);
		return;
	}
	write_bytes(a->addr, a->size, a->fill, bytewise);
}

static void verify(const struct area *a, const void *mem, size_t size, u8 fill)
{
	size_t at = read_bytes(mem, size, fill);

	if (at < size && own_memory(a))
		complain("%s of %zu bytes at %lx: byte %zu is not what was written",
			 op_names[a->kind], a->size, (unsigned long)mem, at);
}

static void verify_area(const struct area *a)
{
	int cpu;

	if (a->kind == OP_PERCPU) {
		for_each_possible_cpu(cpu)
			verify(a, per_cpu_ptr((u8 __percpu *)a->addr, cpu), a->size, a->fill);
		return;
	}
	verify(a, a->addr, a->size, a->fill);
}

static void area_free(struct area *a)
{
	struct area old = *a;
	u8 *mem = a->addr;

	if (a->kind == OP_PERCPU)
		mem = per_cpu_ptr((u8 __percpu *)a->addr, 0);
	switch (a->kind) {
	case OP_PERCPU:
		free_percpu((u8 __percpu *)a->addr);
		break;
	case OP_RAM:
		vm_unmap_ram(a->addr, a->size >> PAGE_SHIFT);
		break;
	case OP_VMAP:
		vunmap(a->addr);
		break;
	default:
		vfree(a->addr);
		break;
	}
	memset(a, 0, sizeof(*a));
	if (is_vmalloc_addr(mem))
		check_freed(&old, mem);
}

static int op_free(struct worker *w, struct area *a)
{
	unsigned int i = below(w, NR_AREAS), tries = 4;

	if (!a->addr)
		return -EAGAIN;
	verify_area(a);
	check_shadow(a, "before free");
	area_free(a);

	/* neighbours are as they were */
	for (; tries--; i = (i + 1) % NR_AREAS)
		if (w->areas[i].addr)
			check_shadow(&w->areas[i], "beside a free");
	return 0;
}

static int op_check(struct worker *w)
{
	int i;

	for (i = 0; i < NR_AREAS; i++)
		if (w->areas[i].addr)
			check_shadow(&w->areas[i], "later");
	return 0;
}

static int op_vrealloc(struct worker *w, struct area *a)
{
	static const size_t sizes[] = { 13, 5, 8, 4096, 3 * 4096, 1 };
	size_t size = sizes[below(w, ARRAY_SIZE(sizes))], kept;
	u8 *p;

	if (!a->addr || !is_vmalloced(a))
		return -EAGAIN;
	if (!below(w, 2))
		size = random_size(w);
	p = kvrealloc(a->addr, size, GFP_KERNEL | __GFP_NOWARN);
	if (!p)
		return -ENOMEM;
	kept = min(size, a->size);
	if (p != a->addr) {
		a->addr = p;
		a->span = PAGE_ALIGN(size) + PAGE_SIZE;
	} else if (size != a->size) {
		a->shrunk = true;
	}
	a->size = size;
	check_shadow(a, "vrealloc");
	verify(a, p, kept, a->fill);
	fill_area(w, a);
	return 0;
}

static int stress_thread(void *finished)
{
	u8 array[256];

	write_bytes(array, sizeof(array), 1, true);
	complete(finished);
	return 0;
}

static int op_thread(void)
{
	DECLARE_COMPLETION_ONSTACK(finished);
	struct task_struct *task = kthread_run(stress_thread, &finished, "stress-short");

	if (IS_ERR(task))
		return PTR_ERR(task);
	wait_for_completion(&finished);
	return 0;
}

/* As large as half of memory; one at a time. One byte of each page is enough. */
static int op_huge(bool map)
{
	size_t nr = totalram_pages() / 2, i;
	struct page **places = NULL;
	int ret = -ENOMEM;
	u8 *p;

	if (!mutex_trylock(&huge_lock))
		return -EAGAIN;
	if (map) {
		places = kvmalloc_array(nr, sizeof(*places), GFP_KERNEL | __GFP_NOWARN);
		if (!places)
			goto out;
		for (i = 0; i < nr; i++)
			places[i] = pages[i % NR_PAGES];
		p = vmap(places, nr, VM_MAP, PAGE_KERNEL);
		kvfree(places);
	} else {
		nr = min_t(size_t, nr, si_mem_available() * 3 / 4);
		p = __vmalloc(nr << PAGE_SHIFT, GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
	}
	if (!p)
		goto out;
	ret = 0;
	for (i = 0; i < nr; i++) {
		WRITE_ONCE(p[(i << PAGE_SHIFT) + i % PAGE_SIZE], 1);
		if (i % 1024 == 0)
			cond_resched();
	}
	if (map)
		vunmap(p);
	else
		vfree(p);
	vm_unmap_aliases();
out:
	mutex_unlock(&huge_lock);
	return ret;
}

/*
 * Parts of a sparse area are mapped, in turn unmapped, in the end all of it is freed. It
 * is accessible throughout as long as it lives, and not behind its end.
 */
static int op_sparse(struct worker *w)
{
	struct vm_struct *(*get)(unsigned long size, unsigned long flags) = (void *)get_vm_area_at;
	int (*map)(struct vm_struct *vm, unsigned long start, unsigned long end,
		   struct page **pages) = (void *)map_pages_at;
	void (*unmap)(struct vm_struct *vm, unsigned long start,
		      unsigned long end) = (void *)unmap_pages_at;
	struct vm_struct *vm = get(SZ_4M, VM_SPARSE);
	unsigned int first, nr, i, cut, tries = 4;
	int ret = 0, byte;
	u8 *p;

	if (!vm)
		return -ENOMEM;
	while (tries-- && !ret) {
		nr = 2 + below(w, NR_PAGES - 1);
		first = below(w, SZ_4M / PAGE_SIZE - nr);
		p = vm->addr + first * PAGE_SIZE;
		ret = map(vm, (unsigned long)p, (unsigned long)p + nr * PAGE_SIZE, pages);
		if (ret)
			break;
		for (i = 0; i < nr; i++)
			WRITE_ONCE(p[i * PAGE_SIZE + below(w, PAGE_SIZE)], 1);
		byte = shadow_byte_nofault(vm->addr + below(w, SZ_4M));
		if (byte)
			complain("sparse area at %lx: not all of it is accessible, but %02x",
				 (unsigned long)vm->addr, byte);
		if (!shadow_byte_nofault(vm->addr + SZ_4M))
			complain("sparse area at %lx: the page behind it is accessible",
				 (unsigned long)vm->addr);

		/* the end of them, then the rest */
		cut = 1 + below(w, nr - 1);
		unmap(vm, (unsigned long)p + cut * PAGE_SIZE, (unsigned long)p + nr * PAGE_SIZE);
		for (i = 0; i < cut; i++)
			WRITE_ONCE(p[i * PAGE_SIZE + below(w, PAGE_SIZE)], 1);
		unmap(vm, (unsigned long)p, (unsigned long)p + cut * PAGE_SIZE);
	}
	free_vm_area(vm);
	return ret;
}

/*
 * What a report would say of an address: of an area of the worker's own that it
 * is that, of others whatever is not nonsense. To look must not fault.
 */
static int op_describe(struct worker *w)
{
	enum kasan_vmalloc_place (*find)(struct kasan_vmalloc_found *f,
					 unsigned long addr) = (void *)find_at;
	struct page *(*to_page)(const void *addr) = (void *)to_page_at;
	struct kasan_vmalloc_found f;
	unsigned int i;

	for (i = 0; i < DESCRIBED; i++) {
		const struct area *a = &w->areas[below(w, NR_AREAS)];
		unsigned long start, addr;
		bool inside;

		if (!a->addr)
			continue;
		start = (unsigned long)(a->kind == OP_PERCPU ?
					per_cpu_ptr((u8 __percpu *)a->addr, 0) : a->addr);
		switch (below(w, 4)) {
		case 0:
			addr = start - SZ_64M + below(w, 2 * SZ_64M);
			break;
		case 1:
			addr = start - SZ_64K + below(w, a->size + 2 * SZ_64K);
			break;
		default:
			addr = start + below(w, a->size);
		}
		inside = addr - start < a->size && is_vmalloc_addr((void *)addr);
		to_page((void *)addr);
		switch (find(&f, addr)) {
		case KASAN_VMALLOC_IN_OBJECT:
			if (inside ? f.obj.freed || f.obj.start != start : !f.obj.size)
				complain("%s at %lx: %lx is described as %s %lu bytes at %lx",
					 op_names[a->kind], start, addr,
					 f.obj.freed ? "freed" : "live", f.obj.size, f.obj.start);
			break;
		case KASAN_VMALLOC_IN_PERCPU:
			if (inside && (a->kind != OP_PERCPU || f.cpu))
				complain("%s at %lx: %lx is described as of CPU %d",
					 op_names[a->kind], start, addr, f.cpu);
			break;
		default:
			if (inside)
				complain("%s at %lx: %lx is not known", op_names[a->kind], start, addr);
		}
	}
	return 0;
}

static int op_reclaim(struct worker *w)
{
	unsigned long (*reclaim)(unsigned long nr) = (void *)reclaim_at;

	reclaim(1 + below(w, 1024));
	return 0;
}

static int op_alloc(struct worker *w, enum op kind, struct area *a)
{
	size_t size = random_size(w);
	unsigned int nr;

	if (a->addr)
		return -EAGAIN;
	a->kind = kind;
	switch (kind) {
	case OP_VZALLOC:
		a->addr = __vmalloc(size, GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN);
		break;
	case OP_BIG:
		size = SZ_1M + below(w, SZ_4M);
		a->addr = __vmalloc(size, GFP_KERNEL | __GFP_NOWARN);
		break;
	case OP_NOFS:
	case OP_NOIO:
		mutex_lock(&reclaim_lock);
		a->addr = __vmalloc(size, (kind == OP_NOFS ? GFP_NOFS : GFP_NOIO) | __GFP_NOWARN);
		mutex_unlock(&reclaim_lock);
		break;
	case OP_VMAP:
		nr = 1 + below(w, NR_PAGES);
		size = nr << PAGE_SHIFT;
		a->addr = vmap(pages, nr, VM_MAP, PAGE_KERNEL);
		break;
	case OP_RAM:
		nr = 1 + below(w, NR_PAGES);
		size = nr << PAGE_SHIFT;
		a->addr = vm_map_ram(pages, nr, NUMA_NO_NODE);
		break;
	case OP_PERCPU:
		size = 1 + below(w, 8000);
		a->addr = (u8 *)__alloc_percpu_gfp(size, 8, GFP_KERNEL | __GFP_NOWARN);
		break;
	default:
		a->addr = __vmalloc(size, GFP_KERNEL | __GFP_NOWARN);
	}
	if (!a->addr)
		return -ENOMEM;
	a->size = size;
	a->span = kind == OP_RAM ? size : PAGE_ALIGN(size) + PAGE_SIZE;
	check_shadow(a, "new");
	if (kind == OP_VZALLOC)
		verify(a, a->addr, size, 0);
	fill_area(w, a);
	return 0;
}

static int run_op(struct worker *w, enum op op)
{
	struct area *a = &w->areas[below(w, NR_AREAS)];

	switch (op) {
	case OP_FREE:
		return op_free(w, a);
	case OP_CHECK:
		return op_check(w);
	case OP_VREALLOC:
		return op_vrealloc(w, a);
	case OP_THREAD:
		return op_thread();
	case OP_HUGE:
	case OP_HUGE_MAP:
		return op_huge(op == OP_HUGE_MAP);
	case OP_SPARSE:
		return op_sparse(w);
	case OP_DESCRIBE:
		return op_describe(w);
	case OP_PURGE:
		vm_unmap_aliases();
		return 0;
	case OP_RECLAIM:
		return op_reclaim(w);
	case OP_BAD:
		return op_bad(w);
	default:
		return op_alloc(w, op, a);
	}
}

static enum op pick_op(struct worker *w)
{
	const u8 *weights = w->phase->weights;
	unsigned int sum = 0, at;
	enum op op;

	for (op = 0; op < NR_OPS; op++)
		sum += weights[op];
	at = below(w, sum);
	for (op = 0; at >= weights[op]; op++)
		at -= weights[op];
	return op;
}

static int work(void *data)
{
	struct worker *w = data;
	unsigned long nr = 0;
	int i, ret;

	set_user_nice(current, 5);
	while (!kthread_should_stop()) {
		enum op op = pick_op(w);

		/* CPUs go and come back */
		if (nr++ % 256 == 0 && w->cpu >= 0)
			set_cpus_allowed_ptr(current, cpumask_of(w->cpu));

#ifdef CONFIG_FAULT_INJECTION
		/* of so many allocations one always fails */
		current->make_it_fail = w->phase->faults && op != OP_BAD &&
					(op != OP_HUGE_MAP || below(w, 2));
#endif
		ret = run_op(w, op);
#ifdef CONFIG_FAULT_INJECTION
		current->make_it_fail = 0;
#endif
		if (!ret)
			atomic_long_inc(&done[op]);
		else if (ret != -EAGAIN)
			atomic_long_inc(&failed[op]);
		cond_resched();
	}
	for (i = 0; i < NR_AREAS; i++)
		if (w->areas[i].addr)
			area_free(&w->areas[i]);
	return 0;
}

/* -------------------------------- Control -------------------------------- */

#define MAX_WORKERS	64
static struct worker *workers[MAX_WORKERS];
static unsigned int nr_started;

static void stop_workers(void)
{
	int i;

	for (i = 0; i < MAX_WORKERS; i++) {
		if (!workers[i])
			continue;
		kthread_stop(workers[i]->task);
		kfree(workers[i]);
		workers[i] = NULL;
	}
}

static int start_workers(const struct phase *phase, unsigned int nr)
{
	struct worker *w;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		w = kzalloc(sizeof(*w), GFP_KERNEL);
		if (!w)
			return -ENOMEM;
		w->phase = phase;
		w->id = nr_started++;
		/* one for each CPU, the others anywhere */
		w->cpu = i < nr_cpu_ids ? i : -1;
		prandom_seed_state(&w->rnd, seed + ((u64)w->id << 32));
		w->task = kthread_run(work, w, "stress/%u", w->id);
		if (IS_ERR(w->task)) {
			kfree(w);
			return -ENOMEM;
		}
		workers[i] = w;
	}
	return 0;
}

static int phase_set(const char *val, const struct kernel_param *kp)
{
	unsigned int i, nr = 0, bad = 1;
	char name[16];

	if (sscanf(val, "%15s %u %u", name, &nr, &bad) < 1 || nr > MAX_WORKERS)
		return -EINVAL;
	stop_workers();
	WRITE_ONCE(provoke, bad);
	WRITE_ONCE(next_report, jiffies);
	for (i = 0; i < ARRAY_SIZE(phases); i++)
		if (!strcmp(name, phases[i].name))
			return start_workers(&phases[i], nr);
	return strcmp(name, "none") ? -EINVAL : 0;
}

static int stats_get(char *buffer, const struct kernel_param *kp)
{
	int at = 0, i;

	for (i = 0; i < NR_OPS; i++)
		at += sysfs_emit_at(buffer, at, "%s=%ld/%ld/%ld ", op_names[i],
				    atomic_long_read(&done[i]), atomic_long_read(&failed[i]),
				    atomic_long_read(&unsure[i]));
	at += sysfs_emit_at(buffer, at, "|");
	for (i = 0; i < NR_PROVOKE; i++)
		at += sysfs_emit_at(buffer, at, " %s=%ld", bad_names[i],
				    atomic_long_read(&provoked[i]));
	at += sysfs_emit_at(buffer, at, " wrong=%ld\n", atomic_long_read(&wrong));
	return at;
}

static const struct kernel_param_ops phase_ops = { .set = phase_set };
static const struct kernel_param_ops stats_ops = { .get = stats_get };
module_param_cb(phase, &phase_ops, NULL, 0200);
module_param_cb(stats, &stats_ops, NULL, 0444);

/*
 * A report ends with a taint that turns lockdep off for good. Those here are on
 * purpose and leave all locks as they were.
 */
static int keep_lockdep(struct kprobe *p, struct pt_regs *regs)
{
	if (regs_get_kernel_argument(regs, 0) != TAINT_BAD_PAGE)
		return 0;
#ifdef CONFIG_X86
	regs->si = LOCKDEP_STILL_OK;
#else
	regs->regs[1] = LOCKDEP_STILL_OK;
#endif
	return 0;
}

static struct kprobe taint_probe = {
	.symbol_name = "add_taint",
	.pre_handler = keep_lockdep,
};

static unsigned long stress_shrink_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	return 1;
}

static unsigned long stress_shrink_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	/* as a file system's: who holds the lock says so by GFP_NOFS */
	if (!(sc->gfp_mask & __GFP_FS))
		return SHRINK_STOP;
	mutex_lock(&reclaim_lock);
	mutex_unlock(&reclaim_lock);
	return SHRINK_STOP;
}

static struct shrinker *stress_shrinker;

static void free_pages_of_ours(void)
{
	int i;

	for (i = 0; i < NR_PAGES; i++)
		if (pages[i])
			__free_page(pages[i]);
}

static int __init stress_init(void)
{
	int i, ret = -ENOMEM;

	if (!find_vmap_area_at || !reclaim_at || !get_vm_area_at || !map_pages_at || !unmap_pages_at)
		return -EINVAL;
	for (i = 0; i < NR_PAGES; i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		if (!pages[i])
			goto free;
	}
	stress_shrinker = shrinker_alloc(0, "stress");
	if (!stress_shrinker)
		goto free;
	ret = register_kprobe(&taint_probe);
	if (ret) {
		shrinker_free(stress_shrinker);
		goto free;
	}
	stress_shrinker->count_objects = stress_shrink_count;
	stress_shrinker->scan_objects = stress_shrink_scan;
	shrinker_register(stress_shrinker);

	/* lockdep need not wait for memory to be short to know of the order */
	fs_reclaim_acquire(GFP_KERNEL);
	mutex_lock(&reclaim_lock);
	mutex_unlock(&reclaim_lock);
	fs_reclaim_release(GFP_KERNEL);
	return 0;
free:
	free_pages_of_ours();
	return ret;
}

static void __exit stress_exit(void)
{
	stop_workers();
	shrinker_free(stress_shrinker);
	unregister_kprobe(&taint_probe);
	free_pages_of_ours();
}

module_init(stress_init);
module_exit(stress_exit);
MODULE_DESCRIPTION("Stress of KASAN_VMALLOC");
MODULE_LICENSE("GPL");
