// SPDX-License-Identifier: GPL-2.0
/*
 * Operations of the vmalloc family for fault injection: the guest's init sets
 * /proc/self/fail-nth and writes the name of one to the parameter "op", or the
 * name and a number to have it run so many times. What an operation got before an
 * allocation failed it gives back, so that afterwards no page of shadow may count
 * an area that is not there.
 */

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

/* More than one block of vm_map_ram() holds. */
static int op_vm_map_ram(void)
{
	enum { COUNT = 64, NR = 17 };
	static struct page *pages[COUNT];
	static void *mem[NR];
	int i, ret = 0;

	for (i = 0; i < COUNT; i++)
		pages[i] = ZERO_PAGE(0);
	for (i = 0; i < NR; i++) {
		mem[i] = vm_map_ram(pages, COUNT, NUMA_NO_NODE);
		if (!mem[i]) {
			ret = -ENOMEM;
			break;
		}
	}
	while (i--)
		vm_unmap_ram(mem[i], COUNT);
	return ret;
}

static int op_vmap(void)
{
	struct page *page = ZERO_PAGE(0);
	void *mem = vmap(&page, 1, VM_MAP, PAGE_KERNEL);

	vunmap(mem);
	return mem ? 0 : -ENOMEM;
}

static int op_vmalloc(void)
{
	void *mem = vmalloc(SZ_1M);

	vfree(mem);
	return mem ? 0 : -ENOMEM;
}

/* More than what is left of a chunk, so that one has to be made. */
static int op_percpu(void)
{
	enum { NR = 80 };
	static void __percpu *mem[NR];
	int i, ret = 0;

	for (i = 0; i < NR; i++) {
		mem[i] = __alloc_percpu(SZ_32K, SZ_4K);
		if (!mem[i]) {
			ret = -ENOMEM;
			break;
		}
	}
	while (i--)
		free_percpu(mem[i]);
	return ret;
}

static const struct {
	const char *name;
	int (*run)(void);
} ops[] = {
	{ "vm_map_ram", op_vm_map_ram },
	{ "vmap", op_vmap },
	{ "vmalloc", op_vmalloc },
	{ "percpu", op_percpu },
};

/* Many times, with what the fault attributes say for tasks that are to fail. */
static void run_often(int (*run)(void), unsigned int times)
{
	while (times--) {
		/* no block of vm_map_ram() left, nor its index */
		vm_unmap_aliases();
		current->make_it_fail = 1;
		run();
		current->make_it_fail = 0;
		cond_resched();
	}
}

static int set_op(const char *val, const struct kernel_param *kp)
{
	unsigned int i, times = 0;
	char name[16];

	if (sscanf(val, "%15s %u", name, &times) < 1)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		if (strcmp(name, ops[i].name))
			continue;
		if (!times)
			return ops[i].run();
		run_often(ops[i].run, times);
		return 0;
	}
	return -EINVAL;
}

static const struct kernel_param_ops op_ops = { .set = set_op };
module_param_cb(op, &op_ops, NULL, 0200);

MODULE_DESCRIPTION("Operations for fault injection on KASAN_VMALLOC");
MODULE_LICENSE("GPL");
