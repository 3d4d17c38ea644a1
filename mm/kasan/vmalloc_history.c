// SPDX-License-Identifier: GPL-2.0
/*
 * KASAN_VMALLOC, the history: who allocated and who freed memory in vmalloc
 * space.
 *
 * Live areas are in vmalloc's own trees, and KASAN keeps with each vm_struct, a
 * slab object that is allocated in the same call, who allocated it. What was
 * freed is in a ring of records on each CPU. Who freed an area is what KASAN
 * keeps with its vm_struct when that is freed. So vmalloc() and vfree() take no
 * stack trace for this, which would cost more than all of the shadow does.
 *
 * Memory without a vm_struct of its own (vm_map_ram(), per-cpu memory) has
 * records of its allocation and of its free. An area that is freed but still in
 * the trees (the stack of a thread that exited, an area that an interrupt freed)
 * has its free track in the vm_struct, see KASAN_VM_FREED.
 */

#define pr_fmt(fmt) "kasan_vmalloc: " fmt

#include <linux/atomic.h>
#include <linux/init.h>
#include <linux/kasan.h>
#include <linux/kfence.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "../slab.h"
#include "kasan.h"
#include "vmalloc.h"
#include "vmalloc_history.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "kasan_vmalloc."

static_assert(sizeof(struct kasan_track) ==
	      sizeof_field(struct kasan_vm_info, free_track));

struct ring {
	unsigned long next;	/* counts up, modulo the size is the next to be used */
	unsigned long lost;	/* the highest number of a record that was overwritten */
	struct kasan_vmalloc_record *records;
};

static DEFINE_PER_CPU(struct ring, rings);
static atomic_long_t nr_records;

/* Records that each CPU keeps: a power of two, or 0. */
static unsigned int history = 512;
module_param(history, uint, 0444);

/* Write @obj to @record, of this CPU. Interrupts are off. */
static void write_record(struct kasan_vmalloc_record *record,
			 const struct kasan_vmalloc_object *obj, unsigned long nr)
{
	WRITE_ONCE(record->nr, 0);
	/* No number before anything changes. Pairs with kasan_vmalloc_read_record(). */
	smp_wmb();
	record->obj = *obj;
	/* The number after all of it has. Pairs with kasan_vmalloc_read_record(). */
	smp_store_release(&record->nr, nr);
}

/* A record of this CPU that nobody needs any more: the oldest. */
static struct kasan_vmalloc_record *next_record(struct ring *ring)
{
	struct kasan_vmalloc_record *record = &ring->records[ring->next++ & (history - 1)];

	WRITE_ONCE(ring->lost, max(ring->lost, record->nr));
	return record;
}

/* Remember @obj. Return the number of its record, or 0 if there are no records. */
static unsigned long add_record(const struct kasan_vmalloc_object *obj)
{
	unsigned long flags, nr = 0;
	struct ring *ring;

	local_irq_save(flags);
	ring = this_cpu_ptr(&rings);
	if (ring->records) {
		nr = atomic_long_inc_return(&nr_records);
		write_record(next_record(ring), obj, nr);
	}
	local_irq_restore(flags);
	return nr;
}

/* Records that an interrupt can have added between the begin of a free and its end. */
#define LOOK_BACK	4

/*
 * The free that record @nr is about is complete, as @obj says. The space can have been
 * used again since, so the number stays, by which records are put in order. Where the
 * record is no longer among the last, or was made on another CPU, this is a second one
 * of that number; a report takes the complete one.
 */
static void complete_record(const struct kasan_vmalloc_object *obj, unsigned long nr)
{
	struct kasan_vmalloc_record *record = NULL;
	struct ring *ring;
	unsigned long flags;
	unsigned int i;

	local_irq_save(flags);
	ring = this_cpu_ptr(&rings);
	for (i = 1; ring->records && i <= LOOK_BACK && !record; i++) {
		record = &ring->records[(ring->next - i) & (history - 1)];
		if (record->nr != nr)
			record = NULL;
	}
	if (ring->records)
		write_record(record ?: next_record(ring), obj, nr);
	local_irq_restore(flags);
}

