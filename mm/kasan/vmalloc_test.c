// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of KASAN_VMALLOC.
 *
 * The first half asks what a user asks: is a bad access reported, for what it
 * is and in the function that did it, and is a good one next to it not. Reports
 * are read off the console. The second half looks at the store of shadow pages:
 * is it shared, counted, kept, flushed and given back by the rules that
 * vmalloc_shadow.c states.
 *
 * Memory that has been freed is not mapped any more, so an access to it would
 * be reported and then fault. check_byte() asks KASAN what an access would.
 */

#define pr_fmt(fmt) "kasan_vmalloc: test: " fmt

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/execmem.h>
#include <linux/hugetlb.h>
#include <linux/io.h>
#include <linux/irq_work.h>
#include <linux/kasan-checks.h>
#include <linux/kasan.h>
#include <linux/kthread.h>
#include <linux/memblock.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/random.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>
#include <trace/events/kmem.h>
#include <trace/events/printk.h>

#include <asm/sections.h>
#include <asm/tlbflush.h>

#include "../internal.h"
#include "kasan.h"
#include "vmalloc_history.h"
#include "vmalloc_shadow.h"

/* What reports call the things that go wrong. */
#ifdef CONFIG_KASAN_SW_TAGS
#define OOB		"invalid-access"
#define UAF		"invalid-access"
#define STACK_OOB	"invalid-access"
#else
#define OOB		"vmalloc-out-of-bounds"
#define UAF		"vmalloc-use-after-free"
#define STACK_OOB	"stack-out-of-bounds"
#endif

/* A stretch of memory with a fair number of pages of shadow. */
#define STRETCH		(32 * KASAN_MEMORY_PER_SHADOW_PAGE)

/* The last report on the console, and how many there were. */
static struct {
	int nr;
	char kind[48];
	char func[48];
	char verb[8];		/* Read or Write, */
	unsigned int size;	/* its size in bytes */
	unsigned long addr;	/* from this on */
	char where[64];		/* "8 bytes to the right of" */
	char object[64];	/* "allocated 100-byte region" */
	char alloc[800];	/* functions in the stack of the allocation */
	char free[800];		/* and of the free */
	char aux[800];		/* and of work that was queued with it */
	char module[32];	/* whose memory it is */
	int cpu;		/* of per-cpu memory; else -1 */
	char *stack;		/* the stack that is being printed, or NULL */
} report;

/* Copy the word at @src, which @stop ends. Returns what follows it. */
static const char *copy_word(char *dst, size_t size, const char *src,
			     const char *end, char stop)
{
	for (; src < end && *src != stop; src++) {
		if (size > 1) {
			*dst++ = *src;
			size--;
		}
	}
	*dst = '\0';
	return src;
}

/* What follows @prefix in a line of the console, or NULL. */
static const char *after(const char *prefix, const char *buf, size_t len)
{
	const char *s = strnstr(buf, prefix, len);

	return s ? s + strlen(prefix) : NULL;
}

/* "BUG: KASAN: <kind> in <function>+0x...", and what comes after that */
static void probe_console(void *unused, const char *buf, size_t len)
{
	const char *end = buf + len, *s;

	s = after("BUG: KASAN: ", buf, len);
	if (s) {
		s = copy_word(report.kind, sizeof(report.kind), s, end, ' ');
		s = min(s + strlen(" in "), end);
		copy_word(report.func, sizeof(report.func), s, end, '+');
		report.verb[0] = '\0';
		report.where[0] = '\0';
		report.object[0] = '\0';
		report.alloc[0] = '\0';
		report.free[0] = '\0';
		report.aux[0] = '\0';
		report.module[0] = '\0';
		report.cpu = -1;
		report.stack = NULL;
		WRITE_ONCE(report.nr, report.nr + 1);
		return;
	}

	s = after("is located ", buf, len);
	if (s) {
		/* two lines */
		s = copy_word(report.where, sizeof(report.where), s, end, '\n');
		s = min(s + strlen("\n "), end);
		copy_word(report.object, sizeof(report.object), s, end, '[');
		report.stack = NULL;
	} else if (strnstr(buf, "Allocated by task", len)) {
		report.stack = report.alloc;
	} else if (strnstr(buf, "Freed by task", len)) {
		report.stack = report.free;
	} else if (strnstr(buf, "Last potentially related work creation", len)) {
		report.stack = report.aux;
	} else if (strnstr(buf, "Second to last", len)) {
		report.stack = NULL;
	} else if (report.stack && strnstr(buf, "+0x", len)) {
		size_t used = strlen(report.stack);

		copy_word(report.stack + used, sizeof(report.alloc) - used,
			  buf, end, '+');
	}

	if (strnstr(buf, " of size ", len))
		sscanf(buf, "%7s of size %u at addr %lx", report.verb, &report.size, &report.addr);
	s = after("memory of module ", buf, len);
	if (s)
		copy_word(report.module, sizeof(report.module), s, end, '\n');
	s = after("per-cpu memory of CPU ", buf, len);
	if (s)
		sscanf(s, "%d", &report.cpu);
}

static void expect_no_report(struct kunit *test)
{
	KUNIT_EXPECT_EQ_MSG(test, READ_ONCE(report.nr), 0,
			    "unexpected: %s in %s", report.kind, report.func);
	WRITE_ONCE(report.nr, 0);
}

static void expect_report(struct kunit *test, const char *kind,
			  const char *func, const char *expr)
{
	KUNIT_EXPECT_EQ_MSG(test, READ_ONCE(report.nr), 1, "from %s", expr);
	if (READ_ONCE(report.nr)) {
		KUNIT_EXPECT_STREQ(test, report.kind, kind);
		KUNIT_EXPECT_STREQ(test, report.func, func);
	}
	WRITE_ONCE(report.nr, 0);
}

/*
 * Exactly one report, of @kind and naming this function, comes of @expr. What
 * is not inside one of these has to stay silent, see kasan_vmalloc_exit().
 */
#define EXPECT_REPORT(test, kind, expr) do {			\
	struct kunit *__test = (test);				\
								\
	expect_no_report(__test);				\
	barrier();						\
	expr;							\
	barrier();						\
	expect_report(__test, kind, __func__, #expr);		\
} while (0)

/*
 * The report that there was last says where the access was, of what object, and
 * has these functions in the stacks of its allocation and free.
 */
static void __expect_object(struct kunit *test, int line, unsigned long distance,
			    const char *where, const char *state, size_t size,
			    const char *alloc, const char *free)
{
	char text[64];

	if (!IS_ENABLED(CONFIG_KASAN_VMALLOC_HISTORY))
		return;
	snprintf(text, sizeof(text), "%lu bytes %s of", distance, where);
	KUNIT_EXPECT_STREQ_MSG(test, report.where, text, "from line %d", line);
	snprintf(text, sizeof(text), "%s %zu-byte region ", state, size);
	KUNIT_EXPECT_STREQ_MSG(test, report.object, text, "from line %d", line);
	if (alloc)
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(report.alloc, alloc),
					  "%s is not in:%s", alloc, report.alloc);
	if (free)
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(report.free, free),
					  "%s is not in:%s", free, report.free);
	else
		KUNIT_EXPECT_STREQ(test, report.free, "");
}

#define expect_object(test, args...)	__expect_object(test, __LINE__, args)

/* Instead of a byte of shadow. */
#define NO_SHADOW	0x100

/* An access to memory that is there. */
#define read_byte(p)	((void)READ_ONCE(*(u8 *)(p)))
#define write_byte(p)	WRITE_ONCE(*(u8 *)(p), 1)
/* An access to memory that is not. */
#define check_byte(p)	((void)kasan_check_read((p), 1))

/* The first byte after an object of @size that KASAN can tell from it. */
static size_t first_bad(size_t size)
{
	return IS_ENABLED(CONFIG_KASAN_GENERIC) ? size :
	       round_up(size, KASAN_GRANULE_SIZE);
}

static u8 *shadow_of(const void *mem)
{
	return kasan_mem_to_shadow(kasan_reset_tag(mem));
}

/* What a check does. Where the byte is not to be accessed, others would report. */
static noinline __no_sanitize_address u8 peek_shadow(const u8 *shadow)
{
	return READ_ONCE(*shadow);
}

static int shadow_byte(const void *mem)
{
	u8 byte = 0;

	/* with tags, a trap reads as other poison */
	if (get_kernel_nofault(byte, shadow_of(mem)) ||
	    (byte == KASAN_VMALLOC_ABSENT &&
	     !kasan_shadow_is_own((unsigned long)shadow_of(mem))))
		return NO_SHADOW;
	return byte;
}

static bool all_poison(const void *mem, size_t size)
{
	return !kasan_shadow_find_live(shadow_of(mem),
				       size >> KASAN_SHADOW_SCALE_SHIFT);
}

/* The shadow of @area bytes at @mem says that @size of them may be touched. */
static void expect_shadow(struct kunit *test, const u8 *mem, size_t size,
			  size_t area)
{
	size_t off, left;

	for (off = 0; off < area; off += KASAN_GRANULE_SIZE) {
		int want, byte = shadow_byte(mem + off);

		left = size > off ? first_bad(size) - off : 0;
		want = left >= KASAN_GRANULE_SIZE ? get_tag(mem) :
		       left ? left : KASAN_VMALLOC_INVALID;
		if (byte == want)
			continue;
		KUNIT_FAIL(test, "size %zu: shadow at offset %zu is %02x, not %02x",
			   size, off, byte, want);
		return;
	}
}

static struct kasan_shadow_stats read_stats(void)
{
	struct kasan_shadow_stats stats;

	kasan_shadow_read_stats(&stats);
	return stats;
}

static unsigned long event(enum kasan_shadow_event event)
{
	return read_stats().events[event];
}

/* How often it happened between two looks. */
static unsigned long diff(const struct kasan_shadow_stats *before,
			  const struct kasan_shadow_stats *after,
			  enum kasan_shadow_event event)
{
	return after->events[event] - before->events[event];
}

/* Shadow as it is without lazily freed areas and without idle pages. */
static struct kasan_shadow_stats settle(void)
{
	vm_unmap_aliases();
	kasan_shadow_reclaim(ULONG_MAX);
	return read_stats();
}

static unsigned long pages_live, pages_idle;

static bool count_page(unsigned long addr, unsigned int areas)
{
	if (areas)
		pages_live++;
	else
		pages_idle++;
	return true;
}

/* The counters say what a look at the pages says. */
static void expect_counts(struct kunit *test)
{
	struct kasan_shadow_stats before, after;
	int i;

	/* until nothing happened meanwhile */
	for (i = 0; i < 100; i++) {
		before = read_stats();
		pages_live = 0;
		pages_idle = 0;
		kasan_shadow_for_each(count_page);
		after = read_stats();
		if (!memcmp(&before, &after, sizeof(before)))
			break;
	}
	KUNIT_EXPECT_EQ(test, after.live, pages_live);
	KUNIT_EXPECT_EQ(test, after.idle, pages_idle);
}

static unsigned long watched;
static int watched_areas;

static bool watch(unsigned long addr, unsigned int areas)
{
	if (addr == watched)
		watched_areas = areas;
	return true;
}

/* How many areas are counted on the page of shadow of @mem; -1 without one. */
static int areas_at(unsigned long mem)
{
	watched = round_down((unsigned long)kasan_mem_to_shadow((void *)mem),
			     PAGE_SIZE);
	watched_areas = -1;
	kasan_shadow_for_each(watch);
	return watched_areas;
}

/* How many pages of shadow are mapped for a stretch of memory. */
static int pages_mapped(unsigned long start, unsigned long size)
{
	unsigned long addr;
	int nr = 0;

	for (addr = start; addr < start + size; addr += KASAN_MEMORY_PER_SHADOW_PAGE)
		nr += shadow_byte((void *)addr) != NO_SHADOW;
	return nr;
}

static void need_store(struct kunit *test)
{
	if (kasan_shadow_is_static())
		kunit_skip(test, "Test requires CONFIG_UML=n");
}

/*
 * An aligned stretch of vmalloc space that nobody used before, far from where
 * vmalloc looks first: no shadow there, no tables, no neighbours.
 */
static unsigned long fresh_space(void)
{
	static unsigned long nr;
	unsigned long middle = VMALLOC_START + (VMALLOC_END - VMALLOC_START) / 2;

	/*
	 * So much memory that its shadow takes a table of its own, and that no
	 * test takes more.
	 */
	unsigned long step = max(PMD_SIZE << KASAN_SHADOW_SCALE_SHIFT, SZ_16M);
	unsigned long space = round_up(middle, step) + nr++ * step;

	if (space < middle || space + step > VMALLOC_END)
		kunit_skip(current->kunit_test, "Test requires CONFIG_64BIT=y");
	return space;
}

/*
 * vmalloc() at a given address, with the guard page behind it. To be found in
 * stacks, so the call is not the last thing that it does.
 */
static noinline void *vmalloc_flags_at(unsigned long addr, unsigned long size,
				       unsigned long flags)
{
	void *p = __vmalloc_node_range(size, 1, addr,
				       addr + PAGE_ALIGN(size) + PAGE_SIZE,
				       GFP_KERNEL | __GFP_NOWARN, PAGE_KERNEL, flags,
				       NUMA_NO_NODE, __builtin_return_address(0));

	OPTIMIZER_HIDE_VAR(p);
	return p;
}

static noinline void *vmalloc_at(unsigned long addr, unsigned long size)
{
	void *p = vmalloc_flags_at(addr, size, 0);

	OPTIMIZER_HIDE_VAR(p);
	return p;
}

/* Also where large areas would share their shadow. */
static noinline void *vmalloc_own_at(unsigned long addr, unsigned long size)
{
	return vmalloc_flags_at(addr, size, VM_FLUSH_RESET_PERMS);
}

/* Take address space that vmalloc does not know of, and let it go again. */
static int populate(unsigned long addr, unsigned long size, gfp_t gfp)
{
	struct vmap_area va = { .va_start = addr, .va_end = addr + size };

	return kasan_populate_vmalloc(&va, gfp);
}

static void release(unsigned long start, unsigned long end)
{
	struct vmap_area va = { .va_start = start, .va_end = end };

	kasan_release_vmalloc(&va);
}

/*
 * Without a table there can be no trap, so have one for the shadow of fresh @space,
 * by an area that is so far away that reports are not about it.
 */
static void make_table(unsigned long space)
{
	KUNIT_ASSERT_EQ(current->kunit_test, populate(space + SZ_8M, PAGE_SIZE, GFP_KERNEL), 0);
	release(space + SZ_8M, space + SZ_8M + PAGE_SIZE);
}

/* ------------------------------ Bad accesses ------------------------------ */

static void vmalloc_oob(struct kunit *test)
{
	static const size_t sizes[] = { 1, 7, 8, 9, 100, 4088, 4095, 4097, 70000 };
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t size = sizes[i], bad = first_bad(size);
		u8 *p = vmalloc(size);

		KUNIT_ASSERT_NOT_NULL(test, p);
		OPTIMIZER_HIDE_VAR(p);
		write_byte(p);
		write_byte(p + size - 1);
		if (bad < PAGE_ALIGN(size)) {
			EXPECT_REPORT(test, OOB, read_byte(p + bad));
			EXPECT_REPORT(test, OOB, write_byte(p + bad));
			EXPECT_REPORT(test, OOB,
				      read_byte(p + PAGE_ALIGN(size) - 1));
		}
		/* the guard page */
		EXPECT_REPORT(test, OOB, check_byte(p + PAGE_ALIGN(size)));
		expect_shadow(test, p, size, PAGE_ALIGN(size) + PAGE_SIZE);
		vfree(p);
	}
}

static void vmalloc_uaf(struct kunit *test)
{
	u8 *neighbour = vmalloc(3 * PAGE_SIZE);
	u8 *p = vmalloc(100);

	KUNIT_ASSERT_NOT_NULL(test, neighbour);
	KUNIT_ASSERT_NOT_NULL(test, p);
	OPTIMIZER_HIDE_VAR(p);
	write_byte(p);
	vfree(p);
	EXPECT_REPORT(test, UAF, check_byte(p));
	EXPECT_REPORT(test, UAF, check_byte(p + 99));
	write_byte(neighbour);

	vm_unmap_aliases();
	EXPECT_REPORT(test, UAF, check_byte(p));
	EXPECT_REPORT(test, UAF, check_byte(p + 99));
	write_byte(neighbour);
	write_byte(neighbour + 3 * PAGE_SIZE - 1);
	vfree(neighbour);
}

