// SPDX-License-Identifier: GPL-2.0
/*
 * The page store behind KASAN_VMALLOC: maps, shares and counts the pages of shadow that
 * describe vmalloc and module space. They are given back in vmalloc_reclaim.c.
 *
 * It knows shadow addresses only. Which of them an area needs, and what the bytes say, is
 * decided in vmalloc.c. Why two write barriers, (A) and (B), are enough is shown in
 * Documentation/dev-tools/kasan-vmalloc.rst, "What must be visible before what".
 */

/**
 * DOC: states of a shadow page
 *
 * One page of shadow describes KASAN_GRANULE_SIZE pages of address space, so
 * most areas share theirs with neighbours. It is in one of four states::
 *
 *                populate: map a page of poison
 *     absent -----------------------------------> live <-+ populate: count up
 *       ^                                         | ^ |  | release: count down
 *       |                     release of the last | | +--+
 *       | TLB flush, free             area        | |
 *       |                                         v | populate: count up
 *   reclaimed <----------------------------------- idle
 *                freeze, clear the PTE: shrinker,
 *                trimming above the idle limit
 *
 * An idle page reads as poison throughout, like a live one outside its live
 * allocations, so it is as good as a new one.
 *
 * The count is the page's ``_refcount``, used as the page cache uses it:
 *
 * ========= ============================ ======= ================
 * state     ``_refcount``                on list PTE
 * ========= ============================ ======= ================
 * live      1 + areas * SHADOW_AREA_REF  yes     present
 * idle      1                            yes     present
 * reclaimed 0 (frozen)                   no      none, flush due
 * ========= ============================ ======= ================
 *
 * Populate takes its count without a lock: add unless zero, then look whether
 * the PTE still says this page. Only what has to change a PTE takes the lock:
 * a populate that finds the slot empty or the page frozen, and reclaim, which
 * freezes pages that have no area and clears their PTEs in one section under
 * it. Hence, with the lock held, a page that a PTE names is not frozen. A new
 * page is frozen until its PTE is set, so it comes without references of those
 * who still know it from another slot.
 */

/**
 * DOC: what a slot names
 *
 * A slot (a PTE of shadow) is backed by one of:
 *
 * ======== ==================================================================
 * none     nobody uses it: never used, or freed and large, or given back
 * page     a page of its own, counted, see above
 * zeroes   the page of zeroes: between the ends of a large area while it lives
 * trap     the page of traps: there was none when a check read it
 * ======== ==================================================================
 *
 * All of the shadow of a large area says one thing, except at its ends: that
 * everything may be accessed while it lives, nothing once it is freed. So only
 * the ends have pages::
 *
 *     address space   |guard|<---------- area --------->|guard|
 *     slots         |    page   | zeroes | ... | zeroes |   page    |
 *
 * Nobody but the one area sets the slots in between, so that takes no kasan_store.lock.
 * When it is freed these slots become none, not poison. So the free takes one TLB
 * flush, and the next user of the slots takes no other.
 *
 * A check that reads a slot that is none faults, and the fault handler makes it a trap,
 * see vmalloc_trap.c. Populate treats a trap like none, but clears and flushes the slot
 * first.
 *
 * Both shared pages are read-only and exist from boot. Their _refcount stays frozen,
 * so that populate, which takes no lock, never counts an area on them.
 *
 * Rule 10: a slot goes from one page to another only through clear and flush.
 *
 * A large sparse area has tables of its own only at its ends. All others are one
 * shared table of zeroes. While the area lives nobody else has a slot there, so
 * nobody allocates a table there. A table that existed before stays, because others
 * walk it without a lock.
 */

#include <kunit/static_stub.h>
#include <linux/cacheflush.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/memblock.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/pgalloc.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>

#include <asm/tlbflush.h>

#include "../internal.h"
#include "../pgalloc-track.h"
#include "kasan.h"
#include "vmalloc_store.h"

