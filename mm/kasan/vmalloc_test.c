// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of KASAN_VMALLOC: what a user asks. Is a bad access reported, for what it
 * is and in the function that did it, and is a good one next to it not? Reports are read
 * off the console.
 *
 * Memory that has been freed is not mapped any more, so an access to it would be reported
 * and then fault. check_byte() asks KASAN what an access would.
 */

#define pr_fmt(fmt) "kasan_vmalloc: test: " fmt

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/execmem.h>
#include <linux/io.h>
#include <linux/irq_work.h>
#include <linux/kasan-checks.h>
#include <linux/kasan.h>
#include <linux/kthread.h>
#include <linux/memblock.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>

#include <asm/sections.h>

#include "../internal.h"
#include "vmalloc_history.h"
#include "vmalloc_test.h"

unsigned long kasan_test_spaces;

/* ------------------------------ Bad accesses ------------------------------ */

static void vmalloc_oob(struct kunit *test)
{
	static const size_t sizes[] = { 1, 7, 8, 9, 100, 4088, 4095, 4097, 70000 };
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t size = sizes[i], bad = first_bad(size);
		u8 *p = vmalloc(size);

		KUNIT_ASSERT_NOT_NULL(test, p);
		OPTIMIZER_HIDE_VAR(p);
		write_byte(p);
		write_byte(p + size - 1);
		if (bad < PAGE_ALIGN(size)) {
			EXPECT_REPORT(test, OOB, read_byte(p + bad));
			EXPECT_REPORT(test, OOB, write_byte(p + bad));
			EXPECT_REPORT(test, OOB,
				      read_byte(p + PAGE_ALIGN(size) - 1));
		}
		/* the guard page */
		EXPECT_REPORT(test, OOB, check_byte(p + PAGE_ALIGN(size)));
		expect_shadow(test, p, size, PAGE_ALIGN(size) + PAGE_SIZE);
		vfree(p);
	}
}

static void vmalloc_uaf(struct kunit *test)
{
	u8 *neighbour = vmalloc(3 * PAGE_SIZE);
	u8 *p = vmalloc(100);

	KUNIT_ASSERT_NOT_NULL(test, neighbour);
	KUNIT_ASSERT_NOT_NULL(test, p);
	OPTIMIZER_HIDE_VAR(p);
	write_byte(p);
	vfree(p);
	EXPECT_REPORT(test, UAF, check_byte(p));
	EXPECT_REPORT(test, UAF, check_byte(p + 99));
	write_byte(neighbour);

	vm_unmap_aliases();
	EXPECT_REPORT(test, UAF, check_byte(p));
	EXPECT_REPORT(test, UAF, check_byte(p + 99));
	write_byte(neighbour);
	write_byte(neighbour + 3 * PAGE_SIZE - 1);
	vfree(neighbour);
}

