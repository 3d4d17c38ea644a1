// SPDX-License-Identifier: GPL-2.0
/*
 * What a report says about an address in vmalloc space: which memory it is in,
 * or next to; who allocated that, and who freed it.
 *
 * Live areas are looked up in vmalloc's own trees. Who allocated one is what
 * KASAN keeps with the vm_struct, a slab object that is allocated in the same
 * call. Freed ones are in a history, a ring of records for each CPU; who freed
 * one is what KASAN keeps with the freed vm_struct. So a vmalloc() and a vfree()
 * take no stack trace for this, which would cost more than all the shadow does.
 * What has no vm_struct (vm_map_ram(), per-cpu memory) has records of both.
 *
 * A report can come from any context: with vmalloc's locks held, from an NMI,
 * with interrupts off. So what it calls here takes no lock, follows no pointer
 * that it cannot do without, and reads what others may free in a way that
 * survives a fault.
 */

#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/init.h>
#include <linux/kasan.h>
#include <linux/kfence.h>
#include <linux/limits.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "../slab.h"
#include "kasan.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "kasan_vmalloc."

/* What is known of one piece of memory. */
struct object {
	enum kasan_vmalloc_kind kind;
	int cpu;		/* per-cpu memory: whose */
	bool freed;
	unsigned long start;
	unsigned long size;	/* as requested */
	unsigned long span;	/* with what belongs to nobody else behind it */
	const void *caller;
	unsigned long flags;	/* of the vm_struct */
	struct kasan_track alloc;
	struct kasan_track free;
};

/* An object at the time when it was allocated, or freed. */
struct record {
	/*
	 * Its number among the records of all CPUs, which tells what was last;
	 * clocks of CPUs differ by more than a vfree() takes. 0 while the record
	 * is written. Only its CPU writes, with interrupts off, so a reader that
	 * finds the same number before and after has a whole record.
	 */
	unsigned long nr;
	struct object obj;
};

struct ring {
	unsigned long next;	/* counts up, modulo the size is the next to be used */
	struct record *records;
};

static DEFINE_PER_CPU(struct ring, rings);
static atomic_long_t nr_records;

/* Records that each CPU keeps: a power of two. */
static unsigned int history = 512;
module_param(history, uint, 0444);

/* How far back add_record() looks for the record that it completes. */
#define LOOK_BACK	4

static void add_record(const struct object *obj)
{
	struct record *record = NULL;
	struct ring *ring;
	unsigned long flags;
	unsigned int i;

	local_irq_save(flags);
	ring = this_cpu_ptr(&rings);
	if (!ring->records)
		goto out;

	/* An area has a record when its free begins; it is completed later on. */
	for (i = 1; i <= LOOK_BACK && obj->free.stack && !record; i++) {
		record = &ring->records[(ring->next - i) & (history - 1)];
		if (record->obj.start != obj->start || !record->obj.freed ||
		    record->obj.free.stack)
			record = NULL;
	}
	if (!record) {
		record = &ring->records[ring->next & (history - 1)];
		WRITE_ONCE(ring->next, ring->next + 1);
	}

	WRITE_ONCE(record->nr, 0);
	/* No number before anything changes. Pairs with read_record(). */
	smp_wmb();
	record->obj = *obj;
	/* The number after all of it has. Pairs with read_record(). */
	smp_store_release(&record->nr, atomic_long_inc_return(&nr_records));
out:
	local_irq_restore(flags);
}

/* Return: false if there is none, or it is being written. */
static bool read_record(struct record *record, struct record *copy)
{
	unsigned long nr;

	/* Pairs with the release in add_record(). */
	nr = smp_load_acquire(&record->nr);
	if (!nr)
		return false;
	/* If it is written meanwhile, its number tells. */
	*copy = data_race(*record);
	/* Pairs with the write barrier in add_record(). */
	smp_rmb();
	return READ_ONCE(record->nr) == nr;
}

/*
 * Is @addr in @obj, a copy from a record? Per-cpu memory has a place for each CPU
 * and records have the first; @obj becomes the one that @addr is in.
 */