/* Save the stack, if anything is to be remembered, in whatever context. */
static void save_track(struct kasan_track *track)
{
	bool can_alloc = IS_ENABLED(CONFIG_PREEMPT_RT) ? preemptible() : !in_hardirq();

	kasan_set_track(track, !history ? 0 :
			kasan_save_stack(can_alloc ? GFP_NOWAIT : 0,
					 can_alloc ? STACK_DEPOT_FLAG_CAN_ALLOC : 0));
}

static void make_object(struct kasan_vmalloc_object *obj, const void *start,
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

/* How many of these bytes, from the first on, are accessible. */
static unsigned long accessible(const void *start, unsigned long size)
{
	const s8 *shadow = kasan_mem_to_shadow(start);
	unsigned long n = DIV_ROUND_UP(size, KASAN_GRANULE_SIZE);

	while (n && shadow[n - 1] < 0)
		n--;
	if (!n)
		return 0;
	return shadow[n - 1] ? (n - 1) * KASAN_GRANULE_SIZE + shadow[n - 1] :
			       min(n * KASAN_GRANULE_SIZE, size);
}

/**
 * kasan_record_vmalloc - memory without a vm_struct of its own is allocated or freed
 * @start: where it begins
 * @size: its size in bytes; at a free that can be more than was asked for
 * @kind: what it is
 * @freed: true before it is freed and poisoned, false after it was allocated
 *
 * Context: Any but NMI.
 */
void kasan_record_vmalloc(const void *start, unsigned long size,
			  enum kasan_vmalloc_kind kind, bool freed)
{
	struct kasan_vmalloc_object obj;

	if (!history || !has_shadow(start))
		return;
	make_object(&obj, start, freed ? accessible(start, size) : size, kind, freed);
	obj.info = freed ? KASAN_VM_FREED : 0;
	save_track(freed ? &obj.free : &obj.alloc);
	add_record(&obj);
}

/*
 * The cache of @vm, a live object, if KASAN keeps with it who allocated it, and
 * later who freed it.
 */
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

/**
 * kasan_vmalloc_describe_vm - the object that an area is
 * @obj: filled in, without its tracks, as a live one
 * @vm: a vm_struct, or a copy
 *
 * Context: Any.
 */
void kasan_vmalloc_describe_vm(struct kasan_vmalloc_object *obj,
			       const struct vm_struct *vm)
{
	/* What boot code registered has not been requested, and may have no guard page. */
	unsigned long span = get_vm_area_size(vm) ?: vm->size;

	make_object(obj, vm->addr, vm->requested_size ?: span,
		    vm->kasan.flags & KASAN_VM_CHUNK ? KASAN_VMALLOC_CHUNK :
						       KASAN_VMALLOC_AREA, false);
	obj->span = span;
	obj->caller = vm->caller;
	obj->vm_flags = vm->flags;
	obj->info = vm->kasan.flags;
	obj->module = vm->kasan.module;
	if (vm->kasan.flags & KASAN_VM_FREED)
		__memcpy(&obj->free, vm->kasan.free_track, sizeof(obj->free));
}

/* Like that, but of one that is being freed by the caller, with its tracks. */
static void describe_freed_vm(struct kasan_vmalloc_object *obj,
			      const struct vm_struct *vm)
{
	struct kasan_alloc_meta *meta = vm_alloc_meta(vm);

	kasan_vmalloc_describe_vm(obj, vm);
	obj->freed = true;
	/* with its guard page: what was there before is not what was freed last */
	obj->span = vm->size;
	if (meta) {
		obj->alloc = meta->alloc_track;
		__memcpy(obj->aux, meta->aux_stack, sizeof(obj->aux));
	}
}

/**
 * kasan_record_vm_area_free - an area is about to be freed
 * @vm: its vm_struct, which is no longer in any tree
 * @addr: the address that the caller gave
 * @ip: the caller
 *
 * To be called before its memory is poisoned, so that of what is poisoned there
 * is always a record. The stack of the free follows in __kasan_free_vm_struct(),
 * unless it is known already.
 *
 * vmalloc finds an area by any address in it, and frees all of it. Report that,
 * and that somebody frees what is queued to be freed by delayed_vfree_work().
 *
 * Context: As vfree().
 */
void kasan_record_vm_area_free(struct vm_struct *vm, const void *addr, unsigned long ip)
{
	struct kasan_vmalloc_object obj;

	describe_freed_vm(&obj, vm);
	if (!(vm->kasan.flags & KASAN_VM_FREED))
		kasan_set_track(&obj.free, 0);
	vm->kasan.nr = add_record(&obj);

	if ((vm->kasan.flags & (KASAN_VM_QUEUED | KASAN_VM_WORKER)) == KASAN_VM_QUEUED)
		kasan_report_invalid_free((void *)addr, ip, KASAN_REPORT_DOUBLE_FREE);
	else if (kasan_reset_tag(addr) != kasan_reset_tag(vm->addr))
		kasan_report_invalid_free((void *)addr, ip, KASAN_REPORT_INVALID_FREE);
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
	struct kasan_free_meta *free_meta;
	const u8 *shadow = kasan_mem_to_shadow(vm);
	unsigned long nr = vm->kasan.nr;
	struct kasan_vmalloc_object obj;
	u8 state;

	if (!history || !kasan_vmalloc_ready() || vm->kasan.flags & KASAN_VM_FREED) {
		kfree(vm);
		return;
	}
	free_meta = vm_free_meta(vm);
	describe_freed_vm(&obj, vm);
	obj.info |= KASAN_VM_FREED;
	kfree(vm);

	/*
	 * Should the quarantine have let go of it in between, its memory can be
	 * anybody's, or gone. If another task freed it since, that was another
	 * object. Some architectures' nofault reads are checked.
	 */
	kasan_disable_current();
	if (!free_meta ||
	    copy_from_kernel_nofault(&obj.free, &free_meta->free_track, sizeof(obj.free)) ||
	    get_kernel_nofault(state, shadow) || state != KASAN_SLAB_FREE_META ||
	    obj.free.pid != current->pid || !obj.free.stack)
		save_track(&obj.free);
	kasan_enable_current();
	if (nr)
		complete_record(&obj, nr);
	else
		add_record(&obj);
}

/* From now on @vm is freed, as @track says, but stays in the trees. */
static void set_freed(struct vm_struct *vm, const struct kasan_track *track,
		      unsigned int flags)
{
	__memcpy(vm->kasan.free_track, track, sizeof(*track));
	/* A report that sees the flag, or poison, sees the track. */
	smp_wmb();
	WRITE_ONCE(vm->kasan.flags, vm->kasan.flags | KASAN_VM_FREED | flags);
}

/**
 * kasan_record_vfree_atomic - vfree() is about to queue an area
 * @vm: its vm_struct, or NULL if it was missed
 * @deferred: the start of its memory
 *
 * Context: Any but NMI.
 * Return: false if it is queued already.
 */
bool kasan_record_vfree_atomic(struct vm_struct *vm,
			       struct kasan_deferred_vfree *deferred)
{
	if (vm && vm->kasan.flags & KASAN_VM_QUEUED)
		return false;

	/* Who got rid of a stack is of less interest than who ran on it. */
	if (vm && vm->kasan.flags & KASAN_VM_FREED)
		__memcpy(&deferred->track, vm->kasan.free_track, sizeof(deferred->track));
	else
		save_track(&deferred->track);
	if (vm)
		set_freed(vm, &deferred->track, KASAN_VM_QUEUED);
	return true;
}

/**
 * kasan_vfree_deferred - a worker is about to free an area that was queued
 * @addr: the start of its memory
 *
 * Context: Process context.
 */
void kasan_vfree_deferred(const void *addr)
{
	const struct kasan_deferred_vfree *deferred = addr;
	struct vm_struct *vm = find_vm_area(addr);

	if (!vm)
		return;
	if (!(vm->kasan.flags & KASAN_VM_FREED))
		set_freed(vm, &deferred->track, 0);
	WRITE_ONCE(vm->kasan.flags, vm->kasan.flags | KASAN_VM_QUEUED | KASAN_VM_WORKER);
}

/**
 * kasan_record_thread_stack - a stack gets another thread, or loses that which it has
 * @vm: its area, or NULL if it has none
 * @exits: the current thread, whose stack it is, exits; else a stack from the cache is
 * for a new thread
 *
 * The allocator of a stack is who created the thread that runs on it. When the thread
 * has exited others free the stack, later on. What is of interest is the exit.
 *
 * Context: Process context.
 */
void kasan_record_thread_stack(struct vm_struct *vm, bool exits)
{
	struct kasan_alloc_meta *meta;
	struct kasan_track track;

	if (!vm)
		return;
	if (exits) {
		save_track(&track);
		set_freed(vm, &track, KASAN_VM_STACK);
		return;
	}
	meta = vm_alloc_meta(vm);
	WRITE_ONCE(vm->kasan.flags, 0);
	if (meta)
		save_track(&meta->alloc_track);
}

/**
 * kasan_vmalloc_aux_object - the object that keeps a piece of memory's work
 * @addr: what work is queued, or RCU called, with
 *
 * The aux stacks of an area are those of its vm_struct, which has nothing in it
 * to queue.
 *
 * Context: Any. Takes no lock; the caller owns the memory.
 * Return: @addr; for an area its vm_struct, or NULL if it has none.
 */
void *kasan_vmalloc_aux_object(void *addr)
{
	struct vmap_area va;
	struct vm_struct vm;

	if (!is_vmalloc_or_module_addr(addr))
		return addr;
	/* Work on stacks comes and goes, and says nothing. */
	if (!history || object_is_on_stack(addr) ||
	    !peek_vmap_area((unsigned long)addr, 0, &va, &vm) || !va.vm ||
	    vm.kasan.flags & KASAN_VM_STACK)
		return NULL;
	return va.vm;
}

/**
 * kasan_set_vmalloc_chunk - areas are for per-cpu memory
 * @vms: one for each group of CPUs
 * @nr: how many
 *
 * Context: Any.
 */
void kasan_set_vmalloc_chunk(struct vm_struct **vms, int nr)
{
	const void *chunk = kasan_reset_tag(vms[0]->addr);
	int i;

	for (i = 1; i < nr; i++)
		chunk = min(chunk, (const void *)kasan_reset_tag(vms[i]->addr));
	for (i = 0; i < nr; i++) {
		vms[i]->kasan.chunk = (unsigned long)chunk;
		vms[i]->kasan.flags = KASAN_VM_CHUNK;
	}
}

/* Names are kept forever: those in struct module go with the module. */
struct module_name {
	struct list_head list;
	char name[MODULE_NAME_LEN];
};

static LIST_HEAD(module_names);
static DEFINE_MUTEX(module_names_mutex);

static const char *keep_module_name(const char *name)
{
	struct module_name *m;

	guard(mutex)(&module_names_mutex);
	list_for_each_entry(m, &module_names, list)
		if (!strcmp(m->name, name))
			return m->name;
	m = kzalloc(sizeof(*m), GFP_KERNEL);
	if (!m)
		return NULL;
	strscpy(m->name, name);
	list_add(&m->list, &module_names);
	return m->name;
}

/**
 * kasan_set_vmalloc_module - an area is memory of a module
 * @addr: where it begins
 * @name: the name of the module
 *
 * Context: Process context, sleeps.
 */
void kasan_set_vmalloc_module(const void *addr, const char *name)
{
	struct vm_struct *vm = find_vm_area(addr);

	/* Huge pages are for execmem's cache, where the code of many modules is. */
	if (vm && !(vm->flags & VM_ALLOW_HUGE_VMAP))
		vm->kasan.module = keep_module_name(name);
}

/* --------------------- From here on: called by reports --------------------- */

/**
 * kasan_vmalloc_peek_tracks - who allocated a live area
 * @obj: gets its tracks
 * @vm: its vm_struct, which may be freed meanwhile
 *
 * Context: Any.
 * Return: false if that is not known. Else the caller has to make sure that the
 * area was there all the time: what is read can be of anybody.
 */
bool kasan_vmalloc_peek_tracks(struct kasan_vmalloc_object *obj,
			       const struct vm_struct *vm)
{
	struct kmem_cache *cache = vm_struct_cache(vm);
	struct kasan_alloc_meta meta;
	bool failed;
	int offset;

	/* It lies in a redzone, and some architectures' nofault reads are checked. */
	kasan_disable_current();
	failed = !cache || get_kernel_nofault(offset, &cache->kasan_info.alloc_meta_offset) ||
		 offset < (int)sizeof(*vm) ||
		 copy_from_kernel_nofault(&meta, (void *)vm + offset, sizeof(meta));
	kasan_enable_current();
	if (failed)
		return false;
	obj->alloc = meta.alloc_track;
	__memcpy(obj->aux, meta.aux_stack, sizeof(obj->aux));
	return true;
}

/**
 * kasan_vmalloc_records - the records of a CPU
 * @cpu: the CPU
 * @nr: set to how many there are, in any order
 *
 * Context: Any. They are written meanwhile, so a look at them may be wrong; see
 * kasan_vmalloc_read_record().
 * Return: the first record.
 */
struct kasan_vmalloc_record *kasan_vmalloc_records(int cpu, unsigned int *nr)
{
	struct kasan_vmalloc_record *records = READ_ONCE(per_cpu(rings, cpu).records);

	*nr = records ? history : 0;
	return records;
}

/**
 * kasan_vmalloc_read_record - read a record that may be written meanwhile
 * @record: the record
 * @copy: set to it
 *
 * Context: Any.
 * Return: false if there is none, or it was written meanwhile.
 */
bool kasan_vmalloc_read_record(const struct kasan_vmalloc_record *record,
			       struct kasan_vmalloc_record *copy)
{
	unsigned long nr;

	/* Pairs with the release in write_record(). */
	nr = smp_load_acquire(&record->nr);
	if (!nr)
		return false;
	/* If it is written meanwhile, its number tells. */
	*copy = data_race(*record);
	/* Pairs with the write barrier in write_record(). */
	smp_rmb();
	return READ_ONCE(record->nr) == nr;
}

/**
 * kasan_vmalloc_history_complete_since - after which record is none missing?
 *
 * A record from before can be about memory whose space was used again since, by
 * somebody whose record is gone.
 *
 * Context: Any.
 * Return: its number, or 0 if none is missing.
 */
unsigned long kasan_vmalloc_history_complete_since(void)
{
	unsigned long since = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		since = max(since, READ_ONCE(per_cpu(rings, cpu).lost));
	return since;
}

#if IS_ENABLED(CONFIG_KASAN_VMALLOC_DEBUG)
/**
 * kasan_vmalloc_forget - drop all records
 *
 * Context: Any.
 */
void kasan_vmalloc_forget(void)
{
	unsigned int i;
	int cpu;

	for_each_possible_cpu(cpu) {
		struct kasan_vmalloc_record *records = per_cpu(rings, cpu).records;

		for (i = 0; records && i < history; i++)
			WRITE_ONCE(records[i].nr, 0);
	}
}
#endif

/* All rings together take at most a sixteenth of memory, and each what kvmalloc() gives. */
static unsigned long max_history(void)
{
	unsigned long bytes = (totalram_pages() - totalhigh_pages()) / 16 / num_possible_cpus() *
			      PAGE_SIZE;
	unsigned long nr = min(bytes, INT_MAX) / sizeof(struct kasan_vmalloc_record);

	return rounddown_pow_of_two(nr ?: 1);
}

static int __init kasan_vmalloc_history_init(void)
{
	unsigned long asked = history, max = max_history();
	struct kasan_vmalloc_record *records;
	int cpu;

	if (!asked)
		return 0;
	history = asked < max ? roundup_pow_of_two(asked) : max;
	if (history < asked)
		pr_warn("history=%lu takes too much memory, using %u\n", asked, history);
	for_each_possible_cpu(cpu) {
		records = kvcalloc_node(history, sizeof(*records), GFP_KERNEL,
					cpu_to_node(cpu));
		WRITE_ONCE(per_cpu(rings, cpu).records, records);
	}
	return 0;
}
core_initcall(kasan_vmalloc_history_init);
