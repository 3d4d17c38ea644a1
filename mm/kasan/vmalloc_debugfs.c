// SPDX-License-Identifier: GPL-2.0
/*
 * What KASAN_VMALLOC costs in memory, for users to see, in debugfs:
 *
 *   kasan_vmalloc/stats   pages of shadow, and what happened to them
 *   kasan_vmalloc/check   do the pages agree with the areas that there are?
 */

#define pr_fmt(fmt) "kasan_vmalloc: " fmt

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "kasan.h"
#include "vmalloc_shadow.h"

static const char * const event_names[] = {
	[KASAN_SHADOW_POPULATED]	= "populated",
	[KASAN_SHADOW_REVIVED]		= "revived",
	[KASAN_SHADOW_RELEASED]		= "released",
	[KASAN_SHADOW_RECLAIMED]	= "reclaimed",
	[KASAN_SHADOW_FLUSHES]		= "flushes",
	[KASAN_SHADOW_SLOT_FLUSHES]	= "slot_flushes",
	[KASAN_SHADOW_LOCKED]		= "locked",
	[KASAN_SHADOW_FROZEN]		= "frozen",
	[KASAN_SHADOW_RECHECKED]	= "rechecked",
	[KASAN_SHADOW_FAILED]		= "failures",
	[KASAN_SHADOW_SHARED]		= "share",
	[KASAN_SHADOW_UNSHARED]		= "unshare",
	[KASAN_SHADOW_SHARE_FLUSHES]	= "share_flushes",
	[KASAN_SHADOW_TRAPS]		= "traps",
	[KASAN_SHADOW_TRAP_FLUSHES]	= "trap_flushes",
};

static_assert(ARRAY_SIZE(event_names) == NR_KASAN_SHADOW_EVENTS);

static int stats_show(struct seq_file *m, void *unused)
{
	struct kasan_shadow_stats stats;
	int i;

	kasan_shadow_read_stats(&stats);
	seq_printf(m, "live %lu\n", stats.live);
	seq_printf(m, "idle %lu\n", stats.idle);
	seq_printf(m, "peak %lu\n", stats.peak);
	seq_printf(m, "shared %lu\n", stats.shared);
	seq_printf(m, "idle_limit %lu\n", stats.idle_limit);
	for (i = 0; i < NR_KASAN_SHADOW_EVENTS; i++)
		seq_printf(m, "%s %lu\n", event_names[i], stats.events[i]);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

/*
 * The page of shadow at @addr counts @areas areas: are there as many, and is
 * the shadow of the space between them all poison?
 */
static bool page_agrees(unsigned long addr, unsigned int areas, bool warn)
{
	unsigned long mem = (unsigned long)kasan_shadow_to_mem((void *)addr);
	const size_t step = PAGE_SIZE >> KASAN_SHADOW_SCALE_SHIFT;
	const struct vmap_area *va, *last = NULL;
	unsigned int found = 0;
	unsigned long off;

	for (off = 0; off < PAGE_SIZE; off += step, mem += PAGE_SIZE) {
		va = find_vmap_area(mem);
		if (!va && kasan_shadow_find_live((void *)addr + off, step)) {
			if (warn)
				pr_warn("shadow at %lx: no area at %lx, but not all poison\n",
					addr, mem);
			return false;
		}
		if (va && va != last)
			found++;
		last = va;
	}

	if (warn && found != areas)
		pr_warn("shadow at %lx: %u areas, %u counted\n",
			addr, found, areas);
	return found == areas;
}

static bool check_page(unsigned long addr, unsigned int areas)
{
	return page_agrees(addr, areas, false);
}

static bool check_page_loud(unsigned long addr, unsigned int areas)
{
	return page_agrees(addr, areas, true);
}

/*
 * An area that is being made or freed while its page is looked at disagrees for
 * that moment, and one that waits for RCU (stacks) and the purge until then. A
 * lost reference disagrees for ever. So look until all agree; what still does
 * not at the last look is wrong.
 */
static int check_show(struct seq_file *m, void *unused)
{
	unsigned long wrong = 1;
	int look;

	for (look = 0; wrong && look < 10; look++) {
		rcu_barrier();
		vm_unmap_aliases();
		wrong = kasan_shadow_for_each(look < 9 ? check_page :
							 check_page_loud);
	}
	WARN(wrong, "%lu pages of shadow do not agree with the areas\n", wrong);
	if (WARN(kasan_shadow_check_shared(), "somebody wrote to a shared page of shadow\n"))
		wrong++;
	seq_printf(m, "wrong %lu\n", wrong);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(check);

static int __init kasan_vmalloc_debugfs_init(void)
{
	struct dentry *dir;

	if (kasan_shadow_is_static())
		return 0;

	dir = debugfs_create_dir("kasan_vmalloc", NULL);
	debugfs_create_file("stats", 0444, dir, NULL, &stats_fops);
	if (IS_ENABLED(CONFIG_KASAN_VMALLOC_DEBUG))
		debugfs_create_file("check", 0400, dir, NULL, &check_fops);
	return 0;
}
late_initcall(kasan_vmalloc_debugfs_init);
