// SPDX-License-Identifier: GPL-2.0
/*
 * What KASAN_VMALLOC finds: each kind of memory in vmalloc space is accessed as
 * it may be, which must be silent, and then as it may not.
 *
 * scripts/demo reads the lines that this prints, and the reports between them,
 * off the console. The name of a case is the function that a report must name.
 *
 * Memory that has been freed, and guard pages, are not mapped: there the
 * demonstration asks KASAN what it says to an access, and does without the
 * page fault that would come next. Where there is no shadow either, a thread
 * does the access, and does not survive it.
 *
 * Writing to the parameter "late" runs the case that needs the shadow of what
 * was freed when the module was loaded to be given back meanwhile; to "unloaded",
 * the address of what another module had, the one that needs that to be gone.
 */

#define pr_fmt(fmt) "demo: " fmt

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/kasan-checks.h>
#include <linux/kstrtox.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/stringify.h>
#include <linux/vmalloc.h>

/*
 * The first byte after an object of 13, 100 or 1000 bytes that is told apart from
 * it, and what reports say. With tags a granule is 16 bytes, a report does not
 * say more than that the tags differ, and globals have none.
 */
#ifdef CONFIG_KASAN_SW_TAGS
#define PAST_13		16
#define PAST_100	112
#define PAST_1000	1008
#define OOB		"invalid-access"
#define UAF		"invalid-access"
#define STACK_OOB	"invalid-access"
#else
#define PAST_13		13
#define PAST_100	100
#define PAST_1000	1000
#define OOB		"vmalloc-out-of-bounds"
#define UAF		"vmalloc-use-after-free"
#define STACK_OOB	"stack-out-of-bounds"
#endif

/*
 * memcpy() is checked if the compiler marks its calls, or the function does so
 * itself; a call of KASAN's own is checked in any case.
 */
#if defined(CONFIG_CC_HAS_KASAN_MEMINTRINSIC_PREFIX) || !defined(CONFIG_GENERIC_ENTRY)
#define MEMCPY_OOB	OOB
#else
#define MEMCPY_OOB	"none"
#endif
#ifdef CONFIG_KASAN_SW_TAGS
#define __asan_memcpy	__hwasan_memcpy
#endif
void *__asan_memcpy(void *dest, const void *src, size_t n);

#define legal()		pr_info("legal\n")
#define bad()		pr_info("bad\n")
#define read_byte(p)	((void)READ_ONCE(*(volatile u8 *)(p)))
#define write_byte(p)	WRITE_ONCE(*(volatile u8 *)(p), 1)
#define check_byte(p)	((void)kasan_check_read((p), 1))

static struct page *pages[2];
static u8 global[13];

static noinline int vmalloc_oob(void)
{
	u8 *p = vmalloc(100);

	if (!p)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(p);
	legal();
	write_byte(p + 99);
	bad();
	write_byte(p + PAST_100);
	vfree(p);
	return 0;
}

static noinline int vmalloc_uaf(void)
{
	u8 *p = vmalloc(100), *neighbour = vmalloc(100);

	if (!p || !neighbour)
		return -ENOMEM;
	legal();
	write_byte(p);
	vfree(p);
	write_byte(neighbour);
	bad();
	check_byte(p);
	vfree(neighbour);
	return 0;
}

static const u8 source[200];

static noinline int memcpy_oob(void)
{
	u8 *p = vmalloc(100);
	size_t n = 100;

	if (!p)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(p);
	OPTIMIZER_HIDE_VAR(n);
	legal();
	memcpy(p, source, n);
	bad();
	memcpy(p, source, 2 * n);
	vfree(p);
	return 0;
}

static noinline int asan_memcpy_oob(void)
{
	u8 *p = vmalloc(100);

	if (!p)
		return -ENOMEM;
	legal();
	__asan_memcpy(p, source, 100);
	bad();
	__asan_memcpy(p, source, 200);
	vfree(p);
	return 0;
}

static noinline int vmap_oob(void)
{
	u8 *p = vmap(pages, 2, VM_MAP, PAGE_KERNEL);

	if (!p)
		return -ENOMEM;
	legal();
	write_byte(p + 2 * PAGE_SIZE - 1);
	bad();
	check_byte(p + 2 * PAGE_SIZE);
	vunmap(p);
	return 0;
}

