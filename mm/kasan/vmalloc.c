// SPDX-License-Identifier: GPL-2.0
/*
 * KASAN_VMALLOC, the hooks: vmalloc, vmap, vm_map_ram, per-cpu, module and stack memory
 * is checked against shadow of its own.
 *
 * An area gets shadow when its address space is taken (populate), all poison. The bytes
 * that may be touched are unpoisoned once they are known, and poisoned again as soon as
 * the memory is freed. The shadow is let go (release) when the address space is about to
 * be reusable, which vmalloc delays until a purge.
 *
 * Rule 2: in mapped shadow every byte outside live allocations reads as poison. Poison
 * is of two kinds, so that a report can tell a use after free from an access out of
 * bounds:
 *
 *   KASAN_VMALLOC_FREE     there was memory, and it was freed
 *   KASAN_VMALLOC_INVALID  all else: guard pages, what is between the end of an allocation
 *                          and that of its last page, space that was never used
 *
 * Freed memory stays so until its space is used again, and an area can get any mix of
 * freed pages and others for its guard page, see set_bounds().
 */

#include <linux/init.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "kasan.h"
#include "vmalloc.h"
#include "vmalloc_shadow.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "kasan_vmalloc."

/*
 * What differs between the modes follows from the granule, which a byte of shadow
 * describes: 8 bytes, with tags 16. So a page of shadow describes 8 or 16 pages, and the
 * shadow of a page can be set in words.
 */
static_assert(KASAN_GRANULE_SIZE == (IS_ENABLED(CONFIG_KASAN_GENERIC) ? 8 : 16));
static_assert(KASAN_MEMORY_PER_SHADOW_PAGE / PAGE_SIZE == KASAN_GRANULE_SIZE);
static_assert((PAGE_SIZE >> KASAN_SHADOW_SCALE_SHIFT) % sizeof(u64) == 0);

/* Bytes of shadow that are set between two offers to reschedule. */
#define SHADOW_STRIDE	SZ_1M

static unsigned long shadow_page_start(unsigned long addr)
{
	return round_down((unsigned long)kasan_mem_to_shadow((void *)addr), PAGE_SIZE);
}

static unsigned long shadow_page_end(unsigned long end)
{
	return round_up((unsigned long)kasan_mem_to_shadow((void *)end), PAGE_SIZE);
}

/*
 * Set @nr bytes of shadow. Large areas spend most of what KASAN costs them here, and a
 * byte-wise memset is several times slower than one by words where the CPU has no fast
 * short strings.
 */
static __always_inline void fill_shadow(u8 *shadow, u8 value, size_t nr)
{
	if (IS_ALIGNED((unsigned long)shadow, sizeof(u64))) {
		kasan_shadow_fill((u64 *)shadow, value, nr / 8);
		shadow += round_down(nr, 8);
		nr %= 8;
	}
	if (nr)
		__memset(shadow, value, nr);
}

static noinline void fill_long_shadow(u8 *shadow, u8 value, size_t nr)
{
	for (; nr > SHADOW_STRIDE; nr -= SHADOW_STRIDE) {
		fill_shadow(shadow, value, SHADOW_STRIDE);
		shadow += SHADOW_STRIDE;
		/* So much is not freed where one may not sleep. */
		kasan_shadow_resched(value == KASAN_VMALLOC_FREE);
	}
	fill_shadow(shadow, value, nr);
}

/* The same for a range of memory. Areas too small to matter never reschedule. */
static void set_own_shadow(const void *start, unsigned long size, u8 value)
{
	u8 *shadow = kasan_mem_to_shadow(start);
	size_t nr = size >> KASAN_SHADOW_SCALE_SHIFT;

	if (likely(nr <= SHADOW_STRIDE))
		fill_shadow(shadow, value, nr);
	else
		fill_long_shadow(shadow, value, nr);
}

/* With tags each area has a value of its own, so that none can be shared. */
#define CAN_SHARE	(IS_ENABLED(CONFIG_KASAN_GENERIC) && !IS_ENABLED(CONFIG_UML))