static bool object_covers(struct object *obj, unsigned long addr)
{
	unsigned long start;
	int cpu;

	if (obj->kind != KASAN_VMALLOC_PERCPU)
		return addr - obj->start < obj->span;

	for_each_possible_cpu(cpu) {
		start = obj->start + pcpu_unit_offsets[cpu] - pcpu_unit_offsets[0];
		if (addr - start < obj->span) {
			obj->start = start;
			obj->cpu = cpu;
			return true;
		}
	}
	return false;
}

/* Kinds to look for, as bits. */
#define ANY_KIND	(~0U)

/*
 * The last record, before number @before, of memory with @addr in it; of a free,
 * or of an allocation.
 */
static bool find_record(unsigned long addr, bool freed, unsigned int kinds,
			unsigned long before, struct record *found)
{
	struct record copy;
	unsigned int i;
	int cpu;

	found->nr = 0;
	for_each_possible_cpu(cpu) {
		struct record *records = per_cpu(rings, cpu).records;

		for (i = 0; records && i < history; i++)
			if (read_record(&records[i], &copy) &&
			    copy.obj.freed == freed &&
			    (BIT(copy.obj.kind) & kinds) &&
			    copy.nr < before && copy.nr > found->nr &&
			    object_covers(&copy.obj, addr))
				*found = copy;
	}
	return found->nr;
}

/*
 * From when on is the history complete? A record from before can be about memory
 * whose space was used again since, by somebody whose record is gone.
 */
static unsigned long complete_since(void)
{
	struct record copy;
	unsigned long since = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		struct ring *ring = per_cpu_ptr(&rings, cpu);
		unsigned long next = READ_ONCE(ring->next);

		if (ring->records && next > history &&
		    read_record(&ring->records[next & (history - 1)], &copy))
			since = max(since, copy.nr);
	}
	return since;
}

static void make_object(struct object *obj, const void *start,
			unsigned long size, enum kasan_vmalloc_kind kind,
			bool freed)
{
	memset(obj, 0, sizeof(*obj));
	obj->kind = kind;
	obj->freed = freed;
	obj->start = (unsigned long)kasan_reset_tag(start);
	obj->size = size;
	obj->span = size;
	/* behind it there is at least a granule of redzone, see mm/percpu.c */
	if (kind == KASAN_VMALLOC_PERCPU)
		obj->span = round_up(size, KASAN_GRANULE_SIZE) + KASAN_GRANULE_SIZE;
}

/**
 * kasan_record_vmalloc_alloc - memory without a vm_struct is allocated
 * @start: where it begins
 * @size: its size in bytes
 * @kind: what it is
 *
 * Context: Any but NMI.
 */
void kasan_record_vmalloc_alloc(const void *start, unsigned long size,
				enum kasan_vmalloc_kind kind)
{
	struct object obj;

	if (!is_vmalloc_or_module_addr(start))
		return;
	make_object(&obj, start, size, kind, false);
	kasan_save_track(&obj.alloc, 0);
	add_record(&obj);
}

/**
 * kasan_record_vmalloc_free - memory without a vm_struct of its own is freed
 * @start: where it begins
 * @size: its size in bytes
 * @kind: what it is
 *
 * To be called before the memory is poisoned.
 *
 * Context: Any but NMI.
 */
void kasan_record_vmalloc_free(const void *start, unsigned long size,
			       enum kasan_vmalloc_kind kind)
{
	struct object obj;

	if (!is_vmalloc_or_module_addr(start))
		return;
	make_object(&obj, start, size, kind, true);
	kasan_save_track(&obj.free, 0);
	add_record(&obj);
}

/* The cache of @vm, if KASAN keeps with it who allocated it, and who freed it. */
static struct kmem_cache *vm_struct_cache(const struct vm_struct *vm)
{
	struct slab *slab = is_kfence_address(vm) ? NULL : kasan_addr_to_slab(vm);

	return slab ? slab->slab_cache : NULL;
}

