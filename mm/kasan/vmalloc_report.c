// SPDX-License-Identifier: GPL-2.0
/*
 * KASAN_VMALLOC, reports: which memory in vmalloc space an address is in, or is
 * nearest to, who allocated that, and who freed it.
 *
 * Shadow tells where there is an object, live or freed. vmalloc's trees and the
 * history tell which.
 *
 * Rule 12: a report takes no lock and survives every address. It can come from any
 * context: with vmalloc's locks held, from an NMI, with interrupts off. What is
 * read here may be freed by others at any time, so it is read in a way that
 * survives a fault, and is believed only if it is still there afterwards.
 *
 * It never names the history of others while a live area covers the
 * address, its guard page apart: there the nearest object is named.
 */

#include <linux/cpumask.h>
#include <linux/init.h>
#include <linux/kasan.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "kasan.h"
#include "vmalloc_history.h"

/* How far from an object an access is still taken for one that went past it. */
#define NEAR	SZ_4M

/* ---------------------------- What shadow says ---------------------------- */

enum state {
	NOTHING,	/* no shadow: never used, given back, or freed and large */
	OUTSIDE,	/* between objects */
	FREED,
	LIVE,		/* accessible, or poisoned by the compiler: redzones of a stack */
};

static enum state state_of(u8 shadow, unsigned long addr)
{
	switch (shadow) {
	case KASAN_VMALLOC_INVALID:
		return OUTSIDE;
	case KASAN_VMALLOC_FREE:
		return FREED;
	case KASAN_VMALLOC_ABSENT:
		return NOTHING;
	case 1 ... KASAN_GRANULE_SIZE - 1:
		return addr % KASAN_GRANULE_SIZE < shadow ? LIVE : OUTSIDE;
	}
	return LIVE;
}

/* The byte of shadow of @addr. */
static u8 shadow_at(unsigned long addr)
{
	u8 shadow;

	if (get_kernel_nofault(shadow, (u8 *)kasan_mem_to_shadow((void *)addr)))
		return KASAN_VMALLOC_ABSENT;
	return shadow;
}

static enum state state_at(unsigned long addr)
{
	return state_of(shadow_at(addr), addr);
}

/* Eight granules from @addr on, which is aligned to that, have no object in them. */
static bool is_outside_word(unsigned long addr)
{
	u64 word;

	return !get_kernel_nofault(word, (u64 *)kasan_mem_to_shadow((void *)addr)) &&
	       word == KASAN_VMALLOC_INVALID * 0x0101010101010101ULL;
}

#define WORD	(sizeof(u64) * KASAN_GRANULE_SIZE)

/* The last byte below @addr that is live or freed, if it is near; else 0. */
static unsigned long find_below(unsigned long addr)
{
	unsigned long limit = addr - min(addr, NEAR);
	unsigned long g = round_down(addr - 1, KASAN_GRANULE_SIZE);

	while (g >= limit && is_vmalloc_or_module_addr((void *)g)) {
		u8 shadow = shadow_at(g);

		if (shadow == KASAN_VMALLOC_ABSENT)
			g = round_down(g, KASAN_MEMORY_PER_SHADOW_PAGE) - KASAN_GRANULE_SIZE;
		else if (shadow && shadow < KASAN_GRANULE_SIZE)
			return g + shadow - 1;
		else if (state_of(shadow, g) != OUTSIDE)
			return g + KASAN_GRANULE_SIZE - 1;
		else if (IS_ALIGNED(g, WORD) && is_outside_word(g - WORD))
			g -= WORD;
		else
			g -= KASAN_GRANULE_SIZE;
	}
	return 0;
}

/* The first byte above @addr that is live or freed, if it is near; else 0. */
static unsigned long find_above(unsigned long addr)
{
	unsigned long limit = addr + min(ULONG_MAX - addr, NEAR);
	unsigned long g = round_down(addr, KASAN_GRANULE_SIZE) + KASAN_GRANULE_SIZE;

	while (g < limit && is_vmalloc_or_module_addr((void *)g)) {
		enum state state = state_at(g);

		if (state == NOTHING)
			g = round_up(g + 1, KASAN_MEMORY_PER_SHADOW_PAGE);
		else if (state != OUTSIDE)
			return g;
		else if (IS_ALIGNED(g, WORD) && is_outside_word(g))
			g += WORD;
		else
			g += KASAN_GRANULE_SIZE;
	}
	return 0;
}

/* -------------------------- Which object there is -------------------------- */

/* Where the unit of each CPU begins in a chunk of per-cpu memory, sorted. */
struct unit {
	unsigned long offset;
	int cpu;
};

