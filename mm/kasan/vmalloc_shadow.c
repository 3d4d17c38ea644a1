// SPDX-License-Identifier: GPL-2.0
/*
 * The page store behind KASAN_VMALLOC: maps, shares, counts, keeps and gives
 * back the pages of shadow that describe vmalloc and module space.
 *
 * It knows shadow addresses only. Which of them an area needs, and what the
 * bytes say, is decided in vmalloc.c.
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
 * Nobody but the one area sets the slots in between, so that takes no store.lock.
 * When it is freed these slots become none, not poison. So the free takes one TLB
 * flush, and the next user of the slots takes no other.
 *
 * A check of an access to space without shadow faults. The fault handler sets the
 * slot to the page of traps, which reads as KASAN_VMALLOC_ABSENT. The check runs
 * again and reports. Populate treats a trap like none, but clears and flushes the
 * slot first.
 *
 * A fault can happen in any context, so its handler cannot take store.lock. It must
 * not set a trap in a slot that populate is setting. So every writer of a slot that
 * is none holds trap_lock, and looks at the slot again.
 *
 * Both shared pages are read-only and exist from boot. Their _refcount stays frozen,
 * so that populate, which takes no lock, never counts an area on them.
 *
 * Rule: a slot goes from one page to another only through clear and flush.
 *
 * A large sparse area has tables of its own only at its ends. All others are one
 * shared table of zeroes. While the area lives nobody else has a slot there, so
 * nobody allocates a table there. A table that existed before stays, because others
 * walk it without a lock.
 */

/**
 * DOC: what must be visible before what
 *
 * The shadow of an area is read by whoever uses the area's memory, on any CPU,
 * and its page may be written by those who unpoison neighbouring areas. Two
 * write barriers see to it that all of them find the right page and the right
 * bytes: (A) between filling a page and setting its PTE, in shadow_map(), and
 * (B) at the end of __kasan_unpoison_vmalloc().
 *
 * Fresh page, the user of the new area::
 *
 *   CPU 0: p = vmalloc()                  CPU 1: uses the memory
 *
 *   STORE page = poison
 *   smp_wmb()                      (A)
 *   STORE pte = page
 *   STORE shadow(a) = accessible
 *   smp_wmb()                      (B)
 *   STORE p = a                           x = LOAD p
 *                                         LOAD shadow(x):
 *                                           page walk reads the PTE,
 *                                           then the byte is read
 *
 * Both loads depend on x, so CPU 1 does them after its load of p, and (B) has
 * made PTE and byte visible before p. Without (B) it could see p first and
 * report a bug where there is none. Callers that publish p with a release or a
 * lock do not need (B), but a sanitizer cannot ask that of them.
 *
 * Fresh page, a neighbour::
 *
 *   CPU 0: populate for area a            CPU 1: populate for area b, same page
 *
 *   STORE page = poison
 *   smp_wmb()                      (A)
 *   STORE pte = page
 *                                         LOAD pte
 *                                         ATOMIC add to the page's count
 *                                         STORE shadow(b) = accessible
 *
 * The atomic operation is a full barrier and pairs with (A): without that pair,
 * the poison could land on top of what CPU 1 wrote, and b's live memory would
 * read as poison for ever. A wild access to the page has the page walk in the
 * place of LOAD pte; it finds either no page or poison.
 *
 * Idle page: no PTE changes, and a translation that a CPU has cached is right,
 * because a slot goes from one page to another only through a flush of every
 * TLB. What has to be in order are the bytes::
 *
 *   CPU 0: vfree(old), purge              CPU 1: p = vmalloc(), same addresses
 *
 *   STORE shadow(old) = poison
 *   ATOMIC subtract from the count
 *                                         ATOMIC add to the same count
 *                                         STORE shadow(new) = accessible
 *                                         smp_wmb()                      (B)
 *                                         STORE p = new
 *
 * The operations on the count are full barriers, so the poison cannot arrive
 * late. A third CPU reads p and the shadow as in the first diagram.
 *
 * These are the rules for the memory itself, too: vmalloc() publishes its own
 * PTEs by the same store of p, so an access to the shadow takes no fault that
 * the access to the memory would not take.
 */

#include <kunit/static_stub.h>
#include <linux/atomic.h>
#include <linux/cacheflush.h>
#include <linux/cleanup.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/memblock.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/pgalloc.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

#include <asm/tlbflush.h>

#include "../internal.h"
#include "../pgalloc-track.h"
#include "kasan.h"
#include "vmalloc_shadow.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "kasan_vmalloc."

/*
 * What one area adds to the count of each shadow page that it overlaps. More
 * than 1, as for pins of user pages (GUP_PIN_COUNTING_BIAS): a speculative
 * reference from elsewhere adds 1 and cannot be taken for an area, so the
 * first and the last area are always noticed.
 */
