// SPDX-License-Identifier: GPL-2.0
/*
 * What KASAN_VMALLOC costs in memory, for users to see, in debugfs:
 *
 *   kasan_vmalloc/stats   pages of shadow, and what happened to them
 *   kasan_vmalloc/check   do the pages agree with the areas that there are?
 */

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/kasan.h>
#include <linux/mm.h>
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
	[KASAN_SHADOW_FAILED]		= "failures",
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
static bool check_page(unsigned long addr, unsigned int areas)
{
	unsigned long mem = (unsigned long)kasan_shadow_to_mem((void *)addr);
	const size_t step = PAGE_SIZE >> KASAN_SHADOW_SCALE_SHIFT;
	const struct vmap_area *va, *last = NULL;
	unsigned int found = 0;
	unsigned long off;

	for (off = 0; off < PAGE_SIZE; off += step, mem += PAGE_SIZE) {
		va = find_vmap_area(mem);
		if (!va) {
			if (WARN(memchr_inv((void *)addr + off,
					    KASAN_VMALLOC_INVALID, step),
				 "shadow at %lx: no area at %lx, but not all poison",
				 addr, mem))
				return false;
		} else if (va != last) {
			found++;
		}
		last = va;
	}

	return !WARN(found != areas, "shadow at %lx: %u areas, %u counted",
		     addr, found, areas);
}

/*
 * Areas that are being allocated or freed meanwhile would be found wrong, and
 * so would those that wait for a purge.
 */
static int check_show(struct seq_file *m, void *unused)
{
	vm_unmap_aliases();
	seq_printf(m, "wrong %lu\n", kasan_shadow_for_each(check_page));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(check);

static int __init kasan_vmalloc_debugfs_init(void)
{
	struct dentry *dir = debugfs_create_dir("kasan_vmalloc", NULL);

	debugfs_create_file("stats", 0444, dir, NULL, &stats_fops);
	if (IS_ENABLED(CONFIG_KASAN_VMALLOC_DEBUG))
		debugfs_create_file("check", 0400, dir, NULL, &check_fops);
	return 0;
}
late_initcall(kasan_vmalloc_debugfs_init);