/* One in so many releases of a CPU looks at the idle limit. */
#define SHADOW_TRIM_INTERVAL	64

struct kasan_store kasan_store = {
	.lock = __SPIN_LOCK_UNLOCKED(kasan_store.lock),
	.pages = LIST_HEAD_INIT(kasan_store.pages),
};

DEFINE_PER_CPU(unsigned long [NR_KASAN_SHADOW_EVENTS], kasan_shadow_events);

#ifdef CONFIG_KASAN_VMALLOC_DEBUG
void (*kasan_shadow_race)(void);
#endif

bool kasan_shadow_shared_ready __ro_after_init;
static pte_t zero_table[MAX_PTRS_PER_PTE] __aligned(PAGE_SIZE) __ro_after_init;

/*
 * Pages of one node that a walk made live, or idle. They are counted together
 * at the end of a table: counting each costs as much as getting it.
 */
struct shadow_tally {
	enum kasan_shadow_event event;
	struct pglist_data *pgdat;
	unsigned int nr;
};

static noinline void tally_flush_pages(struct shadow_tally *tally)
{
	unsigned int nr = tally->nr;
	unsigned long sum;

	tally->nr = 0;
	sum = this_cpu_add_return(kasan_shadow_events[tally->event], nr);
	if (tally->event == KASAN_SHADOW_REVIVED) {
		account_idle(tally->pgdat, -(int)nr);
		return;
	}
	account_idle(tally->pgdat, nr);
	if (sum % SHADOW_TRIM_INTERVAL < nr)
		kasan_shadow_trim_later();
}

static __always_inline void tally_flush(struct shadow_tally *tally)
{
	if (tally->nr)
		tally_flush_pages(tally);
}

static __always_inline void tally_add(struct shadow_tally *tally, struct pglist_data *pgdat)
{
	if (unlikely(tally->pgdat != pgdat)) {
		tally_flush(tally);
		tally->pgdat = pgdat;
	}
	tally->nr++;
}

/* Between two tables of a long walk. */
static void end_table(struct shadow_tally *tally, bool may_block)
{
	tally_flush(tally);
	if (may_block)
		cond_resched();
}

/* The part of [@addr, @end) that one table has slots for ends here. */
static unsigned long table_end(unsigned long addr, unsigned long end)
{
	return min(end - 1, ALIGN_DOWN(addr, PMD_SIZE) + PMD_SIZE - 1) + 1;
}

/*
 * A walk over the shadow pages of a range. If @slot is NULL at the end of a step,
 * because there is no table or the step has set it so, the next one is where that
 * table would end.
 */
struct shadow_walk {
	unsigned long addr, end;
	pte_t *slot;
};

static __always_inline void begin_walk(struct shadow_walk *w, unsigned long start,
				       unsigned long end)
{
	w->addr = start;
	w->end = end;
	w->slot = shadow_slot(start);
}

static __always_inline void next_slot(struct shadow_walk *w)
{
	w->addr = w->slot ? w->addr + PAGE_SIZE : table_end(w->addr, w->end);
	if (likely(w->slot && !IS_ALIGNED(w->addr, PMD_SIZE)))
		w->slot++;
	else if (w->addr < w->end)
		w->slot = shadow_slot(w->addr);
}

/*
 * Allocate what is missing of the tables above the slots of @addr, and the table
 * of these if @slot is given, which is set. Rule 6: they take no gfp mask, so that of
 * the caller becomes the scope. Tables stay: they are few and used again.
 */