static void vmap_oob_uaf(struct kunit *test)
{
	struct page *pages[2];
	u8 *p;
	int i;

	for (i = 0; i < 2; i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
	p = vmap(pages, 2, VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	OPTIMIZER_HIDE_VAR(p);
	write_byte(p);
	write_byte(p + 2 * PAGE_SIZE - 1);
	EXPECT_REPORT(test, OOB, check_byte(p + 2 * PAGE_SIZE));
	vunmap(p);
	EXPECT_REPORT(test, UAF, check_byte(p));
	EXPECT_REPORT(test, UAF, check_byte(p + 2 * PAGE_SIZE - 1));
	for (i = 0; i < 2; i++) {
		write_byte(page_address(pages[i]));
		__free_page(pages[i]);
	}
}

static void vm_map_ram_uaf(struct kunit *test)
{
	static const unsigned int counts[] = { 1, 64, 65 };
	struct page *pages[65];
	int i;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		unsigned long size = counts[i] * PAGE_SIZE;
		u8 *p = vm_map_ram(pages, counts[i], NUMA_NO_NODE);
		u8 *neighbour = vm_map_ram(pages, 1, NUMA_NO_NODE);

		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_ASSERT_NOT_NULL(test, neighbour);
		OPTIMIZER_HIDE_VAR(p);
		write_byte(p);
		write_byte(p + size - 1);
		/* a block hands out its pages in turn */
		if (counts[i] == 1)
			EXPECT_REPORT(test, OOB, check_byte(neighbour + PAGE_SIZE));
		vm_unmap_ram(p, counts[i]);
		EXPECT_REPORT(test, UAF, check_byte(p));
		EXPECT_REPORT(test, UAF, check_byte(p + size - 1));
		write_byte(neighbour);

		vm_unmap_aliases();
		EXPECT_REPORT(test, UAF, check_byte(p));
		EXPECT_REPORT(test, UAF, check_byte(p + size - 1));
		write_byte(neighbour);
		vm_unmap_ram(neighbour, 1);
	}

	for (i = 0; i < ARRAY_SIZE(pages); i++)
		__free_page(pages[i]);
}

/* The first chunk of per-cpu memory holds fewer objects than this. */
#define MAX_FILL	4000

/*
 * Per-cpu memory outside of the first chunk, which can be in the linear map, or
 * NULL. What fills that chunk goes to @fill, which has @nr in it.
 */
static noinline u8 __percpu *fill_first_chunk(u8 __percpu **fill, int *nr, size_t size)
{
	while (*nr < MAX_FILL) {
		u8 __percpu *ptr = __alloc_percpu(size, 1);

		if (!ptr || is_vmalloc_addr(per_cpu_ptr(ptr, 0)))
			return ptr;
		fill[(*nr)++] = ptr;
	}
	return NULL;
}

/* The first chunk is in the linear map, where per-cpu memory is not checked. */
static noinline u8 __percpu *percpu_in_vmalloc(struct kunit *test, size_t size)
{
	u8 __percpu **fill, *ptr;
	int nr = 0;

	if (!IS_ENABLED(CONFIG_SMP))
		kunit_skip(test, "Test requires CONFIG_SMP=y");
	fill = kvcalloc(MAX_FILL, sizeof(*fill), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fill);
	ptr = fill_first_chunk(fill, &nr, size);
	while (nr--)
		free_percpu(fill[nr]);
	kvfree(fill);
	KUNIT_ASSERT_TRUE(test, ptr);
	return ptr;
}

static void percpu_oob_uaf(struct kunit *test)
{
	enum { SIZE = 1021, MAX = 200 };
	u8 __percpu **ptrs = kunit_kcalloc(test, MAX, sizeof(*ptrs), GFP_KERNEL);
	u8 __percpu *ptr = NULL, *neighbour;
	int i, nr, cpu;

	if (!IS_ENABLED(CONFIG_SMP))
		kunit_skip(test, "Test requires CONFIG_SMP=y");
	KUNIT_ASSERT_NOT_NULL(test, ptrs);
	for (nr = 0; nr < MAX && !ptr; nr++) {
		ptrs[nr] = __alloc_percpu(SIZE, 1);
		KUNIT_ASSERT_TRUE(test, ptrs[nr]);
		if (is_vmalloc_addr(per_cpu_ptr(ptrs[nr], 0)))
			ptr = ptrs[nr];
	}
	KUNIT_ASSERT_TRUE(test, ptr);
	neighbour = __alloc_percpu(SIZE, 1);
	KUNIT_ASSERT_TRUE(test, neighbour);

	for_each_possible_cpu(cpu) {
		u8 *p = per_cpu_ptr(ptr, cpu);

		OPTIMIZER_HIDE_VAR(p);
		write_byte(p);
		write_byte(p + SIZE - 1);
		EXPECT_REPORT(test, OOB, read_byte(p + first_bad(SIZE)));
		/* with tags, the one that goes with the per-cpu pointer */
		KUNIT_EXPECT_EQ(test, get_tag(p), get_tag(per_cpu_ptr(ptr, 0)));
		if (IS_ENABLED(CONFIG_KASAN_SW_TAGS))
			KUNIT_EXPECT_NE(test, get_tag(p), KASAN_TAG_KERNEL);
	}

	free_percpu(ptr);
	ptrs[nr - 1] = NULL;
	for_each_possible_cpu(cpu) {
		u8 *p = per_cpu_ptr(ptr, cpu);

		OPTIMIZER_HIDE_VAR(p);
		EXPECT_REPORT(test, UAF, check_byte(p));
		EXPECT_REPORT(test, UAF, check_byte(p + SIZE - 1));
		write_byte(per_cpu_ptr(neighbour, cpu));
	}

	free_percpu(neighbour);
	for (i = 0; i < nr; i++)
		free_percpu(ptrs[i]);
}

static void module_space(struct kunit *test)
{
	const size_t size = 5000;
	u8 *p;

	if (!IS_ENABLED(CONFIG_EXECMEM))
		kunit_skip(test, "Test requires CONFIG_EXECMEM=y");
	if (IS_ENABLED(CONFIG_KASAN_SW_TAGS))
		kunit_skip(test, "Test requires CONFIG_KASAN_GENERIC=y");

	p = execmem_alloc(EXECMEM_MODULE_DATA, size);
	KUNIT_ASSERT_NOT_NULL(test, p);
	OPTIMIZER_HIDE_VAR(p);
	write_byte(p);
	write_byte(p + size - 1);
	EXPECT_REPORT(test, OOB, read_byte(p + size));
	expect_shadow(test, p, size, PAGE_ALIGN(size) + PAGE_SIZE);
	execmem_free(p);
	EXPECT_REPORT(test, UAF, check_byte(p));
}

/* A program counter has no tag, so code is used without. */
static void executable(struct kunit *test)
{
	u8 *p = __vmalloc_node_range(100, 1, VMALLOC_START, VMALLOC_END,
				     GFP_KERNEL, PAGE_KERNEL_EXEC, 0,
				     NUMA_NO_NODE, __builtin_return_address(0));

	KUNIT_ASSERT_NOT_NULL(test, p);
	OPTIMIZER_HIDE_VAR(p);
	write_byte(p);
	write_byte(p + 99);
	if (IS_ENABLED(CONFIG_KASAN_SW_TAGS))
		KUNIT_EXPECT_EQ(test, get_tag(p), KASAN_TAG_KERNEL);
	else
		EXPECT_REPORT(test, OOB, read_byte(p + 100));
	vfree(p);
}

static void stack_oob(struct kunit *test)
{
	u8 array[13];
	u8 *p = array;

	if (!IS_ENABLED(CONFIG_VMAP_STACK))
		kunit_skip(test, "Test requires CONFIG_VMAP_STACK=y");

	KUNIT_ASSERT_TRUE(test, is_vmalloc_addr(p));
	OPTIMIZER_HIDE_VAR(p);
	write_byte(p);
	write_byte(p + sizeof(array) - 1);
	EXPECT_REPORT(test, STACK_OOB, read_byte(p + first_bad(sizeof(array))));
}

struct stack_look {
	struct completion done;
	void *base;		/* the stack of the thread */
	size_t dirty;		/* granules below its frame that are poisoned */
};

/* Exits in the midst of a frame, whose redzones stay in the shadow. */
static noinline void exit_in_frame(struct completion *done)
{
	u8 array[1024];

	OPTIMIZER_HIDE_VAR(done);
	memset(array, 0, sizeof(array));
	barrier_data(array);
	kthread_complete_and_exit(done, 0);
}

/* What did the last user leave of its frames? */
static int look_at_stack(void *arg)
{
	struct stack_look *look = arg;
	u8 *base = task_stack_page(current);
	u8 *frame = __builtin_frame_address(0);
	u8 *p = base + KASAN_GRANULE_SIZE;	/* after STACK_END_MAGIC */

	for (; p < frame - 512; p += KASAN_GRANULE_SIZE)
		look->dirty += shadow_byte(p) != 0;
	look->base = base;
	exit_in_frame(&look->done);
	return 0;
}

static void stack_reuse(struct kunit *test)
{
	static void *seen[64];
	int i, j, reused = 0;

	if (!IS_ENABLED(CONFIG_VMAP_STACK))
		kunit_skip(test, "Test requires CONFIG_VMAP_STACK=y");
	if (IS_ENABLED(CONFIG_KASAN_SW_TAGS))
		kunit_skip(test, "Test requires CONFIG_KASAN_GENERIC=y");

	memset(seen, 0, sizeof(seen));
	for (i = 0; i < ARRAY_SIZE(seen); i++) {
		/* on each CPU in turn, so that the caches of all fill up */
		unsigned int cpu = cpumask_nth(i % num_online_cpus(),
					       cpu_online_mask);
		struct stack_look look = {};
		struct task_struct *task;

		init_completion(&look.done);
		task = kthread_create_on_cpu(look_at_stack, &look, cpu,
					     "kasan_stack/%u");
		KUNIT_ASSERT_FALSE(test, IS_ERR(task));
		wake_up_process(task);
		wait_for_completion(&look.done);

		KUNIT_EXPECT_EQ(test, look.dirty, 0);
		for (j = 0; j < i; j++)
			reused += seen[j] == look.base;
		seen[i] = look.base;
	}
	KUNIT_EXPECT_GT(test, reused, 0);
}

static void vrealloc_bytes(struct kunit *test)
{
	static const size_t sizes[] = { 13, 5, 8, 4096, 3 * 4096, 1, 3 * 4096, 4097 };
	u8 *p = NULL;
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t area;

		p = vrealloc(p, sizes[i], GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, p);
		OPTIMIZER_HIDE_VAR(p);
		area = find_vm_area(p)->size;
		expect_shadow(test, p, sizes[i], area);
		write_byte(p);
		write_byte(p + sizes[i] - 1);
		EXPECT_REPORT(test, OOB, check_byte(p + first_bad(sizes[i])));
	}
	vfree(p);
}

/* ------------------------- What happened, and when ------------------------ */

/* To be found in stacks, too. */
static noinline void *who_allocates(size_t size)
{
	void *p = vmalloc(size);

	OPTIMIZER_HIDE_VAR(p);
	return p;
}

static noinline void who_frees(void *p)
{
	vfree(p);
	barrier();
}

static void need_history(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_KASAN_VMALLOC_HISTORY))
		kunit_skip(test, "Test requires CONFIG_KASAN_VMALLOC_HISTORY=y");
}

static void history_live(struct kunit *test)
{
	unsigned long space = fresh_space(), size = SZ_16M;
	u8 *p, *q;

	need_history(test);
	p = who_allocates(100);
	KUNIT_ASSERT_NOT_NULL(test, p);
	OPTIMIZER_HIDE_VAR(p);
	write_byte(p + 99);
	EXPECT_REPORT(test, OOB, read_byte(p + 104));
	expect_object(test, 4, "to the right", "allocated", 100,
		      "who_allocates", NULL);
	/* in the guard page */
	EXPECT_REPORT(test, OOB, check_byte(p + PAGE_SIZE));
	expect_object(test, PAGE_SIZE - 100, "to the right", "allocated", 100,
		      "who_allocates", NULL);
	vfree(p);

	/* far from the start, and in the guard page of a neighbour */
	p = vmalloc_at(space, PAGE_SIZE);
	q = vmalloc_at(space + 2 * PAGE_SIZE, size);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_NOT_NULL(test, q);
	write_byte(q + size - 1);
	EXPECT_REPORT(test, OOB, check_byte(q + size));
	expect_object(test, 0, "to the right", "allocated", SZ_16M,
		      "vmalloc_at", NULL);
	EXPECT_REPORT(test, OOB, check_byte(q - 1));
	expect_object(test, 1, "to the left", "allocated", SZ_16M,
		      "vmalloc_at", NULL);
	EXPECT_REPORT(test, OOB, check_byte(q - PAGE_SIZE));
	expect_object(test, 0, "to the right", "allocated", PAGE_SIZE,
		      "vmalloc_at", NULL);
	vfree(q);
	vfree(p);
}

static void history_freed(struct kunit *test)
{
	/* not of the size of what is allocated below, or that may take its place */
	const size_t size = PAGE_SIZE + 904;
	u8 *p, *neighbour;
	int i;

	need_history(test);
	p = who_allocates(size);
	neighbour = vmalloc(10);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_NOT_NULL(test, neighbour);
	write_byte(p);
	who_frees(p);
	/* freed, purged, and after others were freed as well */
	for (i = 0; i < 3; i++) {
		EXPECT_REPORT(test, UAF, check_byte(p + size - 1));
		expect_object(test, size - 1, "inside", "freed", size,
			      "who_allocates", "who_frees");
		write_byte(neighbour);
		if (i == 0)
			vm_unmap_aliases();
		else
			vfree(vmalloc(1));
	}
	vfree(neighbour);
}