static void vmap_oob_uaf(struct kunit *test)
{
	struct page *pages[2];
	u8 *p;
	int i;

	for (i = 0; i < 2; i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
	p = vmap(pages, 2, VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	OPTIMIZER_HIDE_VAR(p);
	write_byte(p);
	write_byte(p + 2 * PAGE_SIZE - 1);
	EXPECT_REPORT(test, OOB, check_byte(p + 2 * PAGE_SIZE));
	vunmap(p);
	EXPECT_REPORT(test, UAF, check_byte(p));
	EXPECT_REPORT(test, UAF, check_byte(p + 2 * PAGE_SIZE - 1));
	for (i = 0; i < 2; i++) {
		write_byte(page_address(pages[i]));
		__free_page(pages[i]);
	}
}

static void vm_map_ram_uaf(struct kunit *test)
{
	static const unsigned int counts[] = { 1, 64, 65 };
	struct page *pages[65];
	int i;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		unsigned long size = counts[i] * PAGE_SIZE;
		u8 *p = vm_map_ram(pages, counts[i], NUMA_NO_NODE);
		u8 *neighbour = vm_map_ram(pages, 1, NUMA_NO_NODE);

		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_ASSERT_NOT_NULL(test, neighbour);
		OPTIMIZER_HIDE_VAR(p);
		write_byte(p);
		write_byte(p + size - 1);
		/* a block hands out its pages in turn */
		if (counts[i] == 1)
			EXPECT_REPORT(test, OOB, check_byte(neighbour + PAGE_SIZE));
		vm_unmap_ram(p, counts[i]);
		EXPECT_REPORT(test, UAF, check_byte(p));
		EXPECT_REPORT(test, UAF, check_byte(p + size - 1));
		write_byte(neighbour);

		vm_unmap_aliases();
		EXPECT_REPORT(test, UAF, check_byte(p));
		EXPECT_REPORT(test, UAF, check_byte(p + size - 1));
		write_byte(neighbour);
		vm_unmap_ram(neighbour, 1);
	}

	for (i = 0; i < ARRAY_SIZE(pages); i++)
		__free_page(pages[i]);
}

/* The first chunk of per-cpu memory holds fewer objects than this. */
#define MAX_FILL	4000

/*
 * Per-cpu memory outside of the first chunk, which can be in the linear map, or
 * NULL. What fills that chunk goes to @fill, which has @nr in it.
 */
static noinline u8 __percpu *fill_first_chunk(u8 __percpu **fill, int *nr, size_t size)
{
	size_t piece = max_t(size_t, size, SZ_4K);

	while (*nr < MAX_FILL) {
		u8 __percpu *ptr = __alloc_percpu(piece, 1);

		if (!ptr)
			return NULL;
		if (!is_vmalloc_addr(per_cpu_ptr(ptr, 0))) {
			fill[(*nr)++] = ptr;
			continue;
		}
		if (piece == size)
			return ptr;
		/* What is left over is too small for that. */
		free_percpu(ptr);
		piece = max(size, piece / 4);
	}
	return NULL;
}

/* The first chunk is in the linear map, where per-cpu memory is not checked. */
static noinline u8 __percpu *percpu_in_vmalloc(struct kunit *test, size_t size)
{
	u8 __percpu **fill, *ptr;
	int nr = 0;

	NEEDS_CONFIG(test, CONFIG_SMP);
	fill = kvcalloc(MAX_FILL, sizeof(*fill), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fill);
	ptr = fill_first_chunk(fill, &nr, size);
	while (nr--)
		free_percpu(fill[nr]);
	kvfree(fill);
	KUNIT_ASSERT_TRUE(test, ptr);
	return ptr;
}

static void percpu_oob_uaf(struct kunit *test)
{
	enum { SIZE = 1021, MAX = 200 };
	u8 __percpu **ptrs = kunit_kcalloc(test, MAX, sizeof(*ptrs), GFP_KERNEL);
	u8 __percpu *ptr = NULL, *neighbour;
	int i, nr, cpu;

	NEEDS_CONFIG(test, CONFIG_SMP);
	KUNIT_ASSERT_NOT_NULL(test, ptrs);
	for (nr = 0; nr < MAX && !ptr; nr++) {
		ptrs[nr] = __alloc_percpu(SIZE, 1);
		KUNIT_ASSERT_TRUE(test, ptrs[nr]);
		if (is_vmalloc_addr(per_cpu_ptr(ptrs[nr], 0)))
			ptr = ptrs[nr];
	}
	KUNIT_ASSERT_TRUE(test, ptr);
	neighbour = __alloc_percpu(SIZE, 1);
	KUNIT_ASSERT_TRUE(test, neighbour);

	for_each_possible_cpu(cpu) {
		u8 *p = per_cpu_ptr(ptr, cpu);

		OPTIMIZER_HIDE_VAR(p);
		write_byte(p);
		write_byte(p + SIZE - 1);
		EXPECT_REPORT(test, OOB, read_byte(p + first_bad(SIZE)));
		/* with tags, the one that goes with the per-cpu pointer */
		KUNIT_EXPECT_EQ(test, get_tag(p), get_tag(per_cpu_ptr(ptr, 0)));
		if (IS_ENABLED(CONFIG_KASAN_SW_TAGS))
			KUNIT_EXPECT_NE(test, get_tag(p), KASAN_TAG_KERNEL);
	}

	free_percpu(ptr);
	ptrs[nr - 1] = NULL;
	for_each_possible_cpu(cpu) {
		u8 *p = per_cpu_ptr(ptr, cpu);

		OPTIMIZER_HIDE_VAR(p);
		EXPECT_REPORT(test, UAF, check_byte(p));
		EXPECT_REPORT(test, UAF, check_byte(p + SIZE - 1));
		write_byte(per_cpu_ptr(neighbour, cpu));
	}

	free_percpu(neighbour);
	for (i = 0; i < nr; i++)
		free_percpu(ptrs[i]);
}

static void module_space(struct kunit *test)
{
	size_t size;
	u8 *p;

	NEEDS_CONFIG(test, CONFIG_EXECMEM);
	NEEDS_CONFIG(test, CONFIG_KASAN_GENERIC);

	p = execmem_alloc(EXECMEM_MODULE_DATA, 5000);
	KUNIT_ASSERT_NOT_NULL(test, p);
	OPTIMIZER_HIDE_VAR(p);
	/* to pages, in newer kernels */
	size = find_vm_area(p)->requested_size;
	write_byte(p);
	write_byte(p + size - 1);
	EXPECT_REPORT(test, OOB, check_byte(p + size));
	expect_shadow(test, p, size, PAGE_ALIGN(size) + PAGE_SIZE);
	execmem_free(p);
	EXPECT_REPORT(test, UAF, check_byte(p));
}

/* It can be a piece of an area that stays for the next one. */
static void module_text(struct kunit *test)
{
	u8 *p;

	NEEDS_CONFIG(test, CONFIG_EXECMEM);
	NEEDS_CONFIG(test, CONFIG_KASAN_GENERIC);

	p = execmem_alloc(EXECMEM_MODULE_TEXT, 3 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	check_byte(p);
	check_byte(p + 3 * PAGE_SIZE - 1);
	execmem_free(p);
	EXPECT_REPORT(test, UAF, check_byte(p));
	EXPECT_REPORT(test, UAF, check_byte(p + 3 * PAGE_SIZE - 1));
}

/* A program counter has no tag, so code is used without. */
static void executable(struct kunit *test)
{
	u8 *p = __vmalloc_node_range(100, 1, VMALLOC_START, VMALLOC_END,
				     GFP_KERNEL, PAGE_KERNEL_EXEC, 0,
				     NUMA_NO_NODE, __builtin_return_address(0));

	KUNIT_ASSERT_NOT_NULL(test, p);
	OPTIMIZER_HIDE_VAR(p);
	write_byte(p);
	write_byte(p + 99);
	if (IS_ENABLED(CONFIG_KASAN_SW_TAGS))
		KUNIT_EXPECT_EQ(test, get_tag(p), KASAN_TAG_KERNEL);
	else
		EXPECT_REPORT(test, OOB, read_byte(p + 100));
	vfree(p);
}

static void stack_oob(struct kunit *test)
{
	u8 array[13];
	u8 *p = array;

	NEEDS_CONFIG(test, CONFIG_VMAP_STACK);

	KUNIT_ASSERT_TRUE(test, is_vmalloc_addr(p));
	OPTIMIZER_HIDE_VAR(p);
	write_byte(p);
	write_byte(p + sizeof(array) - 1);
	EXPECT_REPORT(test, STACK_OOB, read_byte(p + first_bad(sizeof(array))));
}

struct stack_look {
	struct completion done;
	void *base;		/* the stack of the thread */
	size_t dirty;		/* granules below its frame that are poisoned */
};

/* Exits in the midst of a frame, whose redzones stay in the shadow. */
static noinline void exit_in_frame(struct completion *done)
{
	u8 array[1024];

	OPTIMIZER_HIDE_VAR(done);
	memset(array, 0, sizeof(array));
	barrier_data(array);
	kthread_complete_and_exit(done, 0);
}

/* What did the last user leave of its frames? */
static int look_at_stack(void *arg)
{
	struct stack_look *look = arg;
	u8 *base = task_stack_page(current);
	u8 *frame = __builtin_frame_address(0);
	u8 *p = base + KASAN_GRANULE_SIZE;	/* after STACK_END_MAGIC */

	for (; p < frame - 512; p += KASAN_GRANULE_SIZE)
		look->dirty += shadow_byte(p) != 0;
	look->base = base;
	exit_in_frame(&look->done);
	return 0;
}

static void stack_reuse(struct kunit *test)
{
	static void *seen[64];
	int i, j, reused = 0;

	NEEDS_CONFIG(test, CONFIG_VMAP_STACK);
	NEEDS_CONFIG(test, CONFIG_KASAN_GENERIC);

	memset(seen, 0, sizeof(seen));
	for (i = 0; i < ARRAY_SIZE(seen); i++) {
		/* on each CPU in turn, so that the caches of all fill up */
		unsigned int cpu = cpumask_nth(i % num_online_cpus(),
					       cpu_online_mask);
		struct stack_look look = {};
		struct task_struct *task;

		init_completion(&look.done);
		task = kthread_create_on_cpu(look_at_stack, &look, cpu,
					     "kasan_stack/%u");
		KUNIT_ASSERT_FALSE(test, IS_ERR(task));
		wake_up_process(task);
		wait_for_completion(&look.done);

		KUNIT_EXPECT_EQ(test, look.dirty, 0);
		for (j = 0; j < i; j++)
			reused += seen[j] == look.base;
		seen[i] = look.base;
	}
	KUNIT_EXPECT_GT(test, reused, 0);
}

static void vrealloc_bytes(struct kunit *test)
{
	static const size_t sizes[] = { 13, 5, 8, 4096, 3 * 4096, 1, 3 * 4096, 4097 };
	u8 *p = NULL;
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t area;

		p = vrealloc(p, sizes[i], GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, p);
		OPTIMIZER_HIDE_VAR(p);
		area = find_vm_area(p)->size;
		expect_shadow(test, p, sizes[i], area);
		write_byte(p);
		write_byte(p + sizes[i] - 1);
		EXPECT_REPORT(test, OOB, check_byte(p + first_bad(sizes[i])));
	}
	vfree(p);
}

/* ------------------------- What happened, and when ------------------------ */

/* To be found in stacks, too. */
static noinline void *who_allocates(size_t size)
{
	void *p = vmalloc(size);

	OPTIMIZER_HIDE_VAR(p);
	return p;
}

static noinline void who_frees(void *p)
{
	vfree(p);
	barrier();
}

static void history_live(struct kunit *test)
{
	unsigned long space = fresh_space(), size = SZ_16M;
	u8 *p, *q;

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	p = who_allocates(100);
	KUNIT_ASSERT_NOT_NULL(test, p);
	OPTIMIZER_HIDE_VAR(p);
	write_byte(p + 99);
	EXPECT_REPORT(test, OOB, read_byte(p + 104));
	expect_object(test, 4, "to the right", "allocated", 100,
		      "who_allocates", NULL);
	/* in the guard page */
	EXPECT_REPORT(test, OOB, check_byte(p + PAGE_SIZE));
	expect_object(test, PAGE_SIZE - 100, "to the right", "allocated", 100,
		      "who_allocates", NULL);
	vfree(p);

	/* far from the start, and in the guard page of a neighbour */
	p = vmalloc_at(space, PAGE_SIZE);
	q = vmalloc_at(space + 2 * PAGE_SIZE, size);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_NOT_NULL(test, q);
	write_byte(q + size - 1);
	EXPECT_REPORT(test, OOB, check_byte(q + size));
	expect_object(test, 0, "to the right", "allocated", SZ_16M,
		      "vmalloc_at", NULL);
	EXPECT_REPORT(test, OOB, check_byte(q - 1));
	expect_object(test, 1, "to the left", "allocated", SZ_16M,
		      "vmalloc_at", NULL);
	EXPECT_REPORT(test, OOB, check_byte(q - PAGE_SIZE));
	expect_object(test, 0, "to the right", "allocated", PAGE_SIZE,
		      "vmalloc_at", NULL);
	vfree(q);
	vfree(p);
}

static void history_freed(struct kunit *test)
{
	/* not of the size of what is allocated below, or that may take its place */
	const size_t size = PAGE_SIZE + 904;
	u8 *p, *neighbour;
	int i;

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	p = who_allocates(size);
	neighbour = vmalloc(10);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_NOT_NULL(test, neighbour);
	write_byte(p);
	who_frees(p);
	/* freed, purged, and after others were freed as well */
	for (i = 0; i < 3; i++) {
		EXPECT_REPORT(test, UAF, check_byte(p + size - 1));
		expect_object(test, size - 1, "inside", "freed", size,
			      "who_allocates", "who_frees");
		write_byte(neighbour);
		if (i == 0)
			vm_unmap_aliases();
		else
			vfree(vmalloc(1));
	}
	vfree(neighbour);
}

/* The memory that an address is in is the last that was there. */
static void history_again(struct kunit *test)
{
	unsigned long space = fresh_space();
	u8 *p;

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	p = vmalloc_at(space, 3 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	vfree(p);
	vm_unmap_aliases();
	EXPECT_REPORT(test, UAF, check_byte(p + 2 * PAGE_SIZE));
	expect_object(test, 2 * PAGE_SIZE, "inside", "freed", 3 * PAGE_SIZE,
		      "vmalloc_at", "history_again");

	/* what is past the end of the next one is so also where memory was freed */
	p = vmalloc_at(space, 100);
	KUNIT_ASSERT_NOT_NULL(test, p);
	expect_shadow(test, p, 100, 2 * PAGE_SIZE);
	EXPECT_REPORT(test, OOB, check_byte(p + 100));
	EXPECT_REPORT(test, OOB, check_byte(p + PAGE_SIZE));
	expect_object(test, PAGE_SIZE - 100, "to the right", "allocated", 100,
		      "vmalloc_at", NULL);
	EXPECT_REPORT(test, UAF, check_byte(p + 2 * PAGE_SIZE));
	vfree(p);
	vm_unmap_aliases();
	EXPECT_REPORT(test, UAF, check_byte(p + 50));
	expect_object(test, 50, "inside", "freed", 100,
		      "vmalloc_at", "history_again");
	settle();
}

/* As it is between the poison and the end of a vfree(), which can take long. */
static void history_begun(struct kunit *test)
{
	unsigned long space = fresh_space();
	struct vm_struct *vm;
	u8 *p;
	int i;

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	p = vmalloc_at(space, 100);
	KUNIT_ASSERT_NOT_NULL(test, p);
	vm = kmemdup(find_vm_area(p), sizeof(*vm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vm);
	vfree(p);

	/* once more with a vm_struct of the test's own */
	kasan_record_vm_area_free(vm, p, _THIS_IP_);
	EXPECT_REPORT(test, UAF, check_byte(p + 1));
	expect_object(test, 1, "inside", "freed", 100, "history_begun", NULL);
	kasan_free_vm_struct(vm);
	EXPECT_REPORT(test, UAF, check_byte(p + 1));
	expect_object(test, 1, "inside", "freed", 100, "history_begun", "history_begun");

	/* whose free is complete after its space was used again */
	p = vmalloc_at(space + STRETCH, 100);
	KUNIT_ASSERT_NOT_NULL(test, p);
	vm = kmemdup(find_vm_area(p), sizeof(*vm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vm);
	vfree(p);
	kasan_record_vm_area_free(vm, p, _THIS_IP_);
	settle();
	KUNIT_ASSERT_PTR_EQ(test, vmalloc_at(space + STRETCH, 200), p);
	migrate_disable();
	for (i = 0; i < 10; i++)
		vfree(vmalloc(1));
	migrate_enable();
	vfree(p);
	kasan_free_vm_struct(vm);
	EXPECT_REPORT(test, UAF, check_byte(p + 1));
	expect_object(test, 1, "inside", "freed", 200, "vmalloc_at", "history_begun");
}

/* A history that is full does not say what it does not know. */
static void history_bounded(struct kunit *test)
{
	unsigned long space = fresh_space();
	u8 *p;
	int i;

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	p = vmalloc_at(space, 100);
	KUNIT_ASSERT_NOT_NULL(test, p);
	vfree(p);
	migrate_disable();
	for (i = 0; i < 5000; i++)
		vfree(vmalloc(1));
	migrate_enable();
	EXPECT_REPORT(test, UAF, check_byte(p));
	if (report.where[0])
		expect_object(test, 0, "inside", "freed", 100,
			      "vmalloc_at", "history_bounded");
	vm_unmap_aliases();
}

static void history_mapped(struct kunit *test)
{
	u8 *p, *neighbour;
	struct page *page;

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	page = alloc_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, page);
	p = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	write_byte(p);
	EXPECT_REPORT(test, OOB, check_byte(p + PAGE_SIZE));
	expect_object(test, 0, "to the right", "allocated", PAGE_SIZE,
		      "history_mapped", NULL);
	vunmap(p);
	EXPECT_REPORT(test, UAF, check_byte(p));
	expect_object(test, 0, "inside", "freed", PAGE_SIZE,
		      "history_mapped", "vunmap");

	p = vm_map_ram(&page, 1, NUMA_NO_NODE);
	neighbour = vm_map_ram(&page, 1, NUMA_NO_NODE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_NOT_NULL(test, neighbour);
	write_byte(p);
	EXPECT_REPORT(test, OOB, check_byte(neighbour + PAGE_SIZE));
	expect_object(test, 0, "to the right", "allocated", PAGE_SIZE,
		      "history_mapped", NULL);
	vm_unmap_ram(p, 1);
	EXPECT_REPORT(test, UAF, check_byte(p + 7));
	expect_object(test, 7, "inside", "freed", PAGE_SIZE,
		      "vm_map_ram", "vm_unmap_ram");
	write_byte(neighbour);
	vm_unmap_ram(neighbour, 1);
	__free_page(page);
}

static void history_percpu(struct kunit *test)
{
	enum { SIZE = 1021, MAX = 200 };
	u8 __percpu **ptrs = kunit_kcalloc(test, MAX, sizeof(*ptrs), GFP_KERNEL);
	u8 *p = NULL;
	int nr, i;

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	NEEDS_CONFIG(test, CONFIG_SMP);
	KUNIT_ASSERT_NOT_NULL(test, ptrs);
	for (nr = 0; nr < MAX && !is_vmalloc_addr(p); nr++) {
		ptrs[nr] = __alloc_percpu(SIZE, 1);
		KUNIT_ASSERT_TRUE(test, ptrs[nr]);
		/* on the last CPU, as the first is what is recorded */
		p = per_cpu_ptr(ptrs[nr], nr_cpu_ids - 1);
	}
	KUNIT_ASSERT_TRUE(test, is_vmalloc_addr(p));
	OPTIMIZER_HIDE_VAR(p);
	write_byte(p + SIZE - 1);
	EXPECT_REPORT(test, OOB, read_byte(p + SIZE));
	expect_object(test, 0, "to the right", "allocated", 1021,
		      "history_percpu", NULL);
	free_percpu(ptrs[nr - 1]);
	EXPECT_REPORT(test, UAF, check_byte(p + 1));
	expect_object(test, 1, "inside", "freed", 1021,
		      "history_percpu", "free_percpu");
	for (i = 0; i < nr - 1; i++)
		free_percpu(ptrs[i]);
}

/* A thread that is gone left its stack in the cache, or RCU has it. */
static void stack_uaf(struct kunit *test)
{
	struct stack_look look = {};
	struct task_struct *task;

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	NEEDS_CONFIG(test, CONFIG_VMAP_STACK);
	/* else the stack lives as long as the task, which is held here */
	NEEDS_CONFIG(test, CONFIG_THREAD_INFO_IN_TASK);

	init_completion(&look.done);
	task = kthread_create(look_at_stack, &look, "kasan_stack");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);
	/* alive: not a word */
	check_byte(task_stack_page(task) + THREAD_SIZE / 2);
	wake_up_process(task);
	wait_for_completion(&look.done);
	while (READ_ONCE(task->stack))
		schedule_timeout_uninterruptible(1);
	put_task_struct(task);

	EXPECT_REPORT(test, UAF, check_byte(look.base + THREAD_SIZE - 100));
	expect_object(test, THREAD_SIZE - 100, "inside", "freed", THREAD_SIZE,
		      "copy_process", "do_exit");
}

/* Never used, and used before but without shadow since. */
static void no_shadow(struct kunit *test)
{
	unsigned long space = fresh_space();
	u8 *p;

	NEEDS_STORE(test);
	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	make_table(space);
	EXPECT_REPORT(test, "vmalloc-wild-access", check_byte((void *)space));
	KUNIT_EXPECT_STREQ(test, report.where, "");

	p = vmalloc_at(space, 100);
	KUNIT_ASSERT_NOT_NULL(test, p);
	vfree(p);
	settle();
	KUNIT_ASSERT_EQ(test, shadow_byte(p), NO_SHADOW);
	EXPECT_REPORT(test, UAF, check_byte(p + 16));
	expect_object(test, 16, "inside", "freed", 100,
		      "vmalloc_at", "no_shadow");
}

/* Only a read of missing shadow sets a trap. */
static void not_a_trap(struct kunit *test)
{
	unsigned long space = fresh_space(), traps = event(KASAN_SHADOW_TRAPS);
	unsigned long shadow = (unsigned long)shadow_of((void *)space);

	NEEDS_STORE(test);
	/* not shadow, not shadow of vmalloc space, a write */
	KUNIT_EXPECT_FALSE(test, kasan_handle_shadow_fault(space, false));
	KUNIT_EXPECT_FALSE(test, kasan_handle_shadow_fault((unsigned long)
					shadow_of(page_address(ZERO_PAGE(0))), false));
	make_table(space);
	KUNIT_EXPECT_FALSE(test, kasan_handle_shadow_fault(shadow, true));
	KUNIT_EXPECT_EQ(test, shadow_byte((void *)space), NO_SHADOW);
	KUNIT_EXPECT_EQ(test, event(KASAN_SHADOW_TRAPS), traps);

	/* twice, as from two CPUs */
	KUNIT_EXPECT_TRUE(test, kasan_handle_shadow_fault(shadow, false));
	KUNIT_EXPECT_TRUE(test, kasan_handle_shadow_fault(shadow + 1, false));
	KUNIT_EXPECT_EQ(test, event(KASAN_SHADOW_TRAPS), traps + 1);
	KUNIT_EXPECT_EQ(test, peek_shadow((u8 *)shadow), KASAN_VMALLOC_ABSENT);
	KUNIT_EXPECT_FALSE(test, kasan_shadow_is_own(shadow));
	settle();
}

/*
 * A bad access sets a trap where there is no shadow. Areas of all sizes can be
 * allocated there again.
 */
static void trap_again(struct kunit *test)
{
	const size_t sizes[] = { 100, KASAN_MEMORY_PER_SHADOW_PAGE * 3, SZ_2M, 100 };
	unsigned long space = fresh_space(), traps;
	int i;
	u8 *p;

	NEEDS_STORE(test);
	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	make_table(space);
	settle();
	traps = event(KASAN_SHADOW_TRAPS);
	EXPECT_REPORT(test, "vmalloc-wild-access", check_byte((void *)space));
	EXPECT_REPORT(test, "vmalloc-wild-access", check_byte((void *)space + SZ_1M));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t size = sizes[i];
		bool shares = size >= kasan_vmalloc_share;

		KUNIT_EXPECT_EQ(test, shadow_byte((void *)space), NO_SHADOW);
		KUNIT_EXPECT_EQ(test, peek_shadow(shadow_of((void *)space)), KASAN_VMALLOC_ABSENT);
		KUNIT_EXPECT_EQ(test, areas_at(space), -1);

		p = vmalloc_at(space, size);
		KUNIT_ASSERT_PTR_EQ(test, p, (u8 *)space);
		expect_shadow(test, p, size, PAGE_ALIGN(size) + PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, areas_at(space), shares ? -1 : 1);
		memset(p, 1, size);
		vfree(p);
		settle();
		EXPECT_REPORT(test, UAF, check_byte(p + size - 1));
		expect_object(test, size - 1, "inside", "freed", size, "vmalloc_at", "trap_again");
		EXPECT_REPORT(test, UAF, check_byte(p));
	}
	/* the small ones have one page of shadow, and one trap */
	KUNIT_EXPECT_EQ(test, event(KASAN_SHADOW_TRAPS) - traps, 2 + 1 + 2 + 2 + 1);
	expect_counts(test);
	KUNIT_EXPECT_NULL(test, kasan_shadow_check_shared());
}

/* What vfree() and vunmap() call when they find no area. */
static void bad_vfree(struct kunit *test)
{
	unsigned long space = fresh_space();
	u8 *p;

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	p = vmalloc_at(space, 3 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	EXPECT_REPORT(test, "invalid-free", kasan_report_bad_vfree(p + 8, _THIS_IP_, false));
	expect_object(test, 8, "inside", "allocated", 3 * PAGE_SIZE,
		      "vmalloc_at", NULL);
	vfree(p);
	EXPECT_REPORT(test, "double-free", kasan_report_bad_vfree(p, _THIS_IP_, false));
	expect_object(test, 0, "inside", "freed", 3 * PAGE_SIZE,
		      "vmalloc_at", "bad_vfree");
	EXPECT_REPORT(test, "invalid-free", kasan_report_bad_vfree(p + 8, _THIS_IP_, false));
	settle();
}

static u8 *irq_target;

static void check_in_irq(struct irq_work *unused)
{
	check_byte(irq_target);
	barrier();
}

/* With interrupts off, and in an interrupt. */
static void any_context(struct kunit *test)
{
	struct irq_work work = IRQ_WORK_INIT_HARD(check_in_irq);
	u8 *p;

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	p = who_allocates(100);
	KUNIT_ASSERT_NOT_NULL(test, p);
	local_irq_disable();
	EXPECT_REPORT(test, OOB, check_byte(p + 100));
	local_irq_enable();
	expect_object(test, 0, "to the right", "allocated", 100,
		      "who_allocates", NULL);

	who_frees(p);
	irq_target = p;
	expect_no_report(test);
	irq_work_queue(&work);
	irq_work_sync(&work);
	expect_report(test, UAF, "check_in_irq", "an access in an interrupt");
	expect_object(test, 0, "inside", "freed", 100,
		      "who_allocates", "who_frees");
}

/* --------------------------- Which memory it was --------------------------- */

/* What boot code registered has bounds, and no allocator. */
static void early_areas(struct kunit *test)
{
	struct kasan_vmalloc_found f;
	struct vmap_area va;
	struct vm_struct vm;
	/* below which there is no area */
	unsigned long addr = VMALLOC_START - 1;
	struct vm_struct early = { .addr = (void *)VMALLOC_START, .size = PAGE_SIZE };

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	/* one without a guard page, or a caller */
	kasan_vmalloc_describe_vm(&f.obj, &early);
	KUNIT_EXPECT_EQ(test, f.obj.size, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, f.obj.span, PAGE_SIZE);

	while (peek_vmap_area(addr, 1, &va, &vm)) {
		addr = va.va_start;
		if (!va.vm || vm.caller)
			continue;
		if (kasan_vmalloc_find(&f, addr + 8) == KASAN_VMALLOC_IN_OBJECT)
			KUNIT_EXPECT_NE(test, f.obj.size, 0);
		else
			KUNIT_EXPECT_GE(test, f.cpu, 0);
	}
}

/* An address that the kernel maps for a device; nothing accesses it here. */
static noinline void *map_device(struct kunit *test, struct vm_struct **vm)
{
	phys_addr_t phys = (phys_addr_t)(max_pfn + 0x10000) << PAGE_SHIFT;
	unsigned long addr;

	*vm = get_vm_area(PAGE_SIZE, VM_IOREMAP);
	KUNIT_ASSERT_NOT_NULL(test, *vm);
	addr = (unsigned long)(*vm)->addr;
	KUNIT_ASSERT_EQ(test, ioremap_page_range(addr, addr + PAGE_SIZE, phys, PAGE_KERNEL), 0);
	return (*vm)->addr;
}

/* Memory of a device has no struct page, so a report does without. */
static void no_page(struct kunit *test)
{
	struct vm_struct *vm;
	u8 *p = map_device(test, &vm), *q;

	EXPECT_REPORT(test, OOB, kasan_check_read(p + PAGE_SIZE - 4, 8));
	expect_object(test, PAGE_SIZE - 4, "inside", "allocated", PAGE_SIZE, "map_device", NULL);
	KUNIT_EXPECT_NULL(test, kasan_vmalloc_to_page(p));
	free_vm_area(vm);
	EXPECT_REPORT(test, UAF, check_byte(p));
	expect_object(test, 0, "inside", "freed", PAGE_SIZE, "map_device", "no_page");

	/* and the next report comes */
	q = vmalloc(100);
	KUNIT_ASSERT_NOT_NULL(test, q);
	KUNIT_EXPECT_PTR_EQ(test, kasan_vmalloc_to_page(q), vmalloc_to_page(q));
	EXPECT_REPORT(test, OOB, read_byte(q + first_bad(100)));
	vfree(q);
}

#ifdef CONFIG_HAS_IOMEM
/* Some architectures free the vm_struct on their own. */
static void iounmap_uaf(struct kunit *test)
{
	void __iomem *io = ioremap((phys_addr_t)(max_pfn + 0x10000) << PAGE_SHIFT, PAGE_SIZE);
	void *p = (void __force *)io;

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	NEEDS(test, io && is_vmalloc_addr(p), "CONFIG_UML=n, CONFIG_PPC=n");
	iounmap(io);
	EXPECT_REPORT(test, UAF, check_byte(p + 8));
	expect_object(test, 8, "inside", "freed", PAGE_SIZE, "iounmap_uaf", "iounmap");
}
#else
static void iounmap_uaf(struct kunit *test)
{
	NEEDS_CONFIG(test, CONFIG_HAS_IOMEM);
}
#endif

static void *irq_victim;

static noinline void irq_frees(struct irq_work *unused)
{
	vfree(irq_victim);
	barrier();
}

static void free_in_irq(void *p)
{
	struct irq_work work = IRQ_WORK_INIT_HARD(irq_frees);

	irq_victim = p;
	irq_work_queue(&work);
	while (irq_work_is_busy(&work))
		cpu_relax();
}

static void free_badly_in_irq(struct kunit *test, void *p, const char *kind)
{
	expect_no_report(test);
	free_in_irq(p);
	/* vfree() may call what reports it as the last that it does */
	expect_report(test, kind, strcmp(report.func, "vfree") ? "irq_frees" : "vfree",
		      "vfree() in an interrupt");
}

/* Until the worker has freed the area at @p and poisoned the byte at @last. */
static void wait_for_vfree(void *p, const void *last)
{
	int i;

	for (i = 0; i < 1000 && (find_vm_area(p) || !shadow_byte(last)); i++)
		schedule_timeout_uninterruptible(1);
}

/* vfree() in an interrupt counts from when it is called, not when a worker gets to it. */
static void vfree_in_irq(struct kunit *test)
{
	static const size_t sizes[] = { 4, 16, 100, 5000, 70000 };
	int i;
	u8 *p;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t size = sizes[i];

		p = who_allocates(size);
		KUNIT_ASSERT_NOT_NULL(test, p);
		/* the worker runs on this CPU, or is waited for */
		preempt_disable();
		free_in_irq(p);
		if (size > KASAN_GRANULE_SIZE && size + 2 * PAGE_SIZE < kasan_vmalloc_share) {
			EXPECT_REPORT(test, UAF, check_byte(p + size - 1));
			expect_object(test, size - 1, "inside", "freed", size,
				      "who_allocates", "irq_frees");
			/* what does the same a second time */
			free_badly_in_irq(test, p, "double-free");
			expect_object(test, 0, "inside", "freed", size,
				      "who_allocates", "irq_frees");
		}
		preempt_enable();
		wait_for_vfree(p, p);
		EXPECT_REPORT(test, UAF, check_byte(p));
		expect_object(test, 0, "inside", "freed", size,
			      "who_allocates", "irq_frees");
	}

	/* of what is not the start of an area */
	p = who_allocates(3 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	for (i = PAGE_SIZE - 4; i <= PAGE_SIZE; i += 4) {
		free_badly_in_irq(test, p + i, "invalid-free");
		expect_object(test, i, "inside", "allocated", 3 * PAGE_SIZE,
			      "who_allocates", NULL);
	}
	write_byte(p);
	vfree(p);

	/* large ones are freed by the worker */
	p = who_allocates(SZ_2M);
	KUNIT_ASSERT_NOT_NULL(test, p);
	free_in_irq(p);
	wait_for_vfree(p, p + SZ_1M);
	if (shadow_byte(p + SZ_1M) != NO_SHADOW)
		EXPECT_REPORT(test, UAF, check_byte(p + SZ_1M));
	if (IS_ENABLED(CONFIG_KASAN_VMALLOC_HISTORY)) {
		struct kasan_vmalloc_found f;

		KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, (unsigned long)p + SZ_1M),
				KASAN_VMALLOC_IN_OBJECT);
		KUNIT_EXPECT_TRUE(test, f.obj.freed);
		KUNIT_EXPECT_EQ(test, f.obj.size, SZ_2M);
		KUNIT_EXPECT_EQ(test, f.obj.free.pid, current->pid);
	}
}

struct with_rcu {
	u8 bytes[5000];
	struct rcu_head rcu;
	struct work_struct work;
};

static void free_with_rcu(struct rcu_head *rcu)
{
	vfree(container_of(rcu, struct with_rcu, rcu));
	barrier();
}

static void free_with_work(struct work_struct *work)
{
	vfree(container_of(work, struct with_rcu, work));
	barrier();
}

static noinline void who_queues(struct with_rcu *p, struct workqueue_struct *wq)
{
	if (wq)
		queue_work(wq, &p->work);
	else
		call_rcu(&p->rcu, free_with_rcu);
	barrier();
}

/* Work and RCU callbacks are remembered with an area as with a slab object. */
static void aux_stacks(struct kunit *test)
{
	int i;

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	for (i = 0; i < 2; i++) {
		struct workqueue_struct *wq = i ? alloc_ordered_workqueue("kasan_test", 0) : NULL;
		struct with_rcu *p = who_allocates(sizeof(*p));

		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_ASSERT_TRUE(test, wq || !i);
		INIT_WORK(&p->work, free_with_work);
		who_queues(p, wq);
		/* until vfree() has returned, which completes the record last */
		if (wq)
			destroy_workqueue(wq);
		else
			rcu_barrier();
		EXPECT_REPORT(test, UAF, check_byte(&p->bytes[100]));
		expect_object(test, 100, "inside", "freed", sizeof(*p), "who_allocates",
			      i ? "free_with_work" : "free_with_rcu");
		/* the RCU of one CPU does not tell */
		if (i || !IS_ENABLED(CONFIG_TINY_RCU))
			KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(report.aux, "who_queues"),
						  "who_queues is not in:%s", report.aux);
	}
}

