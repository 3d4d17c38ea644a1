// SPDX-License-Identifier: GPL-2.0
/*
 * Idle pages of shadow are given back: to the shrinker when memory is short, and what
 * is more than the idle limit.
 *
 * In batches: freeze pages that have no area, clear their PTEs, flush the TLBs once,
 * free.
 */

#include <linux/cleanup.h>
#include <linux/init.h>
#include <linux/kasan.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/shrinker.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "kasan.h"
#include "vmalloc_store.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "kasan_vmalloc."

/* Pages given back for one TLB flush. */
#define SHADOW_BATCH		512

/* Pages that the shrinker looks at for each that it is to give back. */
#define SHADOW_SCAN_FACTOR	16

/* See vmalloc_store.h. */
DEFINE_MUTEX(kasan_reclaim_mutex);

unsigned long kasan_shadow_idle_limit = ULONG_MAX;

/**
 * kasan_shadow_unmap - take a page that is idle out of its slot
 * @page: a page of the store
 * @pending: tell other CPUs that a flush of this slot is pending
 *
 * Context: kasan_store.lock held.
 * Return: false if an area is counted on it. Else it is frozen, and to be freed by
 * kasan_shadow_free() after a flush.
 */
bool kasan_shadow_unmap(struct page *page, bool pending)
{
	unsigned long addr = page_private(page);

	lockdep_assert_held(&kasan_store.lock);

	/* Not worth an atomic operation if it is plain that it must fail. */
	if (page_ref_count(page) != 1 || !page_ref_freeze(page, 1))
		return false;

	if (pending) {
		bool none = kasan_store.flush_start == kasan_store.flush_end;

		WRITE_ONCE(kasan_store.flush_start,
			   none ? addr : min(kasan_store.flush_start, addr));
		WRITE_ONCE(kasan_store.flush_end, max(kasan_store.flush_end, addr + PAGE_SIZE));
		/* The range before the PTE. Pairs with clear_out(). */
		smp_wmb();
	}
	/* As vunmap() does: s390 may not just store to a PTE that was valid. */
	ptep_get_and_clear(&init_mm, addr, shadow_slot(addr));
	kasan_store.nr_cleared++;
	kasan_store.nr_mapped--;
	count_event(KASAN_SHADOW_RECLAIMED);
	return true;
}

/**
 * kasan_shadow_free - free pages that kasan_shadow_unmap() took
 * @batch: a list of them, all flushed since
 *
 * Context: Process context, may reschedule: there may be very many.
 */
void kasan_shadow_free(struct list_head *batch)
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
static unsigned long reclaim_batch(unsigned long max, unsigned long *nr_to_scan)
{
	struct page *page;
	unsigned long nr = 0;
	LIST_HEAD(batch);

	lockdep_assert_held(&kasan_reclaim_mutex);

	spin_lock(&kasan_store.lock);
	while (*nr_to_scan && nr < max) {
		if (list_empty(&kasan_store.pages)) {
			*nr_to_scan = 0;
			break;
		}
		--*nr_to_scan;
		page = list_first_entry(&kasan_store.pages, struct page, lru);
		if (kasan_shadow_unmap(page, true)) {
			list_move(&page->lru, &batch);
			nr++;
		} else {
			list_move_tail(&page->lru, &kasan_store.pages);
		}
		cond_resched_lock(&kasan_store.lock);
	}
	spin_unlock(&kasan_store.lock);

	if (!nr)
		return 0;

	/*
	 * Rule 3: a page is freed when its PTE is clear and every TLB has been
	 * flushed since. Until then somebody's use-after-free may read it.
	 */
	race();
	kasan_shadow_flush(kasan_store.flush_start, kasan_store.flush_end);
	race();
	count_event(KASAN_SHADOW_FLUSHES);

	spin_lock(&kasan_store.lock);
	WRITE_ONCE(kasan_store.flush_start, 0);
	WRITE_ONCE(kasan_store.flush_end, 0);
	spin_unlock(&kasan_store.lock);

	kasan_shadow_free(&batch);
	return nr;
}

