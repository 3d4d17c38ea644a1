// SPDX-License-Identifier: GPL-2.0
/*
 * What KASAN_VMALLOC says of itself: the counters, the checks of the rules that
 * KASAN_VMALLOC_DEBUG makes, and what the compiler leaves unchecked.
 */

#define pr_fmt(fmt) "kasan_vmalloc: " fmt

#include <linux/cleanup.h>
#include <linux/init.h>
#include <linux/kasan.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#include "kasan.h"
#include "vmalloc_store.h"

/**
 * kasan_shadow_nr_events - how often something happened since boot
 * @event: what
 *
 * Context: Any.
 * Return: the number; if it is happening meanwhile, from before or after that.
 */
unsigned long kasan_shadow_nr_events(enum kasan_shadow_event event)
{
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu(kasan_shadow_events[event], cpu);
	return sum;
}

/**
 * kasan_shadow_nr_idle - how many pages are idle
 *
 * Context: Any.
 * Return: the number, exact when nothing is under way, else off by what is.
 */
unsigned long kasan_shadow_nr_idle(void)
{
	long idle = kasan_shadow_nr_events(KASAN_SHADOW_RELEASED) -
		    kasan_shadow_nr_events(KASAN_SHADOW_REVIVED) -
		    kasan_shadow_nr_events(KASAN_SHADOW_RECLAIMED);

	return max(idle, 0L);
}

/**
 * kasan_shadow_read_stats - read the counters
 * @stats: the structure to fill in
 *
 * Context: Any. The sums are exact only while nothing is under way.
 */
void kasan_shadow_read_stats(struct kasan_shadow_stats *stats)
{
	unsigned long mapped = READ_ONCE(kasan_store.nr_mapped);
	int i;

	for (i = 0; i < NR_KASAN_SHADOW_EVENTS; i++)
		stats->events[i] = kasan_shadow_nr_events(i);
	stats->idle = min(kasan_shadow_nr_idle(), mapped);
	stats->live = mapped - stats->idle;
	stats->peak = READ_ONCE(kasan_store.peak);
	stats->idle_limit = READ_ONCE(kasan_shadow_idle_limit);
	stats->shared = stats->events[KASAN_SHADOW_SHARED] -
			stats->events[KASAN_SHADOW_UNSHARED];
}

/**
 * kasan_shadow_find_other - find a byte that has another value
 * @shadow: the first byte to look at
 * @value: that which all should have
 * @size: how many bytes to look at
 *
 * Context: Any.
 * Return: the first that has another, or NULL.
 */
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

/**
 * kasan_shadow_find_live - find a byte that is not poison
 * @shadow: the first byte to look at
 * @size: how many bytes to look at
 *
 * Shadow reads as poison where there never was memory (or where that ended,
 * KASAN_VMALLOC_INVALID), and where memory was freed (KASAN_VMALLOC_FREE).
 *
 * Context: Any.
 * Return: the first that is neither, or NULL.
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

#ifdef CONFIG_KASAN_VMALLOC_DEBUG
/**
 * kasan_shadow_check_poison - self-check: rule 2 for a dead area
 * @start: where it begins
 * @end: where it ends
 * @when: what is about to happen to it
 *
 * Its bytes are all poison, and of one kind in each page, on which set_bounds() in
 * vmalloc.c relies.
 *
 * Context: Process context, may reschedule.
 */
void kasan_shadow_check_poison(unsigned long start, unsigned long end, const char *when)
{
	const size_t step = PAGE_SIZE >> KASAN_SHADOW_SCALE_SHIFT;
	const u8 *shadow = kasan_mem_to_shadow((void *)start);
	const u8 *first = shadow, *last = kasan_mem_to_shadow((void *)end);
	bool own = false;

	for (; shadow < last; shadow += step) {
		const u8 *bad = NULL;

		/* the same for all of a page of shadow */
		if (shadow == first || PAGE_ALIGNED((unsigned long)shadow))
			own = kasan_shadow_is_own((unsigned long)shadow);
		if (own)
			bad = kasan_shadow_find_live(shadow, step) ?:
			      kasan_shadow_find_other(shadow, *shadow, step);
		if (WARN_ONCE(bad, "%s: shadow of %lx in the area at %lx is %02x",
			      when, (unsigned long)kasan_shadow_to_mem(bad),
			      start, *bad))
			return;
		if (IS_ALIGNED((unsigned long)shadow, SZ_1M))
			kasan_shadow_resched(false);
	}
}
#endif

/**
 * kasan_shadow_check_shared - has anybody written to a shared page?
 *
 * Context: Any.
 * Return: the first byte that is wrong, or NULL.
 */
const u8 *kasan_shadow_check_shared(void)
{
	return kasan_shadow_find_other(kasan_early_shadow_page, 0, PAGE_SIZE) ?:
	       kasan_shadow_find_other(kasan_trap_page, KASAN_VMALLOC_ABSENT, PAGE_SIZE);
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
unsigned long kasan_shadow_for_each(bool (*fn)(unsigned long addr, unsigned int areas))
{
	unsigned long wrong = 0, look;
	struct page *page;

	/* Reclaim turns the list round as well. */
	guard(mutex)(&kasan_reclaim_mutex);

	spin_lock(&kasan_store.lock);
	for (look = kasan_store.nr_mapped; look && !list_empty(&kasan_store.pages); look--) {
		bool idle;

		page = list_first_entry(&kasan_store.pages, struct page, lru);
		list_move_tail(&page->lru, &kasan_store.pages);

		idle = page_ref_freeze(page, 1);
		if (!fn(page_private(page), page_ref_count(page) / SHADOW_AREA_REF))
			wrong++;
		if (idle)
			page_ref_unfreeze(page, 1);
		cond_resched_lock(&kasan_store.lock);
	}
	spin_unlock(&kasan_store.lock);

	return wrong;
}

/* The compiler decides whether these three are checked, so tell the user if they are not. */
static int __init kasan_vmalloc_notice(void)
{
	if (!IS_ENABLED(CONFIG_CC_HAS_KASAN_MEMINTRINSIC_PREFIX) &&
	    IS_ENABLED(CONFIG_GENERIC_ENTRY))
		pr_info("memcpy(), memset() and memmove() are not checked: that takes GCC 13 or Clang 15\n");
	return 0;
}
core_initcall(kasan_vmalloc_notice);