static struct kasan_alloc_meta *vm_alloc_meta(const struct vm_struct *vm)
{
	struct kmem_cache *cache = vm_struct_cache(vm);

	return cache ? kasan_get_alloc_meta(cache, vm) : NULL;
}

static struct kasan_free_meta *vm_free_meta(const struct vm_struct *vm)
{
	struct kmem_cache *cache = vm_struct_cache(vm);

	return cache ? kasan_get_free_meta(cache, vm) : NULL;
}

/* The object that is in the area of @vm. */
static void describe_area(struct object *obj, const struct vm_struct *vm,
			  bool freed)
{
	make_object(obj, vm->addr, vm->requested_size, KASAN_VMALLOC_AREA, freed);
	obj->span = get_vm_area_size(vm);
	obj->caller = vm->caller;
	obj->flags = vm->flags;
}

/* The same of one that is being freed, with who allocated it. */
static void describe_freed_area(struct object *obj, const struct vm_struct *vm)
{
	struct kasan_alloc_meta *meta = vm_alloc_meta(vm);

	describe_area(obj, vm, true);
	if (meta)
		obj->alloc = meta->alloc_track;
}

/**
 * kasan_record_vm_area_free - an area is about to be freed
 * @vm: it
 *
 * To be called before its memory is poisoned, so that of what is poisoned there
 * is always a record, if only of who allocated it.
 *
 * Context: As vfree().
 */
void kasan_record_vm_area_free(const struct vm_struct *vm)
{
	struct object obj;

	describe_freed_area(&obj, vm);
	kasan_set_track(&obj.free, 0);
	add_record(&obj);
}

/**
 * __kasan_free_vm_struct - an area is gone: free its vm_struct
 * @vm: no longer in any tree
 *
 * kfree() takes a stack trace, and keeps it in the freed object, which stays in
 * the quarantine for a good while. It is read back from there, and completes the
 * record that kasan_record_vm_area_free() has made.
 *
 * Context: As kfree().
 */
void __kasan_free_vm_struct(struct vm_struct *vm)
{
	struct kasan_free_meta *free_meta = vm_free_meta(vm);
	const u8 *shadow = kasan_mem_to_shadow(vm);
	struct object obj;

	describe_freed_area(&obj, vm);
	kfree(vm);

	if (free_meta)
		obj.free = free_meta->free_track;
	/*
	 * Should the quarantine have let go of it in between, somebody else can
	 * have freed it since. That was another task.
	 */
	if (!free_meta || obj.free.pid != current->pid ||
	    *shadow != KASAN_SLAB_FREE_META)
		kasan_save_track(&obj.free, 0);
	add_record(&obj);
}

/**
 * kasan_reuse_thread_stack - a stack from the cache gets a new thread
 * @vm: its area
 *
 * Who allocated it is from now on who made this thread.
 *
 * Context: As fork.
 */
void kasan_reuse_thread_stack(struct vm_struct *vm)
{
	struct kasan_alloc_meta *meta = vm_alloc_meta(vm);

	if (meta)
		kasan_save_track(&meta->alloc_track, 0);
}

/**
 * kasan_exit_thread_stack - the current thread exits
 *
 * Its stack is freed by others, later on. What is of interest is this moment.
 *
 * Context: Task context.
 */
void kasan_exit_thread_stack(void)
{
	struct vm_struct *vm = task_stack_vm_area(current);
	struct object obj;

	if (!vm)
		return;
	describe_freed_area(&obj, vm);
	obj.kind = KASAN_VMALLOC_STACK;
	kasan_save_track(&obj.free, 0);
	add_record(&obj);
}

/* --------------------- From here on: called by reports --------------------- */

static bool is_freed(const void *addr)
{
	u8 shadow;

	/* Without shadow nothing can be alive there. */
	return get_kernel_nofault(shadow, (u8 *)kasan_mem_to_shadow(addr)) ||
	       shadow == KASAN_VMALLOC_FREE;
}