/* The memory that an address is in is the last that was there. */
static void history_again(struct kunit *test)
{
	unsigned long space = fresh_space();
	u8 *p;

	need_history(test);
	p = vmalloc_at(space, 3 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	vfree(p);
	vm_unmap_aliases();
	EXPECT_REPORT(test, UAF, check_byte(p + 2 * PAGE_SIZE));
	expect_object(test, 2 * PAGE_SIZE, "inside", "freed", 3 * PAGE_SIZE,
		      "vmalloc_at", "history_again");

	/* what is past the end of the next one is so also where memory was freed */
	p = vmalloc_at(space, 100);
	KUNIT_ASSERT_NOT_NULL(test, p);
	expect_shadow(test, p, 100, 2 * PAGE_SIZE);
	EXPECT_REPORT(test, OOB, check_byte(p + 100));
	EXPECT_REPORT(test, OOB, check_byte(p + PAGE_SIZE));
	expect_object(test, PAGE_SIZE - 100, "to the right", "allocated", 100,
		      "vmalloc_at", NULL);
	EXPECT_REPORT(test, UAF, check_byte(p + 2 * PAGE_SIZE));
	vfree(p);
	vm_unmap_aliases();
	EXPECT_REPORT(test, UAF, check_byte(p + 50));
	expect_object(test, 50, "inside", "freed", 100,
		      "vmalloc_at", "history_again");
	settle();
}

/* As it is between the poison and the end of a vfree(), which can take long. */
static void history_begun(struct kunit *test)
{
	unsigned long space = fresh_space();
	struct vm_struct *vm;
	u8 *p;
	int i;

	need_history(test);
	p = vmalloc_at(space, 100);
	KUNIT_ASSERT_NOT_NULL(test, p);
	vm = kmemdup(find_vm_area(p), sizeof(*vm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vm);
	vfree(p);

	/* once more with a vm_struct of the test's own */
	kasan_record_vm_area_free(vm, p, _THIS_IP_);
	EXPECT_REPORT(test, UAF, check_byte(p + 1));
	expect_object(test, 1, "inside", "freed", 100, "history_begun", NULL);
	kasan_free_vm_struct(vm);
	EXPECT_REPORT(test, UAF, check_byte(p + 1));
	expect_object(test, 1, "inside", "freed", 100, "history_begun", "history_begun");

	/* whose free is complete after its space was used again */
	p = vmalloc_at(space + STRETCH, 100);
	KUNIT_ASSERT_NOT_NULL(test, p);
	vm = kmemdup(find_vm_area(p), sizeof(*vm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vm);
	vfree(p);
	kasan_record_vm_area_free(vm, p, _THIS_IP_);
	settle();
	KUNIT_ASSERT_PTR_EQ(test, vmalloc_at(space + STRETCH, 200), p);
	migrate_disable();
	for (i = 0; i < 10; i++)
		vfree(vmalloc(1));
	migrate_enable();
	vfree(p);
	kasan_free_vm_struct(vm);
	EXPECT_REPORT(test, UAF, check_byte(p + 1));
	expect_object(test, 1, "inside", "freed", 200, "vmalloc_at", "history_begun");
}

/* A history that is full does not say what it does not know. */
static void history_bounded(struct kunit *test)
{
	unsigned long space = fresh_space();
	u8 *p;
	int i;

	need_history(test);
	p = vmalloc_at(space, 100);
	KUNIT_ASSERT_NOT_NULL(test, p);
	vfree(p);
	migrate_disable();
	for (i = 0; i < 5000; i++)
		vfree(vmalloc(1));
	migrate_enable();
	EXPECT_REPORT(test, UAF, check_byte(p));
	if (report.where[0])
		expect_object(test, 0, "inside", "freed", 100,
			      "vmalloc_at", "history_bounded");
	vm_unmap_aliases();
}

static void history_mapped(struct kunit *test)
{
	u8 *p, *neighbour;
	struct page *page;

	need_history(test);
	page = alloc_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, page);
	p = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	write_byte(p);
	EXPECT_REPORT(test, OOB, check_byte(p + PAGE_SIZE));
	expect_object(test, 0, "to the right", "allocated", PAGE_SIZE,
		      "history_mapped", NULL);
	vunmap(p);
	EXPECT_REPORT(test, UAF, check_byte(p));
	expect_object(test, 0, "inside", "freed", PAGE_SIZE,
		      "history_mapped", "vunmap");

	p = vm_map_ram(&page, 1, NUMA_NO_NODE);
	neighbour = vm_map_ram(&page, 1, NUMA_NO_NODE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_NOT_NULL(test, neighbour);
	write_byte(p);
	EXPECT_REPORT(test, OOB, check_byte(neighbour + PAGE_SIZE));
	expect_object(test, 0, "to the right", "allocated", PAGE_SIZE,
		      "history_mapped", NULL);
	vm_unmap_ram(p, 1);
	EXPECT_REPORT(test, UAF, check_byte(p + 7));
	expect_object(test, 7, "inside", "freed", PAGE_SIZE,
		      "vm_map_ram", "vm_unmap_ram");
	write_byte(neighbour);
	vm_unmap_ram(neighbour, 1);
	__free_page(page);
}

static void history_percpu(struct kunit *test)
{
	enum { SIZE = 1021, MAX = 200 };
	u8 __percpu **ptrs = kunit_kcalloc(test, MAX, sizeof(*ptrs), GFP_KERNEL);
	u8 *p = NULL;
	int nr, i;

	need_history(test);
	if (!IS_ENABLED(CONFIG_SMP))
		kunit_skip(test, "Test requires CONFIG_SMP=y");
	KUNIT_ASSERT_NOT_NULL(test, ptrs);
	for (nr = 0; nr < MAX && !is_vmalloc_addr(p); nr++) {
		ptrs[nr] = __alloc_percpu(SIZE, 1);
		KUNIT_ASSERT_TRUE(test, ptrs[nr]);
		/* on the last CPU, as the first is what is recorded */
		p = per_cpu_ptr(ptrs[nr], nr_cpu_ids - 1);
	}
	KUNIT_ASSERT_TRUE(test, is_vmalloc_addr(p));
	OPTIMIZER_HIDE_VAR(p);
	write_byte(p + SIZE - 1);
	EXPECT_REPORT(test, OOB, read_byte(p + SIZE));
	expect_object(test, 0, "to the right", "allocated", 1021,
		      "history_percpu", NULL);
	free_percpu(ptrs[nr - 1]);
	EXPECT_REPORT(test, UAF, check_byte(p + 1));
	expect_object(test, 1, "inside", "freed", 1021,
		      "history_percpu", "free_percpu");
	for (i = 0; i < nr - 1; i++)
		free_percpu(ptrs[i]);
}

/* A thread that is gone left its stack in the cache, or RCU has it. */
static void stack_uaf(struct kunit *test)
{
	struct stack_look look = {};
	struct task_struct *task;

	need_history(test);
	if (!IS_ENABLED(CONFIG_VMAP_STACK))
		kunit_skip(test, "Test requires CONFIG_VMAP_STACK=y");
	/* else the stack lives as long as the task, which is held here */
	if (!IS_ENABLED(CONFIG_THREAD_INFO_IN_TASK))
		kunit_skip(test, "Test requires CONFIG_THREAD_INFO_IN_TASK=y");

	init_completion(&look.done);
	task = kthread_create(look_at_stack, &look, "kasan_stack");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);
	/* alive: not a word */
	check_byte(task_stack_page(task) + THREAD_SIZE / 2);
	wake_up_process(task);
	wait_for_completion(&look.done);
	while (READ_ONCE(task->stack))
		schedule_timeout_uninterruptible(1);
	put_task_struct(task);

	EXPECT_REPORT(test, UAF, check_byte(look.base + THREAD_SIZE - 100));
	expect_object(test, THREAD_SIZE - 100, "inside", "freed", THREAD_SIZE,
		      "copy_process", "do_exit");
}

/* Never used, and used before but without shadow since. */
static void no_shadow(struct kunit *test)
{
	unsigned long space = fresh_space();
	u8 *p;

	need_store(test);
	need_history(test);
	make_table(space);
	EXPECT_REPORT(test, "vmalloc-wild-access", check_byte((void *)space));
	KUNIT_EXPECT_STREQ(test, report.where, "");

	p = vmalloc_at(space, 100);
	KUNIT_ASSERT_NOT_NULL(test, p);
	vfree(p);
	settle();
	KUNIT_ASSERT_EQ(test, shadow_byte(p), NO_SHADOW);
	EXPECT_REPORT(test, UAF, check_byte(p + 16));
	expect_object(test, 16, "inside", "freed", 100,
		      "vmalloc_at", "no_shadow");
}

/* Only a read of missing shadow sets a trap. */
static void not_a_trap(struct kunit *test)
{
	unsigned long space = fresh_space(), traps = event(KASAN_SHADOW_TRAPS);
	unsigned long shadow = (unsigned long)shadow_of((void *)space);

	need_store(test);
	/* not shadow, not shadow of vmalloc space, a write */
	KUNIT_EXPECT_FALSE(test, kasan_handle_shadow_fault(space, false));
	KUNIT_EXPECT_FALSE(test, kasan_handle_shadow_fault((unsigned long)
					shadow_of(page_address(ZERO_PAGE(0))), false));
	make_table(space);
	KUNIT_EXPECT_FALSE(test, kasan_handle_shadow_fault(shadow, true));
	KUNIT_EXPECT_EQ(test, shadow_byte((void *)space), NO_SHADOW);
	KUNIT_EXPECT_EQ(test, event(KASAN_SHADOW_TRAPS), traps);

	/* twice, as from two CPUs */
	KUNIT_EXPECT_TRUE(test, kasan_handle_shadow_fault(shadow, false));
	KUNIT_EXPECT_TRUE(test, kasan_handle_shadow_fault(shadow + 1, false));
	KUNIT_EXPECT_EQ(test, event(KASAN_SHADOW_TRAPS), traps + 1);
	KUNIT_EXPECT_EQ(test, peek_shadow((u8 *)shadow), KASAN_VMALLOC_ABSENT);
	KUNIT_EXPECT_FALSE(test, kasan_shadow_is_own(shadow));
	settle();
}

/*
 * A bad access sets a trap where there is no shadow. Areas of all sizes can be
 * allocated there again.
 */
static void trap_again(struct kunit *test)
{
	const size_t sizes[] = { 100, KASAN_MEMORY_PER_SHADOW_PAGE * 3, SZ_2M, 100 };
	unsigned long space = fresh_space(), traps;
	int i;
	u8 *p;

	need_store(test);
	need_history(test);
	make_table(space);
	settle();
	traps = event(KASAN_SHADOW_TRAPS);
	EXPECT_REPORT(test, "vmalloc-wild-access", check_byte((void *)space));
	EXPECT_REPORT(test, "vmalloc-wild-access", check_byte((void *)space + SZ_1M));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t size = sizes[i];
		bool shares = size >= kasan_vmalloc_share;

		KUNIT_EXPECT_EQ(test, shadow_byte((void *)space), NO_SHADOW);
		KUNIT_EXPECT_EQ(test, peek_shadow(shadow_of((void *)space)), KASAN_VMALLOC_ABSENT);
		KUNIT_EXPECT_EQ(test, areas_at(space), -1);

		p = vmalloc_at(space, size);
		KUNIT_ASSERT_PTR_EQ(test, p, (u8 *)space);
		expect_shadow(test, p, size, PAGE_ALIGN(size) + PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, areas_at(space), shares ? -1 : 1);
		memset(p, 1, size);
		vfree(p);
		settle();
		EXPECT_REPORT(test, UAF, check_byte(p + size - 1));
		expect_object(test, size - 1, "inside", "freed", size, "vmalloc_at", "trap_again");
		EXPECT_REPORT(test, UAF, check_byte(p));
	}
	/* the small ones have one page of shadow, and one trap */
	KUNIT_EXPECT_EQ(test, event(KASAN_SHADOW_TRAPS) - traps, 2 + 1 + 2 + 2 + 1);
	expect_counts(test);
	KUNIT_EXPECT_NULL(test, kasan_shadow_check_shared());
}

/* What vfree() and vunmap() call when they find no area. */
static void bad_vfree(struct kunit *test)
{
	unsigned long space = fresh_space();
	u8 *p;

	need_history(test);
	p = vmalloc_at(space, 3 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	EXPECT_REPORT(test, "invalid-free", kasan_report_bad_vfree(p + 8, _THIS_IP_, false));
	expect_object(test, 8, "inside", "allocated", 3 * PAGE_SIZE,
		      "vmalloc_at", NULL);
	vfree(p);
	EXPECT_REPORT(test, "double-free", kasan_report_bad_vfree(p, _THIS_IP_, false));
	expect_object(test, 0, "inside", "freed", 3 * PAGE_SIZE,
		      "vmalloc_at", "bad_vfree");
	EXPECT_REPORT(test, "invalid-free", kasan_report_bad_vfree(p + 8, _THIS_IP_, false));
	settle();
}

static u8 *irq_target;

static void check_in_irq(struct irq_work *unused)
{
	check_byte(irq_target);
	barrier();
}

/* With interrupts off, and in an interrupt. */
static void any_context(struct kunit *test)
{
	struct irq_work work = IRQ_WORK_INIT_HARD(check_in_irq);
	u8 *p;

	need_history(test);
	p = who_allocates(100);
	KUNIT_ASSERT_NOT_NULL(test, p);
	local_irq_disable();
	EXPECT_REPORT(test, OOB, check_byte(p + 100));
	local_irq_enable();
	expect_object(test, 0, "to the right", "allocated", 100,
		      "who_allocates", NULL);

	who_frees(p);
	irq_target = p;
	expect_no_report(test);
	irq_work_queue(&work);
	irq_work_sync(&work);
	expect_report(test, UAF, "check_in_irq", "an access in an interrupt");
	expect_object(test, 0, "inside", "freed", 100,
		      "who_allocates", "who_frees");
}

/* --------------------------- Which memory it was --------------------------- */

/* What boot code registered has bounds, and no allocator. */
static void early_areas(struct kunit *test)
{
	struct kasan_vmalloc_found f;
	struct vmap_area va;
	struct vm_struct vm;
	/* below which there is no area */
	unsigned long addr = VMALLOC_START - 1;
	struct vm_struct early = { .addr = (void *)VMALLOC_START, .size = PAGE_SIZE };

	need_history(test);
	/* one without a guard page, or a caller */
	kasan_vmalloc_describe_vm(&f.obj, &early);
	KUNIT_EXPECT_EQ(test, f.obj.size, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, f.obj.span, PAGE_SIZE);

	while (peek_vmap_area(addr, 1, &va, &vm)) {
		addr = va.va_start;
		if (!va.vm || vm.caller)
			continue;
		if (kasan_vmalloc_find(&f, addr + 8) == KASAN_VMALLOC_IN_OBJECT)
			KUNIT_EXPECT_NE(test, f.obj.size, 0);
		else
			KUNIT_EXPECT_GE(test, f.cpu, 0);
	}
}

/* An address that the kernel maps for a device; nothing accesses it here. */
static noinline void *map_device(struct kunit *test, struct vm_struct **vm)
{
	phys_addr_t phys = (phys_addr_t)(max_pfn + 0x10000) << PAGE_SHIFT;
	unsigned long addr;

	*vm = get_vm_area(PAGE_SIZE, VM_IOREMAP);
	KUNIT_ASSERT_NOT_NULL(test, *vm);
	addr = (unsigned long)(*vm)->addr;
	KUNIT_ASSERT_EQ(test, ioremap_page_range(addr, addr + PAGE_SIZE, phys, PAGE_KERNEL), 0);
	return (*vm)->addr;
}

/* Memory of a device has no struct page, so a report does without. */
static void no_page(struct kunit *test)
{
	struct vm_struct *vm;
	u8 *p = map_device(test, &vm), *q;

	EXPECT_REPORT(test, OOB, kasan_check_read(p + 4092, 8));
	expect_object(test, 4092, "inside", "allocated", PAGE_SIZE, "map_device", NULL);
	KUNIT_EXPECT_NULL(test, kasan_vmalloc_to_page(p));
	free_vm_area(vm);
	EXPECT_REPORT(test, UAF, check_byte(p));
	expect_object(test, 0, "inside", "freed", PAGE_SIZE, "map_device", "no_page");

	/* and the next report comes */
	q = vmalloc(100);
	KUNIT_ASSERT_NOT_NULL(test, q);
	KUNIT_EXPECT_PTR_EQ(test, kasan_vmalloc_to_page(q), vmalloc_to_page(q));
	EXPECT_REPORT(test, OOB, read_byte(q + first_bad(100)));
	vfree(q);
}

#ifdef CONFIG_HAS_IOMEM
/* Some architectures free the vm_struct on their own. */
static void iounmap_uaf(struct kunit *test)
{
	void __iomem *io = ioremap((phys_addr_t)(max_pfn + 0x10000) << PAGE_SHIFT, PAGE_SIZE);
	void *p = (void __force *)io;

	need_history(test);
	if (!io || !is_vmalloc_addr(p))
		kunit_skip(test, "Test requires CONFIG_UML=n");
	iounmap(io);
	EXPECT_REPORT(test, UAF, check_byte(p + 8));
	expect_object(test, 8, "inside", "freed", PAGE_SIZE, "iounmap_uaf", "iounmap");
}
#else
static void iounmap_uaf(struct kunit *test)
{
	kunit_skip(test, "Test requires CONFIG_HAS_IOMEM=y");
}
#endif

static void *irq_victim;

static noinline void irq_frees(struct irq_work *unused)
{
	vfree(irq_victim);
	barrier();
}

static void free_in_irq(void *p)
{
	struct irq_work work = IRQ_WORK_INIT_HARD(irq_frees);

	irq_victim = p;
	irq_work_queue(&work);
	while (irq_work_is_busy(&work))
		cpu_relax();
}

static void free_badly_in_irq(struct kunit *test, void *p, const char *kind)
{
	expect_no_report(test);
	free_in_irq(p);
	/* vfree() may call what reports it as the last that it does */
	expect_report(test, kind, strcmp(report.func, "vfree") ? "irq_frees" : "vfree",
		      "vfree() in an interrupt");
}

/* The work of vfree() in an interrupt is done. */
static void wait_for_vfree(void *p)
{
	int i;

	for (i = 0; i < 1000 && find_vm_area(p); i++)
		schedule_timeout_uninterruptible(1);
}

/* vfree() in an interrupt counts from when it is called, not when a worker gets to it. */
static void vfree_in_irq(struct kunit *test)
{
	static const size_t sizes[] = { 4, 16, 100, 5000, 70000 };
	int i;
	u8 *p;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t size = sizes[i];

		p = who_allocates(size);
		KUNIT_ASSERT_NOT_NULL(test, p);
		/* the worker runs on this CPU, or is waited for */
		preempt_disable();
		free_in_irq(p);
		if (size > KASAN_GRANULE_SIZE && size + 2 * PAGE_SIZE < kasan_vmalloc_share) {
			EXPECT_REPORT(test, UAF, check_byte(p + size - 1));
			expect_object(test, size - 1, "inside", "freed", size,
				      "who_allocates", "irq_frees");
			/* what does the same a second time */
			free_badly_in_irq(test, p, "double-free");
			expect_object(test, 0, "inside", "freed", size,
				      "who_allocates", "irq_frees");
		}
		preempt_enable();
		wait_for_vfree(p);
		EXPECT_REPORT(test, UAF, check_byte(p));
		expect_object(test, 0, "inside", "freed", size,
			      "who_allocates", "irq_frees");
	}

	/* of what is not the start of an area */
	p = who_allocates(3 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	for (i = PAGE_SIZE - 4; i <= PAGE_SIZE; i += 4) {
		free_badly_in_irq(test, p + i, "invalid-free");
		expect_object(test, i, "inside", "allocated", 3 * PAGE_SIZE,
			      "who_allocates", NULL);
	}
	write_byte(p);
	vfree(p);

	/* large ones are freed by the worker */
	p = who_allocates(SZ_2M);
	KUNIT_ASSERT_NOT_NULL(test, p);
	free_in_irq(p);
	wait_for_vfree(p);
	if (shadow_byte(p + SZ_1M) != NO_SHADOW)
		EXPECT_REPORT(test, UAF, check_byte(p + SZ_1M));
	if (IS_ENABLED(CONFIG_KASAN_VMALLOC_HISTORY)) {
		struct kasan_vmalloc_found f;

		KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, (unsigned long)p + SZ_1M),
				KASAN_VMALLOC_IN_OBJECT);
		KUNIT_EXPECT_TRUE(test, f.obj.freed);
		KUNIT_EXPECT_EQ(test, f.obj.size, SZ_2M);
		KUNIT_EXPECT_EQ(test, f.obj.free.pid, current->pid);
	}
}

struct with_rcu {
	u8 bytes[5000];
	struct rcu_head rcu;
	struct work_struct work;
};

static void free_with_rcu(struct rcu_head *rcu)
{
	vfree(container_of(rcu, struct with_rcu, rcu));
	barrier();
}

static void free_with_work(struct work_struct *work)
{
	vfree(container_of(work, struct with_rcu, work));
	barrier();
}

static noinline void who_queues(struct with_rcu *p, bool work)
{
	if (work)
		schedule_work(&p->work);
	else
		call_rcu(&p->rcu, free_with_rcu);
	barrier();
}

/* Work and RCU callbacks are remembered with an area as with a slab object. */
static void aux_stacks(struct kunit *test)
{
	int i;

	need_history(test);
	for (i = 0; i < 2; i++) {
		struct with_rcu *p = who_allocates(sizeof(*p));

		KUNIT_ASSERT_NOT_NULL(test, p);
		INIT_WORK(&p->work, free_with_work);
		who_queues(p, i);
		if (!i)
			rcu_barrier();
		wait_for_vfree(p);
		EXPECT_REPORT(test, UAF, check_byte(&p->bytes[100]));
		expect_object(test, 100, "inside", "freed", sizeof(*p), "who_allocates",
			      i ? "free_with_work" : "free_with_rcu");
		/* the RCU of one CPU does not tell */
		if (i || !IS_ENABLED(CONFIG_TINY_RCU))
			KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(report.aux, "who_queues"),
						  "who_queues is not in:%s", report.aux);
	}
}

/* Whatever an area is mapped with: accessible from then on, and not longer. */
static void vmap_flags(struct kunit *test)
{
	static const unsigned long flags[] = {
		0, VM_ALLOC, VM_MAP, VM_USERMAP, VM_MAP | VM_USERMAP, VM_IOREMAP,
		VM_DMA_COHERENT, VM_ALLOC | VM_MAP, VM_ALLOC | VM_USERMAP,
	};
	unsigned long space = fresh_space();
	struct page *pages[3];
	struct vm_struct *vm;
	u8 *p;
	int i;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		/* where an earlier area was freed */
		p = who_allocates(5 * PAGE_SIZE);
		KUNIT_ASSERT_NOT_NULL(test, p);
		vfree(p);
		vm_unmap_aliases();

		p = vmap(pages, ARRAY_SIZE(pages), flags[i], PAGE_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, p);
		write_byte(p);
		write_byte(p + 3 * PAGE_SIZE - 1);
		EXPECT_REPORT(test, OOB, check_byte(p + 3 * PAGE_SIZE));
		expect_object(test, 0, "to the right", "allocated", 3 * PAGE_SIZE,
			      "vmap_flags", NULL);
		vunmap(p);
		EXPECT_REPORT(test, UAF, check_byte(p + PAGE_SIZE));
		expect_object(test, PAGE_SIZE, "inside", "freed", 3 * PAGE_SIZE,
			      "vmap_flags", "vmap_flags");

		vm = __get_vm_area_caller(2 * PAGE_SIZE, flags[i], space,
					  space + 3 * PAGE_SIZE, (void *)_THIS_IP_);
		KUNIT_ASSERT_NOT_NULL(test, vm);
		p = vm->addr;
		check_byte(p);
		check_byte(p + 2 * PAGE_SIZE - 1);
		free_vm_area(vm);
		EXPECT_REPORT(test, UAF, check_byte(p));
		vm_unmap_aliases();
	}
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		__free_page(pages[i]);
}

/* The nearest object to either side, live or freed. */
static void nearest(struct kunit *test)
{
	const size_t screen = 1920000;
	unsigned long space = fresh_space();
	struct kasan_vmalloc_found f;
	u8 *p, *q;
	int i;

	need_history(test);
	need_store(test);	/* or all that is unused is accessible */
	/* next to what was freed, with nobody else there */
	p = vmalloc_at(space + STRETCH, 2 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	vfree(p);
	EXPECT_REPORT(test, OOB, check_byte(p + 2 * PAGE_SIZE));
	expect_object(test, 0, "to the right", "freed", 2 * PAGE_SIZE,
		      "vmalloc_at", "nearest");
	EXPECT_REPORT(test, OOB, check_byte(p + 3 * PAGE_SIZE - 1));
	expect_object(test, PAGE_SIZE - 1, "to the right", "freed", 2 * PAGE_SIZE,
		      "vmalloc_at", "nearest");

	/* between a live one and a freed one, nearer to either */
	p = vmalloc_at(space, 100);
	/* of which little is accessible before it is freed */
	q = vmalloc_at(space + 2 * PAGE_SIZE, 8);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_NOT_NULL(test, q);
	KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, (unsigned long)q - 100),
			KASAN_VMALLOC_IN_OBJECT);
	KUNIT_EXPECT_EQ(test, f.obj.start, (unsigned long)q);
	vfree(q);
	settle();
	q = vmalloc_at(space + 2 * PAGE_SIZE, 100);
	KUNIT_ASSERT_NOT_NULL(test, q);
	vfree(q);
	for (i = 1; i < 200; i++) {
		KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, (unsigned long)q - i),
				KASAN_VMALLOC_IN_OBJECT);
		KUNIT_EXPECT_EQ(test, f.obj.start, (unsigned long)q);
	}
	EXPECT_REPORT(test, OOB, check_byte(q - 1));
	expect_object(test, 1, "to the left", "freed", 100, "vmalloc_at", "nearest");
	EXPECT_REPORT(test, OOB, check_byte(p + PAGE_SIZE));
	expect_object(test, PAGE_SIZE - 100, "to the right", "allocated", 100,
		      "vmalloc_at", NULL);
	vfree(p);
	EXPECT_REPORT(test, OOB, check_byte(p + PAGE_SIZE));
	expect_object(test, PAGE_SIZE - 100, "to the right", "freed", 100,
		      "vmalloc_at", "nearest");
	settle();

	/* past the guard page: only what is near is named */
	p = vmalloc_at(space, screen);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, (unsigned long)p + screen + 9600),
			KASAN_VMALLOC_IN_OBJECT);
	KUNIT_EXPECT_EQ(test, f.obj.start, (unsigned long)p);
	KUNIT_EXPECT_FALSE(test, f.obj.freed);
	KUNIT_EXPECT_STREQ(test, kasan_vmalloc_bug_type(p + screen + 9600), OOB);
	vfree(p);
	KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, (unsigned long)p + screen + 9600),
			KASAN_VMALLOC_IN_OBJECT);
	KUNIT_EXPECT_EQ(test, f.obj.start, (unsigned long)p);
	KUNIT_EXPECT_TRUE(test, f.obj.freed);
	settle();
}

/* A live area's history is its own. */
static void nobody_elses(struct kunit *test)
{
	unsigned long space = fresh_space();
	struct kasan_vmalloc_found f;
	u8 *p;
	int i;

	need_history(test);
	p = vmalloc_at(space, 5 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	vfree(p);
	vm_unmap_aliases();
	p = vmalloc_at(space, 3 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, space + i * PAGE_SIZE),
				KASAN_VMALLOC_IN_OBJECT);
		KUNIT_EXPECT_EQ(test, f.obj.size, 3 * PAGE_SIZE);
		KUNIT_EXPECT_FALSE(test, f.obj.freed);
	}
	/* also if it is poison, whatever the reason */
	kasan_poison_vmalloc(p, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, space), KASAN_VMALLOC_IN_OBJECT);
	KUNIT_EXPECT_EQ(test, f.obj.size, 3 * PAGE_SIZE);
	vfree(p);
	settle();
}

