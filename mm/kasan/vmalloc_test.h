/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What both of KASAN_VMALLOC's files of KUnit tests need: reports as they come on the
 * console, shadow and its counters, and memory at a given place.
 */
#ifndef __MM_KASAN_VMALLOC_TEST_H
#define __MM_KASAN_VMALLOC_TEST_H

#include <kunit/test.h>
#include <linux/kasan-checks.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <trace/events/printk.h>

#include "kasan.h"
#include "vmalloc.h"
#include "vmalloc_store.h"

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

/* So much memory has its shadow in one table. */
#define TABLE_SPACE	(PMD_SIZE << KASAN_SHADOW_SCALE_SHIFT)

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
static inline const char *copy_word(char *dst, size_t size, const char *src,
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
static inline const char *after(const char *prefix, const char *buf, size_t len)
{
	const char *s = strnstr(buf, prefix, len);

	return s ? s + strlen(prefix) : NULL;
}

/* "BUG: KASAN: <kind> in <function>+0x...", and what comes after that */
static inline void probe_console(void *unused, const char *buf, size_t len)
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

static inline void expect_no_report(struct kunit *test)
{
	KUNIT_EXPECT_EQ_MSG(test, READ_ONCE(report.nr), 0,
			    "unexpected: %s in %s", report.kind, report.func);
	WRITE_ONCE(report.nr, 0);
}

static inline void expect_report(struct kunit *test, const char *kind,
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
 * The report that there was last says where the access was, of what object, and
 * has these functions in the stacks of its allocation and free.
 */
static inline void __expect_object(struct kunit *test, int line, unsigned long distance,
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

/*
 * Exactly one report, of @kind and naming this function, comes of @expr. What
 * is not inside one of these has to stay silent, see vmalloc_test_exit().
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

#define expect_object(test, args...)	__expect_object(test, __LINE__, args)

/* Skip the test unless @condition holds; @what says that as the configuration would. */
#define NEEDS(test, condition, what) do {			\
	if (!(condition))					\
		kunit_skip(test, "Test requires " what);	\
} while (0)

#define NEEDS_CONFIG(test, CONFIG_symbol) \
	NEEDS(test, IS_ENABLED(CONFIG_symbol), #CONFIG_symbol "=y")
#define NEEDS_STORE(test)		NEEDS(test, !kasan_shadow_is_static(), "CONFIG_UML=n")

/* Instead of a byte of shadow. */
#define NO_SHADOW	0x100

/* An access to memory that is there. */
#define read_byte(p)	((void)READ_ONCE(*(u8 *)(p)))
#define write_byte(p)	WRITE_ONCE(*(u8 *)(p), 1)
/* An access to memory that is not. */
#define check_byte(p)	((void)kasan_check_read((p), 1))

/* The first byte after an object of @size that KASAN can tell from it. */
static inline size_t first_bad(size_t size)
{
	return IS_ENABLED(CONFIG_KASAN_GENERIC) ? size :
	       round_up(size, KASAN_GRANULE_SIZE);
}

static inline u8 *shadow_of(const void *mem)
{
	return kasan_mem_to_shadow(kasan_reset_tag(mem));
}

/* What a check does. Where the byte is not to be accessed, others would report. */
static noinline __maybe_unused __no_sanitize_address u8 peek_shadow(const u8 *shadow)
{
	return READ_ONCE(*shadow);
}

static inline bool all_poison(const void *mem, size_t size)
{
	return !kasan_shadow_find_live(shadow_of(mem),
				       size >> KASAN_SHADOW_SCALE_SHIFT);
}

static inline struct kasan_shadow_stats read_stats(void)
{
	struct kasan_shadow_stats stats;

	kasan_shadow_read_stats(&stats);
	return stats;
}

static inline unsigned long event(enum kasan_shadow_event event)
{
	return read_stats().events[event];
}

/* How often it happened between two looks. */
static inline unsigned long diff(const struct kasan_shadow_stats *before,
				 const struct kasan_shadow_stats *after,
				 enum kasan_shadow_event event)
{
	return after->events[event] - before->events[event];
}

static inline int shadow_byte(const void *mem)
{
	u8 byte = 0;

	/* with tags, a trap reads as other poison */
	if (get_kernel_nofault(byte, shadow_of(mem)) ||
	    (byte == KASAN_VMALLOC_ABSENT &&
	     !kasan_shadow_is_own((unsigned long)shadow_of(mem))))
		return NO_SHADOW;
	return byte;
}

/* The shadow of @area bytes at @mem says that @size of them may be touched. */
static inline void expect_shadow(struct kunit *test, const u8 *mem, size_t size,
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

/* Shadow as it is without lazily freed areas and without idle pages. */
static inline struct kasan_shadow_stats settle(void)
{
	vm_unmap_aliases();
	kasan_shadow_reclaim(ULONG_MAX);
	return read_stats();
}

static unsigned long pages_live, pages_idle;

static inline bool count_page(unsigned long addr, unsigned int areas)
{
	if (areas)
		pages_live++;
	else
		pages_idle++;
	return true;
}

/* The counters say what a look at the pages says. */
static inline void expect_counts(struct kunit *test)
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

static inline bool watch(unsigned long addr, unsigned int areas)
{
	if (addr == watched)
		watched_areas = areas;
	return true;
}

/* How many areas are counted on the page of shadow of @mem; -1 without one. */
static inline int areas_at(unsigned long mem)
{
	watched = round_down((unsigned long)kasan_mem_to_shadow((void *)mem),
			     PAGE_SIZE);
	watched_areas = -1;
	kasan_shadow_for_each(watch);
	return watched_areas;
}

/* How many pages of shadow are mapped for a stretch of memory. */
static inline int pages_mapped(unsigned long start, unsigned long size)
{
	unsigned long addr;
	int nr = 0;

	for (addr = start; addr < start + size; addr += KASAN_MEMORY_PER_SHADOW_PAGE)
		nr += shadow_byte((void *)addr) != NO_SHADOW;
	return nr;
}

/* How many fresh_space() has returned. */
extern unsigned long kasan_test_spaces;

/*
 * An aligned stretch of vmalloc space that nobody used before, far from where
 * vmalloc looks first: no shadow there, no tables, no neighbours.
 */
static inline unsigned long fresh_space(void)
{
	unsigned long middle = VMALLOC_START + (VMALLOC_END - VMALLOC_START) / 2;

	/*
	 * So much memory that its shadow takes tables of its own, and that no test
	 * takes more.
	 */
	unsigned long step = max3(TABLE_SPACE, (unsigned long)SZ_16M,
				  512 * KASAN_MEMORY_PER_SHADOW_PAGE);
	unsigned long space = round_up(middle, step) + kasan_test_spaces++ * step;

	if (space < middle || space + step > VMALLOC_END)
		kunit_skip(current->kunit_test, "Test requires CONFIG_64BIT=y");
	return space;
}

/*
 * vmalloc() at a given address, with the guard page behind it. To be found in
 * stacks, so the call is not the last thing that it does.
 */
static noinline __maybe_unused void *vmalloc_flags_at(unsigned long addr, unsigned long size,
						      unsigned long flags)
{
	void *p = __vmalloc_node_range(size, 1, addr,
				       addr + PAGE_ALIGN(size) + PAGE_SIZE,
				       GFP_KERNEL | __GFP_NOWARN, PAGE_KERNEL, flags,
				       NUMA_NO_NODE, __builtin_return_address(0));

	OPTIMIZER_HIDE_VAR(p);
	return p;
}

static noinline __maybe_unused void *vmalloc_at(unsigned long addr, unsigned long size)
{
	void *p = vmalloc_flags_at(addr, size, 0);

	OPTIMIZER_HIDE_VAR(p);
	return p;
}

/* Also where large areas would share their shadow. The flag takes arm seconds to flush. */
static noinline __maybe_unused void *vmalloc_own_at(unsigned long addr, unsigned long size)
{
	return vmalloc_flags_at(addr, size, size < kasan_vmalloc_share ? 0 : VM_FLUSH_RESET_PERMS);
}

/* Take address space that vmalloc does not know of, and let it go again. */
static inline int populate(unsigned long addr, unsigned long size, gfp_t gfp)
{
	struct vmap_area va = { .va_start = addr, .va_end = addr + size };

	return kasan_populate_vmalloc(&va, gfp);
}

static inline void release(unsigned long start, unsigned long end)
{
	struct vmap_area va = { .va_start = start, .va_end = end };

	kasan_release_vmalloc(&va);
}

/*
 * Without a table there can be no trap, so have one for the shadow of fresh @space,
 * by an area that is so far away that reports are not about it.
 */
static inline void make_table(unsigned long space)
{
	/* half of what a table is for on x86, but not on s390 */
	unsigned long page = space + min_t(unsigned long, SZ_8M, TABLE_SPACE / 2);

	KUNIT_ASSERT_EQ(current->kunit_test, populate(page, PAGE_SIZE, GFP_KERNEL), 0);
	release(page, page + PAGE_SIZE);
}

static inline void make_tables(unsigned long space, unsigned long size)
{
	unsigned long addr;

	for (addr = space; addr < space + size; addr += TABLE_SPACE)
		make_table(addr);
}

static bool multishot;

static inline int vmalloc_test_suite_init(struct kunit_suite *suite)
{
	/* Reports are what is tested: they do not fail a test by themselves. */
	kasan_kunit_test_suite_start();
	multishot = kasan_save_enable_multi_shot();
	return register_trace_console(probe_console, NULL);
}

static inline void vmalloc_test_suite_exit(struct kunit_suite *suite)
{
	unregister_trace_console(probe_console, NULL);
	tracepoint_synchronize_unregister();
	kasan_restore_multi_shot(multishot);
	kasan_kunit_test_suite_end();
}

static inline void vmalloc_test_exit(struct kunit *test)
{
	expect_no_report(test);
}

#endif /* __MM_KASAN_VMALLOC_TEST_H */