/* Whatever an area is mapped with: accessible from then on, and not longer. */
static void vmap_flags(struct kunit *test)
{
	static const unsigned long flags[] = {
		0, VM_ALLOC, VM_MAP, VM_USERMAP, VM_MAP | VM_USERMAP, VM_IOREMAP,
		VM_DMA_COHERENT, VM_ALLOC | VM_MAP, VM_ALLOC | VM_USERMAP,
	};
	unsigned long space = fresh_space();
	struct page *pages[3];
	struct vm_struct *vm;
	u8 *p;
	int i;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		/* where an earlier area was freed */
		p = who_allocates(5 * PAGE_SIZE);
		KUNIT_ASSERT_NOT_NULL(test, p);
		vfree(p);
		vm_unmap_aliases();

		p = vmap(pages, ARRAY_SIZE(pages), flags[i], PAGE_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, p);
		write_byte(p);
		write_byte(p + 3 * PAGE_SIZE - 1);
		EXPECT_REPORT(test, OOB, check_byte(p + 3 * PAGE_SIZE));
		expect_object(test, 0, "to the right", "allocated", 3 * PAGE_SIZE,
			      "vmap_flags", NULL);
		vunmap(p);
		EXPECT_REPORT(test, UAF, check_byte(p + PAGE_SIZE));
		expect_object(test, PAGE_SIZE, "inside", "freed", 3 * PAGE_SIZE,
			      "vmap_flags", "vmap_flags");

		vm = __get_vm_area_caller(2 * PAGE_SIZE, flags[i], space,
					  space + 3 * PAGE_SIZE, (void *)_THIS_IP_);
		KUNIT_ASSERT_NOT_NULL(test, vm);
		p = vm->addr;
		check_byte(p);
		check_byte(p + 2 * PAGE_SIZE - 1);
		free_vm_area(vm);
		EXPECT_REPORT(test, UAF, check_byte(p));
		vm_unmap_aliases();
	}
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		__free_page(pages[i]);
}