static pmd_t *alloc_tables(unsigned long addr, gfp_t gfp, pte_t **slot)
{
	unsigned int scope = memalloc_apply_gfp_scope(gfp);
	pgtbl_mod_mask mask = 0;
	pgd_t *pgd = pgd_offset_k(addr);
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd = NULL;

	p4d = p4d_alloc_track(&init_mm, pgd, addr, &mask);
	if (!p4d)
		goto out;
	pud = pud_alloc_track(&init_mm, p4d, addr, &mask);
	if (!pud)
		goto out;
	pmd = pmd_alloc_track(&init_mm, pud, addr, &mask);
	if (pmd && slot)
		*slot = pte_alloc_kernel_track(pmd, addr, &mask);
out:
	memalloc_restore_scope(scope);
	if (mask & ARCH_PAGE_TABLE_SYNC_MASK)
		arch_sync_kernel_mappings(addr, addr + PAGE_SIZE);
	return pmd;
}

/* shadow_slot() with the missing tables allocated, or NULL. */
pte_t *kasan_shadow_alloc_slot(unsigned long addr, gfp_t gfp)
{
	pte_t *slot = NULL;

	KUNIT_STATIC_STUB_REDIRECT(kasan_shadow_alloc_slot, addr, gfp);
	alloc_tables(addr, gfp, &slot);
	return slot;
}

/* Of the TLBs of all CPUs. */
void kasan_shadow_flush(unsigned long start, unsigned long end)
{
	KUNIT_STATIC_STUB_REDIRECT(kasan_shadow_flush, start, end);
	flush_tlb_kernel_range(start, end);
}

/*
 * Is @page one that a PTE of the store names? A reference of the caller's keeps
 * the answer right: with it reclaim cannot freeze the page, and populate does
 * not map a page that it cannot freeze, see alloc_spare().
 */
static bool shadow_is_mapped(struct page *page)
{
	unsigned long addr = page_private(page);
	const void *mem = kasan_shadow_to_mem((void *)addr);
	pte_t *slot, pte;

	if (!PAGE_ALIGNED(addr) || kasan_mem_to_shadow(mem) != (void *)addr ||
	    !is_vmalloc_or_module_addr(mem))
		return false;
	slot = shadow_slot(addr);
	if (!slot)
		return false;
	pte = ptep_get_lockless(slot);
	return !pte_none(pte) && pte_page(pte) == page;
}

/*
 * Give back a reference to a @page that had @refs, and is not the slot's any
 * more. It can have become that of another slot, whose areas took this
 * reference for one of theirs: then so does the tally.
 */
static noinline void shadow_unget(struct page *page, int refs)
{
	struct pglist_data *pgdat = page_pgdat(page);

	count_event(KASAN_SHADOW_RECHECKED);
	if (!shadow_is_mapped(page)) {
		folio_put_refs(page_folio(page), SHADOW_AREA_REF);
		return;
	}
	if (refs < SHADOW_AREA_REF) {
		count_event(KASAN_SHADOW_REVIVED);
		account_idle(pgdat, -1);
	}
	if (folio_ref_sub_return(page_folio(page), SHADOW_AREA_REF) < SHADOW_AREA_REF) {
		count_event(KASAN_SHADOW_RELEASED);
		account_idle(pgdat, 1);
	}
}

/*
 * Count one area more on the page that @slot names, in @revived as well if it
 * is the first.
 *
 * Return: false if @slot is none or its page frozen. With kasan_store.lock held it can
 * only be none, or a trap.
 */
static __always_inline bool shadow_get(pte_t *slot, struct shadow_tally *revived)
{
	struct page *page;
	pte_t pte;
	int refs;

	for (;;) {
		/*
		 * The page may be reclaimed after the PTE is read, and reused.
		 * Its count may be raised nevertheless, as folio_try_get() does;
		 * the PTE is compared afterwards. RCU keeps the struct page in
		 * place from the load of the PTE on, see shadow_hotplug().
		 */
		rcu_read_lock();
		pte = ptep_get_lockless(slot);
		if (pte_none(pte)) {
			rcu_read_unlock();
			return false;
		}
		page = pte_page(pte);
		race();
		refs = kasan_page_ref_try_add(page, SHADOW_AREA_REF);
		rcu_read_unlock();
		if (!refs) {
			if (pte_pfn(pte) != trap_pfn())
				count_event(KASAN_SHADOW_FROZEN);
			return false;
		}
		race();
		if (likely(pte_same(pte, ptep_get_lockless(slot))))
			break;
		shadow_unget(page, refs);
	}

	if (refs < SHADOW_AREA_REF && !shadow_is_permanent(page))
		tally_add(revived, page_pgdat(page));
	return true;
}