/* Objects of per-cpu memory: near ones, forgotten ones, of each CPU. */
static void percpu_near(struct kunit *test)
{
	struct kasan_vmalloc_found f;
	u8 __percpu *first, *a, *b;
	int cpu;
	u8 *p;

	need_history(test);
	/* in front of a chunk there is no shadow */
	first = percpu_in_vmalloc(test, 8);
	a = percpu_in_vmalloc(test, 1000);
	b = percpu_in_vmalloc(test, 40);
	for_each_possible_cpu(cpu) {
		p = per_cpu_ptr(a, cpu);
		EXPECT_REPORT(test, OOB, check_byte(p - 1));
		expect_object(test, 1, "to the left", "allocated", 1000, "percpu_near", NULL);
		KUNIT_EXPECT_EQ(test, report.cpu, cpu);
		EXPECT_REPORT(test, OOB, check_byte(p + 1003));
		expect_object(test, 3, "to the right", "allocated", 1000, "percpu_near", NULL);
		KUNIT_EXPECT_EQ(test, report.cpu, cpu);
		p = per_cpu_ptr(b, cpu);
		EXPECT_REPORT(test, OOB, kasan_check_read(p + 36, 8));
		expect_object(test, 36, "inside", "allocated", 40, "percpu_near", NULL);
	}

	kasan_vmalloc_forget();
	for_each_possible_cpu(cpu) {
		p = per_cpu_ptr(a, cpu);
		for (int i = 0; i < 2; i++) {
			KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, (unsigned long)p + 1000 * i),
					KASAN_VMALLOC_IN_PERCPU);
			KUNIT_EXPECT_EQ(test, f.cpu, cpu);
		}
		EXPECT_REPORT(test, OOB, check_byte(p + 1000));
		KUNIT_EXPECT_STREQ(test, report.where, "");
		KUNIT_EXPECT_EQ(test, report.cpu, cpu);
	}
	free_percpu(a);
	p = per_cpu_ptr(a, nr_cpu_ids - 1);
	EXPECT_REPORT(test, UAF, check_byte(p + 999));
	expect_object(test, 999, "inside", "freed", 1000, NULL, "percpu_near");
	kasan_vmalloc_forget();
	EXPECT_REPORT(test, UAF, check_byte(p + 999));
	KUNIT_EXPECT_STREQ(test, report.where, "");
	KUNIT_EXPECT_EQ(test, report.cpu, nr_cpu_ids - 1);
	free_percpu(b);
	free_percpu(first);
}

/* A chunk of per-cpu memory that is gone: what was in it is of interest. */
static void percpu_chunk_gone(struct kunit *test)
{
#ifdef CONFIG_SMP
	unsigned long offset = 0;
	size_t size = PCPU_MIN_UNIT_SIZE;
	struct kasan_vmalloc_found f;
	struct vm_struct **vms;
	unsigned long addr;

	need_history(test);
	vms = pcpu_get_vm_areas(&offset, &size, 1, PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, vms);
	addr = (unsigned long)kasan_reset_tag(vms[0]->addr);
	KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, addr + 1000), KASAN_VMALLOC_IN_PERCPU);
	KUNIT_EXPECT_FALSE(test, f.obj.freed);

	/* CPU 0 has the first unit here */
	kasan_unpoison_vmalloc((void *)addr + 64, 100,
			       KASAN_VMALLOC_PROT_NORMAL | KASAN_VMALLOC_KEEP_TAG);
	kasan_record_vmalloc_free((void *)addr + 64, 200, KASAN_VMALLOC_PERCPU);
	pcpu_free_vm_areas(vms, 1);
	KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, addr + 100), KASAN_VMALLOC_IN_OBJECT);
	KUNIT_EXPECT_EQ(test, f.obj.kind, KASAN_VMALLOC_PERCPU);
	KUNIT_EXPECT_EQ(test, f.obj.size, 100);
	KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, addr + 1000), KASAN_VMALLOC_IN_PERCPU);
	KUNIT_EXPECT_TRUE(test, f.obj.freed);
	KUNIT_EXPECT_EQ(test, f.cpu, 0);
	EXPECT_REPORT(test, UAF, check_byte((void *)addr + 1000));
	KUNIT_EXPECT_STREQ(test, report.where, "");
#else
	kunit_skip(test, "Test requires CONFIG_SMP=y");
#endif
}

/* vm_map_ram(): a page between mappings, and what is known without a record. */
static void ram_gap(struct kunit *test)
{
	static const unsigned int counts[] = { 1, 2, 63, 64, 65 };
	struct kasan_vmalloc_found f;
	struct page *pages[65];
	u8 *p, *q;
	int i;

	if (!IS_ENABLED(CONFIG_KASAN_GENERIC))
		kunit_skip(test, "Test requires CONFIG_KASAN_GENERIC=y");
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		size_t size = counts[i] * PAGE_SIZE;

		p = vm_map_ram(pages, counts[i], NUMA_NO_NODE);
		q = vm_map_ram(pages, counts[i], NUMA_NO_NODE);
		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_ASSERT_NOT_NULL(test, q);
		write_byte(p + size - 1);
		write_byte(q);
		EXPECT_REPORT(test, OOB, check_byte(p + size));
		expect_object(test, 0, "to the right", "allocated", size, "ram_gap", NULL);
		EXPECT_REPORT(test, OOB, kasan_check_write(p + size - 8, 16));
		expect_object(test, size - 8, "inside", "allocated", size, "ram_gap", NULL);
		EXPECT_REPORT(test, OOB, check_byte(q + size + PAGE_SIZE / 4));
		expect_object(test, PAGE_SIZE / 4, "to the right", "allocated", size,
			      "ram_gap", NULL);

		if (IS_ENABLED(CONFIG_KASAN_VMALLOC_HISTORY)) {
			kasan_vmalloc_forget();
			EXPECT_REPORT(test, OOB, check_byte(p + size + 1));
			expect_object(test, 1, "to the right", "allocated", size, NULL, NULL);
		}
		vm_unmap_ram(p, counts[i]);
		EXPECT_REPORT(test, UAF, check_byte(p + size - 1));
		/* the title and the text are about the same */
		EXPECT_REPORT(test, OOB, check_byte(p + size));
		if (IS_ENABLED(CONFIG_KASAN_VMALLOC_HISTORY)) {
			KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, (unsigned long)p + size),
					KASAN_VMALLOC_IN_OBJECT);
			KUNIT_EXPECT_TRUE(test, f.obj.freed);
		}
		write_byte(q + size - 1);
		vm_unmap_ram(q, counts[i]);
	}
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		__free_page(pages[i]);
}

/* What is freed twice, or not as it was allocated, is reported, and not freed. */
static void bad_frees(struct kunit *test)
{
	unsigned long space = fresh_space();
	struct page *pages[65];
	u8 __percpu *a, *b;
	u8 *p;
	int i;

	a = percpu_in_vmalloc(test, 256);
	b = percpu_in_vmalloc(test, 256);
	EXPECT_REPORT(test, "invalid-free", free_percpu(a + 8));
	EXPECT_REPORT(test, "invalid-free", free_percpu(a + 1));
	write_byte(per_cpu_ptr(a, 0));
	free_percpu(a);
	EXPECT_REPORT(test, "double-free", free_percpu(a));
	expect_object(test, 0, "inside", "freed", 256, "bad_frees", "bad_frees");
	write_byte(per_cpu_ptr(b, 0));
	free_percpu(b);
	EXPECT_REPORT(test, "double-free", free_percpu(b));
	/* in the first chunk, which may be elsewhere */
	a = alloc_percpu(u8);
	free_percpu(a);
	EXPECT_REPORT(test, "double-free", free_percpu(a));

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
	for (i = 2; i <= 65; i += 63) {
		p = vm_map_ram(pages, i, NUMA_NO_NODE);
		KUNIT_ASSERT_NOT_NULL(test, p);
		if (IS_ENABLED(CONFIG_KASAN_GENERIC)) {
			EXPECT_REPORT(test, "invalid-free", vm_unmap_ram(p, i - 1));
			EXPECT_REPORT(test, "invalid-free", vm_unmap_ram(p, i + 1));
			EXPECT_REPORT(test, "invalid-free", vm_unmap_ram(p + PAGE_SIZE, i - 1));
			expect_object(test, PAGE_SIZE, "inside", "allocated", i * PAGE_SIZE,
				      "bad_frees", NULL);
		}
		write_byte(p + i * PAGE_SIZE - 1);
		vm_unmap_ram(p, i);
		EXPECT_REPORT(test, "double-free", vm_unmap_ram(p, i));
		expect_object(test, 0, "inside", "freed", i * PAGE_SIZE, "bad_frees", "bad_frees");
		vm_unmap_aliases();
		EXPECT_REPORT(test, "double-free", vm_unmap_ram(p, i));
	}
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		__free_page(pages[i]);

	need_history(test);
	/* vmalloc takes any address in an area, and frees all of it */
	p = who_allocates(3 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	expect_no_report(test);
	vfree(p + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, READ_ONCE(report.nr), 1);
	KUNIT_EXPECT_STREQ(test, report.kind, "invalid-free");
	WRITE_ONCE(report.nr, 0);
	expect_object(test, PAGE_SIZE, "inside", "freed", 3 * PAGE_SIZE, "who_allocates", NULL);

	/* a live mapping that is out of the trees for a moment was not freed */
	vfree(vmalloc_at(space, 100));
	settle();
	KUNIT_ASSERT_EQ(test, populate(space, PAGE_SIZE, GFP_KERNEL), 0);
	p = kasan_unpoison_vmalloc((void *)space, PAGE_SIZE, KASAN_VMALLOC_PROT_NORMAL);
	kasan_record_vmalloc_alloc(p, PAGE_SIZE, KASAN_VMALLOC_RAM);
	EXPECT_REPORT(test, "invalid-free", kasan_report_bad_vfree(p, _THIS_IP_, false));
	expect_object(test, 0, "inside", "allocated", PAGE_SIZE, "bad_frees", NULL);
	kasan_poison_vmalloc(p, PAGE_SIZE);
	release(space, space + PAGE_SIZE);
	settle();
}

/*
 * With a page more each, mappings of one size leave slots of a block that none of
 * them fits in. The block goes with the last of them all the same.
 */
static void ram_blocks_go(struct kunit *test)
{
	static const unsigned int counts[] = { 1, 2, 4, 8, 16, 32, 63 };
	struct page *pages[63];
	struct vmap_area va;
	struct vm_struct vm;
	int i, n;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
	migrate_disable();
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		unsigned long block = 0, blocks = 0;

		/* its slots are at least 1,024 */
		for (n = 0; blocks < 3 && n < 5000; n++) {
			void *p = vm_map_ram(pages, counts[i], NUMA_NO_NODE);

			KUNIT_ASSERT_NOT_NULL(test, p);
			KUNIT_ASSERT_TRUE(test, peek_vmap_area((unsigned long)kasan_reset_tag(p),
							       0, &va, &vm));
			vm_unmap_ram(p, counts[i]);
			if (va.va_start == block)
				continue;
			/* of those that were there already others may use a part */
			if (blocks > 1)
				KUNIT_EXPECT_FALSE(test, peek_vmap_area(block, 0, &va, &vm));
			block = va.va_start;
			blocks++;
		}
		KUNIT_EXPECT_EQ(test, blocks, 3);
	}
	migrate_enable();
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		__free_page(pages[i]);
	settle();
}

static void module_named(struct kunit *test)
{
	u8 *p;

	need_history(test);
	if (!IS_ENABLED(CONFIG_EXECMEM))
		kunit_skip(test, "Test requires CONFIG_EXECMEM=y");
	p = execmem_alloc(EXECMEM_MODULE_DATA, 5000);
	KUNIT_ASSERT_NOT_NULL(test, p);
	kasan_set_vmalloc_module(p, "a_module");
	EXPECT_REPORT(test, OOB, read_byte(p + 5001));
	KUNIT_EXPECT_STREQ(test, report.module, "a_module");
	execmem_free(p);
	EXPECT_REPORT(test, UAF, check_byte(p + 1));
	expect_object(test, 1, "inside", "freed", 5000, "module_named", "module_named");
	KUNIT_EXPECT_STREQ(test, report.module, "a_module");
}

/* ---------------------------- Sharing of pages ---------------------------- */

/* The shadow of a live area, which nothing that happens beside it may change. */
struct witness {
	u8 *mem;
	size_t size;
	u8 fill;
};

static void witness_alloc(struct kunit *test, struct witness *w,
			  unsigned long addr, size_t size)
{
	w->mem = vmalloc_own_at(addr, size);
	KUNIT_ASSERT_PTR_EQ(test, kasan_reset_tag(w->mem), (void *)addr);
	w->size = size;
	expect_shadow(test, w->mem, size, PAGE_ALIGN(size) + PAGE_SIZE);
}

static void witness_look(struct kunit *test, struct witness *w)
{
	if (w->mem)
		expect_shadow(test, w->mem, w->size,
			      PAGE_ALIGN(w->size) + PAGE_SIZE);
}

static void witness_free(struct kunit *test, struct witness *w)
{
	u8 *mem = w->mem;

	w->mem = NULL;
	vfree(mem);
	KUNIT_EXPECT_TRUE(test, all_poison(mem, PAGE_ALIGN(w->size) + PAGE_SIZE));
}

/*
 * Three areas that share pages of shadow, the middle one of every kind of size
 * at every page offset, freed in every order.
 */