static struct unit *units;
static unsigned int nr_units;

/* The last unit that begins at @offset or before. */
static const struct unit *find_unit(unsigned long offset)
{
	unsigned int low = 0, high = nr_units;

	while (high - low > 1) {
		unsigned int middle = (low + high) / 2;

		if (units[middle].offset <= offset)
			low = middle;
		else
			high = middle;
	}
	return &units[low];
}

/* The CPU that has @addr in its part of a chunk that begins at @chunk. */
static int cpu_in_chunk(unsigned long addr, unsigned long chunk)
{
	return nr_units ? find_unit(addr - chunk + units[0].offset)->cpu : -1;
}

/*
 * Does the memory of @obj contain @addr? Per-cpu memory has a place for each CPU,
 * and records have that of CPU 0: return the one that contains it in @unit.
 */
static bool contains(const struct kasan_vmalloc_object *obj, unsigned long addr,
		     const struct unit **unit)
{
	unsigned long start = obj->start;

	if (obj->kind == KASAN_VMALLOC_PERCPU) {
		if (!nr_units)
			return false;
		start -= pcpu_unit_offsets[0];
		*unit = find_unit(addr - start);
		start += (*unit)->offset;
	}
	return addr - start < obj->span;
}

/* The newest records of memory with an address in it. */
struct past {
	struct kasan_vmalloc_found allocated, freed;
	struct kasan_vmalloc_found chunk;	/* a chunk of per-cpu memory that was freed */
};

static void match_past(struct past *past, const struct kasan_vmalloc_record *record,
		       unsigned long addr, unsigned int kinds)
{
	struct kasan_vmalloc_record copy;
	struct kasan_vmalloc_found *found;
	const struct unit *unit;

	/* A first look, which may be at a record that is being written. */
	if (!data_race(contains(&record->obj, addr, &unit)))
		return;
	if (!kasan_vmalloc_read_record(record, &copy) || !contains(&copy.obj, addr, &unit) ||
	    !(BIT(copy.obj.kind) & kinds))
		return;
	found = copy.obj.kind == KASAN_VMALLOC_CHUNK ? &past->chunk :
		copy.obj.freed ? &past->freed : &past->allocated;
	/* A record that was begun on another CPU has the same number when complete. */
	if (copy.nr < found->nr || (copy.nr == found->nr && !copy.obj.free.stack))
		return;
	found->nr = copy.nr;
	found->obj = copy.obj;
	found->cpu = -1;
	if (copy.obj.kind == KASAN_VMALLOC_PERCPU) {
		found->cpu = unit->cpu;
		found->obj.start += unit->offset - pcpu_unit_offsets[0];
	}
}

/* Look for memory of these kinds, as bits. */
static void look_back(struct past *past, unsigned long addr, unsigned int kinds)
{
	struct kasan_vmalloc_record *records;
	unsigned int i, nr;
	int cpu;

	memset(past, 0, sizeof(*past));
	for_each_possible_cpu(cpu) {
		records = kasan_vmalloc_records(cpu, &nr);
		for (i = 0; i < nr; i++)
			match_past(past, &records[i], addr, kinds);
	}
}

/* What was freed last. If it has a record of its allocation, that tells more. */
static void take_freed(struct kasan_vmalloc_found *f, const struct past *past)
{
	const struct kasan_vmalloc_object *alloc = &past->allocated.obj;

	*f = past->freed;
	if (!f->obj.alloc.stack && past->allocated.nr && past->allocated.nr < f->nr &&
	    alloc->kind == f->obj.kind && alloc->start == f->obj.start) {
		f->obj.alloc = alloc->alloc;
		f->obj.size = alloc->size;
	}
}

/* A mapping of vm_map_ram() in @va, whose record is gone: as shadow has it. */
static void find_mapping(struct kasan_vmalloc_found *f, unsigned long addr,
			 const struct vmap_area *va)
{
	unsigned long start = round_down(addr, PAGE_SIZE), end = start + PAGE_SIZE;

	while (start > va->va_start && state_at(start - 1) == LIVE)
		start -= PAGE_SIZE;
	while (end < va->va_end && state_at(end) == LIVE)
		end += PAGE_SIZE;
	memset(f, 0, sizeof(*f));
	f->obj.kind = KASAN_VMALLOC_RAM;
	f->obj.start = start;
	f->obj.size = end - start;
}

