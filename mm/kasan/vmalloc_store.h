/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The inside of the store of shadow pages: what its files (vmalloc_shadow.c,
 * vmalloc_trap.c, vmalloc_reclaim.c, vmalloc_check.c) share, and its tests look at.
 * Its users include vmalloc_shadow.h.
 */
#ifndef __MM_KASAN_VMALLOC_STORE_H
#define __MM_KASAN_VMALLOC_STORE_H

#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/vmstat.h>

#include "vmalloc_shadow.h"

struct kasan_store {
	/*
	 * Taken to change a PTE, except between the ends of a large area, and, by reclaim,
	 * for a bounded number of pages at a time. Nothing is allocated under it, and nothing
	 * waits for a TLB flush but kasan_shadow_clear_trap(). Process context only.
	 */
	spinlock_t lock;

	/*
	 * All pages mapped by populate, the next to be looked at by reclaim first.
	 * Invariant: a page is on this list exactly while a PTE names it. Pages that
	 * boot code mapped are not on it, hence permanent.
	 */
	struct list_head pages;
	unsigned long nr_mapped;
	unsigned long peak;

	/*
	 * Invariant: a slot whose old translation may still be in a TLB is empty and
	 * lies in [flush_start, flush_end). There is one such range, that of the
	 * running reclaim.
	 */
	unsigned long flush_start;
	unsigned long flush_end;
	unsigned long nr_cleared;	/* PTEs cleared since boot */
};

extern struct kasan_store kasan_store;

/*
 * One reclaim at a time; above kasan_store.lock. The shrinker takes it, so nothing may be
 * allocated under it.
 */
extern struct mutex kasan_reclaim_mutex;

/*
 * What one area adds to the count of each shadow page that it overlaps. More than 1,
 * as for pins of user pages (GUP_PIN_COUNTING_BIAS): a speculative reference from
 * elsewhere adds 1 and cannot be taken for an area, so the first and the last area
 * are always noticed.
 */
#define SHADOW_AREA_REF		1024

/* Each of the pages that a shadow page describes is in one area at most. */
static_assert((KASAN_GRANULE_SIZE + 1) * SHADOW_AREA_REF <= INT_MAX);

DECLARE_PER_CPU(unsigned long [NR_KASAN_SHADOW_EVENTS], kasan_shadow_events);

static inline void count_event(enum kasan_shadow_event event)
{
	this_cpu_inc(kasan_shadow_events[event]);
}

/* Boot code has no page allocator to give its pages back to. */
static inline bool shadow_is_permanent(struct page *page)
{
	return PageReserved(page);
}

/* A shrinker gives idle pages back, so MemAvailable counts them. */
static inline void account_idle(struct pglist_data *pgdat, int delta)
{
	mod_node_page_state(pgdat, NR_KERNEL_MISC_RECLAIMABLE, delta);
}

/*
 * Not on arm, where each mm has its own entries for the tables of the kernel, nor on
 * s390, whose host wants to know of each page that is a table.
 */
#define CAN_SHARE_TABLES	(IS_ENABLED(CONFIG_KASAN_GENERIC) && PAGE_SIZE == SZ_4K && \
				 IS_ENABLED(CONFIG_64BIT) && !IS_ENABLED(CONFIG_S390))

/* Shared pages are filled and frozen: traps may be set, tables shared. */
extern bool kasan_shadow_shared_ready;

/* See "what a slot names" in vmalloc_shadow.c. The page of zeroes is kasan_early_shadow_page. */
extern const u8 kasan_trap_page[PAGE_SIZE];

static inline unsigned long zeroes_pfn(void)
{
	return PHYS_PFN(__pa_symbol(kasan_early_shadow_page));
}

static inline unsigned long trap_pfn(void)
{
	return PHYS_PFN(__pa_symbol(kasan_trap_page));
}

/* Rule 10: nobody writes to a shared page. PAGE_KERNEL_RO is writable on riscv. */
static inline pte_t shared_pte(unsigned long pfn)
{
	return pte_wrprotect(pfn_pte(pfn, PAGE_KERNEL));
}

static inline bool pte_is_zeroes(pte_t pte)
{
	return pte_pfn(pte) == zeroes_pfn();
}

static inline bool pte_is_own(pte_t pte)
{
	return !pte_none(pte) && !pte_is_zeroes(pte) && pte_pfn(pte) != trap_pfn();
}

static inline pmd_t *shadow_pmd(unsigned long addr)
{
	pgd_t *pgd = pgd_offset_k(addr);
	p4d_t *p4d;
	pud_t *pud;

	if (pgd_none(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d))
		return NULL;
	pud = pud_offset(p4d, addr);
	if (pud_none(*pud))
		return NULL;
	return pmd_offset(pud, addr);
}

/* The slot (PTE) of the shadow page at @addr, or NULL where a table is missing. */
static inline pte_t *shadow_slot(unsigned long addr)
{
	pmd_t pmd, *pmdp = shadow_pmd(addr);

	if (!pmdp)
		return NULL;
	/* It may be cleared meanwhile, see set_table(). */
	pmd = pmdp_get(pmdp);
	return pmd_none(pmd) ? NULL : pte_offset_kernel(&pmd, addr);
}

/* May a TLB still hold an old translation? With the lock, or inside a reclaim of one's own. */
static inline bool flush_pending(unsigned long addr)
{
	return addr >= kasan_store.flush_start && addr < kasan_store.flush_end;
}

/* vmalloc_shadow.c; tests have stubs in the place of these */
struct page *kasan_shadow_alloc_page(gfp_t gfp);
pte_t *kasan_shadow_alloc_slot(unsigned long addr, gfp_t gfp);
void kasan_shadow_flush(unsigned long start, unsigned long end);

/* vmalloc_trap.c */
unsigned long kasan_shadow_set_none(pte_t *slot, unsigned long addr, unsigned long end, pte_t pte);
void kasan_shadow_clear_trap(pte_t *slot, unsigned long addr);

/* vmalloc_reclaim.c */
bool kasan_shadow_unmap(struct page *page, bool pending);
void kasan_shadow_free(struct list_head *batch);
void kasan_shadow_trim_later(void);
extern unsigned long kasan_shadow_idle_limit;	/* in pages */

/* vmalloc_check.c */
unsigned long kasan_shadow_nr_idle(void);
unsigned long kasan_shadow_nr_events(enum kasan_shadow_event event);

#ifdef CONFIG_KASAN_VMALLOC_DEBUG
/* If set, called where another CPU can come in between, so that tests can wait there. */
extern void (*kasan_shadow_race)(void);
static inline void race(void)
{
	typeof(kasan_shadow_race) between = READ_ONCE(kasan_shadow_race);

	if (unlikely(between))
		between();
}
#else
static inline void race(void) { }
#endif

#endif /* __MM_KASAN_VMALLOC_STORE_H */