static void sharing(struct kunit *test)
{
	static const size_t sizes[] = { 1, 8, 100, 4095, 4096, 4097, 32768, 73728 };
	static const u8 orders[][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
		{ 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	unsigned long space = fresh_space();
	int i, off, order, n, k;

	need_store(test);

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (off = 0; off < KASAN_GRANULE_SIZE; off++) {
			for (order = 0; order < ARRAY_SIZE(orders); order++) {
				struct witness w[3];
				unsigned long addr = space + off * PAGE_SIZE;

				for (n = 0; n < 3; n++) {
					size_t size = n == 1 ? sizes[i] : 13;

					witness_alloc(test, &w[n], addr, size);
					addr += PAGE_ALIGN(size) + PAGE_SIZE;
					for (k = 0; k < n; k++)
						witness_look(test, &w[k]);
				}
				for (n = 0; n < 3; n++) {
					witness_free(test, &w[orders[order][n]]);
					vm_unmap_aliases();
					for (k = 0; k < 3; k++)
						witness_look(test, &w[k]);
				}
			}
			cond_resched();
		}
	}
}

/* The page goes idle with the last of its areas, and not before. */
static void counting(struct kunit *test)
{
	enum { NR = KASAN_GRANULE_SIZE / 2 };
	unsigned long space = fresh_space();
	void *p[NR];
	int i;

	need_store(test);

	/* areas of 2 pages that fill one page of shadow */
	KUNIT_EXPECT_EQ(test, areas_at(space), -1);
	for (i = 0; i < NR; i++) {
		p[i] = vmalloc_at(space + i * 2 * PAGE_SIZE, 1);
		KUNIT_ASSERT_NOT_NULL(test, p[i]);
		KUNIT_EXPECT_EQ(test, areas_at(space), i + 1);
	}
	KUNIT_EXPECT_EQ(test, pages_mapped(space, STRETCH), 1);
	for (i = 0; i < NR; i++) {
		vfree(p[i]);
		/* counted until the purge */
		KUNIT_EXPECT_EQ(test, areas_at(space), NR - i);
		vm_unmap_aliases();
		KUNIT_EXPECT_EQ(test, areas_at(space), NR - 1 - i);
	}

	/* idle: kept, and used again */
	KUNIT_EXPECT_EQ(test, pages_mapped(space, STRETCH), 1);
	KUNIT_EXPECT_TRUE(test, all_poison((void *)space, KASAN_MEMORY_PER_SHADOW_PAGE));
	p[0] = vmalloc_at(space, 1);
	KUNIT_EXPECT_EQ(test, areas_at(space), 1);
	vfree(p[0]);

	settle();
	KUNIT_EXPECT_EQ(test, areas_at(space), -1);
	KUNIT_EXPECT_EQ(test, pages_mapped(space, STRETCH), 0);
}

/*
 * Page tables of processes copy their top level when they are made. Nothing of
 * it may be filled in later for the shadow of live memory.
 */
static void top_level_tables(struct kunit *test)
{
	unsigned long end = (unsigned long)kasan_mem_to_shadow((void *)VMALLOC_END);
	unsigned long addr = (unsigned long)kasan_mem_to_shadow((void *)VMALLOC_START);
	unsigned long absent = 0, next;
	pgd_t *pgd;

	if (!IS_ENABLED(CONFIG_X86_64))
		kunit_skip(test, "Test requires CONFIG_X86_64=y");

	for (; addr < end; addr = next) {
		next = pgd_addr_end(addr, end);
		pgd = pgd_offset_k(addr);
		/* where the PGD is folded, the P4D is the top */
		absent += pgd_none(*pgd) ||
			  (PTRS_PER_P4D == 1 && p4d_none(*p4d_offset(pgd, addr)));
	}
	KUNIT_EXPECT_EQ(test, absent, 0);
}

/* The image can lie in vmalloc space; behind it begins what areas get. */
static void kernel_image(struct kunit *test)
{
	if (!is_vmalloc_or_module_addr(_text))
		kunit_skip(test, "Test requires CONFIG_ARM64=y");

	KUNIT_EXPECT_EQ(test, shadow_byte(_text), KASAN_SHADOW_INIT);
	KUNIT_EXPECT_TRUE(test, all_poison(_end, PAGE_SIZE));
}

/* Memory hotplug vmallocs KASAN's own shadow: leave that alone. */
static void other_space(struct kunit *test)
{
	struct kasan_shadow_stats before = read_stats(), after;
	void *mem = kmalloc(PAGE_SIZE, GFP_KERNEL);
	unsigned long addr = (unsigned long)kasan_reset_tag(mem);

	KUNIT_ASSERT_NOT_NULL(test, mem);
	KUNIT_EXPECT_EQ(test, populate(addr, PAGE_SIZE, GFP_KERNEL), 0);
	kasan_poison_vmalloc(mem, PAGE_SIZE);
	write_byte(mem);
	kasan_unpoison_vmalloc(mem, 1, KASAN_VMALLOC_PROT_NORMAL);
	write_byte(mem + PAGE_SIZE - 1);
	release(addr, addr + PAGE_SIZE);
	after = read_stats();
	KUNIT_EXPECT_MEMEQ(test, &before, &after, sizeof(before));
	kfree(mem);
}

/* ------------------------------ Giving back ------------------------------- */

/* All of what areas took can be given back, by the way memory is short. */
static void hold_and_return(struct kunit *test)
{
	/* two pages of address space each, of which 32 bits have few */
	unsigned long n = min3(100000UL, totalram_pages() / 3,
			       VMALLOC_TOTAL / PAGE_SIZE / 8);
	struct kasan_shadow_stats before, held, purged, after;
	unsigned long i, rise, reclaimable;
	void **p;

	need_store(test);
	kasan_shadow_set_idle_limit(ULONG_MAX);
	p = kvcalloc(n, sizeof(*p), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	before = settle();

	for (i = 0; i < n; i++) {
		p[i] = vmalloc(1);
		if (!p[i])
			break;
	}
	KUNIT_EXPECT_EQ(test, i, n);
	held = read_stats();
	rise = held.live - before.live;
	while (i--)
		vfree(p[i]);
	vm_unmap_aliases();
	expect_counts(test);
	purged = read_stats();
	reclaimable = global_node_page_state(NR_KERNEL_MISC_RECLAIMABLE);
	drop_slab();
	after = read_stats();
	reclaimable -= global_node_page_state(NR_KERNEL_MISC_RECLAIMABLE);

	kunit_info(test, "%lu areas: %lu pages of shadow live before, %lu held; purged: %lu live, %lu idle; reclaimed: %lu live, %lu idle",
		   n, before.live, held.live, purged.live, purged.idle,
		   after.live, after.idle);
	/* 2 pages of address space each; a few find shadow that is there */
	KUNIT_EXPECT_GE(test, rise, n * 2 / KASAN_GRANULE_SIZE * 99 / 100);
	KUNIT_EXPECT_GE(test, purged.idle, rise - rise / 100);
	KUNIT_EXPECT_LE(test, after.live + after.idle, before.live + rise / 100);
	expect_counts(test);
	/* MemAvailable has known; per-cpu deltas may be outstanding */
	KUNIT_EXPECT_GE(test, reclaimable, rise - rise / 50);
	/* one flush for each batch, none for a purge */
	KUNIT_EXPECT_EQ(test, diff(&before, &purged, KASAN_SHADOW_FLUSHES), 0);
	KUNIT_EXPECT_LE(test, diff(&purged, &after, KASAN_SHADOW_FLUSHES),
			rise / 512 + 2);

	kvfree(p);
	kasan_shadow_set_idle_limit(before.idle_limit);
}

static void idle_limit(struct kunit *test)
{
	unsigned long limit = read_stats().idle_limit;
	unsigned long space = fresh_space();
	unsigned long size = 512 * KASAN_MEMORY_PER_SHADOW_PAGE;
	int i;

	need_store(test);
	settle();
	kasan_shadow_set_idle_limit(1000);
	KUNIT_ASSERT_EQ(test, populate(space, size, GFP_KERNEL), 0);
	release(space, space + size);
	KUNIT_EXPECT_EQ(test, pages_mapped(space, size), 512);
	KUNIT_EXPECT_GE(test, read_stats().idle, 512);

	/* set below what there is: trimmed at once */
	kasan_shadow_set_idle_limit(80);
	KUNIT_EXPECT_LE(test, pages_mapped(space, size), 80);
	KUNIT_EXPECT_LE(test, read_stats().idle, 80);

	/* exceeded later: trimmed by a worker */
	KUNIT_ASSERT_EQ(test, populate(space, size, GFP_KERNEL), 0);
	release(space, space + size);
	for (i = 0; i < 1000 && read_stats().idle > 80; i++)
		schedule_timeout_uninterruptible(1);
	KUNIT_EXPECT_LE(test, read_stats().idle, 80);

	kasan_shadow_set_idle_limit(limit);
	settle();
	KUNIT_EXPECT_EQ(test, pages_mapped(space, size), 0);
}

/* 1,000 rounds, purged often enough that vmalloc never does it by itself. */
static void thousand_rounds(size_t size)
{
	unsigned long lazy = 0;
	int i;

	for (i = 0; i < 1000; i++) {
		vfree(vmalloc(size));
		lazy += size + PAGE_SIZE;
		if (lazy > SZ_16M) {
			vm_unmap_aliases();
			lazy = 0;
		}
	}
	vm_unmap_aliases();
}

/* Addresses that were used before cost no page, no PTE, no flush and no lock. */
static void steady_state(struct kunit *test)
{
	static const size_t sizes[] = { 1, 8 * 4096, 256 * 4096 };
	static const enum kasan_shadow_event costs[] = {
		KASAN_SHADOW_POPULATED, KASAN_SHADOW_RECLAIMED,
		KASAN_SHADOW_FLUSHES, KASAN_SHADOW_SLOT_FLUSHES,
		KASAN_SHADOW_LOCKED,
	};
	int i, n;

	need_store(test);

	/* not to move to another CPU's pool of addresses */
	migrate_disable();
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct kasan_shadow_stats before, after;

		thousand_rounds(sizes[i]);
		before = read_stats();
		thousand_rounds(sizes[i]);
		after = read_stats();

		if (sizes[i] >= kasan_vmalloc_share) {
			/* a flush for each vfree(), and where idle pages were */
			KUNIT_EXPECT_LE(test, diff(&before, &after, KASAN_SHADOW_SHARE_FLUSHES),
					1000 + diff(&before, &after, KASAN_SHADOW_RECLAIMED) + 8);
			continue;
		}
		for (n = 0; n < ARRAY_SIZE(costs); n++)
			KUNIT_EXPECT_EQ_MSG(test, diff(&before, &after, costs[n]), 0,
					    "event %d, size %zu", costs[n], sizes[i]);
		/* it did something */
		KUNIT_EXPECT_GT(test, diff(&before, &after, KASAN_SHADOW_REVIVED), 0);
	}
	migrate_enable();
}

/* -------------------------------- Failures -------------------------------- */

/* Allocations of a populate that succeed before the next, and all after, fail. */
static int good_allocs;

static bool fails_now(void)
{
	return good_allocs-- <= 0;
}

static struct page *failing_alloc_page(gfp_t gfp)
{
	struct page *page;

	if (fails_now())
		return NULL;
	page = alloc_page(gfp);
	if (page)
		memset(page_address(page), KASAN_VMALLOC_INVALID, PAGE_SIZE);
	return page;
}

static pte_t *failing_alloc_slot(unsigned long addr, gfp_t gfp)
{
	pte_t *slot;

	if (fails_now())
		return NULL;
	kunit_deactivate_static_stub(current->kunit_test, kasan_shadow_alloc_slot);
	slot = kasan_shadow_alloc_slot(addr, gfp);
	kunit_activate_static_stub(current->kunit_test, kasan_shadow_alloc_slot,
				   failing_alloc_slot);
	return slot;
}

static void let_fail_after(struct kunit *test, int allocs)
{
	good_allocs = allocs;
	kunit_activate_static_stub(test, kasan_shadow_alloc_page,
				   failing_alloc_page);
	kunit_activate_static_stub(test, kasan_shadow_alloc_slot,
				   failing_alloc_slot);
}

static void let_succeed(struct kunit *test)
{
	kunit_deactivate_static_stub(test, kasan_shadow_alloc_page);
	kunit_deactivate_static_stub(test, kasan_shadow_alloc_slot);
}

/*
 * Let each allocation of the populate of an area with guard page fail once, by
 * which nothing may be held. Return how many did until there is the area, *@p.
 */
static int fail_each(struct kunit *test, void *(*alloc)(unsigned long addr, unsigned long size),
		     unsigned long start, unsigned long size, void **p)
{
	unsigned long failed;
	int n;

	for (n = 0; n < 100; n++) {
		/* so that each page has to be allocated */
		settle();
		KUNIT_ASSERT_EQ(test, pages_mapped(start, size + PAGE_SIZE), 0);
		failed = event(KASAN_SHADOW_FAILED);
		let_fail_after(test, n);
		*p = alloc(start, size);
		let_succeed(test);
		if (*p)
			break;
		KUNIT_EXPECT_EQ(test, event(KASAN_SHADOW_FAILED), failed + 1);
	}
	KUNIT_ASSERT_NOT_NULL(test, *p);
	return n;
}

/* Each allocation of a populate fails once, and the vmalloc fails cleanly. */
static void populate_fails(struct kunit *test)
{
	unsigned long size = 20 * KASAN_MEMORY_PER_SHADOW_PAGE;
	unsigned long start;
	void *p;
	int n;

	need_store(test);

	fresh_space();
	/* begins in one table, ends in the next */
	start = fresh_space() - size / 2;

	n = fail_each(test, vmalloc_own_at, start, size - PAGE_SIZE, &p);
	/* each page failed; so did the 2 tables, which are there since */
	KUNIT_EXPECT_EQ(test, n, 20);
	expect_shadow(test, p, size - PAGE_SIZE, size);
	vfree(p);
	settle();
	KUNIT_EXPECT_EQ(test, pages_mapped(start, size), 0);
}

/* The same for the areas of a per-cpu chunk, which are populated in turn. */
#ifdef CONFIG_SMP
static void percpu_fails(struct kunit *test)
{
	enum { SIZE = 2 * KASAN_MEMORY_PER_SHADOW_PAGE };
	static const size_t sizes[] = { SIZE, SIZE, SIZE };
	static const unsigned long offsets[] = { 0, STRETCH, 2 * STRETCH };
	struct vm_struct **vms = NULL;
	unsigned long last;
	int n, i;

	need_store(test);

	for (n = 0; n < 20; n++) {
		settle();
		let_fail_after(test, n);
		vms = pcpu_get_vm_areas(offsets, sizes, 3, SIZE);
		let_succeed(test);
		if (vms)
			break;
	}
	KUNIT_EXPECT_GE(test, n, 3 * SIZE / KASAN_MEMORY_PER_SHADOW_PAGE);
	KUNIT_ASSERT_NOT_NULL(test, vms);
	last = (unsigned long)kasan_reset_tag(vms[2]->addr);

	/* No byte stays accessible, not in the last page either. */
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, areas_at(last - offsets[2] + offsets[i]), 1);
		kasan_unpoison_vmalloc(vms[i]->addr, sizes[i],
				       KASAN_VMALLOC_PROT_NORMAL);
	}
	pcpu_free_vm_areas(vms, 3);
	KUNIT_EXPECT_TRUE(test, all_poison((void *)last, SIZE));
	settle();
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, pages_mapped(last - offsets[2] + offsets[i],
						   sizes[i]), 0);
}
#else
static void percpu_fails(struct kunit *test)
{
	kunit_skip(test, "Test requires CONFIG_SMP=y");
}
#endif

static struct {
	struct task_struct *task;
	gfp_t wrong;		/* flags that must not be seen */
	int allocs;
	int bad;
} gfp_watch;

static void probe_page_alloc(void *unused, struct page *page,
			     unsigned int order, gfp_t gfp, int migratetype)
{
	if (current != gfp_watch.task)
		return;
	gfp_watch.allocs++;
	gfp_watch.bad += !!(gfp & gfp_watch.wrong);
}

/* What the caller may not do, populate does not, for page tables either. */
static void populate_gfp(struct kunit *test)
{
	static const struct {
		gfp_t gfp, wrong;
	} cases[] = {
		{ GFP_NOFS, __GFP_FS },
		{ GFP_NOIO, __GFP_FS | __GFP_IO },
	};
	unsigned long size = STRETCH;
	int i;

	need_store(test);

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned long space = fresh_space();

		gfp_watch.task = current;
		gfp_watch.wrong = cases[i].wrong;
		gfp_watch.allocs = 0;
		gfp_watch.bad = 0;
		KUNIT_ASSERT_EQ(test, register_trace_mm_page_alloc(probe_page_alloc,
								   NULL), 0);
		KUNIT_EXPECT_EQ(test, populate(space, size, cases[i].gfp), 0);
		unregister_trace_mm_page_alloc(probe_page_alloc, NULL);
		tracepoint_synchronize_unregister();
		release(space, space + size);

		/* the pages; and a table, which need not take a page of its own */
		KUNIT_EXPECT_GE(test, gfp_watch.allocs,
				size / KASAN_MEMORY_PER_SHADOW_PAGE + !IS_ENABLED(CONFIG_PPC));
		KUNIT_EXPECT_EQ(test, gfp_watch.bad, 0);
	}
	settle();
}

/* -------------------------------- Flushing -------------------------------- */

static struct {
	struct task_struct *task;
	unsigned long space;	/* under test */
	int flushes;
	int freed;
	int early;		/* pages freed with their flush pending */
	int in_time;		/* slots flushed while empty */
	int ret;
} flush_watch;

static void counting_flush(unsigned long start, unsigned long end)
{
	flush_watch.flushes++;
	flush_tlb_kernel_range(start, end);
}

static void probe_page_free(void *unused, struct page *page, unsigned int order)
{
	unsigned long shadow = (unsigned long)kasan_mem_to_shadow((void *)flush_watch.space);

	if (current != flush_watch.task)
		return;
	flush_watch.freed++;
	flush_watch.early += kasan_shadow_flush_pending(shadow) ||
			     !flush_watch.flushes;
}

/* Pages are freed when the flush is through, and one flush serves many. */
static void flush_before_free(struct kunit *test)
{
	unsigned long space = fresh_space(), size = STRETCH;
	int nr = size / KASAN_MEMORY_PER_SHADOW_PAGE;

	need_store(test);
	settle();
	KUNIT_ASSERT_EQ(test, populate(space, size, GFP_KERNEL), 0);
	release(space, space + size);

	memset(&flush_watch, 0, sizeof(flush_watch));
	flush_watch.task = current;
	flush_watch.space = space;
	kunit_activate_static_stub(test, kasan_shadow_flush, counting_flush);
	KUNIT_ASSERT_EQ(test, register_trace_mm_page_free(probe_page_free, NULL), 0);
	KUNIT_EXPECT_EQ(test, kasan_shadow_reclaim(ULONG_MAX), nr);
	unregister_trace_mm_page_free(probe_page_free, NULL);
	tracepoint_synchronize_unregister();
	kunit_deactivate_static_stub(test, kasan_shadow_flush);

	KUNIT_EXPECT_EQ(test, flush_watch.flushes, 1);
	KUNIT_EXPECT_EQ(test, flush_watch.freed, nr);
	KUNIT_EXPECT_EQ(test, flush_watch.early, 0);
}

/* In the place of the flush: somebody needs a slot that reclaim has cleared. */
static void populate_in_flush(unsigned long start, unsigned long end)
{
	unsigned long space = flush_watch.space;
	unsigned long shadow = (unsigned long)kasan_mem_to_shadow((void *)space);

	if (!flush_watch.flushes++) {
		flush_watch.ret = populate(space, PAGE_SIZE, GFP_KERNEL);
	} else {
		flush_tlb_kernel_range(start, end);
		flush_watch.in_time += start == shadow &&
				       end == shadow + PAGE_SIZE &&
				       shadow_byte((void *)space) == NO_SHADOW;
	}
	flush_tlb_kernel_range(start, end);
}

/* Nothing is mapped over a pending flush: who needs the slot flushes it. */
static void populate_flushes(struct kunit *test)
{
	unsigned long space = fresh_space(), size = STRETCH;
	unsigned long slot_flushes = event(KASAN_SHADOW_SLOT_FLUSHES);

	need_store(test);
	settle();
	KUNIT_ASSERT_EQ(test, populate(space, size, GFP_KERNEL), 0);
	release(space, space + size);

	memset(&flush_watch, 0, sizeof(flush_watch));
	flush_watch.space = space + size / 2;
	kunit_activate_static_stub(test, kasan_shadow_flush, populate_in_flush);
	kasan_shadow_reclaim(ULONG_MAX);
	kunit_deactivate_static_stub(test, kasan_shadow_flush);

	KUNIT_EXPECT_EQ(test, flush_watch.ret, 0);
	KUNIT_EXPECT_EQ(test, flush_watch.flushes, 2);
	KUNIT_EXPECT_EQ(test, flush_watch.in_time, 1);
	KUNIT_EXPECT_EQ(test, event(KASAN_SHADOW_SLOT_FLUSHES), slot_flushes + 1);
	/* the page that came in between is in use, the others are gone */
	KUNIT_EXPECT_EQ(test, areas_at(space + size / 2), 1);
	KUNIT_EXPECT_EQ(test, pages_mapped(space, size), 1);

	release(space + size / 2, space + size / 2 + PAGE_SIZE);
	settle();
}

struct tlb_reader {
	unsigned long space;
	struct completion warm, gone, done;
	int before, after;
};

/* Has the translation in this CPU's TLB, and looks whether it still has. */
static int tlb_reader(void *arg)
{
	struct tlb_reader *r = arg;

	local_irq_disable();
	r->before = shadow_byte((void *)r->space);
	local_irq_enable();
	complete(&r->warm);
	/* no schedule() to another mm in between, which would flush as well */
	while (!try_wait_for_completion(&r->gone))
		cpu_relax();
	r->after = shadow_byte((void *)r->space);
	complete(&r->done);
	return 0;
}

/*
 * Another CPU has the shadow of @space in its TLB, and it says @before. After @act
 * it says @after, for that CPU as well.
 */
static void look_from_other_cpu(struct kunit *test, unsigned long space, int before, int after,
				void (*act)(const void *arg), const void *arg)
{
	struct tlb_reader r = { .space = space };
	struct task_struct *task;
	unsigned int cpu;

	migrate_disable();
	cpu = cpumask_any_but(cpu_online_mask, smp_processor_id());
	if (cpu >= nr_cpu_ids) {
		migrate_enable();
		act(arg);
		kunit_skip(test, "Test requires 2 CPUs");
	}

	init_completion(&r.warm);
	init_completion(&r.gone);
	init_completion(&r.done);
	task = kthread_create_on_cpu(tlb_reader, &r, cpu, "kasan_tlb/%u");
	if (!IS_ERR(task)) {
		wake_up_process(task);
		wait_for_completion(&r.warm);
		act(arg);
		complete(&r.gone);
		wait_for_completion(&r.done);
	}
	migrate_enable();

	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	KUNIT_EXPECT_EQ(test, r.before, before);
	KUNIT_EXPECT_EQ(test, r.after, after);
}

static void reclaim_all(const void *unused)
{
	kasan_shadow_reclaim(ULONG_MAX);
}

/* Reclaim flushes the TLBs of all CPUs, not just its own. */
static void flush_all_cpus(struct kunit *test)
{
	unsigned long space = fresh_space();

	need_store(test);
	settle();
	KUNIT_EXPECT_EQ(test, populate(space, PAGE_SIZE, GFP_KERNEL), 0);
	release(space, space + PAGE_SIZE);
	look_from_other_cpu(test, space, KASAN_VMALLOC_INVALID, NO_SHADOW, reclaim_all, NULL);
}

static void populate_one(const void *mem)
{
	populate((unsigned long)mem, PAGE_SIZE, GFP_KERNEL);
}

/* So does a populate that finds a trap. */
static void trap_flushed(struct kunit *test)
{
	unsigned long space = fresh_space(), flushes = event(KASAN_SHADOW_TRAP_FLUSHES);

	need_store(test);
	make_table(space);
	peek_shadow(shadow_of((void *)space));
	look_from_other_cpu(test, space, NO_SHADOW, KASAN_VMALLOC_INVALID, populate_one,
			    (void *)space);
	KUNIT_EXPECT_EQ(test, event(KASAN_SHADOW_TRAP_FLUSHES), flushes + 1);
	release(space, space + PAGE_SIZE);
	settle();
}

/* ------------------------------- Large areas ------------------------------ */

static void need_share(struct kunit *test)
{
	if (kasan_vmalloc_share == ULONG_MAX)
		kunit_skip(test, "Test requires CONFIG_KASAN_GENERIC=y, CONFIG_UML=n, share");
}

/* Memory that a page of shadow describes. */
#define PER	KASAN_MEMORY_PER_SHADOW_PAGE

/* So large that it shares, with a few pages of shadow between its ends. */
static size_t large_size(void)
{
	return max(PAGE_ALIGN(kasan_vmalloc_share), 4 * PER);
}

/* Pages of shadow that can be written to, that are shared, and those missing. */
struct slots {
	int own, shared, absent;
};

static struct slots count_slots(unsigned long start, unsigned long end)
{
	struct slots nr = {};
	unsigned long addr;

	for (addr = round_down(start, PER); addr < end; addr += PER) {
		if (kasan_shadow_is_own((unsigned long)shadow_of((void *)addr)))
			nr.own++;
		else if (shadow_byte((void *)addr) == NO_SHADOW)
			nr.absent++;
		else
			nr.shared++;
	}
	return nr;
}

/* How many pages of shadow lie between the ends of an area. */
static int nr_between(unsigned long addr, size_t size)
{
	return (round_down(addr + size, PER) - round_up(addr, PER)) / PER;
}

static int nr_flushes;

static void count_flush(unsigned long start, unsigned long end)
{
	nr_flushes++;
	flush_tlb_kernel_range(start, end);
}

#define EXPECT_FLUSHES(test, nr, expr) do {					\
	struct kunit *__test = (test);						\
										\
	nr_flushes = 0;								\
	kunit_activate_static_stub(__test, kasan_shadow_flush, count_flush);	\
	expr;									\
	kunit_deactivate_static_stub(__test, kasan_shadow_flush);		\
	KUNIT_EXPECT_EQ(__test, nr_flushes, nr);				\
} while (0)