/* A stack is never large, because instrumented code writes to the shadow of stacks. */
unsigned long kasan_vmalloc_share __ro_after_init = CAN_SHARE ? SZ_1M : ULONG_MAX;
static_assert(THREAD_SIZE < SZ_1M);

/*
 * Not blocks of vm_map_ram() and per-cpu memory: they have no vm_struct of their own,
 * and their shadow is set piece by piece. So is that of execmem_vmap(), which has
 * VM_ALLOC but is not from vmalloc(). Not modules: instrumented code poisons the
 * redzones of their variables.
 */
static bool is_large(const struct vm_struct *vm)
{
	return vm && vm->requested_size >= kasan_vmalloc_share &&
	       (vm->flags & (VM_ALLOC | VM_UNINITIALIZED)) != VM_ALLOC &&
	       !(vm->flags & VM_FLUSH_RESET_PERMS) && is_vmalloc_addr(vm->addr);
}

/*
 * A part of a page of shadow of a large area. Without a page of its own nothing
 * can be told apart in it: then all of it stays, or becomes, accessible.
 */
static void set_part(unsigned long start, unsigned long end, u8 value)
{
	unsigned long shadow = shadow_page_start(start);

	if (start == end)
		return;
	if (kasan_shadow_is_own(shadow))
		set_own_shadow((void *)start, end - start, value);
	else if (!value)
		kasan_shadow_set(shadow, shadow + PAGE_SIZE, 0);
}

static noinline void set_large_shadow(unsigned long start, unsigned long end, u8 value)
{
	unsigned long first = round_up(start, KASAN_MEMORY_PER_SHADOW_PAGE);
	unsigned long last = round_down(end, KASAN_MEMORY_PER_SHADOW_PAGE);

	if (kasan_shadow_is_static()) {
		set_own_shadow((void *)start, end - start, value);
	} else if (first > last) {
		set_part(start, end, value);
	} else {
		set_part(start, first, value);
		kasan_shadow_set(shadow_page_start(first), shadow_page_start(last), value);
		set_part(last, end, value);
	}
}

/* What @size bytes from @start are now. */
static __always_inline void set_shadow(const void *start, unsigned long size, u8 value)
{
	if (likely(size < kasan_vmalloc_share))
		set_own_shadow(start, size, value);
	else
		set_large_shadow((unsigned long)start, (unsigned long)start + size, value);
}

/*
 * The shadow of a large area: pages of its own where it begins and from the last
 * byte asked for on, between these slots that are none so far.
 */
static int populate_large(unsigned long addr, unsigned long size,
			  const struct vm_struct *vm, gfp_t gfp)
{
	unsigned long start = shadow_page_start(addr);
	unsigned long first = shadow_page_end(addr);
	unsigned long last = shadow_page_start(addr + vm->requested_size);
	unsigned long end = shadow_page_end(addr + size);
	int ret;

	if (first >= last)
		return kasan_shadow_get(start, end, gfp);

	ret = kasan_shadow_get(start, first, gfp);
	if (ret)
		return ret;
	ret = kasan_shadow_get(last, end, gfp);
	if (!ret) {
		ret = kasan_shadow_reserve(first, last, vm->flags & VM_SPARSE, gfp);
		if (!ret)
			return 0;
		kasan_shadow_put(last, end, false);
	}
	kasan_shadow_put(start, first, false);
	return ret;
}

/*
 * Nothing is accessible yet in the area from @start on, and only @requested of its @size
 * bytes will be: what lies beyond is out of bounds, also where memory was freed before.
 */
static void set_bounds(const void *start, unsigned long requested, unsigned long size)
{
	unsigned long off = round_up(requested, KASAN_GRANULE_SIZE), next;
	const u8 *shadow = kasan_mem_to_shadow(start);

	if (!IS_ENABLED(CONFIG_KASAN_GENERIC))
		return;

	/* The first byte tells of a dead page. Most areas find their guard page as they need it. */
	for (; off < size; off = next) {
		next = round_down(off, PAGE_SIZE) + PAGE_SIZE;
		if (shadow[off >> KASAN_SHADOW_SCALE_SHIFT] == KASAN_VMALLOC_INVALID)
			continue;
		while (next < size && shadow[next >> KASAN_SHADOW_SCALE_SHIFT] !=
				      KASAN_VMALLOC_INVALID)
			next += PAGE_SIZE;
		set_shadow(start + off, next - off, KASAN_VMALLOC_INVALID);
	}
}