/* The nearest object to either side, live or freed. */
static void nearest(struct kunit *test)
{
	const size_t screen = 1920000;
	unsigned long space = fresh_space();
	struct kasan_vmalloc_found f;
	u8 *p, *q;
	int i;

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	NEEDS_STORE(test);	/* or all that is unused is accessible */
	/* next to what was freed, with nobody else there */
	p = vmalloc_at(space + STRETCH, 2 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	vfree(p);
	EXPECT_REPORT(test, OOB, check_byte(p + 2 * PAGE_SIZE));
	expect_object(test, 0, "to the right", "freed", 2 * PAGE_SIZE,
		      "vmalloc_at", "nearest");
	EXPECT_REPORT(test, OOB, check_byte(p + 3 * PAGE_SIZE - 1));
	expect_object(test, PAGE_SIZE - 1, "to the right", "freed", 2 * PAGE_SIZE,
		      "vmalloc_at", "nearest");

	/* between a live one and a freed one, nearer to either */
	p = vmalloc_at(space, 100);
	/* of which little is accessible before it is freed */
	q = vmalloc_at(space + 2 * PAGE_SIZE, 8);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_NOT_NULL(test, q);
	KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, (unsigned long)q - 100),
			KASAN_VMALLOC_IN_OBJECT);
	KUNIT_EXPECT_EQ(test, f.obj.start, (unsigned long)q);
	vfree(q);
	settle();
	q = vmalloc_at(space + 2 * PAGE_SIZE, 100);
	KUNIT_ASSERT_NOT_NULL(test, q);
	vfree(q);
	for (i = 1; i < 200; i++) {
		KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, (unsigned long)q - i),
				KASAN_VMALLOC_IN_OBJECT);
		KUNIT_EXPECT_EQ(test, f.obj.start, (unsigned long)q);
	}
	EXPECT_REPORT(test, OOB, check_byte(q - 1));
	expect_object(test, 1, "to the left", "freed", 100, "vmalloc_at", "nearest");
	EXPECT_REPORT(test, OOB, check_byte(p + PAGE_SIZE));
	expect_object(test, PAGE_SIZE - 100, "to the right", "allocated", 100,
		      "vmalloc_at", NULL);
	vfree(p);
	EXPECT_REPORT(test, OOB, check_byte(p + PAGE_SIZE));
	expect_object(test, PAGE_SIZE - 100, "to the right", "freed", 100,
		      "vmalloc_at", "nearest");
	settle();

	/* past the guard page: only what is near is named */
	p = vmalloc_at(space, screen);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, (unsigned long)p + screen + 9600),
			KASAN_VMALLOC_IN_OBJECT);
	KUNIT_EXPECT_EQ(test, f.obj.start, (unsigned long)p);
	KUNIT_EXPECT_FALSE(test, f.obj.freed);
	KUNIT_EXPECT_STREQ(test, kasan_vmalloc_bug_type(p + screen + 9600), OOB);
	vfree(p);
	KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, (unsigned long)p + screen + 9600),
			KASAN_VMALLOC_IN_OBJECT);
	KUNIT_EXPECT_EQ(test, f.obj.start, (unsigned long)p);
	KUNIT_EXPECT_TRUE(test, f.obj.freed);
	settle();
}