static noinline int vmap_uaf(void)
{
	u8 *p = vmap(pages, 2, VM_MAP, PAGE_KERNEL);

	if (!p)
		return -ENOMEM;
	legal();
	write_byte(p);
	vunmap(p);
	write_byte(page_address(pages[0]));
	bad();
	check_byte(p);
	return 0;
}

static noinline int vm_map_ram_oob(void)
{
	u8 *p = vm_map_ram(pages, 2, NUMA_NO_NODE);

	if (!p)
		return -ENOMEM;
	legal();
	write_byte(p + 2 * PAGE_SIZE - 1);
	bad();
	check_byte(p + 2 * PAGE_SIZE);
	vm_unmap_ram(p, 2);
	return 0;
}

static noinline int vm_map_ram_uaf(void)
{
	u8 *p = vm_map_ram(pages, 2, NUMA_NO_NODE);
	u8 *neighbour = vm_map_ram(pages, 2, NUMA_NO_NODE);

	if (!p || !neighbour)
		return -ENOMEM;
	legal();
	write_byte(p);
	vm_unmap_ram(p, 2);
	write_byte(neighbour);
	bad();
	check_byte(p);
	vm_unmap_ram(neighbour, 2);
	return 0;
}

/*
 * Per-cpu memory from a chunk in vmalloc space. The first chunk, which is not
 * there, has to be filled up for it, until all of it is freed.
 */
static u8 __percpu *percpu_area(size_t size)
{
	static u8 __percpu *filling[200];
	u8 __percpu *p = NULL;
	int i, nr;

	for (nr = 0; nr < ARRAY_SIZE(filling); nr++) {
		p = __alloc_percpu(size, 1);
		if (!p || is_vmalloc_addr(per_cpu_ptr(p, 0)))
			break;
		filling[nr] = p;
		p = NULL;
	}
	for (i = 0; i < nr; i++)
		free_percpu(filling[i]);
	return p;
}

static noinline int alloc_percpu_oob(void)
{
	u8 __percpu *area = percpu_area(1000);
	u8 *p;

	if (!area)
		return -ENOMEM;
	p = per_cpu_ptr(area, 0);
	OPTIMIZER_HIDE_VAR(p);
	legal();
	write_byte(p + 999);
	bad();
	write_byte(p + PAST_1000);
	free_percpu(area);
	return 0;
}

static noinline int alloc_percpu_uaf(void)
{
	u8 __percpu *area = percpu_area(1000), *neighbour = percpu_area(1000);
	u8 *p;

	if (!area || !neighbour)
		return -ENOMEM;
	p = per_cpu_ptr(area, 0);
	legal();
	write_byte(p);
	free_percpu(area);
	write_byte(per_cpu_ptr(neighbour, 0));
	bad();
	check_byte(p);
	free_percpu(neighbour);
	return 0;
}

static noinline int thread_stack_oob(void *done)
{
	u8 array[13];
	u8 *p = array;

	pr_info("stack in vmalloc space: %s\n",
		is_vmalloc_addr(task_stack_page(current)) ? "yes" : "no");
	OPTIMIZER_HIDE_VAR(p);
	legal();
	write_byte(p + 12);
	bad();
	write_byte(p + PAST_13);
	complete(done);
	return 0;
}

static int __maybe_unused run_thread(void)
{
	DECLARE_COMPLETION_ONSTACK(done);
	struct task_struct *task;

	task = kthread_run(thread_stack_oob, &done, "demo");
	if (IS_ERR(task))
		return PTR_ERR(task);
	wait_for_completion(&done);
	return 0;
}

static noinline __maybe_unused int module_global_oob(void)
{
	u8 *p = global;

	OPTIMIZER_HIDE_VAR(p);
	legal();
	write_byte(p + 12);
	bad();
	read_byte(p + 13);
	return 0;
}

#ifdef CONFIG_KASAN_VMALLOC_HISTORY

/* Run @fn in a thread, until that is dead; its stack is freed some time later. */
static int run_and_bury(int (*fn)(void *arg), void *arg)
{
	struct task_struct *task = kthread_create(fn, arg, "demo");

	if (IS_ERR(task))
		return PTR_ERR(task);
	get_task_struct(task);
	wake_up_process(task);
	while (READ_ONCE(task->__state) != TASK_DEAD || READ_ONCE(task->stack))
		schedule_timeout_uninterruptible(1);
	put_task_struct(task);
	return 0;
}