/*
 * Rule 1: one reference for each area, so this area's is there to be dropped. If
 * it was the last, the page is counted in @released.
 */
static void shadow_put(struct page *page, struct shadow_tally *released)
{
	struct pglist_data *pgdat = page_pgdat(page);
	bool permanent = shadow_is_permanent(page);

	/* Idle afterwards: reclaim may have the page already. */
	if (folio_ref_sub_return(page_folio(page), SHADOW_AREA_REF) < SHADOW_AREA_REF && !permanent)
		tally_add(released, pgdat);
}

static __always_inline void put_pages(unsigned long start, unsigned long end,
				      bool large, bool may_block)
{
	struct shadow_tally released = { .event = KASAN_SHADOW_RELEASED };
	struct shadow_walk w;
	pte_t pte;

	for (begin_walk(&w, start, end); w.addr < end; next_slot(&w)) {
		if (unlikely(IS_ALIGNED(w.addr, PMD_SIZE)))
			end_table(&released, may_block);
		if (likely(w.slot)) {
			pte = ptep_get_lockless(w.slot);
			if (likely(pte_is_own(pte))) {
				shadow_put(pte_page(pte), &released);
				continue;
			}
			WARN_ONCE(pte_is_zeroes(pte), "shadow at %lx is still zeroes", w.addr);
		}
		WARN_ONCE(!large, "no shadow at %lx", w.addr);
	}
	tally_flush(&released);
}

/* A page of poison, or NULL. */
struct page *kasan_shadow_alloc_page(gfp_t gfp)
{
	struct page *page;

	KUNIT_STATIC_STUB_REDIRECT(kasan_shadow_alloc_page, gfp);

	page = alloc_page(gfp);
	if (page)
		kasan_shadow_fill(page_address(page), KASAN_VMALLOC_INVALID,
				  PAGE_SIZE / sizeof(u64));
	return page;
}

/*
 * A page of poison to be mapped, or NULL. It is frozen, so that nobody can have
 * counted on it before it is mapped: shadow_unget() tells by that whether to
 * tally. A page that somebody has counted on, by an old PTE, goes back.
 */
static struct page *alloc_spare(gfp_t gfp)
{
	struct page *page;

	while ((page = kasan_shadow_alloc_page(gfp)) && !page_ref_freeze(page, 1))
		__free_page(page);
	return page;
}

static void free_spare(struct page *page)
{
	page_ref_unfreeze(page, 1);
	__free_page(page);
}

/* Take @page, from alloc_spare(), into the store as that of @addr. */
static void shadow_enter(struct page *page, unsigned long addr)
{
	lockdep_assert_held(&kasan_store.lock);
	set_page_private(page, addr);
	list_add_tail(&page->lru, &kasan_store.pages);
	kasan_store.nr_mapped++;
	kasan_store.peak = max(kasan_store.peak, kasan_store.nr_mapped);
	count_event(KASAN_SHADOW_POPULATED);
}

/* How often who may not block tries for the lock. Flushes apart it is held for short. */
#define LOCK_TRIES	1000

static bool lock_store(bool may_block)
{
	int tries;

	if (may_block) {
		spin_lock(&kasan_store.lock);
		return true;
	}
	for (tries = 0; tries < LOCK_TRIES; tries++) {
		if (spin_trylock(&kasan_store.lock))
			return true;
		cpu_relax();
	}
	return false;
}