/* A live area's history is its own. */
static void nobody_elses(struct kunit *test)
{
	unsigned long space = fresh_space();
	struct kasan_vmalloc_found f;
	u8 *p;
	int i;

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	p = vmalloc_at(space, 5 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	vfree(p);
	vm_unmap_aliases();
	p = vmalloc_at(space, 3 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, space + i * PAGE_SIZE),
				KASAN_VMALLOC_IN_OBJECT);
		KUNIT_EXPECT_EQ(test, f.obj.size, 3 * PAGE_SIZE);
		KUNIT_EXPECT_FALSE(test, f.obj.freed);
	}
	/* also if it is poison, whatever the reason */
	kasan_poison_vmalloc(p, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, space), KASAN_VMALLOC_IN_OBJECT);
	KUNIT_EXPECT_EQ(test, f.obj.size, 3 * PAGE_SIZE);
	vfree(p);
	settle();
}

/* Objects of per-cpu memory: near ones, forgotten ones, of each CPU. */
static void percpu_near(struct kunit *test)
{
	struct kasan_vmalloc_found f;
	u8 __percpu *first, *a, *b;
	int cpu;
	u8 *p;

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	/* in front of a chunk there is no shadow */
	first = percpu_in_vmalloc(test, 8);
	a = percpu_in_vmalloc(test, 1000);
	b = percpu_in_vmalloc(test, 40);
	for_each_possible_cpu(cpu) {
		p = per_cpu_ptr(a, cpu);
		EXPECT_REPORT(test, OOB, check_byte(p - 1));
		expect_object(test, 1, "to the left", "allocated", 1000, "percpu_near", NULL);
		KUNIT_EXPECT_EQ(test, report.cpu, cpu);
		EXPECT_REPORT(test, OOB, check_byte(p + 1003));
		expect_object(test, 3, "to the right", "allocated", 1000, "percpu_near", NULL);
		KUNIT_EXPECT_EQ(test, report.cpu, cpu);
		p = per_cpu_ptr(b, cpu);
		EXPECT_REPORT(test, OOB, kasan_check_read(p + 36, 8));
		expect_object(test, 36, "inside", "allocated", 40, "percpu_near", NULL);
	}

	kasan_vmalloc_forget();
	for_each_possible_cpu(cpu) {
		p = per_cpu_ptr(a, cpu);
		for (int i = 0; i < 2; i++) {
			KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, (unsigned long)p + 1000 * i),
					KASAN_VMALLOC_IN_PERCPU);
			KUNIT_EXPECT_EQ(test, f.cpu, cpu);
		}
		EXPECT_REPORT(test, OOB, check_byte(p + 1000));
		KUNIT_EXPECT_STREQ(test, report.where, "");
		KUNIT_EXPECT_EQ(test, report.cpu, cpu);
	}
	free_percpu(a);
	p = per_cpu_ptr(a, nr_cpu_ids - 1);
	EXPECT_REPORT(test, UAF, check_byte(p + 999));
	expect_object(test, 999, "inside", "freed", 1000, NULL, "percpu_near");
	kasan_vmalloc_forget();
	EXPECT_REPORT(test, UAF, check_byte(p + 999));
	KUNIT_EXPECT_STREQ(test, report.where, "");
	KUNIT_EXPECT_EQ(test, report.cpu, nr_cpu_ids - 1);
	free_percpu(b);
	free_percpu(first);
}

