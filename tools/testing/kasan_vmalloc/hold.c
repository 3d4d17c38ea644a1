// SPDX-License-Identifier: GPL-2.0
/*
 * Areas to hold, for a look at what their shadow takes. In
 * /sys/module/hold/parameters/:
 *
 *   echo 20000 1 > add    20,000 areas of one page more
 *   echo 16 4095 > map    16 areas more with one and the same page at each of
 *                         4,095 places: address space that takes no memory
 *   echo 1 1048575 > sparse   a sparse area with nothing mapped
 *   echo 500 1 > free     the 500 oldest areas of one page are freed
 *   echo > free           all are
 *   echo > purge          what has been freed is purged
 *   cat need              pages of shadow that the areas held overlap
 */

#define pr_fmt(fmt) "hold: " fmt

#include <linux/kasan.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/xarray.h>

struct area {
	struct list_head list;
	void *addr;
	unsigned int pages;
	bool mapped;
	struct vm_struct *vm;	/* of a sparse one */
};

static LIST_HEAD(areas);

/* What is not exported, from /proc/kallsyms. */
static ulong get_vm_area_at;
module_param(get_vm_area_at, ulong, 0400);

/* @places is what to map, or NULL for memory of the area's own. */
static int area_add(unsigned int pages, struct page **places, bool sparse)
{
	struct vm_struct *(*get)(unsigned long size, unsigned long flags) = (void *)get_vm_area_at;
	struct area *area = kzalloc(sizeof(*area), GFP_KERNEL);

	if (!area)
		return -ENOMEM;
	area->pages = pages;
	area->mapped = places;
	if (sparse) {
		area->vm = get((size_t)pages << PAGE_SHIFT, VM_SPARSE);
		area->addr = area->vm ? area->vm->addr : NULL;
	} else if (places) {
		area->addr = vmap(places, pages, VM_MAP, PAGE_KERNEL);
	} else {
		area->addr = vmalloc((size_t)pages << PAGE_SHIFT);
	}
	if (!area->addr) {
		kfree(area);
		return -ENOMEM;
	}
	list_add_tail(&area->list, &areas);
	return 0;
}

static void area_free(struct area *area)
{
	list_del(&area->list);
	if (area->vm)
		free_vm_area(area->vm);
	else if (area->mapped)
		vunmap(area->addr);
	else
		vfree(area->addr);
	kfree(area);
}

static int areas_add(unsigned int nr, unsigned int pages, struct page **places)
{
	int ret = 0;

	while (nr-- && !ret) {
		ret = area_add(pages, places, false);
		cond_resched();
	}
	return ret;
}

static int add(const char *val, const struct kernel_param *kp)
{
	unsigned int nr, pages;

	if (sscanf(val, "%u %u", &nr, &pages) != 2 || !pages)
		return -EINVAL;
	return areas_add(nr, pages, NULL);
}

static int map(const char *val, const struct kernel_param *kp)
{
	struct page **places;
	unsigned int nr, pages, i;
	int ret;

	if (sscanf(val, "%u %u", &nr, &pages) != 2 || !pages)
		return -EINVAL;
	places = kvmalloc_array(pages, sizeof(*places), GFP_KERNEL);
	if (!places)
		return -ENOMEM;
	for (i = 0; i < pages; i++)
		places[i] = ZERO_PAGE(0);
	ret = areas_add(nr, pages, places);
	kvfree(places);
	return ret;
}

static int sparse(const char *val, const struct kernel_param *kp)
{
	unsigned int nr, pages;
	int ret = 0;

	if (!get_vm_area_at || sscanf(val, "%u %u", &nr, &pages) != 2 || !pages)
		return -EINVAL;
	while (nr-- && !ret)
		ret = area_add(pages, NULL, true);
	return ret;
}

static int free_areas(const char *val, const struct kernel_param *kp)
{
	unsigned int nr = UINT_MAX, pages = 0;
	struct area *area, *next;

	if (*val && *val != '\n' && sscanf(val, "%u %u", &nr, &pages) != 2)
		return -EINVAL;
	list_for_each_entry_safe(area, next, &areas, list) {
		if (!nr)
			break;
		if (pages && area->pages != pages)
			continue;
		area_free(area);
		nr--;
		cond_resched();
	}
	return 0;
}

static int purge(const char *val, const struct kernel_param *kp)
{
	vm_unmap_aliases();
	return 0;
}

/* A page of shadow describes so many bytes; a guard page has shadow as well. */
#define SHADOWED	(PAGE_SIZE << KASAN_SHADOW_SCALE_SHIFT)

static int need(char *buffer, const struct kernel_param *kp)
{
	unsigned long i, last, nr = 0;
	DEFINE_XARRAY(overlapped);
	struct area *area;
	int ret = 0;

	list_for_each_entry(area, &areas, list) {
		i = (unsigned long)area->addr / SHADOWED;
		last = ((unsigned long)area->addr +
			((size_t)area->pages << PAGE_SHIFT)) / SHADOWED;
		for (; i <= last && !ret; i++) {
			ret = xa_insert(&overlapped, i, xa_mk_value(1),
					GFP_KERNEL);
			if (!ret)
				nr++;
			else if (ret == -EBUSY)
				ret = 0;
		}
		cond_resched();
	}
	xa_destroy(&overlapped);
	return ret ?: sysfs_emit(buffer, "%lu\n", nr);
}

static const struct kernel_param_ops add_ops = { .set = add };
static const struct kernel_param_ops map_ops = { .set = map };
static const struct kernel_param_ops sparse_ops = { .set = sparse };
static const struct kernel_param_ops free_ops = { .set = free_areas };
static const struct kernel_param_ops purge_ops = { .set = purge };
static const struct kernel_param_ops need_ops = { .get = need };

module_param_cb(add, &add_ops, NULL, 0200);
module_param_cb(map, &map_ops, NULL, 0200);
module_param_cb(sparse, &sparse_ops, NULL, 0200);
module_param_cb(free, &free_ops, NULL, 0200);
module_param_cb(purge, &purge_ops, NULL, 0200);
module_param_cb(need, &need_ops, NULL, 0400);

static int __init hold_init(void)
{
	return 0;
}

static void __exit hold_exit(void)
{
	free_areas("", NULL);
}

module_init(hold_init);
module_exit(hold_exit);
MODULE_DESCRIPTION("Areas to hold, for a look at what their shadow takes");
MODULE_LICENSE("GPL");