/**
 * kasan_populate_vmalloc - address space is taken: back it with shadow
 * @va: the space, and its vm_struct if it has one, with the size asked for and flags
 * @gfp: how the caller may allocate
 *
 * To be called before anybody can use the area. All of its shadow reads as poison
 * afterwards, or is absent; what is not asked for is out of bounds.
 *
 * Context: Process context, sleeps if @gfp lets it.
 * Return: 0, or a negative errno with nothing taken.
 */
int kasan_populate_vmalloc(struct vmap_area *va, gfp_t gfp)
{
	unsigned long start = va->va_start, end = va->va_end;
	int ret;

	if (!has_shadow((void *)start))
		return 0;

	if (kasan_shadow_is_static()) {
		set_shadow((void *)start, end - start, KASAN_VMALLOC_INVALID);
		return 0;
	}

	/* Rule 6: sharing takes flushes, and who may not block does not wait for one. */
	if (is_large(va->vm) && gfpflags_allow_blocking(gfp)) {
		va->flags |= KASAN_VMAP_LARGE;
		ret = populate_large(start, end - start, va->vm, gfp);
	} else {
		ret = kasan_shadow_get(shadow_page_start(start), shadow_page_end(end), gfp);
	}
	if (ret)
		return ret;

	kasan_shadow_check_poison(start, end, "populate");
	set_bounds((void *)start, va->vm ? va->vm->requested_size : 0, end - start);
	return 0;
}

/**
 * kasan_release_vmalloc - address space is about to be reusable
 * @va: the space
 *
 * Undoes one kasan_populate_vmalloc().
 *
 * Context: Process context, may reschedule. Allocates nothing, takes no lock.
 */
void kasan_release_vmalloc(const struct vmap_area *va)
{
	if (!has_shadow((void *)va->va_start))
		return;

	kasan_shadow_check_poison(va->va_start, va->va_end, "release");
	if (!kasan_shadow_is_static())
		kasan_shadow_put(shadow_page_start(va->va_start), shadow_page_end(va->va_end),
				 va->flags & KASAN_VMAP_LARGE);
}

/**
 * kasan_populate_vmap_areas - the same for areas that go together, or none
 * @vas: the areas
 * @nr: how many
 * @gfp: how the caller may allocate
 *
 * Context: Process context, sleeps if @gfp lets it.
 * Return: 0, or a negative errno with nothing taken for any of them.
 */
int kasan_populate_vmap_areas(struct vmap_area **vas, int nr, gfp_t gfp)
{
	int i, ret;

	for (i = 0; i < nr; i++) {
		ret = kasan_populate_vmalloc(vas[i], gfp);
		if (!ret)
			continue;
		while (i--)
			kasan_release_vmalloc(vas[i]);
		return ret;
	}
	return 0;
}

/**
 * __kasan_unpoison_vmalloc - memory may be touched from now on
 * @start: where it begins, aligned to KASAN_GRANULE_SIZE
 * @size: its size in bytes, which the generic mode keeps to the byte
 * @flags: KASAN_VMALLOC_*; VM_ALLOC and INIT are for the hardware mode
 *
 * Context: Any if @size is less than a MiB, else may reschedule.
 * Return: @start, with a tag if the mode has tags.
 */
void *__kasan_unpoison_vmalloc(const void *start, unsigned long size,
			       kasan_vmalloc_flags_t flags)
{
	if (!has_shadow(start))
		return (void *)start;

	/* A tagged program counter would not do: code is left untagged. */
	if (IS_ENABLED(CONFIG_KASAN_SW_TAGS) && !(flags & KASAN_VMALLOC_PROT_NORMAL))
		return (void *)start;

	if (!(flags & KASAN_VMALLOC_KEEP_TAG))
		start = set_tag(start, kasan_random_tag());

	set_shadow(kasan_reset_tag(start), round_up(size, KASAN_GRANULE_SIZE), get_tag(start));
	if (!IS_ALIGNED(size, KASAN_GRANULE_SIZE))
		kasan_poison_last_granule(start, size);

	/* (B): the shadow before a pointer to the memory, however that is published. */
	smp_wmb();

	return (void *)start;
}