/* A chunk of per-cpu memory that is gone: what was in it is of interest. */
static void percpu_chunk_gone(struct kunit *test)
{
#ifdef CONFIG_SMP
	unsigned long offset = 0;
	size_t size = PCPU_MIN_UNIT_SIZE;
	struct kasan_vmalloc_found f;
	struct vm_struct **vms;
	unsigned long addr;

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	vms = pcpu_get_vm_areas(&offset, &size, 1, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vms);
	addr = (unsigned long)kasan_reset_tag(vms[0]->addr);
	KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, addr + 1000), KASAN_VMALLOC_IN_PERCPU);
	KUNIT_EXPECT_FALSE(test, f.obj.freed);

	/* CPU 0 has the first unit here */
	kasan_unpoison_vmalloc((void *)addr + 64, 100,
			       KASAN_VMALLOC_PROT_NORMAL | KASAN_VMALLOC_KEEP_TAG);
	kasan_record_vmalloc((void *)addr + 64, 200, KASAN_VMALLOC_PERCPU, true);
	pcpu_free_vm_areas(vms, 1);
	KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, addr + 100), KASAN_VMALLOC_IN_OBJECT);
	KUNIT_EXPECT_EQ(test, f.obj.kind, KASAN_VMALLOC_PERCPU);
	KUNIT_EXPECT_EQ(test, f.obj.size, 100);
	KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, addr + 1000), KASAN_VMALLOC_IN_PERCPU);
	KUNIT_EXPECT_TRUE(test, f.obj.freed);
	KUNIT_EXPECT_EQ(test, f.cpu, 0);
	EXPECT_REPORT(test, UAF, check_byte((void *)addr + 1000));
	KUNIT_EXPECT_STREQ(test, report.where, "");
#else
	NEEDS_CONFIG(test, CONFIG_SMP);
#endif
}

/* vm_map_ram(): a page between mappings, and what is known without a record. */
static void ram_gap(struct kunit *test)
{
	static const unsigned int counts[] = { 1, 2, 63, 64, 65 };
	struct kasan_vmalloc_found f;
	struct page *pages[65];
	u8 *p, *q;
	int i;

	NEEDS_CONFIG(test, CONFIG_KASAN_GENERIC);
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		size_t size = counts[i] * PAGE_SIZE;

		p = vm_map_ram(pages, counts[i], NUMA_NO_NODE);
		q = vm_map_ram(pages, counts[i], NUMA_NO_NODE);
		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_ASSERT_NOT_NULL(test, q);
		write_byte(p + size - 1);
		write_byte(q);
		EXPECT_REPORT(test, OOB, check_byte(p + size));
		expect_object(test, 0, "to the right", "allocated", size, "ram_gap", NULL);
		EXPECT_REPORT(test, OOB, kasan_check_write(p + size - 8, 16));
		expect_object(test, size - 8, "inside", "allocated", size, "ram_gap", NULL);
		EXPECT_REPORT(test, OOB, check_byte(q + size + PAGE_SIZE / 4));
		expect_object(test, PAGE_SIZE / 4, "to the right", "allocated", size,
			      "ram_gap", NULL);

		if (IS_ENABLED(CONFIG_KASAN_VMALLOC_HISTORY)) {
			kasan_vmalloc_forget();
			EXPECT_REPORT(test, OOB, check_byte(p + size + 1));
			expect_object(test, 1, "to the right", "allocated", size, NULL, NULL);
		}
		vm_unmap_ram(p, counts[i]);
		EXPECT_REPORT(test, UAF, check_byte(p + size - 1));
		/* the title and the text are about the same */
		EXPECT_REPORT(test, OOB, check_byte(p + size));
		if (IS_ENABLED(CONFIG_KASAN_VMALLOC_HISTORY)) {
			KUNIT_EXPECT_EQ(test, kasan_vmalloc_find(&f, (unsigned long)p + size),
					KASAN_VMALLOC_IN_OBJECT);
			KUNIT_EXPECT_TRUE(test, f.obj.freed);
		}
		write_byte(q + size - 1);
		vm_unmap_ram(q, counts[i]);
	}
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		__free_page(pages[i]);
}

/* What is freed twice, or not as it was allocated, is reported, and not freed. */
static void bad_frees(struct kunit *test)
{
	unsigned long space = fresh_space();
	struct page *pages[65];
	u8 __percpu *a, *b;
	u8 *p;
	int i;

	a = percpu_in_vmalloc(test, 256);
	b = percpu_in_vmalloc(test, 256);
	EXPECT_REPORT(test, "invalid-free", free_percpu(a + 8));
	EXPECT_REPORT(test, "invalid-free", free_percpu(a + 1));
	write_byte(per_cpu_ptr(a, 0));
	free_percpu(a);
	EXPECT_REPORT(test, "double-free", free_percpu(a));
	expect_object(test, 0, "inside", "freed", 256, "bad_frees", "bad_frees");
	write_byte(per_cpu_ptr(b, 0));
	free_percpu(b);
	EXPECT_REPORT(test, "double-free", free_percpu(b));
	/* in the first chunk, which may be elsewhere */
	a = alloc_percpu(u8);
	free_percpu(a);
	EXPECT_REPORT(test, "double-free", free_percpu(a));

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
	for (i = 2; i <= 65; i += 63) {
		p = vm_map_ram(pages, i, NUMA_NO_NODE);
		KUNIT_ASSERT_NOT_NULL(test, p);
		if (IS_ENABLED(CONFIG_KASAN_GENERIC)) {
			EXPECT_REPORT(test, "invalid-free", vm_unmap_ram(p, i - 1));
			EXPECT_REPORT(test, "invalid-free", vm_unmap_ram(p, i + 1));
			EXPECT_REPORT(test, "invalid-free", vm_unmap_ram(p + PAGE_SIZE, i - 1));
			expect_object(test, PAGE_SIZE, "inside", "allocated", i * PAGE_SIZE,
				      "bad_frees", NULL);
		}
		write_byte(p + i * PAGE_SIZE - 1);
		vm_unmap_ram(p, i);
		EXPECT_REPORT(test, "double-free", vm_unmap_ram(p, i));
		expect_object(test, 0, "inside", "freed", i * PAGE_SIZE, "bad_frees", "bad_frees");
		vm_unmap_aliases();
		EXPECT_REPORT(test, "double-free", vm_unmap_ram(p, i));
	}
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		__free_page(pages[i]);

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	/* vmalloc takes any address in an area, and frees all of it */
	p = who_allocates(3 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	expect_no_report(test);
	vfree(p + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, READ_ONCE(report.nr), 1);
	KUNIT_EXPECT_STREQ(test, report.kind, "invalid-free");
	WRITE_ONCE(report.nr, 0);
	expect_object(test, PAGE_SIZE, "inside", "freed", 3 * PAGE_SIZE, "who_allocates", NULL);

	/* a live mapping that is out of the trees for a moment was not freed */
	vfree(vmalloc_at(space, 100));
	settle();
	KUNIT_ASSERT_EQ(test, populate(space, PAGE_SIZE, GFP_KERNEL), 0);
	p = kasan_unpoison_vmalloc((void *)space, PAGE_SIZE, KASAN_VMALLOC_PROT_NORMAL);
	kasan_record_vmalloc(p, PAGE_SIZE, KASAN_VMALLOC_RAM, false);
	EXPECT_REPORT(test, "invalid-free", kasan_report_bad_vfree(p, _THIS_IP_, false));
	expect_object(test, 0, "inside", "allocated", PAGE_SIZE, "bad_frees", NULL);
	kasan_poison_vmalloc(p, PAGE_SIZE);
	release(space, space + PAGE_SIZE);
	settle();
}

/*
 * With a page more each, mappings of one size leave slots of a block that none of
 * them fits in. The block goes with the last of them all the same.
 */
static void ram_blocks_go(struct kunit *test)
{
	static const unsigned int counts[] = { 1, 2, 4, 8, 16, 32, 63 };
	struct page *pages[63];
	struct vmap_area va;
	struct vm_struct vm;
	int i, n;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
	migrate_disable();
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		unsigned long block = 0, blocks = 0;

		/* its slots are at least 1,024 */
		for (n = 0; blocks < 3 && n < 5000; n++) {
			void *p = vm_map_ram(pages, counts[i], NUMA_NO_NODE);

			KUNIT_ASSERT_NOT_NULL(test, p);
			KUNIT_ASSERT_TRUE(test, peek_vmap_area((unsigned long)kasan_reset_tag(p),
							       0, &va, &vm));
			vm_unmap_ram(p, counts[i]);
			if (va.va_start == block)
				continue;
			/* of those that were there already others may use a part */
			if (blocks > 1)
				KUNIT_EXPECT_FALSE(test, peek_vmap_area(block, 0, &va, &vm));
			block = va.va_start;
			blocks++;
		}
		KUNIT_EXPECT_EQ(test, blocks, 3);
	}
	migrate_enable();
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		__free_page(pages[i]);
	settle();
}