/*
 * Get the page of @slot, or else map *@spare, from alloc_spare(), there, and set that
 * to NULL.
 *
 * Return: false if it could not, as the caller may not block. Rule 6: such a one waits
 * for no other CPU, by a flush or for the lock, whose owner may be in a flush. It may
 * have interrupts off, or hold a lock that another CPU with interrupts off wants.
 */
static noinline bool shadow_map(pte_t *slot, unsigned long addr, struct page **spare,
				bool may_block, struct shadow_tally *revived)
{
	unsigned long seen = 0;
	bool ret = false;

	if (!lock_store(may_block))
		return false;
	count_event(KASAN_SHADOW_LOCKED);

	/*
	 * Rule 4: nothing new is mapped where the flush of an old translation is
	 * pending. Reclaim flushes its whole range when it is through; who
	 * needs one slot now flushes that, and again if meanwhile a PTE was
	 * cleared, as it may have been this one.
	 */
	while (pte_none(ptep_get(slot)) && flush_pending(addr) &&
	       seen != kasan_store.nr_cleared) {
		if (!may_block)
			goto unlock;
		seen = kasan_store.nr_cleared;
		spin_unlock(&kasan_store.lock);
		race();
		kasan_shadow_flush(addr, addr + PAGE_SIZE);
		race();
		count_event(KASAN_SHADOW_SLOT_FLUSHES);
		spin_lock(&kasan_store.lock);
	}

	ret = shadow_get(slot, revived);
	if (ret)
		goto unlock;

	if (IS_ENABLED(CONFIG_KASAN_VMALLOC_DEBUG))
		WARN_ONCE(pte_none(ptep_get(slot)) && flush_pending(addr) &&
			  seen != kasan_store.nr_cleared,
			  "shadow mapped at %lx with a flush pending", addr);

	/* (A): the poison before the PTE. Pairs with shadow_get(). */
	smp_wmb();
	while (!kasan_shadow_set_none(slot, addr, addr + PAGE_SIZE,
				      pfn_pte(page_to_pfn(*spare), PAGE_KERNEL))) {
		if (!may_block)
			goto unlock;
		kasan_shadow_clear_trap(slot, addr);
	}
	shadow_enter(*spare, addr);
	page_ref_unfreeze(*spare, 1 + SHADOW_AREA_REF);
	*spare = NULL;
	ret = true;
unlock:
	spin_unlock(&kasan_store.lock);
	return ret;
}

/**
 * kasan_shadow_get - have shadow mapped for one more area
 * @start: address of the first shadow page
 * @end: end of the last one
 * @gfp: how the caller may allocate; what is not about reclaim is ignored
 *
 * Pages that are not there yet are mapped, filled with poison. The area then
 * holds a reference on each page of the range until kasan_shadow_put().
 *
 * Context: Process context, sleeps if @gfp lets it, else atomic, too. Takes no lock as
 * long as the pages are there.
 * Return: 0, or -ENOMEM with no reference held; if @gfp does not let it block, also where
 * a page can only be mapped after a TLB flush, or somebody holds the lock.
 */
int kasan_shadow_get(unsigned long start, unsigned long end, gfp_t gfp)
{
	struct shadow_tally revived = { .event = KASAN_SHADOW_REVIVED };
	bool may_block = gfpflags_allow_blocking(gfp);
	struct page *spare = NULL;
	struct shadow_walk w;

	gfp &= GFP_RECLAIM_MASK;

	for (begin_walk(&w, start, end); w.addr < end; next_slot(&w)) {
		if (unlikely(IS_ALIGNED(w.addr, PMD_SIZE)))
			end_table(&revived, may_block);
		if (unlikely(!w.slot)) {
			w.slot = kasan_shadow_alloc_slot(w.addr, gfp);
			if (!w.slot)
				break;
		}

		if (likely(shadow_get(w.slot, &revived)))
			continue;

		if (!spare)
			spare = alloc_spare(gfp);
		if (!spare || !shadow_map(w.slot, w.addr, &spare, may_block, &revived))
			break;
	}

	tally_flush(&revived);
	if (spare)
		free_spare(spare);
	if (likely(w.addr >= end)) {
		/*
		 * Where a PTE that is set is not enough for an access not to
		 * fault, this is what has to follow. By each user, as it can
		 * have found a page that another CPU is just mapping.
		 */
		flush_cache_vmap(start, end);
		return 0;
	}

	/* Rule 5: a populate that fails holds nothing afterwards. */
	count_event(KASAN_SHADOW_FAILED);
	put_pages(start, w.addr, false, may_block);
	return -ENOMEM;
}