static bool find_freed(unsigned long addr, struct object *obj, unsigned long *nr)
{
	struct record free, other;

	if (!find_record(addr, true, ANY_KIND, ULONG_MAX, &free))
		return false;
	*obj = free.obj;
	*nr = free.nr;

	/* Who let go of a stack is of less interest than who ran on it. */
	if (obj->kind == KASAN_VMALLOC_AREA &&
	    find_record(addr, true, BIT(KASAN_VMALLOC_STACK), free.nr, &other) &&
	    !memcmp(&other.obj.alloc, &obj->alloc, sizeof(obj->alloc)))
		*obj = other.obj;

	if (!obj->alloc.stack &&
	    find_record(addr, false, BIT(obj->kind), free.nr, &other) &&
	    other.obj.start == obj->start) {
		obj->alloc = other.obj.alloc;
		obj->size = other.obj.size;
	}
	return true;
}

/* What has no vm_struct of its own. */
static bool find_part(unsigned long addr, struct object *obj, unsigned long *nr)
{
	struct record alloc, free;

	if (!find_record(addr, false, ANY_KIND, ULONG_MAX, &alloc) ||
	    (find_record(addr, true, ANY_KIND, ULONG_MAX, &free) &&
	     free.nr > alloc.nr))
		return false;
	*obj = alloc.obj;
	*nr = alloc.nr;
	return true;
}

static bool find_live(unsigned long addr, struct object *obj, unsigned long *nr)
{
	struct kasan_alloc_meta *meta;
	struct vmap_area va;
	struct vm_struct vm;

	if (!peek_vmap_area(addr, &va, &vm))
		return false;

	/* In a block of vm_map_ram() there are no guard pages. */
	if (!va.vm)
		return find_part(addr, obj, nr) ||
		       find_part(addr - PAGE_SIZE, obj, nr);
	/* A per-cpu chunk. */
	if ((vm.flags & VM_ALLOC) && !vm.nr_pages && find_part(addr, obj, nr))
		return true;

	describe_area(obj, &vm, false);
	*nr = ULONG_MAX;
	meta = vm_alloc_meta(va.vm);
	if (meta)
		copy_from_kernel_nofault(&obj->alloc, &meta->alloc_track,
					 sizeof(obj->alloc));
	return true;
}

/* How far @addr is from @obj; 0 inside. */
static unsigned long distance(const struct object *obj, unsigned long addr)
{
	if (addr < obj->start)
		return obj->start - addr;
	if (addr >= obj->start + obj->size)
		return addr - (obj->start + obj->size) + 1;
	return 0;
}

/* Whatever is nearest to @addr. The end of an area can be far, its guard page not. */
static bool find_object(const void *ptr, struct object *obj, unsigned long *nr)
{
	unsigned long addr = (unsigned long)ptr;
	struct object next;
	unsigned long next_nr;
	bool found;
	u8 shadow;

	/* What is not mapped of a sparse area has no shadow either. */
	if (get_kernel_nofault(shadow, (u8 *)kasan_mem_to_shadow(ptr)) &&
	    find_live(addr, obj, nr) && !distance(obj, addr))
		return true;
	if (is_freed(ptr) && find_freed(addr, obj, nr))
		return true;
	found = find_live(addr, obj, nr);
	if (found && !distance(obj, addr))
		return true;
	if (find_live(round_down(addr, PAGE_SIZE) + PAGE_SIZE, &next, &next_nr) &&
	    next.start > addr &&
	    (!found || distance(&next, addr) < distance(obj, addr))) {
		*obj = next;
		*nr = next_nr;
		return true;
	}
	return found;
}