static void module_named(struct kunit *test)
{
	size_t size;
	u8 *p;

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	NEEDS_CONFIG(test, CONFIG_EXECMEM);
	p = execmem_alloc(EXECMEM_MODULE_DATA, 5000);
	KUNIT_ASSERT_NOT_NULL(test, p);
	size = find_vm_area(p)->requested_size;
	kasan_set_vmalloc_module(p, "a_module");
	EXPECT_REPORT(test, OOB, check_byte(p + size + 1));
	KUNIT_EXPECT_STREQ(test, report.module, "a_module");
	execmem_free(p);
	EXPECT_REPORT(test, UAF, check_byte(p + 1));
	expect_object(test, 1, "inside", "freed", size, "module_named", "module_named");
	KUNIT_EXPECT_STREQ(test, report.module, "a_module");
}

/* ----------------------- Reports of whatever address ----------------------- */

enum { NR_SAMPLES = 50 };

/* Memory of each kind, that the test knows all of. */
enum sample_kind {
	SAMPLE_VMALLOC, SAMPLE_LARGE, SAMPLE_DEVICE, SAMPLE_SPARSE, SAMPLE_MODULE,
	SAMPLE_RAM, SAMPLE_RAM_AREA, SAMPLE_PERCPU,
	NR_SAMPLE_KINDS
};

struct sample {
	enum sample_kind kind;
	unsigned long start;		/* of per-cpu memory that of no CPU */
	size_t size;
	struct vm_struct *vm;
	bool freed;
};

static struct page *sample_pages[65];

/* @addr: space that nobody else uses. */
static bool make_sample(struct sample *s, enum sample_kind kind, unsigned long addr,
			struct rnd_state *rnd)
{
	size_t size = 1 + prandom_u32_state(rnd) % (3 * PAGE_SIZE);
	void *p = NULL;

	s->vm = NULL;
	switch (kind) {
	case SAMPLE_VMALLOC:
		p = vmalloc_at(addr, size);
		break;
	case SAMPLE_LARGE:
	case SAMPLE_DEVICE:
	case SAMPLE_SPARSE:
		if (kind == SAMPLE_LARGE)
			size += SZ_1M;
		size = PAGE_ALIGN(size);
		s->vm = __get_vm_area_caller(size, kind == SAMPLE_DEVICE ? VM_IOREMAP :
					     kind == SAMPLE_SPARSE ? VM_SPARSE : VM_MAP,
					     addr, addr + size + PAGE_SIZE, (void *)_THIS_IP_);
		p = s->vm ? s->vm->addr : NULL;
		break;
	case SAMPLE_MODULE:
		p = execmem_alloc(EXECMEM_MODULE_DATA, size);
		size = p ? find_vm_area(p)->requested_size : 0;
		break;
	case SAMPLE_RAM:
		size = PAGE_ALIGN(size);
		p = vm_map_ram(sample_pages, size >> PAGE_SHIFT, NUMA_NO_NODE);
		break;
	case SAMPLE_RAM_AREA:
		size = 65 * PAGE_SIZE;
		p = vm_map_ram(sample_pages, 65, NUMA_NO_NODE);
		break;
	default:
		size = 1 + size % 200;
		p = (void __force *)__alloc_percpu(size, 8);
		break;
	}
	s->kind = kind;
	s->start = (unsigned long)p;
	s->size = size;
	s->freed = false;
	return p;
}

static void free_sample(struct sample *s)
{
	void *p = (void *)s->start;

	if (s->freed)
		return;
	s->freed = true;
	if (s->vm)
		free_vm_area(s->vm);
	else if (s->kind == SAMPLE_MODULE)
		execmem_free(p);
	else if (s->kind == SAMPLE_RAM || s->kind == SAMPLE_RAM_AREA)
		vm_unmap_ram(p, s->size >> PAGE_SHIFT);
	else if (s->kind == SAMPLE_PERCPU)
		free_percpu((void __percpu *)p);
	else
		vfree(p);
}

static bool bad_stack(depot_stack_handle_t handle)
{
	unsigned long *entries;

	return handle && (!stack_depot_fetch(handle, &entries) ||
			  !__kernel_text_address(entries[0]));
}

/* What cannot be, whatever others do meanwhile. */
static const char *find_nonsense(unsigned long addr)
{
	struct kasan_vmalloc_found f;
	struct kasan_vmalloc_object *obj = &f.obj;
	struct page *page;

	switch (kasan_vmalloc_find(&f, addr)) {
	case KASAN_VMALLOC_IN_OBJECT:
		if (!obj->size || !is_vmalloc_or_module_addr((void *)obj->start))
			return "no object";
		if (addr + SZ_4M < obj->start || addr > obj->start + obj->size + SZ_4M)
			return "not near";
		if (bad_stack(obj->alloc.stack) || bad_stack(obj->free.stack) ||
		    bad_stack(obj->aux[0]) || bad_stack(obj->aux[1]))
			return "no stack";
		if (obj->kind > KASAN_VMALLOC_PERCPU ||
		    (obj->kind == KASAN_VMALLOC_PERCPU && !cpu_possible(f.cpu)))
			return "no kind";
		break;
	case KASAN_VMALLOC_IN_PERCPU:
		if (!cpu_possible(f.cpu))
			return "no CPU";
		break;
	default:
		break;
	}
	page = kasan_vmalloc_to_page((void *)addr);
	return page && !pfn_to_online_page(page_to_pfn(page)) ? "no page" : NULL;
}

static unsigned int judged[NR_SAMPLE_KINDS];

/* What is said of a byte of a sample; @forgotten: its record is gone. */
static void check_sample(struct kunit *test, const struct sample *s, long off, bool forgotten,
			 bool alone)
{
	int cpu = s->kind == SAMPLE_PERCPU ? cpumask_any_but(cpu_possible_mask, off & 1) : -1;
	struct kasan_vmalloc_found f;
	enum kasan_vmalloc_place place;
	unsigned long start = s->start;
	bool part = s->kind >= SAMPLE_RAM;
	const char *nonsense;

	if (s->kind == SAMPLE_PERCPU) {
		if (cpu >= nr_cpu_ids)
			cpu = 0;
		start = (unsigned long)per_cpu_ptr((u8 __percpu *)start, cpu);
	}
	nonsense = find_nonsense(start + off);
	KUNIT_EXPECT_NULL_MSG(test, nonsense, "%s: kind %d, byte %ld of %zu",
			      nonsense, s->kind, off, s->size);
	if (off < 0 || off >= s->size || !is_vmalloc_or_module_addr((void *)start))
		return;
	judged[s->kind]++;

	place = kasan_vmalloc_find(&f, start + off);
	if (s->freed && forgotten) {
		KUNIT_EXPECT_FALSE_MSG(test, alone && place == KASAN_VMALLOC_IN_OBJECT &&
				       start + off - f.obj.start < f.obj.size,
				       "kind %d, byte %ld of %zu: %lx", s->kind, off, s->size,
				       f.obj.start);
		return;
	}
	if (s->kind == SAMPLE_PERCPU && (forgotten || !alone) &&
	    place == KASAN_VMALLOC_IN_PERCPU) {
		KUNIT_EXPECT_EQ(test, f.cpu, cpu);
		return;
	}
	/* Others may have it by now, or have pushed its record out. */
	if (s->freed && !alone)
		return;
	if (place == KASAN_VMALLOC_IN_OBJECT && f.obj.start == start &&
	    f.obj.size == s->size && f.obj.freed == s->freed &&
	    ((forgotten && part) || !alone || f.obj.alloc.stack))
		return;
	KUNIT_FAIL(test, "kind %d%s%s, byte %ld of %zu at %lx: place %d, %s %lu at %lx, alloc %x",
		   s->kind, s->freed ? " freed" : "", forgotten ? " forgotten" : "", off,
		   s->size, start, place, f.obj.freed ? "freed" : "live", f.obj.size,
		   f.obj.start, f.obj.alloc.stack);
}

static void check_samples(struct kunit *test, const struct sample *samples, int nr,
			  bool forgotten)
{
	int i, k;

	for (i = 0; i < nr; i++) {
		long size = samples[i].size;
		long offs[] = {
			0, 1, size / 2, size - 1, size, size + 1, -1, -8,
			size + PAGE_SIZE - 1, -(long)PAGE_SIZE, size + SZ_64K,
		};

		for (k = 0; k < ARRAY_SIZE(offs); k++)
			check_sample(test, &samples[i], offs[k], forgotten, true);
		cond_resched();
	}
}

