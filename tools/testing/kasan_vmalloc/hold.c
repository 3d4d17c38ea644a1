// SPDX-License-Identifier: GPL-2.0
/*
 * Areas to hold, for a look at what their shadow takes:
 *
 *   echo 20000 1 > /sys/module/hold/parameters/add    20,000 areas of one page more
 *   echo > /sys/module/hold/parameters/free           all are freed and purged
 */

#define pr_fmt(fmt) "hold: " fmt

#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>

/* Each area begins with what links it to the next. */
struct area {
	struct area *next;
};

static struct area *areas;

static int add(const char *val, const struct kernel_param *kp)
{
	unsigned int nr, pages;

	if (sscanf(val, "%u %u", &nr, &pages) != 2 || !pages)
		return -EINVAL;
	while (nr--) {
		struct area *area = vmalloc((size_t)pages << PAGE_SHIFT);

		if (!area)
			return -ENOMEM;
		area->next = areas;
		areas = area;
		cond_resched();
	}
	return 0;
}

static int free_all(const char *val, const struct kernel_param *kp)
{
	while (areas) {
		struct area *area = areas;

		areas = area->next;
		vfree(area);
		cond_resched();
	}
	vm_unmap_aliases();
	return 0;
}

static const struct kernel_param_ops add_ops = { .set = add };
static const struct kernel_param_ops free_ops = { .set = free_all };

module_param_cb(add, &add_ops, NULL, 0200);
module_param_cb(free, &free_ops, NULL, 0200);

static int __init hold_init(void)
{
	return 0;
}

static void __exit hold_exit(void)
{
	free_all("", NULL);
}

module_init(hold_init);
module_exit(hold_exit);
MODULE_DESCRIPTION("Areas to hold, for a look at what their shadow takes");
MODULE_LICENSE("GPL");