/* The area @va with the vm_struct @vm, of which both are copies. */
static void describe_area(struct kasan_vmalloc_found *f, enum state state, unsigned long addr,
			  const struct vmap_area *va, const struct vm_struct *vm)
{
	struct vmap_area again_va;
	struct vm_struct again;

	memset(f, 0, sizeof(*f));
	kasan_vmalloc_describe_vm(&f->obj, vm);
	/* The first bytes of what vfree_atomic() has queued are accessible. */
	f->obj.freed = f->obj.info & KASAN_VM_QUEUED ||
		       (state == FREED && f->obj.info & KASAN_VM_FREED);
	/* Is it still there? Else the tracks are anybody's. */
	if (!kasan_vmalloc_peek_tracks(&f->obj, va->vm) ||
	    !peek_vmap_area(addr, 0, &again_va, &again) || again_va.vm != va->vm ||
	    again.addr != vm->addr) {
		memset(&f->obj.alloc, 0, sizeof(f->obj.alloc));
		memset(f->obj.aux, 0, sizeof(f->obj.aux));
	}
}

/* The chunk of per-cpu memory that @vm is of, or 0. The first one can be in vmalloc space. */
static unsigned long chunk_of(const struct vm_struct *vm)
{
	unsigned long start = (unsigned long)kasan_reset_tag(vm->addr);

	if (vm->kasan.flags & KASAN_VM_CHUNK)
		return vm->kasan.chunk;
	return nr_units && start == (unsigned long)pcpu_base_addr + units[0].offset ? start : 0;
}

/* What is there where no area is, or none was seen: the last that was freed there. */
static enum kasan_vmalloc_place find_freed(struct kasan_vmalloc_found *f, unsigned long addr,
					   enum state state)
{
	struct past past;

	look_back(&past, addr, ~0U);
	/* vfree() of what vm_map_ram() returned takes the area out before it fails. */
	if (state == LIVE && past.allocated.nr > past.freed.nr) {
		*f = past.allocated;
		return KASAN_VMALLOC_IN_OBJECT;
	}
	/* In a chunk that is gone what was there before it is of no interest. */
	if (past.chunk.nr > past.freed.nr &&
	    (!past.freed.nr || past.freed.obj.kind != KASAN_VMALLOC_PERCPU)) {
		*f = past.chunk;
		f->cpu = cpu_in_chunk(addr, f->obj.chunk);
		return KASAN_VMALLOC_IN_PERCPU;
	}
	if (!past.freed.nr)
		return KASAN_VMALLOC_UNKNOWN;
	take_freed(f, &past);
	return KASAN_VMALLOC_IN_OBJECT;
}

/* Which object @addr is in. */
static enum kasan_vmalloc_place find_at(struct kasan_vmalloc_found *f, unsigned long addr)
{
	enum state state = state_at(addr);
	struct vmap_area va;
	struct vm_struct vm;
	unsigned long chunk;
	struct past past;

	memset(f, 0, sizeof(*f));
	if (!peek_vmap_area(addr, 0, &va, &vm))
		/* Poison that is not FREED was set after what was freed here. */
		return state == OUTSIDE ? KASAN_VMALLOC_UNKNOWN : find_freed(f, addr, state);

	chunk = va.vm ? chunk_of(&vm) : 0;
	if (va.vm && !chunk) {
		describe_area(f, state, addr, &va, &vm);
		return KASAN_VMALLOC_IN_OBJECT;
	}

	if (state == FREED || state == LIVE) {
		/* A record that may be of an earlier user of this space is not believed. */
		unsigned long since = kasan_vmalloc_history_complete_since();

		look_back(&past, addr, BIT(chunk ? KASAN_VMALLOC_PERCPU : KASAN_VMALLOC_RAM));
		if (state == FREED && past.freed.nr > max(past.allocated.nr, since)) {
			take_freed(f, &past);
			return KASAN_VMALLOC_IN_OBJECT;
		}
		if (state == LIVE && past.allocated.nr > max(past.freed.nr, since)) {
			*f = past.allocated;
			return KASAN_VMALLOC_IN_OBJECT;
		}
	}
	f->obj.freed = state == FREED;
	f->obj.start = va.va_start;
	f->obj.span = va.va_end - va.va_start;
	if (chunk) {
		f->cpu = cpu_in_chunk(addr, chunk);
		return KASAN_VMALLOC_IN_PERCPU;
	}
	if (state == LIVE) {
		find_mapping(f, addr, &va);
		return KASAN_VMALLOC_IN_OBJECT;
	}
	return KASAN_VMALLOC_IN_RAM;
}

/*
 * A freed area has no shadow where it was large. Move @below and @above, the
 * nearest objects to either side of @addr, if it is nearer.
 */