#define SHADOW_AREA_REF		1024

/* Each of the pages that a shadow page describes is in one area at most. */
static_assert((KASAN_GRANULE_SIZE + 1) * SHADOW_AREA_REF <= INT_MAX);

/* Pages given back for one TLB flush. */
#define SHADOW_BATCH		512

/* Pages that the shrinker looks at for each that it is to give back. */
#define SHADOW_SCAN_FACTOR	16

/* One in so many releases of a CPU looks at the idle limit. */
#define SHADOW_TRIM_INTERVAL	64

static struct {
	/*
	 * Taken to change a PTE and, by reclaim, for a bounded number of pages
	 * at a time. Nothing is allocated under it, and nothing waits for a TLB
	 * flush but clear_trap(). Process context only.
	 */
	spinlock_t lock;

	/*
	 * All pages mapped by populate, the next to be looked at by reclaim
	 * first. Invariant: a page is on this list exactly while a PTE names
	 * it. Pages that boot code mapped are not on it, hence permanent.
	 */
	struct list_head pages;
	unsigned long nr_mapped;
	unsigned long peak;

	/*
	 * Invariant: a slot whose old translation may still be in a TLB is
	 * empty and lies in [flush_start, flush_end). There is one such range,
	 * that of the running reclaim.
	 */
	unsigned long flush_start;
	unsigned long flush_end;
	unsigned long nr_cleared;	/* PTEs cleared since boot */
} store = {
	.lock = __SPIN_LOCK_UNLOCKED(store.lock),
	.pages = LIST_HEAD_INIT(store.pages),
};

/*
 * One reclaim at a time; above store.lock. The shrinker takes it, so nothing
 * may be allocated under it.
 */
static DEFINE_MUTEX(reclaim_mutex);

static DEFINE_PER_CPU(unsigned long [NR_KASAN_SHADOW_EVENTS], events);

static unsigned long idle_limit = ULONG_MAX;
static void shadow_trim(struct work_struct *work);
static DECLARE_WORK(trim_work, shadow_trim);

static void count_event(enum kasan_shadow_event event)
{
	this_cpu_inc(events[event]);
}

/* See "what a slot names". The page of zeroes is kasan_early_shadow_page. */
static const u8 trap_page[PAGE_SIZE] __aligned(PAGE_SIZE) = {
	[0 ... PAGE_SIZE - 1] = KASAN_VMALLOC_ABSENT
};

/* No trap is set, and no table shared, before the pages are frozen and it is filled. */
static bool shared_ready __ro_after_init;

/*
 * The CPU for which a slot that is none stays so. It has interrupts off, but an NMI
 * or a tracer can fault meanwhile, and has to know: hence not a spinlock, which on
 * one CPU is none.
 */
#define NOBODY		(-1)
static atomic_t trap_lock = ATOMIC_INIT(NOBODY);

/*
 * Not on arm, where each mm has its own entries for the tables of the kernel, nor on
 * s390, whose host wants to know of each page that is a table.
 */
#define CAN_SHARE_TABLES	(IS_ENABLED(CONFIG_KASAN_GENERIC) && PAGE_SIZE == SZ_4K && \
				 IS_ENABLED(CONFIG_64BIT) && !IS_ENABLED(CONFIG_S390))

static pte_t zero_table[MAX_PTRS_PER_PTE] __aligned(PAGE_SIZE) __ro_after_init;

static unsigned long zeroes_pfn(void)
{
	return PHYS_PFN(__pa_symbol(kasan_early_shadow_page));
}

static unsigned long trap_pfn(void)
{
	return PHYS_PFN(__pa_symbol(trap_page));
}

/* Rule: nobody writes to a shared page. PAGE_KERNEL_RO is writable on riscv. */
static pte_t shared_pte(unsigned long pfn)
{
	return pte_wrprotect(pfn_pte(pfn, PAGE_KERNEL));
}

static bool pte_is_zeroes(pte_t pte)
{
	return pte_pfn(pte) == zeroes_pfn();
}

static bool pte_is_own(pte_t pte)
{
	return !pte_none(pte) && !pte_is_zeroes(pte) && pte_pfn(pte) != trap_pfn();
}

/*
 * Pages of one node that a walk made live, or idle. They are counted together
 * at the end of a table: counting each costs as much as getting it.
 */
struct shadow_tally {
	enum kasan_shadow_event event;
	struct pglist_data *pgdat;
	unsigned int nr;
};

static unsigned long nr_events(enum kasan_shadow_event event)
{
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu(events[event], cpu);
	return sum;
}

/* Exact when nothing is under way, else off by what is. */
static unsigned long nr_idle(void)
{
	long idle = nr_events(KASAN_SHADOW_RELEASED) -
		    nr_events(KASAN_SHADOW_REVIVED) -
		    nr_events(KASAN_SHADOW_RECLAIMED);

	return max(idle, 0L);
}