/* Samples of half of the kinds, live and freed, with their records or without. */
static void check_state(struct kunit *test, struct sample *samples, int nr, int kind,
			bool forgotten, unsigned long space, struct rnd_state *rnd)
{
	int i;

	kasan_vmalloc_forget();
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_TRUE(test, make_sample(&samples[i], kind + i % (NR_SAMPLE_KINDS / 2),
						    space + i * SZ_2M, rnd));
	if (forgotten)
		kasan_vmalloc_forget();
	check_samples(test, samples, nr, forgotten);
	for (i = 0; i < nr; i++)
		free_sample(&samples[i]);
	if (forgotten)
		kasan_vmalloc_forget();
	check_samples(test, samples, nr, forgotten);
}

struct worker {
	struct task_struct *task;
	struct stack_look look;
	unsigned long space;
	u32 seed;
};

/* Allocates and frees memory of all kinds, with threads, purges and reclaim between. */
static int disturb(void *arg)
{
	struct sample samples[8] = {};
	struct worker *w = arg;
	struct task_struct *task;
	struct rnd_state rnd;
	int i, n = 0;

	prandom_seed_state(&rnd, w->seed);
	for (i = 0; i < ARRAY_SIZE(samples); i++)
		samples[i].freed = true;
	while (!kthread_should_stop()) {
		struct sample *s = &samples[n++ % ARRAY_SIZE(samples)];
		int kind = prandom_u32_state(&rnd) % NR_SAMPLE_KINDS;

		free_sample(s);
		/* of those with a place of their own there is one for each */
		if (!make_sample(s, kind, w->space + (s - samples) * SZ_2M, &rnd))
			s->freed = true;
		if (n % 64 == 0)
			vm_unmap_aliases();
		if (n % 128 == 0)
			kasan_shadow_reclaim(100);
		if (n % 16 == 0) {
			task = kthread_run(look_at_stack, &w->look, "kasan_stack");
			if (!IS_ERR(task))
				wait_for_completion(&w->look.done);
		}
		usleep_range(200, 400);
	}
	for (i = 0; i < ARRAY_SIZE(samples); i++)
		free_sample(&samples[i]);
	return 0;
}

static unsigned long random_addr(struct rnd_state *rnd)
{
	u64 r = (u64)prandom_u32_state(rnd) << 32 | prandom_u32_state(rnd);
	unsigned long space = VMALLOC_END - VMALLOC_START;
	struct vmap_area va;
	struct vm_struct vm;

	switch (r % 4) {
	case 0:
		return VMALLOC_START + (r >> 2) % space;
#ifdef MODULES_VADDR
	case 1:
		return MODULES_VADDR + (r >> 2) % (MODULES_END - MODULES_VADDR);
#endif
	}
	/* Near an area that there is, or was a moment ago. */
	if (!peek_vmap_area(VMALLOC_START + (r >> 2) % (r % 4 == 2 ? SZ_1G : space),
			    r & 4 ? 1 : -1, &va, &vm))
		return VMALLOC_START;
	return va.va_start - PAGE_SIZE + (r >> 16) % (va.va_end - va.va_start + 2 * PAGE_SIZE);
}

/*
 * What a report says of any address: all that is known of the memory that the
 * test has, nothing that cannot be of any other; and it survives.
 */
static void any_address(struct kunit *test)
{
	/* three addresses each; scripts/stress looks at many more */
	int rounds = IS_ENABLED(CONFIG_PROVE_LOCKING) ? 3000 : 1000;
	unsigned long space = fresh_space(), n = NR_SAMPLES * NR_SAMPLE_KINDS;
	u8 __percpu **fill;
	int nr_fill = 0;
	struct worker *workers;
	struct sample *samples;
	struct rnd_state rnd;
	unsigned long start;
	int i;

	NEEDS_CONFIG(test, CONFIG_KASAN_VMALLOC_HISTORY);
	NEEDS_CONFIG(test, CONFIG_EXECMEM);
	NEEDS_CONFIG(test, CONFIG_SMP);
	NEEDS_CONFIG(test, CONFIG_64BIT);
	samples = kunit_kcalloc(test, n, sizeof(*samples), GFP_KERNEL);
	workers = kunit_kcalloc(test, 4, sizeof(*workers), GFP_KERNEL);
	fill = kunit_kcalloc(test, MAX_FILL, sizeof(*fill), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fill);
	KUNIT_ASSERT_NOT_NULL(test, samples);
	KUNIT_ASSERT_NOT_NULL(test, workers);
	for (i = 0; i < ARRAY_SIZE(sample_pages); i++) {
		sample_pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, sample_pages[i]);
	}
	prandom_seed_state(&rnd, 20);
	/* it takes more than one of these */
	while (fresh_space() < space + (n + 8 * 4) * SZ_2M)
		;

	/* the first chunk of per-cpu memory, which can be elsewhere, is full */
	for (i = 256; i >= 8; i /= 2)
		free_percpu(fill_first_chunk(fill, &nr_fill, i));

	/* alone, with no more at a time than the history of a CPU keeps: exact */
	migrate_disable();
	for (i = 0; i < 4; i++)
		check_state(test, samples, n / 2, i % 2 * NR_SAMPLE_KINDS / 2, i / 2, space, &rnd);
	migrate_enable();

	/* with others, and half of them freed */
	for (i = 0; i < n; i++)
		KUNIT_ASSERT_TRUE(test, make_sample(&samples[i], i % NR_SAMPLE_KINDS,
						    space + i * SZ_2M, &rnd));
	for (i = 0; i < n; i += 2)
		free_sample(&samples[i]);
	for (i = 0; i < 4; i++) {
		workers[i].space = space + (n + 8 * i) * SZ_2M;
		workers[i].seed = i;
		init_completion(&workers[i].look.done);
		workers[i].task = kthread_run(disturb, &workers[i], "kasan_disturb/%d", i);
	}
	start = jiffies;
	for (i = 0; i < rounds; i++) {
		const struct sample *s = &samples[prandom_u32_state(&rnd) % n];
		long off = prandom_u32_state(&rnd) % (s->size + 2 * PAGE_SIZE);
		unsigned long addr = random_addr(&rnd);
		const char *nonsense = find_nonsense(addr);

		KUNIT_EXPECT_NULL_MSG(test, nonsense, "%s: %lx", nonsense, addr);
		check_sample(test, s, off - PAGE_SIZE, false, false);
		if (i % 16 == 0)
			cond_resched();
		if (i % 1024 == 0)
			kasan_vmalloc_forget();
	}
	kunit_info(test, "%d addresses beside others in %u ms", 3 * rounds,
		   jiffies_to_msecs(jiffies - start));
	for (i = 0; i < 4; i++)
		if (!IS_ERR(workers[i].task))
			kthread_stop(workers[i].task);
	for (i = 0; i < n; i++)
		free_sample(&samples[i]);
	for (i = 0; i < NR_SAMPLE_KINDS; i++)
		KUNIT_EXPECT_GT_MSG(test, judged[i], 500, "kind %d", i);
	while (nr_fill--)
		free_percpu(fill[nr_fill]);
	for (i = 0; i < ARRAY_SIZE(sample_pages); i++)
		__free_page(sample_pages[i]);
	settle();
}

static struct kunit_case kasan_vmalloc_test_cases[] = {
	KUNIT_CASE(vmalloc_oob),
	KUNIT_CASE(vmalloc_uaf),
	KUNIT_CASE(vmap_oob_uaf),
	KUNIT_CASE(vm_map_ram_uaf),
	KUNIT_CASE(percpu_oob_uaf),
	KUNIT_CASE(module_space),
	KUNIT_CASE(module_text),
	KUNIT_CASE(executable),
	KUNIT_CASE(stack_oob),
	KUNIT_CASE(stack_reuse),
	KUNIT_CASE(vrealloc_bytes),
	KUNIT_CASE(history_live),
	KUNIT_CASE(history_freed),
	KUNIT_CASE(history_again),
	KUNIT_CASE(history_begun),
	KUNIT_CASE_SLOW(history_bounded),
	KUNIT_CASE(history_mapped),
	KUNIT_CASE(history_percpu),
	KUNIT_CASE(stack_uaf),
	KUNIT_CASE(no_shadow),
	KUNIT_CASE(not_a_trap),
	KUNIT_CASE(trap_again),
	KUNIT_CASE(bad_vfree),
	KUNIT_CASE(any_context),
	KUNIT_CASE(early_areas),
	KUNIT_CASE(no_page),
	KUNIT_CASE(iounmap_uaf),
	KUNIT_CASE(vfree_in_irq),
	KUNIT_CASE(aux_stacks),
	KUNIT_CASE(vmap_flags),
	KUNIT_CASE(nearest),
	KUNIT_CASE(nobody_elses),
	KUNIT_CASE(percpu_near),
	KUNIT_CASE(percpu_chunk_gone),
	KUNIT_CASE(ram_gap),
	KUNIT_CASE(ram_blocks_go),
	KUNIT_CASE(bad_frees),
	KUNIT_CASE(module_named),
	KUNIT_CASE_SLOW(any_address),
	{}
};

static struct kunit_suite kasan_vmalloc_test_suite = {
	.name = "kasan_vmalloc",
	.test_cases = kasan_vmalloc_test_cases,
	.exit = vmalloc_test_exit,
	.suite_init = vmalloc_test_suite_init,
	.suite_exit = vmalloc_test_suite_exit,
};

kunit_test_suite(kasan_vmalloc_test_suite);

MODULE_DESCRIPTION("KUnit tests of KASAN_VMALLOC");
MODULE_LICENSE("GPL");