static void match_nearest(const struct kasan_vmalloc_record *record, unsigned long addr,
			  unsigned long *below, unsigned long *above)
{
	/* A first look, which may be at a record that is being written. */
	unsigned long start = READ_ONCE(record->obj.start);
	unsigned long last = start + READ_ONCE(record->obj.size) - 1;
	struct kasan_vmalloc_record copy;

	if ((last >= addr || last <= *below || addr - last > NEAR) &&
	    (start <= addr || (*above && start >= *above) || start - addr > NEAR))
		return;
	if (!kasan_vmalloc_read_record(record, &copy) || !copy.obj.freed ||
	    copy.obj.kind != KASAN_VMALLOC_AREA)
		return;
	start = copy.obj.start;
	last = start + copy.obj.size - 1;
	if (last < addr && last > *below && addr - last <= NEAR && state_at(last) == NOTHING)
		*below = last;
	if (start > addr && (!*above || start < *above) && start - addr <= NEAR &&
	    state_at(start) == NOTHING)
		*above = start;
}

/**
 * kasan_vmalloc_find - which object an address is in, or nearest to
 * @f: set to the object; if only the place is known, to where that is
 * @addr: the address
 *
 * Context: Any. Takes no lock.
 * Return: what is known.
 */
enum kasan_vmalloc_place kasan_vmalloc_find(struct kasan_vmalloc_found *f, unsigned long addr)
{
	enum kasan_vmalloc_place place = find_at(f, addr);
	struct kasan_vmalloc_record *records;
	unsigned long below, above;
	struct kasan_vmalloc_found near;
	unsigned int i, nr;
	int cpu;

	if (place == KASAN_VMALLOC_IN_OBJECT && addr - f->obj.start < f->obj.size)
		return place;
	if (state_at(addr) == FREED)
		return place;

	below = find_below(addr);
	above = find_above(addr);
	for_each_possible_cpu(cpu) {
		records = kasan_vmalloc_records(cpu, &nr);
		for (i = 0; i < nr; i++)
			match_nearest(&records[i], addr, &below, &above);
	}
	/* What is in an area of parts is next to parts of that area. */
	if (place == KASAN_VMALLOC_IN_PERCPU || place == KASAN_VMALLOC_IN_RAM) {
		if (below < f->obj.start)
			below = 0;
		if (above - f->obj.start >= f->obj.span)
			above = 0;
	}
	if (!below && !above)
		return place;
	if (!above || (below && addr - below <= above - addr))
		above = below;
	if (find_at(&near, above) == KASAN_VMALLOC_IN_OBJECT) {
		*f = near;
		return KASAN_VMALLOC_IN_OBJECT;
	}
	/* What is nearest is not known: do not blame what is further away. */
	return place;
}

/* -------------------------------- The text -------------------------------- */

static void print_stack_owner(const struct kasan_vmalloc_object *obj)
{
	struct task_struct *process, *task;

	if (!IS_ENABLED(CONFIG_VMAP_STACK) || obj->size != THREAD_SIZE)
		return;
	rcu_read_lock();
	for_each_process_thread(process, task)
		if (READ_ONCE(task->stack) == (void *)obj->start)
			pr_err("which is the stack of task %s/%d\n",
			       task->comm, task_pid_nr(task));
	rcu_read_unlock();
}

static void print_kind(const struct kasan_vmalloc_found *f)
{
	const struct kasan_vmalloc_object *obj = &f->obj;

	switch (obj->kind) {
	case KASAN_VMALLOC_RAM:
		pr_err("which %s mapped by vm_map_ram()\n", obj->freed ? "was" : "is");
		return;
	case KASAN_VMALLOC_PERCPU:
		pr_err("which %s per-cpu memory of CPU %d\n", obj->freed ? "was" : "is", f->cpu);
		return;
	}

	if (obj->module)
		pr_err("which %s memory of module %s\n", obj->freed ? "was" : "is", obj->module);
	if (obj->info & KASAN_VM_STACK)
		pr_err("which was the stack of task %u\n", obj->free.pid);
	else if (!obj->freed)
		print_stack_owner(obj);

	if (!obj->caller) {
		pr_err("in an area that was registered at boot\n");
		return;
	}
	pr_err("in a %lu-page area of %s, allocated by %pS\n",
	       DIV_ROUND_UP(obj->size, PAGE_SIZE),
	       obj->vm_flags & VM_IOREMAP ? "ioremap" :
	       obj->vm_flags & VM_SPARSE ? "a sparse mapping" :
	       obj->vm_flags & VM_MAP ? "vmap" :
	       obj->vm_flags & VM_ALLOC ? "vmalloc" : "get_vm_area",
	       obj->caller);
}