/* Boot code has no page allocator to give its pages back to. */
static bool shadow_is_permanent(struct page *page)
{
	return PageReserved(page);
}

/* Idle pages are memory that a shrinker would return: let MemAvailable say so. */
static void account_idle(struct pglist_data *pgdat, int delta)
{
	mod_node_page_state(pgdat, NR_KERNEL_MISC_RECLAIMABLE, delta);
}

static noinline void tally_flush_pages(struct shadow_tally *tally)
{
	unsigned int nr = tally->nr;
	unsigned long sum;

	tally->nr = 0;
	sum = this_cpu_add_return(events[tally->event], nr);
	if (tally->event == KASAN_SHADOW_REVIVED) {
		account_idle(tally->pgdat, -(int)nr);
		return;
	}
	account_idle(tally->pgdat, nr);
	/* Reclaim sleeps, and this must not wait: leave it to a worker. */
	if (sum % SHADOW_TRIM_INTERVAL < nr && nr_idle() > READ_ONCE(idle_limit))
		schedule_work(&trim_work);
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
static void end_table(struct shadow_tally *tally)
{
	tally_flush(tally);
	cond_resched();
}

static pmd_t *shadow_pmd(unsigned long addr)
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
static pte_t *shadow_slot(unsigned long addr)
{
	pmd_t pmd, *pmdp = shadow_pmd(addr);

	if (!pmdp)
		return NULL;
	/* It may be cleared meanwhile, see set_table(). */
	pmd = pmdp_get(pmdp);
	return pmd_none(pmd) ? NULL : pte_offset_kernel(&pmd, addr);
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
 * of these if @slot is given, which is set. They take no gfp mask, so that of the
 * caller becomes the scope. Tables stay: they are few and used again.
 */
static pmd_t *alloc_tables(unsigned long addr, gfp_t gfp, pte_t **slot)
{
	unsigned int scope = 0;
	pgtbl_mod_mask mask = 0;
	pgd_t *pgd = pgd_offset_k(addr);
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd = NULL;

	if (!(gfp & __GFP_IO))
		scope = PF_MEMALLOC_NOIO;
	else if (!(gfp & __GFP_FS))
		scope = PF_MEMALLOC_NOFS;
	scope = memalloc_flags_save(scope);

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
	memalloc_flags_restore(scope);
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

/*
 * Have @pte in the slots of [@addr, @end), which are of one table, up to the first
 * that is not none. Return: in how many.
 */
static unsigned long set_none(pte_t *slot, unsigned long addr, unsigned long end, pte_t pte)
{
	unsigned long flags, nr = 0;

	local_irq_save(flags);
	while (atomic_cmpxchg(&trap_lock, NOBODY, smp_processor_id()) != NOBODY)
		cpu_relax();
	for (; addr < end && pte_none(ptep_get(slot)); addr += PAGE_SIZE, slot++, nr++)
		set_pte_at(&init_mm, addr, slot, pte);
	atomic_set_release(&trap_lock, NOBODY);
	local_irq_restore(flags);
	return nr;
}

/**
 * kasan_shadow_flush_pending - may a TLB still hold an old translation?
 * @addr: address of a shadow page
 *
 * Context: store.lock held, or inside a reclaim of the caller's own.
 * Return: true if @addr lies in the range that the running reclaim has cleared
 * PTEs in and not flushed yet.
 */
bool kasan_shadow_flush_pending(unsigned long addr)
{
	return addr >= store.flush_start && addr < store.flush_end;
}

/* Of all CPUs. */
void kasan_shadow_flush(unsigned long start, unsigned long end)
{
	KUNIT_STATIC_STUB_REDIRECT(kasan_shadow_flush, start, end);
	flush_tlb_kernel_range(start, end);
}

/*
 * Make a slot none that is a trap. No range says that its flush is pending, so
 * nobody else may set the slot meanwhile: the caller holds store.lock, or the slot is
 * between the ends of its area. A bad access can set the trap again; the caller
 * then tries again.
 */
static void clear_trap(pte_t *slot, unsigned long addr)
{
	ptep_get_and_clear(&init_mm, addr, slot);
	kasan_shadow_flush(addr, addr + PAGE_SIZE);
	count_event(KASAN_SHADOW_TRAP_FLUSHES);
}

/* How often to try for trap_lock: its owner may have been stopped, as by a panic. */
#define TRAP_LOCK_TRIES		10000000

/* If the slot at @addr is none, make it a trap. Return: false if that cannot be done. */
static bool map_trap(unsigned long addr)
{
	unsigned int tries = TRAP_LOCK_TRIES;
	pte_t *slot = shadow_slot(addr);
	unsigned long flags;
	int owner, cpu;

	if (!slot)
		return false;

	local_irq_save(flags);
	cpu = smp_processor_id();
	while ((owner = atomic_cmpxchg(&trap_lock, NOBODY, cpu)) != NOBODY) {
		if (owner == cpu || !--tries) {
			local_irq_restore(flags);
			return false;
		}
		cpu_relax();
	}
	if (pte_none(ptep_get(slot))) {
		/*
		 * The flush of what was here can be pending. That was poison or the
		 * zeroes of an area just freed, so a TLB that has it does no harm; but
		 * this architecture wants it broken before it is made.
		 */
		if (IS_ENABLED(CONFIG_ARM64))
			flush_tlb_kernel_range(addr, addr + PAGE_SIZE);
		set_pte_at(&init_mm, addr, slot, shared_pte(trap_pfn()));
		count_event(KASAN_SHADOW_TRAPS);
	}
	atomic_set_release(&trap_lock, NOBODY);
	local_irq_restore(flags);
	flush_cache_vmap(addr, addr + PAGE_SIZE);
	return true;
}

/* How often to look whether there is something to read now. */
#define TRAP_READ_TRIES		1000

/**
 * kasan_handle_shadow_fault - a fault is about to become an oops
 * @shadow: the address that faulted
 * @is_write: by a write
 *
 * If a check faulted because there is no shadow, set a trap, see "what a slot
 * names". If a page table is missing, only print which address was accessed.
 *
 * Context: Any.
 * Return: true if the instruction that faulted has to run again.
 */
bool kasan_handle_shadow_fault(unsigned long shadow, bool is_write)
{
	int tries;
	u8 byte;

	/* Checks only read shadow. A write to missing shadow is another bug. */
	if (is_write || !addr_in_shadow((void *)shadow) ||
	    !is_vmalloc_or_module_addr(kasan_shadow_to_mem((void *)shadow)))
		return false;

	/* Some other fault would come again for ever, so see whether a read works now. */
	for (tries = TRAP_READ_TRIES; shared_ready && tries; tries--) {
		if (!map_trap(round_down(shadow, PAGE_SIZE)))
			break;
		if (!get_kernel_nofault(byte, (u8 *)shadow))
			return true;
	}
	/* On arm64 die_kernel_fault() does. */
	if (!IS_ENABLED(CONFIG_ARM64))
		kasan_non_canonical_hook(shadow);
	return false;
}

/* The first of @size bytes of @shadow that is not @value, or NULL. */
const u8 *kasan_shadow_find_other(const u8 *shadow, u8 value, size_t size)
{
	const u64 word = value * 0x0101010101010101ULL;
	const u8 *end = shadow + size;

	while (shadow < end) {
		if (IS_ALIGNED((unsigned long)shadow, sizeof(word)) &&
		    end - shadow >= sizeof(word) && *(u64 *)shadow == word) {
			shadow += sizeof(word);
			continue;
		}
		if (*shadow != value)
			return shadow;
		shadow++;
	}
	return NULL;
}

/*
 * Shadow reads as poison where there never was memory (or where that ended,
 * KASAN_VMALLOC_INVALID), and where memory was freed (KASAN_VMALLOC_FREE).
 * Return the first of @size bytes of @shadow that is neither, or NULL.
 */
const u8 *kasan_shadow_find_live(const u8 *shadow, size_t size)
{
	const u8 *end = shadow + size;

	while (shadow && shadow < end) {
		if (*shadow != KASAN_VMALLOC_INVALID && *shadow != KASAN_VMALLOC_FREE)
			return shadow;
		shadow = kasan_shadow_find_other(shadow, *shadow, end - shadow);
	}
	return NULL;
}

/*
 * Freeze @page if no area is counted on it, and clear its PTE. @pending: other
 * CPUs have to know of the flush that is due.
 */
static bool shadow_unmap(struct page *page, bool pending)
{
	unsigned long addr = page_private(page);

	lockdep_assert_held(&store.lock);

	/* Not worth an atomic operation if it is plain that it must fail. */
	if (page_ref_count(page) != 1 || !page_ref_freeze(page, 1))
		return false;

	kasan_shadow_step(KASAN_SHADOW_UNMAP_FROZEN);
	if (pending) {
		if (store.flush_start == store.flush_end)
			WRITE_ONCE(store.flush_start, addr);
		WRITE_ONCE(store.flush_start, min(store.flush_start, addr));
		WRITE_ONCE(store.flush_end, max(store.flush_end, addr + PAGE_SIZE));
		/* The range before the PTE. Pairs with clear_out(). */
		smp_wmb();
	}
	/* As vunmap() does: s390 may not just store to a PTE that was valid. */
	ptep_get_and_clear(&init_mm, addr, shadow_slot(addr));
	store.nr_cleared++;
	store.nr_mapped--;
	count_event(KASAN_SHADOW_RECLAIMED);
	return true;
}

/* Free pages that shadow_unmap() took, after the flush. There may be very many. */
static void shadow_free(struct list_head *batch)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, batch, lru) {
		/* Nor has anybody written to it by an old translation. */
		if (IS_ENABLED(CONFIG_KASAN_VMALLOC_DEBUG))
			WARN_ONCE(kasan_shadow_find_live(page_address(page), PAGE_SIZE),
				  "idle shadow at %lx is not all poison", page_private(page));
		list_del(&page->lru);
		set_page_private(page, 0);
		account_idle(page_pgdat(page), -1);
		page_ref_unfreeze(page, 1);
		__free_page(page);
		cond_resched();
	}
}

/*
 * Give back up to @max idle pages. Look at up to *@nr_to_scan pages, and count
 * that down; it is 0 when there are none left to look at.
 *
 * Return: the number of pages that were given back.
 */
static unsigned long shadow_reclaim_batch(unsigned long max, unsigned long *nr_to_scan)
{
	struct page *page;
	unsigned long nr = 0;
	LIST_HEAD(batch);

	lockdep_assert_held(&reclaim_mutex);

	spin_lock(&store.lock);
	while (*nr_to_scan && nr < max) {
		if (list_empty(&store.pages)) {
			*nr_to_scan = 0;
			break;
		}
		--*nr_to_scan;
		page = list_first_entry(&store.pages, struct page, lru);
		if (shadow_unmap(page, true)) {
			list_move(&page->lru, &batch);
			nr++;
		} else {
			list_move_tail(&page->lru, &store.pages);
		}
		cond_resched_lock(&store.lock);
	}
	spin_unlock(&store.lock);

	if (!nr)
		return 0;

	/*
	 * Rule: a page is freed when its PTE is clear and every TLB has been
	 * flushed since. Until then somebody's use-after-free may read it.
	 */
	kasan_shadow_step(KASAN_SHADOW_RECLAIM_CLEARED);
	kasan_shadow_flush(store.flush_start, store.flush_end);
	count_event(KASAN_SHADOW_FLUSHES);
	kasan_shadow_step(KASAN_SHADOW_RECLAIM_FLUSHED);

	spin_lock(&store.lock);
	WRITE_ONCE(store.flush_start, 0);
	WRITE_ONCE(store.flush_end, 0);
	spin_unlock(&store.lock);
	kasan_shadow_step(KASAN_SHADOW_RECLAIM_DROPPED);

	shadow_free(&batch);
	return nr;
}

/**
 * kasan_shadow_reclaim - give idle shadow back to the page allocator
 * @nr: how many pages
 *
 * Context: Process context, sleeps. Allocates nothing.
 * Return: the number of pages given back: less than @nr if no more are idle.
 */
unsigned long kasan_shadow_reclaim(unsigned long nr)
{
	unsigned long nr_to_scan = READ_ONCE(store.nr_mapped);
	unsigned long freed = 0;

	while (freed < nr && nr_to_scan) {
		mutex_lock(&reclaim_mutex);
		freed += shadow_reclaim_batch(min(nr - freed, SHADOW_BATCH),
					      &nr_to_scan);
		mutex_unlock(&reclaim_mutex);
		cond_resched();
	}
	return freed;
}

static void shadow_trim(struct work_struct *work)
{
	unsigned long limit = READ_ONCE(idle_limit);
	unsigned long idle = nr_idle();

	/* To an eighth below the limit, so that it is not reached again at once. */
	if (idle > limit)
		kasan_shadow_reclaim(idle - (limit - limit / 8));
}

/**
 * kasan_shadow_set_idle_limit - how many idle pages to keep
 * @limit: in pages
 *
 * Context: Process context, sleeps: trims if there are more.
 */
void kasan_shadow_set_idle_limit(unsigned long limit)
{
	WRITE_ONCE(idle_limit, limit);
	shadow_trim(&trim_work);
}

static unsigned long shadow_shrink_count(struct shrinker *shrinker,
					 struct shrink_control *sc)
{
	return nr_idle() ?: SHRINK_EMPTY;
}

/*
 * Objects are idle pages, but the list has live ones as well, so look at a few
 * more than are asked for. Do not wait for a reclaim that is running: every task
 * that allocates may be here.
 */
static unsigned long shadow_shrink_scan(struct shrinker *shrinker,
					struct shrink_control *sc)
{
	unsigned long nr_to_scan = min(sc->nr_to_scan, SHADOW_BATCH) * SHADOW_SCAN_FACTOR;
	unsigned long freed = 0;

	if (!mutex_trylock(&reclaim_mutex))
		return SHRINK_STOP;
	/* one batch, so one flush */
	freed = shadow_reclaim_batch(min(sc->nr_to_scan, SHADOW_BATCH), &nr_to_scan);
	mutex_unlock(&reclaim_mutex);
	return freed;
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
	if (folio_ref_sub_return(page_folio(page), SHADOW_AREA_REF) <
	    SHADOW_AREA_REF) {
		count_event(KASAN_SHADOW_RELEASED);
		account_idle(pgdat, 1);
	}
}

/*
 * Count one area more on the page that @slot names, in @revived as well if it
 * is the first.
 *
 * Return: false if @slot is none or its page frozen. With store.lock held it can
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
		kasan_shadow_step(KASAN_SHADOW_GET_LOADED);
		refs = kasan_page_ref_try_add(page, SHADOW_AREA_REF);
		rcu_read_unlock();
		if (!refs) {
			count_event(KASAN_SHADOW_FROZEN);
			return false;
		}
		kasan_shadow_step(KASAN_SHADOW_GET_COUNTED);
		if (likely(pte_same(pte, ptep_get_lockless(slot))))
			break;
		shadow_unget(page, refs);
	}

	if (refs < SHADOW_AREA_REF && !shadow_is_permanent(page))
		tally_add(revived, page_pgdat(page));
	return true;
}

/*
 * Rule: one reference for each area, so this area's is there to be dropped. If
 * it was the last, the page is counted in @released.
 */
static void shadow_put(struct page *page, struct shadow_tally *released)
{
	struct pglist_data *pgdat = page_pgdat(page);
	bool permanent = shadow_is_permanent(page);

	kasan_shadow_step(KASAN_SHADOW_PUT_LOADED);
	if (folio_ref_sub_return(page_folio(page), SHADOW_AREA_REF) >=
	    SHADOW_AREA_REF)
		return;
	kasan_shadow_step(KASAN_SHADOW_PUT_DROPPED);

	/* Idle from here on: reclaim may have the page already. */
	if (!permanent)
		tally_add(released, pgdat);
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

	while ((page = kasan_shadow_alloc_page(gfp)) &&
	       !page_ref_freeze(page, 1))
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
	lockdep_assert_held(&store.lock);
	set_page_private(page, addr);
	list_add_tail(&page->lru, &store.pages);
	store.nr_mapped++;
	store.peak = max(store.peak, store.nr_mapped);
	count_event(KASAN_SHADOW_POPULATED);
}

/*
 * Get the page of @slot, or else map @page, from alloc_spare(), there.
 *
 * Return: true if @page was used.
 */
static noinline bool shadow_map(pte_t *slot, unsigned long addr,
				struct page *page, struct shadow_tally *revived)
{
	unsigned long seen = 0;

	kasan_shadow_step(KASAN_SHADOW_MAP_MISSED);
	spin_lock(&store.lock);
	count_event(KASAN_SHADOW_LOCKED);

	/*
	 * Rule: nothing new is mapped where the flush of an old translation is
	 * pending. Reclaim flushes its whole range when it is through; who
	 * needs one slot now flushes that, and again if meanwhile a PTE was
	 * cleared, as it may have been this one.
	 */
	while (pte_none(ptep_get(slot)) && kasan_shadow_flush_pending(addr) &&
	       seen != store.nr_cleared) {
		seen = store.nr_cleared;
		spin_unlock(&store.lock);
		kasan_shadow_step(KASAN_SHADOW_MAP_FLUSHING);
		kasan_shadow_flush(addr, addr + PAGE_SIZE);
		count_event(KASAN_SHADOW_SLOT_FLUSHES);
		kasan_shadow_step(KASAN_SHADOW_MAP_FLUSHED);
		spin_lock(&store.lock);
	}

	if (shadow_get(slot, revived)) {
		spin_unlock(&store.lock);
		return false;
	}

	if (IS_ENABLED(CONFIG_KASAN_VMALLOC_DEBUG))
		WARN_ONCE(pte_none(ptep_get(slot)) && kasan_shadow_flush_pending(addr) &&
			  seen != store.nr_cleared,
			  "shadow mapped at %lx with a flush pending", addr);

	shadow_enter(page, addr);
	kasan_shadow_step(KASAN_SHADOW_MAP_SETTING);
	/* (A): the poison before the PTE, see above. Pairs with shadow_get(). */
	smp_wmb();
	while (!set_none(slot, addr, addr + PAGE_SIZE,
			 pfn_pte(page_to_pfn(page), PAGE_KERNEL)))
		clear_trap(slot, addr);
	page_ref_unfreeze(page, 1 + SHADOW_AREA_REF);
	spin_unlock(&store.lock);

	return true;
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
 * Context: Process context, sleeps if @gfp lets it. Takes no lock as long as
 * the pages are there.
 * Return: 0, or -ENOMEM with no reference held.
 */
int kasan_shadow_get(unsigned long start, unsigned long end, gfp_t gfp)
{
	struct shadow_tally revived = { .event = KASAN_SHADOW_REVIVED };
	struct page *spare = NULL;
	struct shadow_walk w;

	gfp &= GFP_RECLAIM_MASK;

	for (begin_walk(&w, start, end); w.addr < end; next_slot(&w)) {
		if (unlikely(IS_ALIGNED(w.addr, PMD_SIZE)))
			end_table(&revived);
		if (unlikely(!w.slot)) {
			w.slot = kasan_shadow_alloc_slot(w.addr, gfp);
			if (!w.slot)
				break;
		}

		if (likely(shadow_get(w.slot, &revived)))
			continue;

		if (!spare)
			spare = alloc_spare(gfp);
		if (!spare)
			break;
		if (shadow_map(w.slot, w.addr, spare, &revived))
			spare = NULL;
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

	/* Rule: a populate that fails holds nothing afterwards. */
	count_event(KASAN_SHADOW_FAILED);
	kasan_shadow_put(start, w.addr, false);
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
	struct shadow_tally released = { .event = KASAN_SHADOW_RELEASED };
	struct shadow_walk w;
	pte_t pte;

	for (begin_walk(&w, start, end); w.addr < end; next_slot(&w)) {
		if (unlikely(IS_ALIGNED(w.addr, PMD_SIZE)))
			end_table(&released);
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
			end_table(&revived);
		if (!w.slot || likely(pte_none(ptep_get_lockless(w.slot))))
			continue;

		spin_lock(&store.lock);
		count_event(KASAN_SHADOW_LOCKED);
		pte = ptep_get(w.slot);
		page = pte_is_own(pte) ? pte_page(pte) : NULL;
		if (!page) {
			/* a trap, or none if reclaim was here just now */
			ptep_get_and_clear(&init_mm, w.addr, w.slot);
			cleared = true;
		} else if (!shadow_is_permanent(page) && shadow_unmap(page, false)) {
			list_move(&page->lru, &batch);
			cleared = true;
		} else {
			shadow_get(w.slot, &revived);
		}
		spin_unlock(&store.lock);
	}
	tally_flush(&revived);

	/*
	 * Rule: nothing new is mapped where the flush of an old translation is
	 * pending, be it by this or by reclaim: who saw a slot empty sees the
	 * range that it lies in, or the flush is through.
	 */
	smp_rmb();
	if (cleared ||
	    (READ_ONCE(store.flush_end) > start && READ_ONCE(store.flush_start) < end)) {
		kasan_shadow_flush(start, end);
		count_event(KASAN_SHADOW_SHARE_FLUSHES);
		shadow_free(&batch);
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
 * Context: Process context, sleeps if @gfp lets it.
 * Return: 0, or -ENOMEM with no reference held.
 */
int kasan_shadow_reserve(unsigned long start, unsigned long end, bool sparse, gfp_t gfp)
{
	unsigned long addr, next;

	gfp &= GFP_RECLAIM_MASK;
	for (addr = start; addr < end; addr = next) {
		next = table_end(addr, end);
		if (!shadow_slot(addr) &&
		    !(CAN_SHARE_TABLES && shared_ready && sparse && next - addr == PMD_SIZE ?
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
	unsigned long nr, changed = 0, tables = 0;
	struct shadow_walk w;
	pte_t pte;

	for (begin_walk(&w, start, end); w.addr < end; next_slot(&w)) {
		/* Some who have only such pages may not sleep, and are small. */
		if (IS_ALIGNED(w.addr, PMD_SIZE) && end - start > PMD_SIZE)
			cond_resched();
		if (!w.slot || slot_is_shared(w.slot)) {
			nr = set_table(w.addr, table_end(w.addr, end), value);
			changed += nr;
			tables += nr;
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
			while (!(nr = set_none(w.slot, w.addr, table_end(w.addr, end), zeroes)))
				clear_trap(w.slot, w.addr);
			changed += nr;
			w.addr += (nr - 1) * PAGE_SIZE;
			w.slot += nr - 1;
		}
	}
	if (!changed)
		return;
	if (!value) {
		this_cpu_add(events[KASAN_SHADOW_SHARED], changed);
		flush_cache_vmap(start, end);
		return;
	}
	/*
	 * Rule: one flush for each area that is freed. Walks to a table that is gone
	 * have to go as well. No architecture flushes more pages than a table has one
	 * by one, and when all is flushed these are.
	 */
	this_cpu_add(events[KASAN_SHADOW_UNSHARED], changed);
	kasan_shadow_flush(start, tables ? end + PMD_SIZE : end);
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

/**
 * kasan_shadow_check_shared - has anybody written to a shared page?
 *
 * Context: Any.
 * Return: the first byte that is wrong, or NULL.
 */
const u8 *kasan_shadow_check_shared(void)
{
	return kasan_shadow_find_other(kasan_early_shadow_page, 0, PAGE_SIZE) ?:
	       kasan_shadow_find_other(trap_page, KASAN_VMALLOC_ABSENT, PAGE_SIZE);
}

/**
 * kasan_shadow_read_stats - read the counters
 * @stats: where to
 *
 * Context: Any. The sums are exact only while nothing is under way.
 */
void kasan_shadow_read_stats(struct kasan_shadow_stats *stats)
{
	unsigned long mapped = READ_ONCE(store.nr_mapped);
	int i;

	for (i = 0; i < NR_KASAN_SHADOW_EVENTS; i++)
		stats->events[i] = nr_events(i);
	stats->idle = min(nr_idle(), mapped);
	stats->live = mapped - stats->idle;
	stats->peak = READ_ONCE(store.peak);
	stats->idle_limit = READ_ONCE(idle_limit);
	stats->shared = stats->events[KASAN_SHADOW_SHARED] -
			stats->events[KASAN_SHADOW_UNSHARED];
}

/**
 * kasan_shadow_for_each - look at all pages that populate has mapped
 * @fn: called with the address of a page and the number of areas counted on it;
 * returns false if it finds something wrong. It is called with a spinlock held,
 * and with an idle page nobody else can get meanwhile.
 *
 * Context: Process context, sleeps.
 * Return: the number of pages for which @fn returned false.
 */
unsigned long kasan_shadow_for_each(bool (*fn)(unsigned long addr,
					       unsigned int areas))
{
	unsigned long wrong = 0, look;
	struct page *page;

	/* Reclaim turns the list round as well. */
	guard(mutex)(&reclaim_mutex);

	spin_lock(&store.lock);
	for (look = store.nr_mapped; look && !list_empty(&store.pages); look--) {
		bool idle;

		page = list_first_entry(&store.pages, struct page, lru);
		list_move_tail(&page->lru, &store.pages);

		idle = page_ref_freeze(page, 1);
		if (!fn(page_private(page),
			page_ref_count(page) / SHADOW_AREA_REF))
			wrong++;
		if (idle)
			page_ref_unfreeze(page, 1);
		cond_resched_lock(&store.lock);
	}
	spin_unlock(&store.lock);

	return wrong;
}

/* memblock's memory comes zeroed, which is what a table has to be. */
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
		set_pte_at(&init_mm, addr, slot,
			   pfn_pte(PFN_DOWN(__pa(page)), PAGE_KERNEL));
	}
	flush_cache_vmap_early(start, end);
}

static int idle_limit_set(const char *val, const struct kernel_param *kp)
{
	char *end;
	unsigned long long bytes = memparse(val, &end);

	if (end == val || (*end && *end != '\n'))
		return -EINVAL;
	kasan_shadow_set_idle_limit(bytes >> PAGE_SHIFT);
	return 0;
}

static int idle_limit_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%lu\n",
			  READ_ONCE(idle_limit) << PAGE_SHIFT);
}

static const struct kernel_param_ops idle_limit_ops = {
	.set = idle_limit_set,
	.get = idle_limit_get,
};
module_param_cb(idle_limit, &idle_limit_ops, NULL, 0644);

/*
 * The memory that has gone offline loses its struct pages next. A populate that
 * read a PTE of one of these pages, before the page was reclaimed and isolated,
 * may still be about to raise its count, see shadow_get(): wait for it.
 */
static int __maybe_unused shadow_hotplug(struct notifier_block *nb,
					 unsigned long action, void *arg)
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
	struct shrinker *shrinker;

	if (kasan_shadow_is_static())
		return 0;

	shared_ready = !WARN_ON(!freeze_shared());

	/*
	 * By default a sixteenth of memory, which is the shadow of vmalloc
	 * areas with half of memory in them: what the largest of users leaves
	 * behind is still warm when it comes back. The shrinker takes idle
	 * pages whenever memory is short; the limit is for a machine on which
	 * it never is, and on which a burst would otherwise be kept for ever.
	 */
	if (idle_limit == ULONG_MAX)
		idle_limit = totalram_pages() / 16;

	shrinker = shrinker_alloc(0, "kasan-vmalloc-shadow");
	if (!shrinker)
		return -ENOMEM;
	shrinker->count_objects = shadow_shrink_count;
	shrinker->scan_objects = shadow_shrink_scan;
	shrinker->batch = SHADOW_BATCH;
	shrinker_register(shrinker);
	hotplug_memory_notifier(shadow_hotplug, DEFAULT_CALLBACK_PRI);
	return 0;
}
core_initcall(kasan_shadow_init);
