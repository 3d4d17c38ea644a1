// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of KASAN_VMALLOC: what the store of shadow pages promises. Are they shared,
 * counted, kept, flushed and given back by the rules in
 * Documentation/dev-tools/kasan-vmalloc.rst?
 */

#define pr_fmt(fmt) "kasan_vmalloc: test: " fmt

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/hugetlb.h>
#include <linux/io.h>
#include <linux/kasan.h>
#include <linux/kthread.h>
#include <linux/memblock.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>
#include <trace/events/kmem.h>

#include <asm/sections.h>
#include <asm/tlbflush.h>

#include "../internal.h"
#include "vmalloc_test.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "kasan_vmalloc."

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

	NEEDS_STORE(test);

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

	NEEDS_STORE(test);

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

	NEEDS_CONFIG(test, CONFIG_X86_64);

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
	NEEDS(test, is_vmalloc_or_module_addr(_text), "CONFIG_ARM64=y");

	KUNIT_EXPECT_EQ(test, shadow_byte(_text), KASAN_SHADOW_INIT);
	KUNIT_EXPECT_TRUE(test, all_poison(_end, PAGE_SIZE));
	if (IS_ENABLED(CONFIG_KASAN_GENERIC))
		KUNIT_EXPECT_NE(test, shadow_byte(_text - 1), 0);
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
	unsigned long n = min3(20000UL, totalram_pages() / 3,
			       VMALLOC_TOTAL / PAGE_SIZE / 8);
	struct kasan_shadow_stats before, held, purged, after;
	unsigned long i, rise, reclaimable;
	void **p;

	NEEDS_STORE(test);
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
	KUNIT_EXPECT_GE(test, rise, n * 2 / KASAN_GRANULE_SIZE * 97 / 100);
	KUNIT_EXPECT_GE(test, purged.idle, rise - rise / 100);
	KUNIT_EXPECT_LE(test, after.live + after.idle, before.live + rise / 100);
	expect_counts(test);
	/* MemAvailable has known; per-cpu deltas may be outstanding */
	KUNIT_EXPECT_GE(test, reclaimable, rise - max(rise / 50, 32UL * num_online_cpus()));
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

	NEEDS_STORE(test);
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

	NEEDS_STORE(test);

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

	NEEDS_STORE(test);

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

	NEEDS_STORE(test);

	for (n = 0; n < 20; n++) {
		settle();
		let_fail_after(test, n);
		vms = pcpu_get_vm_areas(offsets, sizes, 3, SIZE, GFP_KERNEL);
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
	NEEDS_CONFIG(test, CONFIG_SMP);
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

	NEEDS_STORE(test);

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
	int ret_no_block;
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
	flush_watch.early += flush_pending(shadow) ||
			     !flush_watch.flushes;
}

/* Pages are freed when the flush is through, and one flush serves many. */
static void flush_before_free(struct kunit *test)
{
	unsigned long space = fresh_space(), size = STRETCH;
	int nr = size / KASAN_MEMORY_PER_SHADOW_PAGE;

	NEEDS_STORE(test);
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
		flush_watch.ret_no_block = populate(space, PAGE_SIZE, GFP_NOWAIT);
		flush_watch.ret = populate(space, PAGE_SIZE, GFP_KERNEL);
	} else {
		flush_tlb_kernel_range(start, end);
		flush_watch.in_time += start == shadow &&
				       end == shadow + PAGE_SIZE &&
				       shadow_byte((void *)space) == NO_SHADOW;
	}
	flush_tlb_kernel_range(start, end);
}