/**
 * __kasan_poison_vmalloc - memory is freed
 * @start: where it begins, aligned to KASAN_GRANULE_SIZE
 * @size: its size in bytes
 *
 * Context: Any if @size is less than a MiB, else may reschedule.
 */
void __kasan_poison_vmalloc(const void *start, unsigned long size)
{
	if (has_shadow(start))
		set_shadow(kasan_reset_tag(start), round_up(size, KASAN_GRANULE_SIZE),
			   KASAN_VMALLOC_FREE);
}

/**
 * kasan_redzone_vmalloc - memory is past the end of what was asked for
 * @start: where it begins, aligned to KASAN_GRANULE_SIZE
 * @size: its size in bytes
 *
 * Context: Any if @size is less than a MiB, else may reschedule.
 */
void kasan_redzone_vmalloc(const void *start, unsigned long size)
{
	if (has_shadow(start))
		set_shadow(kasan_reset_tag(start), round_up(size, KASAN_GRANULE_SIZE),
			   KASAN_VMALLOC_INVALID);
}

/**
 * kasan_resize_vmalloc - an allocation gets another size within its area
 * @mem: where it begins
 * @old_size: its size in bytes so far
 * @new_size: and from now on
 *
 * If the new end lies in a shared page of shadow, all that this page describes stays accessible.
 *
 * Context: Process context, may reschedule.
 */
void kasan_resize_vmalloc(const void *mem, unsigned long old_size, unsigned long new_size)
{
	unsigned long start = (unsigned long)kasan_reset_tag(mem);
	unsigned long old_end = round_up(start + old_size, KASAN_GRANULE_SIZE);
	unsigned long new_end = round_up(start + new_size, KASAN_GRANULE_SIZE);

	if (!has_shadow(mem))
		return;

	if (!kasan_shadow_is_own(shadow_page_start(old_end)))
		old_end = round_up(old_end, KASAN_MEMORY_PER_SHADOW_PAGE);
	if (old_end <= new_end)
		set_large_shadow(round_down(start + old_size, KASAN_GRANULE_SIZE),
				 new_end, get_tag(mem));
	else
		set_large_shadow(new_end, old_end, KASAN_VMALLOC_INVALID);
	if (kasan_shadow_is_own(shadow_page_start(start + new_size)))
		kasan_poison_last_granule(mem, new_size);
	smp_wmb();	/* (B), see __kasan_unpoison_vmalloc() */
}

/**
 * kasan_populate_early_vm_area_shadow - the same at boot, before vmalloc_init()
 * @start: where the area begins
 * @size: its size in bytes
 *
 * The area is unpoisoned, too: what is in it is mapped by its user. It is never freed.
 *
 * Context: Boot, while memblock allocates.
 */
void __init kasan_populate_early_vm_area_shadow(void *start, unsigned long size)
{
	if (!has_shadow(start))
		return;

	if (!kasan_shadow_is_static())
		kasan_shadow_map_early(shadow_page_start((unsigned long)start),
				       shadow_page_end((unsigned long)start + size));
	__kasan_unpoison_vmalloc(start, size, KASAN_VMALLOC_PROT_NORMAL | KASAN_VMALLOC_KEEP_TAG);
}

static int share_set(const char *val, const struct kernel_param *kp)
{
	char *end;
	unsigned long long bytes = memparse(val, &end);

	if (end == val || (*end && *end != '\n'))
		return -EINVAL;
	kasan_vmalloc_share = CAN_SHARE && bytes && bytes < ULONG_MAX ?
			      max(bytes, THREAD_SIZE + PAGE_SIZE) : ULONG_MAX;
	return 0;
}

static int share_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%lu\n",
			  kasan_vmalloc_share == ULONG_MAX ? 0 : kasan_vmalloc_share);
}

static const struct kernel_param_ops share_ops = {
	.set = share_set,
	.get = share_get,
};
module_param_cb(share, &share_ops, NULL, 0444);