static void print_object(const void *addr, struct kasan_vmalloc_found *f)
{
	struct kasan_vmalloc_object *obj = &f->obj;

	if (obj->alloc.stack) {
		kasan_print_track(&obj->alloc, "Allocated");
		pr_err("\n");
	}
	if (obj->freed && (obj->free.stack || obj->info & KASAN_VM_FREED)) {
		kasan_print_track(&obj->free, "Freed");
		pr_err("\n");
	} else if (obj->freed && obj->free.pid) {
		/* The stack is known when the free is complete. */
		pr_err("Being freed by task %u\n\n", obj->free.pid);
	}
	kasan_print_aux_handles(obj->aux);

	kasan_print_location(addr, obj->start, obj->size, obj->freed ? "freed " : "allocated ");
	print_kind(f);
	if (f->nr && f->nr < kasan_vmalloc_history_complete_since())
		pr_err("Note: this record is old, the address may have been reused since\n");
}

/* The bad byte itself; KASAN looks in steps of a granule from @addr on. */
static unsigned long exact_byte(unsigned long addr, unsigned long first_bad_addr)
{
	unsigned long byte = round_down(first_bad_addr, KASAN_GRANULE_SIZE);
	u8 shadow = shadow_at(byte);

	if (shadow < KASAN_GRANULE_SIZE)
		byte += shadow;
	return max(byte, addr);
}

/**
 * kasan_describe_vmalloc - say which memory in vmalloc space an access is about
 * @addr: where the access begins
 * @first_bad_addr: the first of its bytes that is bad, or one in its granule
 *
 * Context: A report, so any.
 */
void kasan_describe_vmalloc(const void *addr, const void *first_bad_addr)
{
	struct kasan_vmalloc_found f;

	switch (kasan_vmalloc_find(&f, exact_byte((unsigned long)addr,
						  (unsigned long)first_bad_addr))) {
	case KASAN_VMALLOC_IN_OBJECT:
		print_object(addr, &f);
		return;
	case KASAN_VMALLOC_IN_PERCPU:
		pr_err("The buggy address is in per-cpu memory of CPU %d%s\n", f.cpu,
		       f.obj.freed ? ", which was freed" : "");
		return;
	case KASAN_VMALLOC_IN_RAM:
		pr_err("The buggy address is in memory of vm_map_ram()%s\n",
		       f.obj.freed ? ", which was unmapped" : "");
		return;
	case KASAN_VMALLOC_UNKNOWN:
		pr_err("The buggy address is not in any vmalloc area, live or recently freed\n");
	}
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
	unsigned long a = (unsigned long)addr;
	struct kasan_vmalloc_found f;

	if (kasan_vmalloc_find(&f, a) == KASAN_VMALLOC_UNKNOWN)
		return "vmalloc-wild-access";
	return f.obj.freed && a - f.obj.start < PAGE_ALIGN(f.obj.size) ? "vmalloc-use-after-free" :
							     "vmalloc-out-of-bounds";
}

/**
 * kasan_vmalloc_freed_start - where does memory that was freed begin?
 * @addr: an address in it
 *
 * Context: Any.
 * Return: the address, or 0 if that is not known.
 */
unsigned long kasan_vmalloc_freed_start(const void *addr)
{
	struct kasan_vmalloc_found f;

	return find_at(&f, (unsigned long)kasan_reset_tag(addr)) == KASAN_VMALLOC_IN_OBJECT &&
	       f.obj.freed ? f.obj.start : 0;
}

static int __init compare_units(const void *a, const void *b)
{
	unsigned long left = ((const struct unit *)a)->offset;
	unsigned long right = ((const struct unit *)b)->offset;

	return left < right ? -1 : left > right;
}

static int __init kasan_vmalloc_report_init(void)
{
	struct unit *table;
	unsigned int n = 0;
	int cpu;

	table = kcalloc(num_possible_cpus(), sizeof(*table), GFP_KERNEL);
	if (!table)
		return -ENOMEM;
	for_each_possible_cpu(cpu)
		table[n++] = (struct unit){ pcpu_unit_offsets[cpu], cpu };
	sort(table, n, sizeof(*table), compare_units, NULL);
	units = table;
	/* Until this is set, no per-cpu memory is recognized. */
	smp_store_release(&nr_units, n);
	return 0;
}
core_initcall(kasan_vmalloc_report_init);