/* Rule 4: a populate that needs a slot with a pending flush flushes it first. */
static void populate_flushes(struct kunit *test)
{
	unsigned long space = fresh_space(), size = STRETCH;
	unsigned long slot_flushes = event(KASAN_SHADOW_SLOT_FLUSHES);

	NEEDS_STORE(test);
	settle();
	KUNIT_ASSERT_EQ(test, populate(space, size, GFP_KERNEL), 0);
	release(space, space + size);

	memset(&flush_watch, 0, sizeof(flush_watch));
	flush_watch.space = space + size / 2;
	kunit_activate_static_stub(test, kasan_shadow_flush, populate_in_flush);
	kasan_shadow_reclaim(ULONG_MAX);
	kunit_deactivate_static_stub(test, kasan_shadow_flush);

	KUNIT_EXPECT_EQ(test, flush_watch.ret_no_block, -ENOMEM);
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

/*
 * Rule 6: a caller that may not block gets pages of its own, and nothing on the way there
 * sleeps, nor does what sets its shadow afterwards. DEBUG_ATOMIC_SLEEP tells.
 */
static void no_block(struct kunit *test)
{
	unsigned long size = SZ_16M + SZ_4M, first = fresh_space(), second = fresh_space();
	struct vm_struct vm = { .size = size, .requested_size = size };
	struct vmap_area va = { .vm = &vm };
	int ret;

	NEEDS_STORE(test);
	make_tables(first, second + SZ_16M - first);
	settle();
	/* in two tables, and longer than what is set without an offer to reschedule */
	va.va_start = second - SZ_8M;
	va.va_end = va.va_start + size;
	vm.addr = (void *)va.va_start;

	/* vmalloc()'s own locks sleep with PREEMPT_RT */
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		preempt_disable();
	rcu_read_lock();
	ret = kasan_populate_vmalloc(&va, GFP_NOWAIT);
	if (!ret)
		kasan_unpoison_vmalloc(vm.addr, size,
				       KASAN_VMALLOC_PROT_NORMAL | KASAN_VMALLOC_KEEP_TAG);
	rcu_read_unlock();
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		preempt_enable();

	KUNIT_ASSERT_EQ(test, ret, 0);
	KUNIT_EXPECT_FALSE(test, va.flags & KASAN_VMAP_LARGE);
	KUNIT_EXPECT_EQ(test, pages_mapped(va.va_start, size),
			size / KASAN_MEMORY_PER_SHADOW_PAGE);
	kasan_poison_vmalloc(vm.addr, size);
	KUNIT_EXPECT_TRUE(test, all_poison(vm.addr, size));
	kasan_release_vmalloc(&va);
	settle();
	KUNIT_EXPECT_EQ(test, pages_mapped(va.va_start, size), 0);
}

/* Rule 6: a caller that may not block waits for no other CPU, by a flush or for a lock. */
static void no_wait(struct kunit *test)
{
	const unsigned long per = KASAN_MEMORY_PER_SHADOW_PAGE;
	unsigned long space = fresh_space(), flushes;
	int ret;

	NEEDS_STORE(test);
	make_table(space);
	KUNIT_ASSERT_EQ(test, populate(space, PAGE_SIZE, GFP_NOWAIT), 0);
	KUNIT_EXPECT_EQ(test, areas_at(space), 1);
	release(space, space + PAGE_SIZE);

	/* a trap: see also populate_flushes() */
	peek_shadow(shadow_of((void *)space + per));
	flushes = event(KASAN_SHADOW_TRAP_FLUSHES);
	KUNIT_EXPECT_EQ(test, populate(space + per, PAGE_SIZE, GFP_NOWAIT), -ENOMEM);
	KUNIT_EXPECT_EQ(test, event(KASAN_SHADOW_TRAP_FLUSHES), flushes);
	KUNIT_EXPECT_EQ(test, areas_at(space + per), -1);
	KUNIT_ASSERT_EQ(test, populate(space + per, PAGE_SIZE, GFP_KERNEL), 0);
	release(space + per, space + per + PAGE_SIZE);

	/* Without SMP nobody can have the lock. */
	if (IS_ENABLED(CONFIG_SMP)) {
		spin_lock(&kasan_store.lock);
		ret = populate(space + 2 * per, PAGE_SIZE, GFP_NOWAIT);
		spin_unlock(&kasan_store.lock);
		KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
		KUNIT_EXPECT_EQ(test, areas_at(space + 2 * per), -1);
	}
	settle();
	expect_counts(test);
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

	NEEDS_STORE(test);
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

	NEEDS_STORE(test);
	make_table(space);
	peek_shadow(shadow_of((void *)space));
	look_from_other_cpu(test, space, NO_SHADOW, KASAN_VMALLOC_INVALID, populate_one,
			    (void *)space);
	KUNIT_EXPECT_EQ(test, event(KASAN_SHADOW_TRAP_FLUSHES), flushes + 1);
	release(space, space + PAGE_SIZE);
	settle();
}

/* ------------------------------- Large areas ------------------------------ */

#define NEEDS_SHARE(test)	NEEDS(test, kasan_vmalloc_share != ULONG_MAX, \
				      "CONFIG_KASAN_GENERIC=y, CONFIG_UML=n, share")

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
static unsigned long flushed;	/* bytes, of the last */