/* To be found in stacks. */
static noinline void free_area(struct vm_struct *vm, void *p)
{
	if (vm)
		free_vm_area(vm);
	else
		vfree(p);
	barrier();
}

/*
 * All about one area that shares, or does not: its shadow while it lives, an
 * access after the free, and what of its shadow is left.
 */
static void expect_area(struct kunit *test, unsigned long addr, size_t size,
			unsigned long kind, bool shares)
{
	unsigned long end = addr + PAGE_ALIGN(size) + PAGE_SIZE;
	int between = shares ? nr_between(addr, size) : 0;
	struct vm_struct *vm = NULL;
	struct slots nr;
	size_t off;
	u8 *p;

	if (kind == VM_ALLOC) {
		p = vmalloc_at(addr, size);
	} else {
		vm = __get_vm_area_caller(size, kind, addr, end,
					  __builtin_return_address(0));
		p = vm ? vm->addr : NULL;
	}
	KUNIT_ASSERT_PTR_EQ(test, p, (u8 *)addr);
	OPTIMIZER_HIDE_VAR(p);
	nr = count_slots(addr, end);
	KUNIT_EXPECT_EQ(test, nr.shared, between);
	KUNIT_EXPECT_EQ(test, nr.absent, 0);

	/* each page, and to the byte where it ends */
	for (off = 0; off < size; off += PAGE_SIZE)
		check_byte(p + off);
	check_byte(p + size - 1);
	off = round_down(size - 1, PER);
	expect_shadow(test, p + off, size - off, PAGE_ALIGN(size) + PAGE_SIZE - off);
	EXPECT_REPORT(test, OOB, check_byte(p + first_bad(size)));
	EXPECT_REPORT(test, OOB, check_byte(p + PAGE_ALIGN(size)));

	EXPECT_FLUSHES(test, between ? 1 : 0, free_area(vm, p));
	nr = count_slots(addr, end);
	KUNIT_EXPECT_EQ(test, nr.shared, 0);
	KUNIT_EXPECT_EQ(test, nr.absent, between);
	EXPECT_REPORT(test, UAF, check_byte(p));
	EXPECT_REPORT(test, UAF, check_byte(p + size / 2));
	EXPECT_REPORT(test, UAF, check_byte(p + size - 1));

	EXPECT_FLUSHES(test, 0, vm_unmap_aliases());
	off = round_down(size / 2, KASAN_GRANULE_SIZE);
	EXPECT_REPORT(test, UAF, check_byte(p + off));
	expect_object(test, off, "inside", "freed", size, NULL, "free_area");
}

/* Each kind of area, below, at and above the threshold, wherever it begins. */
static void shared_kinds(struct kunit *test)
{
	static const unsigned long kinds[] = { VM_ALLOC, VM_MAP, VM_IOREMAP };
	size_t large = large_size();
	const size_t sizes[] = { large - PAGE_SIZE, large - 1, large, large + 1,
				 large + 100, large + 7 * PAGE_SIZE };
	unsigned long space;
	int i, j, page;

	need_share(test);
	need_history(test);
	space = fresh_space();
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		for (j = 0; j < ARRAY_SIZE(sizes); j++) {
			/* ioremap() aligns to the size */
			for (page = 0; page < (kinds[i] == VM_IOREMAP ? 1 : KASAN_GRANULE_SIZE);
			     page++)
				expect_area(test, space + page * PAGE_SIZE, sizes[j], kinds[i],
					    sizes[j] >= kasan_vmalloc_share);
		}
	}
	settle();
	KUNIT_EXPECT_EQ(test, pages_mapped(space, 2 * large), 0);
	expect_counts(test);
}

/* What is written to by others, or set piece by piece, has pages of its own. */
static void shared_never(struct kunit *test)
{
	size_t size = large_size() + PER;
	unsigned int i, count = size / PAGE_SIZE;
	struct page **pages;
	unsigned long space;
	struct slots nr;
	u8 *p;

	need_share(test);
	space = fresh_space();
	for (i = 0; i < 2; i++) {
		/* modules; and stacks, with any kasan_vmalloc.share */
		p = vmalloc_flags_at(space, i ? THREAD_SIZE : size, i ? 0 : VM_FLUSH_RESET_PERMS);
		KUNIT_ASSERT_NOT_NULL(test, p);
		nr = count_slots(space, space + (i ? THREAD_SIZE : size) + PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, nr.shared + nr.absent, 0);
		vfree(p);
		vm_unmap_aliases();
	}

	pages = kunit_kcalloc(test, count, sizeof(*pages), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (i = 0; i < count; i++)
		pages[i] = ZERO_PAGE(0);
	p = vm_map_ram(pages, count, NUMA_NO_NODE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	nr = count_slots((unsigned long)p, (unsigned long)p + size);
	KUNIT_EXPECT_EQ(test, nr.shared + nr.absent, 0);
	vm_unmap_ram(p, count);
	EXPECT_REPORT(test, UAF, check_byte(p + size / 2));
	settle();
}

/* Idle pages in between are given back when an area is made, for one flush. */
static void shared_idle(struct kunit *test)
{
	size_t size = large_size();
	unsigned long space, addr;
	struct slots nr;
	u8 *p;

	need_share(test);
	space = fresh_space();
	settle();
	for (addr = space; addr < space + size; addr += PER)
		vfree(vmalloc_own_at(addr, 100));
	vm_unmap_aliases();
	nr = count_slots(space, space + size);
	KUNIT_EXPECT_EQ(test, nr.own, nr_between(space, size));

	EXPECT_FLUSHES(test, 1, p = vmalloc_at(space, size));
	KUNIT_ASSERT_NOT_NULL(test, p);
	nr = count_slots(space, space + size);
	KUNIT_EXPECT_EQ(test, nr.shared, nr_between(space, size));
	expect_counts(test);
	vfree(p);
	settle();
	KUNIT_EXPECT_EQ(test, pages_mapped(space, 2 * size), 0);
}

/* Nobody can write to a shared page. */
static void shared_read_only(struct kunit *test)
{
	size_t size = 2 * large_size();
	u8 byte = 1, *p, *shadow;

	need_share(test);
	need_history(test);
	p = vmalloc(size);
	KUNIT_ASSERT_NOT_NULL(test, p);
	shadow = shadow_of(p + size / 2);
	KUNIT_EXPECT_NE(test, copy_to_kernel_nofault(shadow, &byte, 1), 0);
	KUNIT_ASSERT_PTR_EQ(test, (u8 *)vrealloc(p, 100, GFP_KERNEL), p);
	KUNIT_EXPECT_EQ(test, shadow_byte(p + size / 2), NO_SHADOW);
	EXPECT_REPORT(test, OOB, read_byte(p + size / 2));
	KUNIT_EXPECT_NE(test, copy_to_kernel_nofault(shadow, &byte, 1), 0);
	KUNIT_EXPECT_NULL(test, kasan_shadow_check_shared());
	vfree(p);
}

/*
 * Smaller and larger across pages of shadow and the threshold, which allocates
 * nothing. The end is known to the byte in the pages at the ends of the area.
 */
static void shared_vrealloc(struct kunit *test)
{
	size_t area = large_size() + 3 * PER;
	const size_t sizes[] = { area - 1, area - PER, area - PER - 13, 2 * PER + 5, PER + 1,
				 area - PAGE_SIZE, 2 * PER, 2 * PER + 8, 3 * PER - 1, 1,
				 100, area };
	unsigned long space, end;
	u8 *p, *q;
	int i;

	need_share(test);
	need_history(test);
	space = fresh_space() + 3 * PAGE_SIZE;
	p = vmalloc_at(space, area);
	KUNIT_ASSERT_NOT_NULL(test, p);
	let_fail_after(test, 0);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		bool exact;

		q = vrealloc(p, sizes[i], GFP_KERNEL);
		KUNIT_ASSERT_PTR_EQ(test, q, p);
		OPTIMIZER_HIDE_VAR(q);
		write_byte(q);
		write_byte(q + sizes[i] / 2);
		write_byte(q + sizes[i] - 1);
		end = space + sizes[i];
		exact = end < round_up(space, PER) || end >= round_down(space + area, PER);
		end = exact ? space + first_bad(sizes[i]) : round_up(end, PER);
		check_byte((u8 *)end - 1);
		EXPECT_REPORT(test, OOB, check_byte((u8 *)end));
		EXPECT_REPORT(test, OOB, check_byte(q + area));
		if (exact)
			expect_shadow(test, q, sizes[i], PAGE_ALIGN(sizes[i]));
	}
	let_succeed(test);
	vfree(p);
	EXPECT_REPORT(test, UAF, check_byte(p + 2 * PER));
	KUNIT_EXPECT_EQ(test, count_slots(space, space + area).shared, 0);
	settle();
	KUNIT_EXPECT_EQ(test, pages_mapped(space, area), 0);
	KUNIT_EXPECT_NULL(test, kasan_shadow_check_shared());
	expect_counts(test);
}

/* The report says what was done, to the byte. */
static void expect_access(struct kunit *test, const char *verb, size_t size, const void *p)
{
	KUNIT_EXPECT_STREQ(test, report.verb, verb);
	KUNIT_EXPECT_EQ(test, report.size, size);
	KUNIT_EXPECT_EQ(test, report.addr, (unsigned long)p);
}

/* Each in a page of shadow that is not there; the memory is. */
static void shared_exact(struct kunit *test)
{
	u8 *p, *q, buf[100];

	need_share(test);
	need_history(test);
	q = vmalloc(large_size() + 20 * PER);
	KUNIT_ASSERT_NOT_NULL(test, q);
	KUNIT_ASSERT_PTR_EQ(test, (u8 *)vrealloc(q, 100, GFP_KERNEL), q);
	OPTIMIZER_HIDE_VAR(q);

	/* not in the page that the area begins in */
	p = PTR_ALIGN(q + 1, PER) + 8 * KASAN_GRANULE_SIZE;
	EXPECT_REPORT(test, OOB, READ_ONCE(*(u8 *)(p + 3)));
	expect_access(test, "Read", 1, p + 3);
	p += PER;
	EXPECT_REPORT(test, OOB, READ_ONCE(*(u16 *)(p + 2)));
	expect_access(test, "Read", 2, p + 2);
	p += PER;
	EXPECT_REPORT(test, OOB, READ_ONCE(*(u32 *)(p + 4)));
	expect_access(test, "Read", 4, p + 4);
	p += PER;
	EXPECT_REPORT(test, OOB, READ_ONCE(*(long *)p));
	expect_access(test, "Read", sizeof(long), p);
	p += PER;
	EXPECT_REPORT(test, OOB, __asan_load16(p));
	expect_access(test, "Read", 16, p);
	p += PER;
	EXPECT_REPORT(test, OOB, WRITE_ONCE(*(u8 *)(p + 7), 1));
	expect_access(test, "Write", 1, p + 7);
	p += PER;
	EXPECT_REPORT(test, OOB, WRITE_ONCE(*(u32 *)p, 1));
	expect_access(test, "Write", 4, p);
	p += PER;
	EXPECT_REPORT(test, OOB, WRITE_ONCE(*(long *)p, 1));
	expect_access(test, "Write", sizeof(long), p);
	p += PER;
	EXPECT_REPORT(test, OOB, atomic_inc((atomic_t *)(p + 4)));
	expect_access(test, "Write", 4, p + 4);
	p += PER;
	/* arm's own is not checked */
	if (!IS_ENABLED(CONFIG_ARM)) {
		EXPECT_REPORT(test, OOB, set_bit(3, (unsigned long *)p));
		expect_access(test, "Write", sizeof(long), p);
	}
	p += PER;
	EXPECT_REPORT(test, OOB, __asan_memcpy(buf, p + 1, sizeof(buf)));
	expect_access(test, "Read", sizeof(buf), p + 1);
	p += PER;
	EXPECT_REPORT(test, OOB, __asan_memset(p + 5, 0, 3000));
	expect_access(test, "Write", 3000, p + 5);
	vfree(q);
}

/* No CPU can read freed memory unnoticed by what is in its TLB. */
static void shared_uaf(struct kunit *test)
{
	size_t size = large_size();
	unsigned long space;
	void *p;

	need_share(test);
	space = fresh_space();
	p = vmalloc_at(space, size);
	KUNIT_ASSERT_NOT_NULL(test, p);
	look_from_other_cpu(test, space + size / 2, 0, NO_SHADOW, vfree, p);
}

/* Each allocation of a populate fails once: it holds nothing afterwards. */
static void shared_fails(struct kunit *test)
{
	size_t size = large_size() + 2 * PER;
	unsigned long start;
	void *p;
	int n;

	need_share(test);
	fresh_space();
	/* begins in one table, ends in the next */
	start = fresh_space() - 2 * PER + PAGE_SIZE;
	n = fail_each(test, vmalloc_at, start, size, &p);
	/* the pages at both ends, and tables, which stay once they are there */
	KUNIT_EXPECT_GE(test, n, 2);
	vfree(p);
	settle();
	KUNIT_EXPECT_EQ(test, pages_mapped(start, size), 0);
	expect_counts(test);
}

static struct vm_struct pending_vm;
static struct vmap_area pending_va;

/* In the place of reclaim's flush: a large area comes in between. */
static void share_in_flush(unsigned long start, unsigned long end)
{
	if (!flush_watch.flushes++) {
		flush_watch.ret = kasan_populate_vmalloc(&pending_va, GFP_KERNEL);
	} else {
		u8 *middle = pending_vm.addr + pending_vm.requested_size / 2;

		/* or the look would find an old translation */
		flush_tlb_kernel_range(start, end);
		flush_watch.in_time += start <= (unsigned long)shadow_of(middle) &&
				       shadow_byte(middle) == NO_SHADOW;
	}
	flush_tlb_kernel_range(start, end);
}

/* No shared page is mapped over a pending flush either. */
static void shared_pending(struct kunit *test)
{
	size_t size = large_size();
	unsigned long space;

	need_share(test);
	space = fresh_space();
	settle();
	vfree(vmalloc_own_at(space, size));
	vm_unmap_aliases();

	memset(&flush_watch, 0, sizeof(flush_watch));
	flush_watch.space = space;
	memset(&pending_vm, 0, sizeof(pending_vm));
	pending_vm.addr = (void *)space;
	pending_vm.requested_size = size;
	pending_va = (struct vmap_area){
		.va_start = space, .va_end = space + size + PAGE_SIZE, .vm = &pending_vm,
	};
	kunit_activate_static_stub(test, kasan_shadow_flush, share_in_flush);
	kasan_shadow_reclaim(ULONG_MAX);
	kunit_deactivate_static_stub(test, kasan_shadow_flush);

	KUNIT_EXPECT_EQ(test, flush_watch.ret, 0);
	/* reclaim's, the slot of the guard page, what lies between the ends */
	KUNIT_EXPECT_EQ(test, flush_watch.flushes, 3);
	KUNIT_EXPECT_GE(test, flush_watch.in_time, 1);
	kasan_release_vmalloc(&pending_va);
	settle();
	KUNIT_EXPECT_EQ(test, pages_mapped(space, 2 * size), 0);
}

/* All of a sparse area reads as accessible, for a few pages of memory. */
static void sparse_area(struct kunit *test, unsigned long space, size_t size, bool shares,
			unsigned long table)
{
	struct vm_struct *vm;
	unsigned long off;
	u8 *p;

	gfp_watch.task = current;
	gfp_watch.allocs = 0;
	KUNIT_ASSERT_EQ(test, register_trace_mm_page_alloc(probe_page_alloc, NULL), 0);
	vm = __get_vm_area_caller(size, VM_SPARSE, space, space + size + PAGE_SIZE,
				  __builtin_return_address(0));
	unregister_trace_mm_page_alloc(probe_page_alloc, NULL);
	tracepoint_synchronize_unregister();
	KUNIT_ASSERT_NOT_NULL(test, vm);
	p = vm->addr;
	OPTIMIZER_HIDE_VAR(p);
	kunit_info(test, "%zu MiB take %d pages", size / SZ_1M, gfp_watch.allocs);
	if (shares && IS_ENABLED(CONFIG_64BIT) && PAGE_SIZE == SZ_4K && !IS_ENABLED(CONFIG_S390))
		KUNIT_EXPECT_LE(test, gfp_watch.allocs, 16);
	for (off = 0; off < size; off += SZ_1M - PAGE_SIZE)
		check_byte(p + off);
	check_byte(p + size / 2);
	check_byte(p + size - 1);
	EXPECT_REPORT(test, OOB, check_byte(p + size));

	EXPECT_FLUSHES(test, shares ? 1 : 0, free_vm_area(vm));
	if (!shares)
		return;
	for (off = PER; off < size - PER; off += SZ_1M - PAGE_SIZE)
		KUNIT_EXPECT_EQ(test, shadow_byte((void *)space + off), NO_SHADOW);
	if (table)
		EXPECT_REPORT(test, UAF, check_byte((u8 *)table));
}

/* What is in its place before and after has shadow of its own. */
static void sparse(struct kunit *test)
{
	bool shares = kasan_vmalloc_share != ULONG_MAX;
	size_t size = shares ? min_t(u64, SZ_4G, VMALLOC_TOTAL / 8) : SZ_1M;
	unsigned long space = round_up(VMALLOC_START + VMALLOC_TOTAL / 4 * 3, PMD_SIZE), off;
	u8 *p;

	need_store(test);
	need_history(test);
	sparse_area(test, space, size, shares, 0);
	settle();

	p = vmalloc_at(space + size / 2, 100);
	KUNIT_ASSERT_NOT_NULL(test, p);
	vfree(p);
	settle();
	sparse_area(test, space, size, shares, space + size / 2);
	settle();

	for (off = 0; off < size; off += size / 4) {
		size_t some = off && shares ? large_size() : 100;

		p = vmalloc_at(space + off, some);
		KUNIT_ASSERT_NOT_NULL(test, p);
		expect_shadow(test, p, some, PAGE_ALIGN(some) + PAGE_SIZE);
		vfree(p);
		EXPECT_REPORT(test, UAF, check_byte(p + some / 2));
	}
	settle();
	expect_counts(test);
	KUNIT_EXPECT_NULL(test, kasan_shadow_check_shared());
}

/* ------------------------------- Concurrency ------------------------------ */

#define NR_ROUNDS	2000
#define CHURN_SPACE	(512 * KASAN_MEMORY_PER_SHADOW_PAGE)

struct worker {
	struct task_struct *task;
	struct completion done;
	struct stack_look look;
	unsigned long space, size;
	u32 seed;
	int failed;		/* allocations */
	int wrong;		/* shadow that was not as it should be */
};

static int churn(void *arg)
{
	struct worker *w = arg;
	struct rnd_state rnd;
	void *held[8] = {};
	size_t size[8];
	int i, n;

	prandom_seed_state(&rnd, w->seed);
	for (i = 0; i < NR_ROUNDS; i++) {
		n = prandom_u32_state(&rnd) % ARRAY_SIZE(held);
		if (held[n]) {
			w->wrong += !!kasan_shadow_find_other(shadow_of(held[n]),
							      get_tag(held[n]),
							      size[n] >> KASAN_SHADOW_SCALE_SHIFT);
			memset(held[n], i, size[n]);
			vfree(held[n]);
		}
		size[n] = (1 + prandom_u32_state(&rnd) % 8) * PAGE_SIZE;
		/* now and then one that shares */
		if (w->seed == 1 && i % 64 == 0)
			size[n] = SZ_1M;
		held[n] = __vmalloc_node_range(size[n], 1, w->space,
					       w->space + CHURN_SPACE, GFP_KERNEL,
					       PAGE_KERNEL, 0, NUMA_NO_NODE,
					       __builtin_return_address(0));
		w->failed += !held[n];
		if (held[n])
			memset(held[n], i, size[n]);
		cond_resched();
	}
	for (n = 0; n < ARRAY_SIZE(held); n++)
		vfree(held[n]);
	complete(&w->done);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

static int purge_and_reclaim(void *arg)
{
	while (!kthread_should_stop()) {
		vm_unmap_aliases();
		kasan_shadow_reclaim(ULONG_MAX);
		cond_resched();
	}
	return 0;
}

/* Looks at all shadow of churn(), whatever is there: sets traps. */
static int wild_reader(void *arg)
{
	struct worker *w = arg;
	struct rnd_state rnd;
	unsigned int n = 0;
	u8 byte;

	prandom_seed_state(&rnd, w->seed);
	while (!kthread_should_stop()) {
		unsigned long off = prandom_u32_state(&rnd) % w->size;

		if (n++ % 2)
			local_irq_disable();
		byte = peek_shadow(shadow_of((void *)w->space + off));
		if (irqs_disabled())
			local_irq_enable();
		w->wrong += IS_ENABLED(CONFIG_KASAN_GENERIC) && byte &&
			    byte != KASAN_VMALLOC_ABSENT && byte != KASAN_VMALLOC_FREE &&
			    byte != KASAN_VMALLOC_INVALID;
		/* leave the CPU to those whom it is about */
		if (!(n % 64))
			schedule_timeout_interruptible(1);
	}
	return 0;
}

static void start_wild(struct kunit *test, struct worker *wild, int nr,
		       unsigned long space, unsigned long size)
{
	int i;

	for (i = 0; i < nr; i++) {
		wild[i].space = space;
		wild[i].size = size;
		wild[i].seed = 100 + i;
		wild[i].task = kthread_run(wild_reader, &wild[i], "kasan_wild/%d", i);
		KUNIT_EXPECT_FALSE(test, IS_ERR(wild[i].task));
	}
}

static void stop_wild(struct kunit *test, struct worker *wild, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		if (!IS_ERR(wild[i].task)) {
			kthread_stop(wild[i].task);
			KUNIT_EXPECT_EQ(test, wild[i].wrong, 0);
		}
}

/*
 * A thread for each CPU allocates, touches and frees areas that share pages of
 * shadow, while another purges and reclaims, and two read where there is nothing:
 * no report, no byte lost, and the counts balance.
 */
static void churn_and_reclaim(struct kunit *test)
{
	int nr = max(2, num_online_cpus()), i;
	unsigned long space = fresh_space();
	struct kasan_shadow_stats before, after;
	struct worker *workers, wild[2] = {};
	struct task_struct *reclaimer;

	need_store(test);

	workers = kunit_kcalloc(test, nr, sizeof(*workers), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, workers);
	make_table(space);
	before = settle();
	start_wild(test, wild, ARRAY_SIZE(wild), space, CHURN_SPACE);

	reclaimer = kthread_run(purge_and_reclaim, NULL, "kasan_reclaim");
	KUNIT_ASSERT_FALSE(test, IS_ERR(reclaimer));
	for (i = 0; i < nr; i++) {
		init_completion(&workers[i].done);
		workers[i].space = space;
		workers[i].seed = i + 1;
		workers[i].task = kthread_run(churn, &workers[i], "kasan_churn/%d", i);
	}
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_FALSE(test, IS_ERR(workers[i].task));
		if (IS_ERR(workers[i].task))
			continue;
		wait_for_completion(&workers[i].done);
		kthread_stop(workers[i].task);
		KUNIT_EXPECT_EQ(test, workers[i].failed, 0);
		KUNIT_EXPECT_EQ(test, workers[i].wrong, 0);
	}
	kthread_stop(reclaimer);
	stop_wild(test, wild, ARRAY_SIZE(wild));

	after = settle();
	kunit_info(test, "%d threads: %lu pages populated, %lu revived, %lu reclaimed in %lu batches, %lu slots flushed, %lu traps",
		   nr, diff(&before, &after, KASAN_SHADOW_POPULATED),
		   diff(&before, &after, KASAN_SHADOW_REVIVED),
		   diff(&before, &after, KASAN_SHADOW_RECLAIMED),
		   diff(&before, &after, KASAN_SHADOW_FLUSHES),
		   diff(&before, &after, KASAN_SHADOW_SLOT_FLUSHES),
		   diff(&before, &after, KASAN_SHADOW_TRAPS));
	KUNIT_EXPECT_GT(test, diff(&before, &after, KASAN_SHADOW_RECLAIMED), 0);
	KUNIT_EXPECT_GT(test, diff(&before, &after, KASAN_SHADOW_TRAPS), 100);
	KUNIT_EXPECT_EQ(test, pages_mapped(space, CHURN_SPACE), 0);
	expect_counts(test);
}

/* What becomes of a page between the load of its PTE and the second look. */
enum { FREED, TAKEN, MAPPED_LIVE, MAPPED_IDLE, MAPPED_LATER, NR_FATES };

static struct {
	int fate;
	bool armed;			/* the next step meets it */
	unsigned long space, other;	/* where the page was, where it comes */
	struct page *page;
	struct page *taken[8];
	int met;
} fate;

static struct page *shadow_page(unsigned long mem)
{
	pte_t *pte = virt_to_kpte((unsigned long)kasan_mem_to_shadow((void *)mem));

	return pte && !pte_none(ptep_get(pte)) ? pte_page(ptep_get(pte)) : NULL;
}

static struct page *page_of_fate(gfp_t gfp)
{
	kunit_deactivate_static_stub(current->kunit_test, kasan_shadow_alloc_page);
	return fate.page;
}

/* The last page that was freed on this CPU is the next to be allocated, nearly always. */
static bool take_page(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(fate.taken); i++) {
		fate.taken[i] = alloc_page(GFP_KERNEL);
		if (fate.taken[i] == fate.page)
			return true;
	}
	return false;
}