/**
 * kasan_shadow_put - an area does not need its shadow any more
 * @start: address of the first shadow page
 * @end: end of the last one
 * @large: only what kasan_shadow_reserve() found in use is there between the ends
 *
 * Drops what kasan_shadow_get() took. Pages without an area stay mapped, idle,
 * until memory is needed.
 *
 * Context: Process context, may reschedule. Allocates nothing, takes no lock,
 * waits for nothing: vmalloc's own shrinker may be waiting for the caller.
 */
void kasan_shadow_put(unsigned long start, unsigned long end, bool large)
{
	put_pages(start, end, large, true);
}

/*
 * Empty the slots that a new area is to have between its ends. Idle pages there are
 * given back, for one flush, as they would take the memory that sharing saves. One
 * that cannot be (boot code mapped it, or somebody has a speculative reference)
 * becomes the area's. No TLB has any other translation afterwards, but of a trap.
 */
static void clear_out(unsigned long start, unsigned long end)
{
	struct shadow_tally revived = { .event = KASAN_SHADOW_REVIVED };
	bool cleared = false;
	struct shadow_walk w;
	struct page *page;
	LIST_HEAD(batch);
	pte_t pte;

	for (begin_walk(&w, start, end); w.addr < end; next_slot(&w)) {
		if (IS_ALIGNED(w.addr, PMD_SIZE))
			end_table(&revived, true);
		if (!w.slot || likely(pte_none(ptep_get_lockless(w.slot))))
			continue;

		spin_lock(&kasan_store.lock);
		count_event(KASAN_SHADOW_LOCKED);
		pte = ptep_get(w.slot);
		page = pte_is_own(pte) ? pte_page(pte) : NULL;
		if (!page) {
			/* a trap, or none if reclaim was here just now */
			ptep_get_and_clear(&init_mm, w.addr, w.slot);
			cleared = true;
		} else if (!shadow_is_permanent(page) && kasan_shadow_unmap(page, false)) {
			list_move(&page->lru, &batch);
			cleared = true;
		} else {
			shadow_get(w.slot, &revived);
		}
		spin_unlock(&kasan_store.lock);
	}
	tally_flush(&revived);

	/*
	 * Rule 4: nothing new is mapped where the flush of an old translation is
	 * pending, be it by this or by reclaim: who saw a slot empty sees the
	 * range that it lies in, or the flush is through.
	 */
	smp_rmb();
	if (cleared || (READ_ONCE(kasan_store.flush_end) > start &&
			READ_ONCE(kasan_store.flush_start) < end)) {
		kasan_shadow_flush(start, end);
		count_event(KASAN_SHADOW_SHARE_FLUSHES);
		kasan_shadow_free(&batch);
	}
}

/**
 * kasan_shadow_reserve - have slots for a large area, between its ends
 * @start: address of the first shadow page
 * @end: end of the last one
 * @sparse: there may be very many, and whole tables be shared
 * @gfp: how the caller may allocate; what is not about reclaim is ignored
 *
 * All of them are none, but for pages that cannot be given back, on which the area
 * then holds a reference. kasan_shadow_put() drops these.
 *
 * Context: Process context, sleeps.
 * Return: 0, or -ENOMEM with no reference held.
 */