static noinline int remember_stack(void *arg)
{
	u8 array[64];

	OPTIMIZER_HIDE_VAR(arg);
	*(u8 **)arg = array;
	write_byte(array);
	return 0;
}

static noinline int __maybe_unused dead_stack_uaf(void)
{
	u8 array[13], *p = NULL;
	int ret = run_and_bury(remember_stack, &p);

	if (ret)
		return ret;
	legal();
	write_byte(array + 12);
	bad();
	check_byte(p);
	return 0;
}

static noinline int double_vfree(void)
{
	u8 *p = vmalloc(100), *neighbour = vmalloc(100);

	if (!p || !neighbour)
		return -ENOMEM;
	legal();
	vfree(p);
	bad();
	vfree(p);
	vfree(neighbour);
	return 0;
}

static noinline int wrong_vfree(void)
{
	u8 *p = vmalloc(100);

	if (!p)
		return -ENOMEM;
	legal();
	write_byte(p + 8);
	bad();
	vfree(p + 8);
	vfree(p);
	return 0;
}

/* Far from what vmalloc hands out. */
static noinline int unused_space(void *unused)
{
	u8 *p = (u8 *)VMALLOC_START + (VMALLOC_END - VMALLOC_START) / 4 * 3;

	OPTIMIZER_HIDE_VAR(p);
	legal();
	bad();
	read_byte(p);
	return 0;
}

static int run_unused_space(void)
{
	return run_and_bury(unused_space, NULL);
}

static u8 *freed_late;

static noinline int large_uaf(void *unused)
{
	u8 *p = freed_late;

	OPTIMIZER_HIDE_VAR(p);
	legal();
	bad();
	read_byte(p);
	return 0;
}

/* This check is a function, and faults; the report is to name its caller. */
static noinline int large_atomic(void *unused)
{
	u8 *p = freed_late;

	OPTIMIZER_HIDE_VAR(p);
	legal();
	bad();
	atomic_inc((atomic_t *)p);
	return 0;
}

/* The shadow in the midst of it is shared while it lives, and gone at once. */
static int run_large(int (*access)(void *unused))
{
	u8 *p = vmalloc(SZ_4M);

	if (!p)
		return -ENOMEM;
	freed_late = p + SZ_2M;
	write_byte(freed_late);
	vfree(p);
	return run_and_bury(access, NULL);
}

static int run_large_uaf(void)
{
	return run_large(large_uaf);
}

static int run_large_atomic(void)
{
	return run_large(large_atomic);
}

static u8 *freed_early;

static noinline int returned_space(void *unused)
{
	u8 *p = freed_early;

	OPTIMIZER_HIDE_VAR(p);
	legal();
	bad();
	write_byte(p);
	return 0;
}

/* So large that what is allocated meanwhile does not get to the middle of it. */
static int free_early(void)
{
	u8 *p = vmalloc(SZ_32M);

	if (!p)
		return -ENOMEM;
	freed_early = p + SZ_16M;
	vfree(p);
	vm_unmap_aliases();
	return 0;
}

static int late_set(const char *val, const struct kernel_param *kp)
{
	int ret;

	pr_info("begin returned_space expect " UAF " then oops: vmalloc(32M), vfree, shadow given back, write to it\n");
	ret = run_and_bury(returned_space, NULL);
	pr_info("end returned_space\n");
	return ret;
}

static const struct kernel_param_ops late_ops = { .set = late_set };
module_param_cb(late, &late_ops, NULL, 0200);

static noinline void module_uaf(u8 *p)
{
	legal();
	bad();
	check_byte(p);
	barrier();
}

/* The address of what a module had, which has been unloaded since. */
static int unloaded_set(const char *val, const struct kernel_param *kp)
{
	unsigned long addr;
	int ret = kstrtoul(val, 16, &addr);

	if (ret)
		return ret;
	pr_info("begin module_uaf expect " UAF ": a module is unloaded, read a byte of its data\n");
	module_uaf((u8 *)addr);
	pr_info("end module_uaf\n");
	return 0;
}