static void count_flush(unsigned long start, unsigned long end)
{
	nr_flushes++;
	flushed = end - start;
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

	NEEDS_SHARE(test);
	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
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
	struct vm_struct *vm;
	unsigned long space;
	struct slots nr;
	u8 *p;

	NEEDS_SHARE(test);
	space = fresh_space();

	/* what is mapped, and accessible, piece by piece, as execmem_vmap() is */
	vm = __get_vm_area_caller(size, VM_ALLOC, space, space + size + PAGE_SIZE,
				  (void *)_THIS_IP_);
	KUNIT_ASSERT_NOT_NULL(test, vm);
	nr = count_slots(space, space + size);
	KUNIT_EXPECT_EQ(test, nr.shared + nr.absent, 0);
	kasan_redzone_vmalloc(vm->addr, size);
	kasan_unpoison_vmalloc(vm->addr, 2 * PER + 1, KASAN_VMALLOC_PROT_NORMAL);
	EXPECT_REPORT(test, OOB, check_byte(vm->addr + first_bad(2 * PER + 1)));
	free_vm_area(vm);
	vm_unmap_aliases();

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

	NEEDS_SHARE(test);
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

	NEEDS_SHARE(test);
	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	p = vmalloc(size);
	KUNIT_ASSERT_NOT_NULL(test, p);
	shadow = shadow_of(p + size / 2);
	KUNIT_EXPECT_NE(test, copy_to_kernel_nofault(shadow, &byte, 1), 0);
	KUNIT_ASSERT_PTR_EQ(test, (u8 *)vrealloc(p, 100, GFP_NOIO), p);
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

	NEEDS_SHARE(test);
	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	space = fresh_space() + 3 * PAGE_SIZE;
	p = vmalloc_at(space, area);
	KUNIT_ASSERT_NOT_NULL(test, p);
	let_fail_after(test, 0);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		bool exact;

		q = vrealloc(p, sizes[i], GFP_NOIO);
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
	/* Now the pages behind it may go as well, so that no access to them would come back. */
	KUNIT_ASSERT_PTR_EQ(test, (u8 *)vrealloc(p, 2 * PER, GFP_KERNEL), p);
	write_byte(p + 2 * PER - 1);
	EXPECT_REPORT(test, OOB, check_byte(p + 4 * PER));
	vfree(p);
	EXPECT_REPORT(test, UAF, check_byte(p + PER));
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

	NEEDS_SHARE(test);
	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	q = vmalloc(large_size() + 20 * PER);
	KUNIT_ASSERT_NOT_NULL(test, q);
	/* With GFP_KERNEL the pages behind it would go. */
	KUNIT_ASSERT_PTR_EQ(test, (u8 *)vrealloc(q, 100, GFP_NOIO), q);
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

	NEEDS_SHARE(test);
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

	NEEDS_SHARE(test);
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

	NEEDS_SHARE(test);
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
	if (shares && CAN_SHARE_TABLES)
		KUNIT_EXPECT_LE(test, gfp_watch.allocs, 16);
	for (off = 0; off < size; off += SZ_1M - PAGE_SIZE)
		check_byte(p + off);
	check_byte(p + size / 2);
	check_byte(p + size - 1);
	EXPECT_REPORT(test, OOB, check_byte(p + size));

	EXPECT_FLUSHES(test, shares ? 1 : 0, free_vm_area(vm));
	if (!shares)
		return;
	/* so much that no architecture does it page by page, which leaves walks to tables */
	if (CAN_SHARE_TABLES)
		KUNIT_EXPECT_GE(test, flushed, VMALLOC_TOTAL);
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

	NEEDS_STORE(test);
	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
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

#define NR_ROUNDS	700
#define CHURN_SPACE	(512 * KASAN_MEMORY_PER_SHADOW_PAGE)

struct worker {
	struct task_struct *task;
	struct completion done;
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

	NEEDS_STORE(test);

	workers = kunit_kcalloc(test, nr, sizeof(*workers), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, workers);
	make_tables(space, CHURN_SPACE);
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

/*
 * With kasan_vmalloc.delay=N, CPUs are held up at random for up to N microseconds where
 * another can come in between, so that what is a race of a few instructions elsewhere
 * happens all the time. A second is more than any race takes.
 */
static unsigned int delay;

#ifdef CONFIG_KASAN_VMALLOC_DEBUG
static int delay_set(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 0, USEC_PER_SEC);
}

static const struct kernel_param_ops delay_ops = {
	.set = delay_set,
	.get = param_get_uint,
};

/* One pass in this many is held up. */
#define DELAY_ONE_IN	4

/* Under RCU a CPU spins, until a reclaim has run whole elsewhere, with delays. */
#define DELAY_RCU_FACTOR	4

static void hold_up(void)
{
	unsigned int us = READ_ONCE(delay);

	if (!us || get_random_u32_below(DELAY_ONE_IN))
		return;
	us = get_random_u32_inclusive(1, us);
	/* A task that sleeps under RCU makes it warn. */
	if (preemptible() && !rcu_preempt_depth())
		usleep_range(us, us);
	else
		udelay(us * DELAY_RCU_FACTOR);
}

module_param_cb(delay, &delay_ops, &delay, 0644);
MODULE_PARM_DESC(delay, "Longest delay in microseconds, 0 (default) for none");

static int __init kasan_vmalloc_delay_init(void)
{
	kasan_shadow_race = hold_up;
	return 0;
}
core_initcall(kasan_vmalloc_delay_init);
#endif

/* What becomes of a page between the load of its PTE and the second look. */
enum { FREED, TAKEN, MAPPED_LIVE, MAPPED_IDLE, MAPPED_LATER, NR_FATES };

static struct {
	int fate;
	struct task_struct *task;	/* whose next race() meets it, or NULL */
	unsigned long space, other;	/* where the page was, where it comes */
	struct page *page;
	struct page *taken[8];
	int met;
} fate;

static struct page *shadow_page(unsigned long mem)
{
	pte_t *slot = shadow_slot((unsigned long)kasan_mem_to_shadow((void *)mem));

	return slot && !pte_none(ptep_get(slot)) ? pte_page(ptep_get(slot)) : NULL;
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

/*
 * What another CPU could do while this one is in shadow_get(): before it counts on the
 * page, and then after that.
 */
static void meet_fate(void)
{
	struct kunit *test = current->kunit_test;
	unsigned long end = fate.other + PAGE_SIZE;
	bool used;

	if (current != fate.task)
		return;
	fate.task = NULL;
	if (!fate.page) {
		fate.page = shadow_page(fate.space);
		/* Another CPU may sleep here, this one is in shadow_get(). */
		rcu_read_unlock();
		used = lose_page(test);
		rcu_read_lock();
		if (used)
			fate.task = current;
	} else if (fate.fate == MAPPED_LIVE) {
		release(fate.other, end);
	} else if (fate.fate == MAPPED_IDLE) {
		populate(fate.other, PAGE_SIZE, GFP_KERNEL);
	} else if (fate.fate == MAPPED_LATER) {
		map_page(test);
		release(fate.other, end);
	}
}

/* Have @between called where another CPU can come in between, or what was before. */
static void set_race(void (*between)(void))
{
#ifdef CONFIG_KASAN_VMALLOC_DEBUG
	WRITE_ONCE(kasan_shadow_race, between ?: hold_up);
#endif
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

	NEEDS_STORE(test);
	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_DEBUG);

	fate.space = fresh_space();
	fate.other = fate.space + STRETCH;
	/* so that there are tables */
	for (i = 0; i < 2; i++) {
		unsigned long space = i ? fate.other : fate.space;

		KUNIT_ASSERT_EQ(test, populate(space, PAGE_SIZE, GFP_KERNEL), 0);
		release(space, space + PAGE_SIZE);
	}

	set_race(meet_fate);
	for (fate.fate = 0; fate.fate < NR_FATES; fate.fate++) {
		fate.met = 0;
		before = settle();
		for (round = 0; round < rounds; round++) {
			/* idle */
			populate(fate.space, PAGE_SIZE, GFP_KERNEL);
			release(fate.space, fate.space + PAGE_SIZE);

			fate.page = NULL;
			memset(fate.taken, 0, sizeof(fate.taken));
			WRITE_ONCE(fate.task, current);
			KUNIT_EXPECT_EQ(test, populate(fate.space, PAGE_SIZE, GFP_KERNEL), 0);
			WRITE_ONCE(fate.task, NULL);
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
	set_race(NULL);
}

/* A struct page that is a read-only copy of the head of a huge page. */
static struct page *find_fake_head(void)
{
	unsigned long pfn, nr = PAGE_SIZE / sizeof(struct page);

	for (pfn = 0; pfn < max_pfn; pfn += nr) {
		struct page *page = pfn_to_online_page(pfn);
		struct folio *folio = page ? page_folio(page) : NULL;

		if (folio && folio_test_hugetlb(folio) && page != &folio->page &&
		    folio_test_hugetlb_vmemmap_optimized(folio))
			return page;
	}
	return NULL;
}

static pte_t *fake_slot;

/* Between the load of the PTE and the second look it is gone. */
static void lose_fake_head(void)
{
	if (current == fate.task && fake_slot) {
		ptep_get_and_clear(&init_mm, (unsigned long)shadow_of((void *)fate.space),
				   fake_slot);
		fake_slot = NULL;
	}
}

/*
 * The page that a PTE named may have become part of a huge page, whose struct pages are
 * read-only: its count must not be touched.
 */
static void fake_head(struct kunit *test)
{
	struct page *page;
	unsigned long addr;

	NEEDS_STORE(test);
	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_DEBUG);
	NEEDS_CONFIG(test, CONFIG_HUGETLB_PAGE_OPTIMIZE_VMEMMAP);
	page = find_fake_head();
	NEEDS(test, page, "hugepages=1 hugetlb_free_vmemmap=on");

	fate.space = fresh_space();
	addr = (unsigned long)shadow_of((void *)fate.space);
	fake_slot = kasan_shadow_alloc_slot(addr, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fake_slot);
	set_pte_at(&init_mm, addr, fake_slot, pfn_pte(page_to_pfn(page), PAGE_KERNEL_RO));

	fate.task = current;
	set_race(lose_fake_head);
	KUNIT_EXPECT_EQ(test, populate(fate.space, PAGE_SIZE, GFP_KERNEL), 0);
	set_race(NULL);
	fate.task = NULL;
	KUNIT_EXPECT_EQ(test, areas_at(fate.space), 1);
	release(fate.space, fate.space + PAGE_SIZE);
	settle();
}

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

	NEEDS_STORE(test);
	/* more than a batch, or nothing is left for the shrinker */
	KUNIT_ASSERT_EQ(test, populate(space, size, GFP_KERNEL), 0);
	KUNIT_ASSERT_EQ(test, populate(space2, size, GFP_KERNEL), 0);
	release(space, space + size);
	release(space2, space2 + size);
	kunit_activate_static_stub(test, kasan_shadow_flush, shrink_in_flush);
	KUNIT_EXPECT_GT(test, kasan_shadow_reclaim(ULONG_MAX), 0);
}

/*
 * So often each way to lose a race is taken, or the test gives up. One is rare, that a
 * page is gone before it is looked at: page_gone() plays that through.
 */
#define PROVOKED	250
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
	bool alone = num_online_cpus() == 1 && !preempt_model_full() && !preempt_model_rt();
	unsigned long frozen = alone ? 0 : PROVOKED;
	int i;

	NEEDS_STORE(test);
	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_DEBUG);

	workers = kunit_kcalloc(test, PROVOKERS, sizeof(*workers), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, workers);
	make_tables(space, PROVOKE_SPACE);
	before = settle();

	WRITE_ONCE(delay, PROVOKE_US);
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
	WRITE_ONCE(delay, 0);

	after = settle();
	kunit_info(test, "%lu times frozen, %lu gone, %lu slots flushed; %lu pages populated, %lu reclaimed, %u ms",
		   diff(&before, &after, KASAN_SHADOW_FROZEN),
		   diff(&before, &after, KASAN_SHADOW_RECHECKED),
		   diff(&before, &after, KASAN_SHADOW_SLOT_FLUSHES),
		   diff(&before, &after, KASAN_SHADOW_POPULATED),
		   diff(&before, &after, KASAN_SHADOW_RECLAIMED),
		   jiffies_to_msecs(jiffies - (end - PROVOKE_TIME)));
	KUNIT_EXPECT_GE(test, diff(&before, &after, KASAN_SHADOW_FROZEN), frozen);
	KUNIT_EXPECT_GE(test, diff(&before, &after, KASAN_SHADOW_SLOT_FLUSHES), PROVOKED);
	KUNIT_EXPECT_EQ(test, pages_mapped(space, PROVOKE_SPACE), 0);
	expect_counts(test);
}

static struct kunit_case kasan_vmalloc_shadow_test_cases[] = {
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
	KUNIT_CASE(no_block),
	KUNIT_CASE(no_wait),
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
	{}
};

static struct kunit_suite kasan_vmalloc_shadow_test_suite = {
	.name = "kasan_vmalloc_shadow",
	.test_cases = kasan_vmalloc_shadow_test_cases,
	.exit = vmalloc_test_exit,
	.suite_init = vmalloc_test_suite_init,
	.suite_exit = vmalloc_test_suite_exit,
};

kunit_test_suite(kasan_vmalloc_shadow_test_suite);

MODULE_DESCRIPTION("KUnit tests of the store of KASAN_VMALLOC");
MODULE_LICENSE("GPL");
