/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The page store behind KASAN_VMALLOC, as its users see it: the hooks
 * (vmalloc.c), the counters (vmalloc_debugfs.c) and the tests.
 *
 * Addresses are addresses of shadow, in bytes and page aligned.
 */
#ifndef __MM_KASAN_VMALLOC_SHADOW_H
#define __MM_KASAN_VMALLOC_SHADOW_H

#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/types.h>

#include "kasan.h"

/* What happened to shadow pages since boot. */
enum kasan_shadow_event {
	KASAN_SHADOW_POPULATED,		/* absent -> live */
	KASAN_SHADOW_REVIVED,		/* idle -> live */
	KASAN_SHADOW_RELEASED,		/* live -> idle */
	KASAN_SHADOW_RECLAIMED,		/* idle -> reclaimed */
	KASAN_SHADOW_FLUSHES,		/* TLB flushes, one for each batch */
	KASAN_SHADOW_SLOT_FLUSHES,	/* TLB flushes by populate, one page */
	KASAN_SHADOW_LOCKED,		/* populate took the lock of the store */
	KASAN_SHADOW_FROZEN,		/* populate found the page being reclaimed */
	KASAN_SHADOW_RECHECKED,		/* populate counted on a page that was gone */
	KASAN_SHADOW_FAILED,		/* populate failed */
	KASAN_SHADOW_SHARED,		/* a slot of a large area: zeroes mapped */
	KASAN_SHADOW_UNSHARED,		/* and taken off */
	KASAN_SHADOW_SHARE_FLUSHES,	/* TLB flushes for that, one for each area */
	KASAN_SHADOW_TRAPS,		/* a check read a slot that was none */
	KASAN_SHADOW_TRAP_FLUSHES,	/* TLB flushes by who needed such a slot */
	NR_KASAN_SHADOW_EVENTS
};

struct kasan_shadow_stats {
	unsigned long live;		/* pages that an area overlaps */
	unsigned long idle;		/* pages kept for the next area */
	unsigned long peak;		/* the most that were mapped at once */
	unsigned long shared;		/* slots with zeroes instead */
	unsigned long idle_limit;	/* more idle pages than this get trimmed */
	unsigned long events[NR_KASAN_SHADOW_EVENTS];
};

/*
 * The host of um maps all shadow at start: there is nothing to map, to count or
 * to give back, only poison to be set. Space that nobody used reads as accessible.
 */
static inline bool kasan_shadow_is_static(void)
{
	return IS_ENABLED(CONFIG_UML);
}

/*
 * In the midst of long work: offer to reschedule if the caller is known to let that happen.
 * If it is not, as the gfp mask with which the shadow was populated can forbid it and is
 * gone, then only where the context tells.
 */
static inline void kasan_shadow_resched(bool may_block)
{
	if (IS_ENABLED(CONFIG_PREEMPT_COUNT) && preemptible() && !rcu_preempt_depth())
		may_block = true;
	if (may_block)
		cond_resched();
}

int kasan_shadow_get(unsigned long start, unsigned long end, gfp_t gfp);
void kasan_shadow_put(unsigned long start, unsigned long end, bool large);
int kasan_shadow_reserve(unsigned long start, unsigned long end, bool sparse, gfp_t gfp);
void kasan_shadow_set(unsigned long start, unsigned long end, u8 value);
unsigned long kasan_shadow_reclaim(unsigned long nr);
void kasan_shadow_set_idle_limit(unsigned long limit);
void kasan_shadow_map_early(unsigned long start, unsigned long end);

void kasan_shadow_read_stats(struct kasan_shadow_stats *stats);
bool kasan_shadow_is_own(unsigned long addr);

#ifdef CONFIG_KASAN_VMALLOC_DEBUG
void kasan_shadow_check_poison(unsigned long start, unsigned long end, const char *when);
#else
static inline void kasan_shadow_check_poison(unsigned long start, unsigned long end,
					     const char *when) { }
#endif
const u8 *kasan_shadow_check_shared(void);
unsigned long kasan_shadow_for_each(bool (*fn)(unsigned long addr, unsigned int areas));

/*
 * Shadow has shadow of its own on some architectures only, so what reads and
 * writes it must not be instrumented, as memchr_inv() is, and memset64() where
 * it is written in C. Only files that are not may use this.
 */
static __always_inline void kasan_shadow_fill(u64 *shadow, u8 value, size_t words)
{
	u64 word = value * 0x0101010101010101ULL;

#ifdef __HAVE_ARCH_MEMSET64
	memset64(shadow, word, words);
#else
	OPTIMIZER_HIDE_VAR(word);	/* no memset() may be made of it */
	while (words--)
		*shadow++ = word;
#endif
}

const u8 *kasan_shadow_find_other(const u8 *shadow, u8 value, size_t size);
const u8 *kasan_shadow_find_live(const u8 *shadow, size_t size);

#endif /* __MM_KASAN_VMALLOC_SHADOW_H */