/**
 * kasan_shadow_reclaim - give idle shadow back to the page allocator
 * @nr: how many pages
 *
 * Context: Process context, sleeps. Rule 9: allocates nothing, purges nothing.
 * Return: the number of pages given back: less than @nr if no more are idle.
 */
unsigned long kasan_shadow_reclaim(unsigned long nr)
{
	unsigned long nr_to_scan = READ_ONCE(kasan_store.nr_mapped);
	unsigned long freed = 0;

	while (freed < nr && nr_to_scan) {
		mutex_lock(&kasan_reclaim_mutex);
		freed += reclaim_batch(min(nr - freed, SHADOW_BATCH), &nr_to_scan);
		mutex_unlock(&kasan_reclaim_mutex);
		cond_resched();
	}
	return freed;
}

static void trim(struct work_struct *work)
{
	unsigned long limit = READ_ONCE(kasan_shadow_idle_limit);
	unsigned long idle = kasan_shadow_nr_idle();

	/* Trim to an eighth below the limit, so that the next trim is a while away. */
	if (idle > limit)
		kasan_shadow_reclaim(idle - (limit - limit / 8));
}

static DECLARE_WORK(trim_work, trim);

/**
 * kasan_shadow_trim_later - pages have become idle: are they too many?
 *
 * Reclaim sleeps, so it is left to a worker.
 *
 * Context: Any.
 */
void kasan_shadow_trim_later(void)
{
	if (kasan_shadow_nr_idle() > READ_ONCE(kasan_shadow_idle_limit))
		schedule_work(&trim_work);
}

/**
 * kasan_shadow_set_idle_limit - how many idle pages to keep
 * @limit: in pages
 *
 * Context: Process context, sleeps: trims if there are more.
 */
void kasan_shadow_set_idle_limit(unsigned long limit)
{
	WRITE_ONCE(kasan_shadow_idle_limit, limit);
	trim(&trim_work);
}

static unsigned long shrink_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	return kasan_shadow_nr_idle() ?: SHRINK_EMPTY;
}

/*
 * Objects are idle pages, but the list has live ones as well, so look at a few
 * more than are asked for. Do not wait for a reclaim that is running: every task
 * that allocates may be here.
 */
static unsigned long shrink_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	unsigned long nr_to_scan = min(sc->nr_to_scan, SHADOW_BATCH) * SHADOW_SCAN_FACTOR;
	unsigned long freed = 0;

	if (!mutex_trylock(&kasan_reclaim_mutex))
		return SHRINK_STOP;
	/* one batch, so one flush */
	freed = reclaim_batch(min(sc->nr_to_scan, SHADOW_BATCH), &nr_to_scan);
	mutex_unlock(&kasan_reclaim_mutex);
	return freed;
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
	return sysfs_emit(buffer, "%lu\n", READ_ONCE(kasan_shadow_idle_limit) << PAGE_SHIFT);
}

static const struct kernel_param_ops idle_limit_ops = {
	.set = idle_limit_set,
	.get = idle_limit_get,
};
module_param_cb(idle_limit, &idle_limit_ops, NULL, 0644);

static int __init kasan_reclaim_init(void)
{
	struct shrinker *shrinker;

	if (kasan_shadow_is_static())
		return 0;

	/*
	 * By default a sixteenth of memory, which is the shadow of vmalloc areas with half
	 * of memory in them: what the largest of users leaves behind is still warm when it
	 * comes back. The shrinker takes idle pages whenever memory is short; the limit is
	 * for a machine on which it never is, and on which a burst would otherwise be kept
	 * for ever.
	 */
	if (kasan_shadow_idle_limit == ULONG_MAX)
		kasan_shadow_idle_limit = totalram_pages() / 16;

	shrinker = shrinker_alloc(0, "kasan-vmalloc-shadow");
	if (!shrinker)
		return -ENOMEM;
	shrinker->count_objects = shrink_count;
	shrinker->scan_objects = shrink_scan;
	shrinker->batch = SHADOW_BATCH;
	shrinker_register(shrinker);
	return 0;
}
core_initcall(kasan_reclaim_init);