static const struct kernel_param_ops unloaded_ops = { .set = unloaded_set };
module_param_cb(unloaded, &unloaded_ops, NULL, 0200);

#else

static int free_early(void) { return 0; }

#endif

static const struct {
	const char *name;
	int (*run)(void);
	const char *kind;
	const char *what;
} cases[] = {
	{ "vmalloc_oob", vmalloc_oob, OOB, "vmalloc(100), write byte " __stringify(PAST_100) },
	{ "vmalloc_uaf", vmalloc_uaf, UAF, "vmalloc(100), vfree, read byte 0" },
	{ "memcpy_oob", memcpy_oob, MEMCPY_OOB, "vmalloc(100), memcpy() of 200 bytes to it" },
	{ "asan_memcpy_oob", asan_memcpy_oob, OOB, "the same by __asan_memcpy()" },
	{ "vmap_oob", vmap_oob, OOB, "vmap of 2 pages, read the byte after" },
	{ "vmap_uaf", vmap_uaf, UAF, "vmap of 2 pages, vunmap, read byte 0" },
	{ "vm_map_ram_oob", vm_map_ram_oob, OOB,
	  "vm_map_ram of 2 pages, read the byte after" },
	{ "vm_map_ram_uaf", vm_map_ram_uaf, UAF,
	  "vm_map_ram of 2 pages, vm_unmap_ram, read byte 0" },
	{ "alloc_percpu_oob", alloc_percpu_oob, OOB,
	  "alloc_percpu of 1000 bytes, write byte " __stringify(PAST_1000) },
	{ "alloc_percpu_uaf", alloc_percpu_uaf, UAF,
	  "alloc_percpu of 1000 bytes, free_percpu, read byte 0" },
#ifdef CONFIG_VMAP_STACK
	{ "thread_stack_oob", run_thread, STACK_OOB,
	  "array[13] on a thread's stack, write byte " __stringify(PAST_13) },
#endif
#ifdef CONFIG_KASAN_VMALLOC_HISTORY
#ifdef CONFIG_VMAP_STACK
	{ "dead_stack_uaf", dead_stack_uaf, UAF,
	  "a thread exits, read what was on its stack" },
#endif
	{ "double_vfree", double_vfree, "double-free then warning",
	  "vmalloc(100), vfree, vfree" },
	{ "wrong_vfree", wrong_vfree, "invalid-free then warning",
	  "vmalloc(100), vfree of byte 8" },
	{ "large_uaf", run_large_uaf, UAF " then oops",
	  "vmalloc(4M), vfree, read byte 2M" },
	{ "large_atomic", run_large_atomic, UAF " then oops",
	  "vmalloc(4M), vfree, atomic_inc of bytes 2M to 2M+3" },
	/* s390 has the addresses of users in a space of their own, so the kernel's are as low. */
	{ "unused_space", run_unused_space,
	  IS_ENABLED(CONFIG_S390) ? "user-memory-access then oops" : "wild-memory-access then oops",
	  "read a byte of vmalloc space that nobody used" },
#endif
#ifndef CONFIG_KASAN_SW_TAGS
	{ "module_global_oob", module_global_oob, "global-out-of-bounds",
	  "array[13] of a module, read byte 13" },
#endif
};

/* Run this case and no other. */
static char *only;
module_param(only, charp, 0);

static int __init demo_init(void)
{
	int i, ret = -ENOMEM;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		if (!pages[i])
			goto out;
	}

	ret = -ENOENT;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (only && strcmp(only, cases[i].name))
			continue;
		pr_info("begin %s expect %s: %s\n", cases[i].name,
			cases[i].kind, cases[i].what);
		ret = cases[i].run();
		if (ret) {
			pr_err("%s failed: %d\n", cases[i].name, ret);
			break;
		}
		pr_info("end %s\n", cases[i].name);
	}
	if (!ret && !only)
		ret = free_early();
out:
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		if (pages[i])
			__free_page(pages[i]);
	return ret;
}

static void __exit demo_exit(void)
{
}

module_init(demo_init);
module_exit(demo_exit);
MODULE_DESCRIPTION("Demonstration of KASAN_VMALLOC");
MODULE_LICENSE("GPL");