int kasan_shadow_reserve(unsigned long start, unsigned long end, bool sparse, gfp_t gfp)
{
	bool share = sparse && CAN_SHARE_TABLES && kasan_shadow_shared_ready;
	unsigned long addr, next;

	gfp &= GFP_RECLAIM_MASK;
	for (addr = start; addr < end; addr = next) {
		next = table_end(addr, end);
		if (!shadow_slot(addr) &&
		    !(share && next - addr == PMD_SIZE ?
		      (void *)alloc_tables(addr, gfp, NULL) :
		      (void *)kasan_shadow_alloc_slot(addr, gfp))) {
			count_event(KASAN_SHADOW_FAILED);
			return -ENOMEM;
		}
		cond_resched();
	}
	clear_out(start, end);
	return 0;
}

/* Does @slot lie in the table that sparse areas share? */
static bool slot_is_shared(pte_t *slot)
{
	return (void *)PTR_ALIGN_DOWN(slot, PAGE_SIZE) == lm_alias(zero_table);
}

/*
 * The slots of [@addr, @next) have no table, or the shared one. Return: how many
 * became zeroes, or none.
 */
static unsigned long set_table(unsigned long addr, unsigned long next, u8 value)
{
	pmd_t *pmd = shadow_pmd(addr);

	if (value && (!pmd || pmd_none(*pmd)))
		return 0;
	if (WARN_ONCE(!pmd || next - addr != PMD_SIZE, "no table for shadow at %lx", addr))
		return 0;
	if (value)
		pmd_clear(pmd);
	else if (pmd_none(*pmd))
		pmd_populate_kernel(&init_mm, pmd, lm_alias(zero_table));
	else
		return 0;
	return PTRS_PER_PTE;
}

/**
 * kasan_shadow_set - set a range of shadow to one value
 * @start: address of the first shadow page
 * @end: end of the last one
 * @value: 0, accessible; or poison
 *
 * Pages that the area has of its own are filled. Other slots become zeroes, or none.
 *
 * Context: Any if it has only such pages and they fit in a table, else process
 * context, may reschedule. Allocates nothing.
 */
void kasan_shadow_set(unsigned long start, unsigned long end, u8 value)
{
	const pte_t zeroes = shared_pte(zeroes_pfn());
	unsigned long nr, changed = 0;
	bool tables = false;
	struct shadow_walk w;
	pte_t pte;

	for (begin_walk(&w, start, end); w.addr < end; next_slot(&w)) {
		/* An area that shares may sleep, one that has only pages of its own perhaps not. */
		if (IS_ALIGNED(w.addr, PMD_SIZE) && end - start > PMD_SIZE)
			kasan_shadow_resched(changed);
		if (!w.slot || slot_is_shared(w.slot)) {
			nr = set_table(w.addr, table_end(w.addr, end), value);
			changed += nr;
			tables |= nr;
			w.slot = NULL;
			continue;
		}

		pte = ptep_get(w.slot);
		if (pte_is_own(pte)) {
			kasan_shadow_fill((u64 *)w.addr, value, PAGE_SIZE / sizeof(u64));
		} else if (value && pte_is_zeroes(pte)) {
			ptep_get_and_clear(&init_mm, w.addr, w.slot);
			changed++;
		} else if (!value && !pte_is_zeroes(pte)) {
			while (!(nr = kasan_shadow_set_none(w.slot, w.addr,
							    table_end(w.addr, end), zeroes)))
				kasan_shadow_clear_trap(w.slot, w.addr);
			changed += nr;
			w.addr += (nr - 1) * PAGE_SIZE;
			w.slot += nr - 1;
		}
	}
	if (!changed)
		return;
	if (!value) {
		this_cpu_add(kasan_shadow_events[KASAN_SHADOW_SHARED], changed);
		flush_cache_vmap(start, end);
		return;
	}
	/*
	 * Rule 8: one flush for each area that is freed. arm64 keeps walks to tables when
	 * it flushes a range, but flushes everything for one as long as vmalloc space.
	 */
	this_cpu_add(kasan_shadow_events[KASAN_SHADOW_UNSHARED], changed);
	kasan_shadow_flush(tables ? VMALLOC_START : start, tables ? VMALLOC_END : end);
	count_event(KASAN_SHADOW_SHARE_FLUSHES);
}