static void print_kind(const struct object *obj)
{
	struct task_struct *process, *task;

	switch (obj->kind) {
	case KASAN_VMALLOC_RAM:
		pr_err("which is mapped by vm_map_ram()\n");
		return;
	case KASAN_VMALLOC_PERCPU:
		pr_err("which is per-cpu memory of CPU %d\n", obj->cpu);
		return;
	case KASAN_VMALLOC_STACK:
		pr_err("which was the stack of task %u\n", obj->free.pid);
		return;
	case KASAN_VMALLOC_AREA:
		break;
	}

	rcu_read_lock();
	if (!obj->freed && IS_ENABLED(CONFIG_VMAP_STACK) &&
	    obj->size == THREAD_SIZE)
		for_each_process_thread(process, task)
			if (READ_ONCE(task->stack) == (void *)obj->start)
				pr_err("which is the stack of task %s/%d\n",
				       task->comm, task_pid_nr(task));
	rcu_read_unlock();

	pr_err("in a %lu-page area of %s, allocated by %pS\n",
	       obj->span >> PAGE_SHIFT,
	       obj->flags & VM_IOREMAP ? "ioremap" :
	       obj->flags & VM_SPARSE ? "a sparse mapping" :
	       obj->flags & VM_MAP ? "vmap" :
	       obj->flags & VM_ALLOC ? "vmalloc" : "get_vm_area",
	       obj->caller);
}

/**
 * kasan_describe_vmalloc - say which memory in vmalloc space an address is in
 * @addr: the address
 *
 * Context: A report, so any.
 */
void kasan_describe_vmalloc(const void *addr)
{
	unsigned long a = (unsigned long)addr, end;
	struct object obj;
	const char *where;
	unsigned long nr;

	if (!find_object(addr, &obj, &nr)) {
		pr_err("The buggy address belongs to no area of vmalloc space, nor is one known that was freed\n");
		return;
	}

	if (obj.alloc.stack) {
		kasan_print_track(&obj.alloc, "Allocated");
		pr_err("\n");
	}
	if (obj.freed && obj.free.stack) {
		kasan_print_track(&obj.free, "Freed");
		pr_err("\n");
	} else if (obj.freed) {
		pr_err("Being freed by task %u\n\n", obj.free.pid);
	}

	end = obj.start + obj.size;
	where = a < obj.start ? "to the left" :
		a >= end ? "to the right" : "inside";
	pr_err("The buggy address is located %lu bytes %s of\n"
	       " %s%lu-byte region [%lx, %lx)\n",
	       a < obj.start ? obj.start - a : a >= end ? a - end : a - obj.start,
	       where, obj.freed ? "freed " : "allocated ", obj.size,
	       obj.start, end);
	print_kind(&obj);
	if (nr < complete_since())
		pr_err("That was long ago: the space can have been used again since\n");
}

/**
 * kasan_vmalloc_bug_type - what to call an access to space without shadow
 * @addr: what was accessed
 *
 * Context: A report, so any.
 * Return: the name.
 */
const char *kasan_vmalloc_bug_type(const void *addr)
{
	struct object obj;
	unsigned long nr;

	if (!find_object(addr, &obj, &nr))
		return "vmalloc-wild-access";
	return obj.freed ? "vmalloc-use-after-free" : "vmalloc-out-of-bounds";
}

/**
 * kasan_report_bad_vfree - vfree() or vunmap() finds no area
 * @addr: what it was given
 * @ip: who called it
 *
 * Context: As vfree().
 */
void kasan_report_bad_vfree(const void *addr, unsigned long ip)
{
	enum kasan_report_type type = KASAN_REPORT_INVALID_FREE;
	struct object obj;
	unsigned long nr;

	if (is_vmalloc_or_module_addr(addr) && is_freed(addr) &&
	    find_freed((unsigned long)addr, &obj, &nr) &&
	    obj.start == (unsigned long)addr)
		type = KASAN_REPORT_DOUBLE_FREE;
	kasan_report_invalid_free((void *)addr, ip, type);
}

static int __init kasan_vmalloc_history_init(void)
{
	struct record *records;
	int cpu;

	if (!history)
		return 0;
	history = roundup_pow_of_two(history);
	for_each_possible_cpu(cpu) {
		records = kvcalloc_node(history, sizeof(*records), GFP_KERNEL,
					cpu_to_node(cpu));
		if (!records)
			return -ENOMEM;
		/* Before there are any, nothing is recorded. */
		WRITE_ONCE(per_cpu(rings, cpu).records, records);
	}
	return 0;
}
core_initcall(kasan_vmalloc_history_init);