static void map_page(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(fate.taken); i++)
		if (fate.taken[i] == fate.page)
			fate.taken[i] = NULL;
	memset(page_address(fate.page), KASAN_VMALLOC_INVALID, PAGE_SIZE);
	kunit_activate_static_stub(test, kasan_shadow_alloc_page, page_of_fate);
	populate(fate.other, PAGE_SIZE, GFP_KERNEL);
}

/* The page is reclaimed after its PTE was read. Is it used for something else? */
static bool lose_page(struct kunit *test)
{
	kasan_shadow_reclaim(ULONG_MAX);
	if (fate.fate == FREED || !take_page())
		return false;
	fate.met++;
	if (fate.fate == MAPPED_LIVE || fate.fate == MAPPED_IDLE)
		map_page(test);
	if (fate.fate == MAPPED_IDLE)
		release(fate.other, fate.other + PAGE_SIZE);
	return true;
}

/* In the place of a step: what another CPU could do in between. */
static void meet_fate(enum kasan_shadow_step step)
{
	struct kunit *test = current->kunit_test;
	unsigned long end = fate.other + PAGE_SIZE;
	bool used;

	if (!fate.armed)
		return;
	fate.armed = false;
	if (step == KASAN_SHADOW_GET_LOADED && !fate.page) {
		fate.page = shadow_page(fate.space);
		/* Another CPU may sleep here, this one is in shadow_get(). */
		rcu_read_unlock();
		used = lose_page(test);
		rcu_read_lock();
		if (!used)
			return;
	} else if (step == KASAN_SHADOW_GET_COUNTED) {
		if (fate.fate == MAPPED_LIVE)
			release(fate.other, end);
		if (fate.fate == MAPPED_IDLE)
			populate(fate.other, PAGE_SIZE, GFP_KERNEL);
		if (fate.fate == MAPPED_LATER) {
			map_page(test);
			release(fate.other, end);
		}
		return;
	}
	fate.armed = true;
}

/*
 * A page that is counted on and turns out to be gone, whatever has become of
 * it: nothing is lost, and the counts are as if nothing had happened.
 */
static void page_gone(struct kunit *test)
{
	static const int rounds = 1000;
	struct kasan_shadow_stats before, after;
	int round, i;

	need_store(test);
	if (!IS_ENABLED(CONFIG_KASAN_VMALLOC_DELAY))
		kunit_skip(test, "Test requires CONFIG_KASAN_VMALLOC_DELAY=y");

	fate.space = fresh_space();
	fate.other = fate.space + STRETCH;
	/* so that there are tables */
	for (i = 0; i < 2; i++) {
		unsigned long space = i ? fate.other : fate.space;

		KUNIT_ASSERT_EQ(test, populate(space, PAGE_SIZE, GFP_KERNEL), 0);
		release(space, space + PAGE_SIZE);
	}

	kunit_activate_static_stub(test, kasan_shadow_step, meet_fate);
	for (fate.fate = 0; fate.fate < NR_FATES; fate.fate++) {
		fate.met = 0;
		before = settle();
		for (round = 0; round < rounds; round++) {
			/* idle */
			populate(fate.space, PAGE_SIZE, GFP_KERNEL);
			release(fate.space, fate.space + PAGE_SIZE);

			fate.page = NULL;
			memset(fate.taken, 0, sizeof(fate.taken));
			fate.armed = true;
			KUNIT_EXPECT_EQ(test, populate(fate.space, PAGE_SIZE, GFP_KERNEL), 0);
			fate.armed = false;
			if (fate.fate == MAPPED_IDLE && areas_at(fate.other) == 1)
				release(fate.other, fate.other + PAGE_SIZE);
			release(fate.space, fate.space + PAGE_SIZE);
			for (i = 0; i < ARRAY_SIZE(fate.taken); i++)
				if (fate.taken[i])
					__free_page(fate.taken[i]);
			cond_resched();
		}
		expect_counts(test);
		after = settle();
		expect_counts(test);
		/* now and then the page went to another CPU, or somebody came */
		if (fate.fate == FREED) {
			KUNIT_EXPECT_GE(test, diff(&before, &after, KASAN_SHADOW_FROZEN),
					rounds / 2);
			continue;
		}
		KUNIT_EXPECT_GE(test, fate.met, rounds / 2);
		KUNIT_EXPECT_GE(test, diff(&before, &after, KASAN_SHADOW_RECHECKED), fate.met);
	}
}

#ifdef CONFIG_HUGETLB_PAGE_OPTIMIZE_VMEMMAP
/* A struct page that is a read-only copy of the head of a huge page. */
static struct page *find_fake_head(void)
{
	unsigned long pfn, nr = PAGE_SIZE / sizeof(struct page);

	for (pfn = 0; pfn < max_pfn; pfn += nr) {
		struct page *page = pfn_to_online_page(pfn);

		if (page && page_is_fake_head(page) && folio_test_hugetlb(page_folio(page)))
			return page;
	}
	return NULL;
}

static pte_t *fake_slot;

/* Between the load of the PTE and the second look it is gone. */
static void lose_fake_head(enum kasan_shadow_step step)
{
	if (step == KASAN_SHADOW_GET_LOADED && fake_slot) {
		ptep_get_and_clear(&init_mm, (unsigned long)shadow_of((void *)fate.space),
				   fake_slot);
		fake_slot = NULL;
	}
}

/*
 * The page that a PTE named may have become part of a huge page, whose struct
 * pages are read-only: its count must not be touched.
 */
static void fake_head(struct kunit *test)
{
	struct page *page = find_fake_head();
	unsigned long addr;

	need_store(test);
	if (!IS_ENABLED(CONFIG_KASAN_VMALLOC_DELAY))
		kunit_skip(test, "Test requires CONFIG_KASAN_VMALLOC_DELAY=y");
	if (!page)
		kunit_skip(test, "Test requires hugepages=1 hugetlb_free_vmemmap=on");

	fate.space = fresh_space();
	addr = (unsigned long)shadow_of((void *)fate.space);
	fake_slot = kasan_shadow_alloc_slot(addr, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fake_slot);
	set_pte_at(&init_mm, addr, fake_slot, pfn_pte(page_to_pfn(page), PAGE_KERNEL_RO));

	kunit_activate_static_stub(test, kasan_shadow_step, lose_fake_head);
	KUNIT_EXPECT_EQ(test, populate(fate.space, PAGE_SIZE, GFP_KERNEL), 0);
	kunit_deactivate_static_stub(test, kasan_shadow_step);
	KUNIT_EXPECT_EQ(test, areas_at(fate.space), 1);
	release(fate.space, fate.space + PAGE_SIZE);
	settle();
}
#else
static void fake_head(struct kunit *test)
{
	kunit_skip(test, "Test requires CONFIG_HUGETLB_PAGE_OPTIMIZE_VMEMMAP=y");
}
#endif

/*
 * The shrinker does not wait for a reclaim that is running: that would be a wait
 * of every task that allocates, and here for ever.
 */
static void shrink_in_flush(unsigned long start, unsigned long end)
{
	struct kasan_shadow_stats before = read_stats();

	kunit_deactivate_static_stub(current->kunit_test, kasan_shadow_flush);
	KUNIT_EXPECT_GT(current->kunit_test, before.idle, 0);
	drop_slab();
	KUNIT_EXPECT_EQ(current->kunit_test, event(KASAN_SHADOW_FLUSHES),
			before.events[KASAN_SHADOW_FLUSHES]);
	flush_tlb_kernel_range(start, end);
}

static void shrinker_does_not_wait(struct kunit *test)
{
	unsigned long space = fresh_space();
	unsigned long space2 = fresh_space();
	unsigned long size = 300 * KASAN_MEMORY_PER_SHADOW_PAGE;

	need_store(test);
	/* more than a batch, or nothing is left for the shrinker */
	KUNIT_ASSERT_EQ(test, populate(space, size, GFP_KERNEL), 0);
	KUNIT_ASSERT_EQ(test, populate(space2, size, GFP_KERNEL), 0);
	release(space, space + size);
	release(space2, space2 + size);
	kunit_activate_static_stub(test, kasan_shadow_flush, shrink_in_flush);
	KUNIT_EXPECT_GT(test, kasan_shadow_reclaim(ULONG_MAX), 0);
}

/*
 * So often each way to lose a race is taken, or the test gives up. A page that
 * is gone again before it is looked at is rare; page_gone() plays that through.
 */
#define PROVOKED	500
#define PROVOKED_GONE	10
/* KUnit gives up after 300 s; four emulated CPUs on a busy host take 100. */
#define PROVOKE_TIME	(250 * HZ)
#define PROVOKE_US	1000

/* Fewer pages than there are hands, so that most are soon wanted again. */
#define PROVOKERS	12
#define PROVOKE_PAGES	8
#define PROVOKE_SPACE	(PROVOKE_PAGES * KASAN_MEMORY_PER_SHADOW_PAGE)

/*
 * Gets shadow of one page or several for its share of each, and puts it. The
 * share has to be poison when it comes and what was written when it goes.
 */
static int provoke(void *arg)
{
	struct worker *w = arg;
	const unsigned long step = KASAN_MEMORY_PER_SHADOW_PAGE;
	const unsigned long share = step / 32;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, w->seed);
	while (!kthread_should_stop()) {
		unsigned long first = prandom_u32_state(&rnd) % (PROVOKE_PAGES - 1);
		unsigned long last = first + prandom_u32_state(&rnd) % 2;
		unsigned long start = (unsigned long)shadow_of((void *)w->space +
							       first * step);
		unsigned long end = start + (last + 1 - first) * PAGE_SIZE;
		void *mem = (void *)(w->space + w->seed * share);
		unsigned long i;

		if (kasan_shadow_get(start, end, GFP_KERNEL)) {
			w->failed++;
			continue;
		}
		for (i = first; i <= last; i++) {
			w->wrong += !all_poison(mem + i * step, share);
			kasan_unpoison_vmalloc(mem + i * step, share,
					       KASAN_VMALLOC_PROT_NORMAL |
					       KASAN_VMALLOC_KEEP_TAG);
		}
		cond_resched();
		for (i = first; i <= last; i++) {
			w->wrong += !!kasan_shadow_find_other(shadow_of(mem + i * step),
							      get_tag(mem),
							      share >> KASAN_SHADOW_SCALE_SHIFT);
			kasan_redzone_vmalloc(mem + i * step, share);
		}
		kasan_shadow_put(start, end, false);
		cond_resched();
	}
	return 0;
}

/* Gives pages back and has them be somebody else's at once. */
static int reclaim_and_use(void *arg)
{
	struct page *used[8] = {};
	int i;

	while (!kthread_should_stop()) {
		kasan_shadow_reclaim(ULONG_MAX);
		for (i = 0; i < ARRAY_SIZE(used); i++)
			used[i] = alloc_page(GFP_KERNEL);
		cond_resched();
		for (i = 0; i < ARRAY_SIZE(used); i++)
			if (used[i])
				__free_page(used[i]);
	}
	return 0;
}

/*
 * With CPUs held up between the steps, populate runs into pages that are
 * frozen, that are gone and somebody else's, and that wait for a flush.
 */
static void provoked(struct kunit *test)
{
	unsigned long space = fresh_space(), end;
	struct kasan_shadow_stats before, after;
	struct worker *workers, wild[2] = {};
	struct task_struct *reclaimer;
	/* One CPU does nothing else while it looks at a page under RCU. */
	bool alone = num_online_cpus() == 1 && !IS_ENABLED(CONFIG_PREEMPT_RCU);
	unsigned long frozen = alone ? 0 : PROVOKED, gone = alone ? 0 : PROVOKED_GONE;
	int i;

	need_store(test);
	if (!IS_ENABLED(CONFIG_KASAN_VMALLOC_DELAY))
		kunit_skip(test, "Test requires CONFIG_KASAN_VMALLOC_DELAY=y");

	workers = kunit_kcalloc(test, PROVOKERS, sizeof(*workers), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, workers);
	make_table(space);
	before = settle();

	kasan_shadow_set_delay(PROVOKE_US);
	start_wild(test, wild, ARRAY_SIZE(wild), space, PROVOKE_SPACE);
	reclaimer = kthread_run(reclaim_and_use, NULL, "kasan_reclaim");
	for (i = 0; i < PROVOKERS; i++) {
		workers[i].space = space;
		workers[i].seed = i;	/* and which share is its */
		workers[i].task = kthread_run(provoke, &workers[i], "kasan_provoke/%d", i);
	}

	end = jiffies + PROVOKE_TIME;
	do {
		schedule_timeout_uninterruptible(HZ / 10);
		after = read_stats();
	} while (time_before(jiffies, end) &&
		 (diff(&before, &after, KASAN_SHADOW_FROZEN) < frozen ||
		  diff(&before, &after, KASAN_SHADOW_RECHECKED) < gone ||
		  diff(&before, &after, KASAN_SHADOW_SLOT_FLUSHES) < PROVOKED));

	for (i = 0; i < PROVOKERS; i++) {
		KUNIT_EXPECT_FALSE(test, IS_ERR(workers[i].task));
		if (IS_ERR(workers[i].task))
			continue;
		kthread_stop(workers[i].task);
		KUNIT_EXPECT_EQ(test, workers[i].failed, 0);
		KUNIT_EXPECT_EQ(test, workers[i].wrong, 0);
	}
	KUNIT_EXPECT_FALSE(test, IS_ERR(reclaimer));
	if (!IS_ERR(reclaimer))
		kthread_stop(reclaimer);
	stop_wild(test, wild, ARRAY_SIZE(wild));
	kasan_shadow_set_delay(0);

	after = settle();
	kunit_info(test, "%lu times frozen, %lu gone, %lu slots flushed; %lu pages populated, %lu reclaimed, %u ms",
		   diff(&before, &after, KASAN_SHADOW_FROZEN),
		   diff(&before, &after, KASAN_SHADOW_RECHECKED),
		   diff(&before, &after, KASAN_SHADOW_SLOT_FLUSHES),
		   diff(&before, &after, KASAN_SHADOW_POPULATED),
		   diff(&before, &after, KASAN_SHADOW_RECLAIMED),
		   jiffies_to_msecs(jiffies - (end - PROVOKE_TIME)));
	KUNIT_EXPECT_GE(test, diff(&before, &after, KASAN_SHADOW_FROZEN), frozen);
	KUNIT_EXPECT_GE(test, diff(&before, &after, KASAN_SHADOW_RECHECKED), gone);
	KUNIT_EXPECT_GE(test, diff(&before, &after, KASAN_SHADOW_SLOT_FLUSHES), PROVOKED);
	KUNIT_EXPECT_EQ(test, pages_mapped(space, PROVOKE_SPACE), 0);
	expect_counts(test);
}