/**
 * kasan_shadow_is_own - is there a page of shadow that may be written to?
 * @addr: address of a shadow page
 *
 * Context: Any. To be relied on by who has an area there.
 */
bool kasan_shadow_is_own(unsigned long addr)
{
	pte_t *slot;

	if (kasan_shadow_is_static())
		return true;
	slot = shadow_slot(addr);
	return slot && pte_is_own(ptep_get_lockless(slot));
}

/* memblock's memory comes zeroed, which a table has to be where there are early vm areas. */
static void *__init early_page(void)
{
	void *page = memblock_alloc(PAGE_SIZE, PAGE_SIZE);

	if (!page)
		panic("kasan: no memory for the shadow of early vm areas\n");
	return page;
}

/**
 * kasan_shadow_map_early - map shadow before the page allocator is up
 * @start: address of the first shadow page
 * @end: end of the last one
 *
 * Pages that are not there yet are mapped, filled with poison, for good: they
 * keep the reference of their own with which struct pages of reserved memory
 * begin, and are never on the list that reclaim looks at.
 *
 * Context: Boot, while memblock allocates.
 */
void __init kasan_shadow_map_early(unsigned long start, unsigned long end)
{
	unsigned long addr;

	for (addr = start; addr < end; addr += PAGE_SIZE) {
		pgd_t *pgd = pgd_offset_k(addr);
		p4d_t *p4d;
		pud_t *pud;
		pmd_t *pmd;
		pte_t *slot;
		void *page;

		if (pgd_none(*pgd))
			pgd_populate(&init_mm, pgd, early_page());
		p4d = p4d_offset(pgd, addr);
		if (p4d_none(*p4d))
			p4d_populate(&init_mm, p4d, early_page());
		pud = pud_offset(p4d, addr);
		if (pud_none(*pud))
			pud_populate(&init_mm, pud, early_page());
		pmd = pmd_offset(pud, addr);
		if (pmd_none(*pmd))
			pmd_populate_kernel(&init_mm, pmd, early_page());
		slot = pte_offset_kernel(pmd, addr);
		if (!pte_none(ptep_get(slot)))
			continue;

		page = early_page();
		__memset(page, KASAN_VMALLOC_INVALID, PAGE_SIZE);
		set_pte_at(&init_mm, addr, slot, pfn_pte(PFN_DOWN(__pa(page)), PAGE_KERNEL));
	}
	flush_cache_vmap_early(start, end);
}

/*
 * The memory that has gone offline loses its struct pages next. A populate that
 * read a PTE of one of these pages, before the page was reclaimed and isolated,
 * may still be about to raise its count, see shadow_get(): wait for it.
 */
static int __maybe_unused shadow_hotplug(struct notifier_block *nb, unsigned long action, void *arg)
{
	if (action == MEM_OFFLINE)
		synchronize_rcu();
	return NOTIFY_OK;
}

/* See "what a slot names". Both pages are reserved, with a reference of their own. */
static bool __init freeze_shared(void)
{
	int i;

	for (i = 0; CAN_SHARE_TABLES && i < PTRS_PER_PTE; i++)
		zero_table[i] = shared_pte(zeroes_pfn());
	return page_ref_freeze(pfn_to_page(trap_pfn()), 1) &&
	       page_ref_freeze(pfn_to_page(zeroes_pfn()), 1);
}

static int __init kasan_shadow_init(void)
{
	if (kasan_shadow_is_static())
		return 0;

	kasan_shadow_shared_ready = !WARN_ON(!freeze_shared());
	hotplug_memory_notifier(shadow_hotplug, DEFAULT_CALLBACK_PRI);
	return 0;
}
core_initcall(kasan_shadow_init);