/* ----------------------- Reports of whatever address ----------------------- */

enum { NR_SAMPLES = 50 };

/* Memory of each kind, that the test knows all of. */
enum sample_kind {
	SAMPLE_VMALLOC, SAMPLE_LARGE, SAMPLE_DEVICE, SAMPLE_SPARSE, SAMPLE_MODULE,
	SAMPLE_RAM, SAMPLE_RAM_AREA, SAMPLE_PERCPU,
	NR_SAMPLE_KINDS
};

struct sample {
	enum sample_kind kind;
	unsigned long start;		/* of per-cpu memory that of no CPU */
	size_t size;
	struct vm_struct *vm;
	bool freed;
};

static struct page *sample_pages[65];

/* @addr: space that nobody else uses. */
static bool make_sample(struct sample *s, enum sample_kind kind, unsigned long addr,
			struct rnd_state *rnd)
{
	size_t size = 1 + prandom_u32_state(rnd) % (3 * PAGE_SIZE);
	void *p = NULL;

	s->vm = NULL;
	switch (kind) {
	case SAMPLE_VMALLOC:
		p = vmalloc_at(addr, size);
		break;
	case SAMPLE_LARGE:
	case SAMPLE_DEVICE:
	case SAMPLE_SPARSE:
		if (kind == SAMPLE_LARGE)
			size += SZ_1M;
		size = PAGE_ALIGN(size);
		s->vm = __get_vm_area_caller(size, kind == SAMPLE_DEVICE ? VM_IOREMAP :
					     kind == SAMPLE_SPARSE ? VM_SPARSE : VM_MAP,
					     addr, addr + size + PAGE_SIZE, (void *)_THIS_IP_);
		p = s->vm ? s->vm->addr : NULL;
		break;
	case SAMPLE_MODULE:
		p = execmem_alloc(EXECMEM_MODULE_DATA, size);
		break;
	case SAMPLE_RAM:
		size = PAGE_ALIGN(size);
		p = vm_map_ram(sample_pages, size >> PAGE_SHIFT, NUMA_NO_NODE);
		break;
	case SAMPLE_RAM_AREA:
		size = 65 * PAGE_SIZE;
		p = vm_map_ram(sample_pages, 65, NUMA_NO_NODE);
		break;
	default:
		size = 1 + size % 200;
		p = (void __force *)__alloc_percpu(size, 8);
		break;
	}
	s->kind = kind;
	s->start = (unsigned long)p;
	s->size = size;
	s->freed = false;
	return p;
}

static void free_sample(struct sample *s)
{
	void *p = (void *)s->start;

	if (s->freed)
		return;
	s->freed = true;
	if (s->vm)
		free_vm_area(s->vm);
	else if (s->kind == SAMPLE_MODULE)
		execmem_free(p);
	else if (s->kind == SAMPLE_RAM || s->kind == SAMPLE_RAM_AREA)
		vm_unmap_ram(p, s->size >> PAGE_SHIFT);
	else if (s->kind == SAMPLE_PERCPU)
		free_percpu((void __percpu *)p);
	else
		vfree(p);
}

static bool bad_stack(depot_stack_handle_t handle)
{
	unsigned long *entries;

	return handle && (!stack_depot_fetch(handle, &entries) ||
			  !__kernel_text_address(entries[0]));
}

/* What cannot be, whatever others do meanwhile. */
static const char *find_nonsense(unsigned long addr)
{
	struct kasan_vmalloc_found f;
	struct kasan_vmalloc_object *obj = &f.obj;
	struct page *page;

	switch (kasan_vmalloc_find(&f, addr)) {
	case KASAN_VMALLOC_IN_OBJECT:
		if (!obj->size || !is_vmalloc_or_module_addr((void *)obj->start))
			return "no object";
		if (addr + SZ_4M < obj->start || addr > obj->start + obj->size + SZ_4M)
			return "not near";
		if (bad_stack(obj->alloc.stack) || bad_stack(obj->free.stack) ||
		    bad_stack(obj->aux[0]) || bad_stack(obj->aux[1]))
			return "no stack";
		if (obj->kind > KASAN_VMALLOC_PERCPU ||
		    (obj->kind == KASAN_VMALLOC_PERCPU && !cpu_possible(f.cpu)))
			return "no kind";
		break;
	case KASAN_VMALLOC_IN_PERCPU:
		if (!cpu_possible(f.cpu))
			return "no CPU";
		break;
	default:
		break;
	}
	page = kasan_vmalloc_to_page((void *)addr);
	return page && !pfn_to_online_page(page_to_pfn(page)) ? "no page" : NULL;
}

static unsigned int judged[NR_SAMPLE_KINDS];

/* What is said of a byte of a sample; @forgotten: its record is gone. */
static void check_sample(struct kunit *test, const struct sample *s, long off, bool forgotten,
			 bool alone)
{
	int cpu = s->kind == SAMPLE_PERCPU ? cpumask_any_but(cpu_possible_mask, off & 1) : -1;
	struct kasan_vmalloc_found f;
	enum kasan_vmalloc_place place;
	unsigned long start = s->start;
	bool part = s->kind >= SAMPLE_RAM;
	const char *nonsense;

	if (s->kind == SAMPLE_PERCPU) {
		if (cpu >= nr_cpu_ids)
			cpu = 0;
		start = (unsigned long)per_cpu_ptr((u8 __percpu *)start, cpu);
	}
	nonsense = find_nonsense(start + off);
	KUNIT_EXPECT_NULL_MSG(test, nonsense, "%s: kind %d, byte %ld of %zu",
			      nonsense, s->kind, off, s->size);
	if (off < 0 || off >= s->size || !is_vmalloc_or_module_addr((void *)start))
		return;
	judged[s->kind]++;

	place = kasan_vmalloc_find(&f, start + off);
	if (s->freed && forgotten) {
		KUNIT_EXPECT_FALSE_MSG(test, alone && place == KASAN_VMALLOC_IN_OBJECT &&
				       start + off - f.obj.start < f.obj.size,
				       "kind %d, byte %ld of %zu: %lx", s->kind, off, s->size,
				       f.obj.start);
		return;
	}
	if (s->kind == SAMPLE_PERCPU && (forgotten || !alone) &&
	    place == KASAN_VMALLOC_IN_PERCPU) {
		KUNIT_EXPECT_EQ(test, f.cpu, cpu);
		return;
	}
	/* Others may have it by now, or have pushed its record out. */
	if (s->freed && !alone)
		return;
	if (place == KASAN_VMALLOC_IN_OBJECT && f.obj.start == start &&
	    f.obj.size == s->size && f.obj.freed == s->freed &&
	    ((forgotten && part) || !alone || f.obj.alloc.stack))
		return;
	KUNIT_FAIL(test, "kind %d%s%s, byte %ld of %zu at %lx: place %d, %s %lu at %lx, alloc %x",
		   s->kind, s->freed ? " freed" : "", forgotten ? " forgotten" : "", off,
		   s->size, start, place, f.obj.freed ? "freed" : "live", f.obj.size,
		   f.obj.start, f.obj.alloc.stack);
}

static void check_samples(struct kunit *test, const struct sample *samples, int nr,
			  bool forgotten)
{
	int i, k;

	for (i = 0; i < nr; i++) {
		long size = samples[i].size;
		long offs[] = {
			0, 1, size / 2, size - 1, size, size + 1, -1, -8,
			size + PAGE_SIZE - 1, -(long)PAGE_SIZE, size + SZ_64K,
		};

		for (k = 0; k < ARRAY_SIZE(offs); k++)
			check_sample(test, &samples[i], offs[k], forgotten, true);
		cond_resched();
	}
}

/* Samples of half of the kinds, live and freed, with their records or without. */
static void check_state(struct kunit *test, struct sample *samples, int nr, int kind,
			bool forgotten, unsigned long space, struct rnd_state *rnd)
{
	int i;

	kasan_vmalloc_forget();
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_TRUE(test, make_sample(&samples[i], kind + i % (NR_SAMPLE_KINDS / 2),
						    space + i * SZ_2M, rnd));
	if (forgotten)
		kasan_vmalloc_forget();
	check_samples(test, samples, nr, forgotten);
	for (i = 0; i < nr; i++)
		free_sample(&samples[i]);
	if (forgotten)
		kasan_vmalloc_forget();
	check_samples(test, samples, nr, forgotten);
}

/* Allocates and frees memory of all kinds, with threads, purges and reclaim between. */
static int disturb(void *arg)
{
	struct sample samples[8] = {};
	struct worker *w = arg;
	struct task_struct *task;
	struct rnd_state rnd;
	int i, n = 0;

	prandom_seed_state(&rnd, w->seed);
	for (i = 0; i < ARRAY_SIZE(samples); i++)
		samples[i].freed = true;
	while (!kthread_should_stop()) {
		struct sample *s = &samples[n++ % ARRAY_SIZE(samples)];
		int kind = prandom_u32_state(&rnd) % NR_SAMPLE_KINDS;

		free_sample(s);
		/* of those with a place of their own there is one for each */
		if (!make_sample(s, kind, w->space + (s - samples) * SZ_2M, &rnd))
			s->freed = true;
		if (n % 64 == 0)
			vm_unmap_aliases();
		if (n % 128 == 0)
			kasan_shadow_reclaim(100);
		if (n % 16 == 0) {
			task = kthread_run(look_at_stack, &w->look, "kasan_stack");
			if (!IS_ERR(task))
				wait_for_completion(&w->look.done);
		}
		usleep_range(200, 400);
	}
	for (i = 0; i < ARRAY_SIZE(samples); i++)
		free_sample(&samples[i]);
	return 0;
}

static unsigned long random_addr(struct rnd_state *rnd)
{
	u64 r = (u64)prandom_u32_state(rnd) << 32 | prandom_u32_state(rnd);
	unsigned long space = VMALLOC_END - VMALLOC_START;
	struct vmap_area va;
	struct vm_struct vm;

	switch (r % 4) {
	case 0:
		return VMALLOC_START + (r >> 2) % space;
#ifdef MODULES_VADDR
	case 1:
		return MODULES_VADDR + (r >> 2) % (MODULES_END - MODULES_VADDR);
#endif
	}
	/* Near an area that there is, or was a moment ago. */
	if (!peek_vmap_area(VMALLOC_START + (r >> 2) % (r % 4 == 2 ? SZ_1G : space),
			    r & 4 ? 1 : -1, &va, &vm))
		return VMALLOC_START;
	return va.va_start - PAGE_SIZE + (r >> 16) % (va.va_end - va.va_start + 2 * PAGE_SIZE);
}

/*
 * What a report says of any address: all that is known of the memory that the
 * test has, nothing that cannot be of any other; and it survives.
 */
static void any_address(struct kunit *test)
{
	/* three addresses each; scripts/stress looks at many more */
	int rounds = IS_ENABLED(CONFIG_PROVE_LOCKING) ? 3000 : 1000;
	unsigned long space = fresh_space(), n = NR_SAMPLES * NR_SAMPLE_KINDS;
	u8 __percpu **fill;
	int nr_fill = 0;
	struct worker *workers;
	struct sample *samples;
	struct rnd_state rnd;
	unsigned long start;
	int i;

	need_history(test);
	if (!IS_ENABLED(CONFIG_EXECMEM) || !IS_ENABLED(CONFIG_SMP) || !IS_ENABLED(CONFIG_64BIT))
		kunit_skip(test, "Test requires CONFIG_EXECMEM=y, CONFIG_SMP=y, CONFIG_64BIT=y");
	samples = kunit_kcalloc(test, n, sizeof(*samples), GFP_KERNEL);
	workers = kunit_kcalloc(test, 4, sizeof(*workers), GFP_KERNEL);
	fill = kunit_kcalloc(test, MAX_FILL, sizeof(*fill), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fill);
	KUNIT_ASSERT_NOT_NULL(test, samples);
	KUNIT_ASSERT_NOT_NULL(test, workers);
	for (i = 0; i < ARRAY_SIZE(sample_pages); i++) {
		sample_pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, sample_pages[i]);
	}
	prandom_seed_state(&rnd, 20);

	/* the first chunk of per-cpu memory, which can be elsewhere, is full */
	for (i = 256; i >= 8; i /= 2)
		free_percpu(fill_first_chunk(fill, &nr_fill, i));

	/* alone, with no more at a time than the history of a CPU keeps: exact */
	migrate_disable();
	for (i = 0; i < 4; i++)
		check_state(test, samples, n / 2, i % 2 * NR_SAMPLE_KINDS / 2, i / 2, space, &rnd);
	migrate_enable();

	/* with others, and half of them freed */
	for (i = 0; i < n; i++)
		KUNIT_ASSERT_TRUE(test, make_sample(&samples[i], i % NR_SAMPLE_KINDS,
						    space + i * SZ_2M, &rnd));
	for (i = 0; i < n; i += 2)
		free_sample(&samples[i]);
	for (i = 0; i < 4; i++) {
		workers[i].space = space + (n + 8 * i) * SZ_2M;
		workers[i].seed = i;
		init_completion(&workers[i].look.done);
		workers[i].task = kthread_run(disturb, &workers[i], "kasan_disturb/%d", i);
	}
	start = jiffies;
	for (i = 0; i < rounds; i++) {
		const struct sample *s = &samples[prandom_u32_state(&rnd) % n];
		long off = prandom_u32_state(&rnd) % (s->size + 2 * PAGE_SIZE);
		unsigned long addr = random_addr(&rnd);
		const char *nonsense = find_nonsense(addr);

		KUNIT_EXPECT_NULL_MSG(test, nonsense, "%s: %lx", nonsense, addr);
		check_sample(test, s, off - PAGE_SIZE, false, false);
		if (i % 16 == 0)
			cond_resched();
		if (i % 1024 == 0)
			kasan_vmalloc_forget();
	}
	kunit_info(test, "%d addresses beside others in %u ms", 3 * rounds,
		   jiffies_to_msecs(jiffies - start));
	for (i = 0; i < 4; i++)
		if (!IS_ERR(workers[i].task))
			kthread_stop(workers[i].task);
	for (i = 0; i < n; i++)
		free_sample(&samples[i]);
	for (i = 0; i < NR_SAMPLE_KINDS; i++)
		KUNIT_EXPECT_GT_MSG(test, judged[i], 500, "kind %d", i);
	while (nr_fill--)
		free_percpu(fill[nr_fill]);
	for (i = 0; i < ARRAY_SIZE(sample_pages); i++)
		__free_page(sample_pages[i]);
	settle();
}

static struct kunit_case kasan_vmalloc_test_cases[] = {
	KUNIT_CASE(vmalloc_oob),
	KUNIT_CASE(vmalloc_uaf),
	KUNIT_CASE(vmap_oob_uaf),
	KUNIT_CASE(vm_map_ram_uaf),
	KUNIT_CASE(percpu_oob_uaf),
	KUNIT_CASE(module_space),
	KUNIT_CASE(executable),
	KUNIT_CASE(stack_oob),
	KUNIT_CASE(stack_reuse),
	KUNIT_CASE(vrealloc_bytes),
	KUNIT_CASE(history_live),
	KUNIT_CASE(history_freed),
	KUNIT_CASE(history_again),
	KUNIT_CASE(history_begun),
	KUNIT_CASE_SLOW(history_bounded),
	KUNIT_CASE(history_mapped),
	KUNIT_CASE(history_percpu),
	KUNIT_CASE(stack_uaf),
	KUNIT_CASE(no_shadow),
	KUNIT_CASE(not_a_trap),
	KUNIT_CASE(trap_again),
	KUNIT_CASE(bad_vfree),
	KUNIT_CASE(any_context),
	KUNIT_CASE(early_areas),
	KUNIT_CASE(no_page),
	KUNIT_CASE(iounmap_uaf),
	KUNIT_CASE(vfree_in_irq),
	KUNIT_CASE(aux_stacks),
	KUNIT_CASE(vmap_flags),
	KUNIT_CASE(nearest),
	KUNIT_CASE(nobody_elses),
	KUNIT_CASE(percpu_near),
	KUNIT_CASE(percpu_chunk_gone),
	KUNIT_CASE(ram_gap),
	KUNIT_CASE(ram_blocks_go),
	KUNIT_CASE(bad_frees),
	KUNIT_CASE(module_named),
	KUNIT_CASE_SLOW(sharing),
	KUNIT_CASE(counting),
	KUNIT_CASE(top_level_tables),
	KUNIT_CASE(kernel_image),
	KUNIT_CASE(other_space),
	KUNIT_CASE_SLOW(hold_and_return),
	KUNIT_CASE(idle_limit),
	KUNIT_CASE_SLOW(steady_state),
	KUNIT_CASE(populate_fails),
	KUNIT_CASE(percpu_fails),
	KUNIT_CASE(populate_gfp),
	KUNIT_CASE(flush_before_free),
	KUNIT_CASE(populate_flushes),
	KUNIT_CASE(flush_all_cpus),
	KUNIT_CASE(trap_flushed),
	KUNIT_CASE_SLOW(shared_kinds),
	KUNIT_CASE(shared_never),
	KUNIT_CASE(shared_idle),
	KUNIT_CASE(shared_read_only),
	KUNIT_CASE(shared_vrealloc),
	KUNIT_CASE(shared_exact),
	KUNIT_CASE(shared_uaf),
	KUNIT_CASE(shared_fails),
	KUNIT_CASE(shared_pending),
	KUNIT_CASE(sparse),
	KUNIT_CASE_SLOW(churn_and_reclaim),
	KUNIT_CASE_SLOW(page_gone),
	KUNIT_CASE(fake_head),
	KUNIT_CASE(shrinker_does_not_wait),
	KUNIT_CASE_SLOW(provoked),
	KUNIT_CASE_SLOW(any_address),
	{}
};

static bool multishot;

static int kasan_vmalloc_suite_init(struct kunit_suite *suite)
{
	/* Reports are what is tested: they do not fail a test by themselves. */
	kasan_kunit_test_suite_start();
	multishot = kasan_save_enable_multi_shot();
	return register_trace_console(probe_console, NULL);
}

static void kasan_vmalloc_suite_exit(struct kunit_suite *suite)
{
	unregister_trace_console(probe_console, NULL);
	tracepoint_synchronize_unregister();
	kasan_restore_multi_shot(multishot);
	kasan_kunit_test_suite_end();
}

static void kasan_vmalloc_exit(struct kunit *test)
{
	expect_no_report(test);
}

static struct kunit_suite kasan_vmalloc_test_suite = {
	.name = "kasan_vmalloc",
	.test_cases = kasan_vmalloc_test_cases,
	.exit = kasan_vmalloc_exit,
	.suite_init = kasan_vmalloc_suite_init,
	.suite_exit = kasan_vmalloc_suite_exit,
};

kunit_test_suite(kasan_vmalloc_test_suite);

MODULE_DESCRIPTION("KUnit tests of KASAN_VMALLOC");
MODULE_LICENSE("GPL");
