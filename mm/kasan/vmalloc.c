// SPDX-License-Identifier: GPL-2.0
/*
 * KASAN_VMALLOC, the hooks: vmalloc, vmap, vm_map_ram, per-cpu, module and
 * stack memory is checked against shadow of its own.
 *
 * An area gets shadow when its address space is taken (populate), all poison.
 * The bytes that may be touched are unpoisoned once they are known, and
 * poisoned again as soon as the memory is freed. The shadow is let go (release)
 * when the address space is about to be reusable, which vmalloc delays until a
 * purge.
 *
 * Rule: in mapped shadow every byte outside live allocations reads as poison.
 * Poison is of two kinds, so that a report can tell a use after free from an
 * access out of bounds:
 *
 *   KASAN_VMALLOC_FREE     there was memory, and it was freed
 *   KASAN_VMALLOC_INVALID  all else: guard pages, what is between the end of
 *                          an allocation and that of its last page, space that
 *                          was never used
 *
 * Freed memory stays so until its space is used again, and an area can get any
 * mix of freed pages and others for its guard page. Hence an area says its
 * bounds when it is made, see kasan_set_vmalloc_bounds().
 */

#include <linux/init.h>
#include <linux/kasan.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "kasan.h"
#include "vmalloc_shadow.h"

/*
 * What differs between the modes follows from the granule, which a byte of
 * shadow describes: 8 bytes, with tags 16. So a page of shadow describes 8 or 16
 * pages, and the shadow of a page can be set in words.
 */
static_assert(KASAN_GRANULE_SIZE == (IS_ENABLED(CONFIG_KASAN_GENERIC) ? 8 : 16));
static_assert(KASAN_MEMORY_PER_SHADOW_PAGE / PAGE_SIZE == KASAN_GRANULE_SIZE);
static_assert((PAGE_SIZE >> KASAN_SHADOW_SCALE_SHIFT) % sizeof(u64) == 0);

/* Bytes of shadow that are set or read between two offers to reschedule. */
#define SHADOW_STRIDE	SZ_1M

/*
 * Rule: only vmalloc and module space is touched. Memory hotplug calls
 * __vmalloc_node_range() to allocate KASAN's own shadow of the linear map.
 *
 * All hooks ask this first, nearly always of vmalloc space, which takes no call.
 */
static __always_inline bool has_shadow(const void *mem)
{
	unsigned long addr = (unsigned long)kasan_reset_tag(mem);

	return kasan_arch_is_ready() &&
	       (likely(addr >= VMALLOC_START && addr < VMALLOC_END) ||
		is_vmalloc_or_module_addr(mem));
}

static unsigned long shadow_page_start(unsigned long addr)
{
	return round_down((unsigned long)kasan_mem_to_shadow((void *)addr),
			  PAGE_SIZE);
}

static unsigned long shadow_page_end(unsigned long end)
{
	return round_up((unsigned long)kasan_mem_to_shadow((void *)end),
			PAGE_SIZE);
}

/*
 * Set @nr bytes of shadow. Large areas spend most of what KASAN costs them
 * here, and a byte-wise memset is several times slower than one by words where
 * the CPU has no fast short strings.
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
		cond_resched();
	}
	fill_shadow(shadow, value, nr);
}

/* The same for a range of memory. Areas too small to matter never reschedule. */
static void set_shadow(const void *start, unsigned long size, u8 value)
{
	u8 *shadow = kasan_mem_to_shadow(start);
	size_t nr = size >> KASAN_SHADOW_SCALE_SHIFT;

	if (likely(nr <= SHADOW_STRIDE))
		fill_shadow(shadow, value, nr);
	else
		fill_long_shadow(shadow, value, nr);
}

/*
 * Debugging: the area in [@start, @end) is dead, so its bytes are all poison,
 * and of one kind in each page, on which kasan_set_vmalloc_bounds() relies.
 */
static void check_poison(unsigned long start, unsigned long end,
			 const char *when)
{
	const size_t step = PAGE_SIZE >> KASAN_SHADOW_SCALE_SHIFT;
	const u8 *shadow = kasan_mem_to_shadow((void *)start);
	const u8 *last = kasan_mem_to_shadow((void *)end);

	if (!IS_ENABLED(CONFIG_KASAN_VMALLOC_DEBUG))
		return;

	for (; shadow < last; shadow += step) {
		const u8 *bad = kasan_shadow_find_live(shadow, step) ?:
				kasan_shadow_find_other(shadow, *shadow, step);

		if (WARN_ONCE(bad, "%s: shadow of %lx in the area at %lx is %02x",
			      when, (unsigned long)kasan_shadow_to_mem(bad),
			      start, *bad))
			return;
		if (IS_ALIGNED((unsigned long)shadow, SHADOW_STRIDE))
			cond_resched();
	}
}

/**
 * kasan_populate_vmalloc - address space is taken: back it with shadow
 * @addr: where it begins, page aligned
 * @size: its size in bytes, page aligned, the guard page included
 * @gfp: how the caller may allocate
 *
 * To be called before anybody can use the area. All of its shadow reads as
 * poison afterwards.
 *
 * Context: Process context, sleeps if @gfp lets it.
 * Return: 0, or a negative errno with nothing taken.
 */
int kasan_populate_vmalloc(unsigned long addr, unsigned long size, gfp_t gfp)
{
	int ret;

	if (!has_shadow((void *)addr))
		return 0;

	if (kasan_shadow_is_static()) {
		set_shadow((void *)addr, size, KASAN_VMALLOC_INVALID);
		return 0;
	}

	ret = kasan_shadow_get(shadow_page_start(addr),
			       shadow_page_end(addr + size), gfp);
	if (!ret)
		check_poison(addr, addr + size, "populate");
	return ret;
}

/**
 * kasan_release_vmalloc - address space is about to be reusable
 * @start: where it begins
 * @end: where it ends
 *
 * Undoes one kasan_populate_vmalloc().
 *
 * Context: Process context, may reschedule. Allocates nothing, takes no lock.
 */
void kasan_release_vmalloc(unsigned long start, unsigned long end)
{
	if (!has_shadow((void *)start))
		return;

	check_poison(start, end, "release");
	if (kasan_shadow_is_static())
		return;
	kasan_shadow_put(shadow_page_start(start), shadow_page_end(end));
}

/**
 * kasan_populate_vmap_areas - the same for areas that go together, or none
 * @vas: the areas
 * @nr: how many
 * @gfp: how the caller may allocate
 *
 * Nothing of them is asked for yet, so all of their shadow says out of bounds.
 *
 * Context: Process context, sleeps if @gfp lets it.
 * Return: 0, or a negative errno with nothing taken for any of them.
 */
int kasan_populate_vmap_areas(struct vmap_area **vas, int nr, gfp_t gfp)
{
	int i, ret;

	for (i = 0; i < nr; i++) {
		ret = kasan_populate_vmalloc(vas[i]->va_start,
					     vas[i]->va_end - vas[i]->va_start,
					     gfp);
		if (ret)
			goto release;
		kasan_set_vmalloc_bounds((void *)vas[i]->va_start, 0,
					 vas[i]->va_end - vas[i]->va_start);
	}
	return 0;

release:
	while (i--)
		kasan_release_vmalloc(vas[i]->va_start, vas[i]->va_end);
	return ret;
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
	if (IS_ENABLED(CONFIG_KASAN_SW_TAGS) &&
	    !(flags & KASAN_VMALLOC_PROT_NORMAL))
		return (void *)start;

	if (!(flags & KASAN_VMALLOC_KEEP_TAG))
		start = set_tag(start, kasan_random_tag());

	set_shadow(kasan_reset_tag(start), round_up(size, KASAN_GRANULE_SIZE),
		   get_tag(start));
	if (!IS_ALIGNED(size, KASAN_GRANULE_SIZE))
		kasan_poison_last_granule(start, size);

	/*
	 * (B): the shadow before a pointer to the memory, however that is
	 * published. See "what must be visible before what", vmalloc_shadow.c.
	 */
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
		set_shadow(kasan_reset_tag(start),
			   round_up(size, KASAN_GRANULE_SIZE),
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
		set_shadow(kasan_reset_tag(start),
			   round_up(size, KASAN_GRANULE_SIZE),
			   KASAN_VMALLOC_INVALID);
}

/**
 * kasan_set_vmalloc_bounds - how much of a new area was asked for
 * @start: where the area begins, page aligned
 * @requested: how much was asked for, in bytes
 * @size: the size of the area, with its guard page if it has one
 *
 * To be called between populate and unpoison. What lies beyond @requested is out
 * of bounds, also where memory was freed before.
 *
 * Context: Process context, may reschedule.
 */
void kasan_set_vmalloc_bounds(const void *start, unsigned long requested,
			      unsigned long size)
{
	unsigned long off = round_up(requested, KASAN_GRANULE_SIZE), next;
	const u8 *shadow = kasan_mem_to_shadow(start);

	if (!IS_ENABLED(CONFIG_KASAN_GENERIC) || !has_shadow(start))
		return;

	/*
	 * The shadow of a dead page is of one kind throughout, so its first byte
	 * tells. Most areas find their guard page as they need it.
	 */
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
 * kasan_free_thread_stack - a stack is freed, and perhaps cached
 * @stack: where it begins
 * @spare: bytes there that who frees it still needs
 *
 * fork() unpoisons a stack that it takes from the cache. With tags stacks are
 * used through pointers whose tag fits any, so nothing would be gained there.
 *
 * Context: Any.
 */
void kasan_free_thread_stack(const void *stack, unsigned long spare)
{
	spare = round_up(spare, KASAN_GRANULE_SIZE);
	if (IS_ENABLED(CONFIG_KASAN_GENERIC))
		__kasan_poison_vmalloc(stack + spare, THREAD_SIZE - spare);
}

/**
 * kasan_populate_early_vm_area_shadow - the same at boot, before vmalloc_init()
 * @start: where the area begins
 * @size: its size in bytes
 *
 * The area is unpoisoned, too: what is in it is mapped by its user. It is never
 * freed.
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
	__kasan_unpoison_vmalloc(start, size, KASAN_VMALLOC_PROT_NORMAL |
				 KASAN_VMALLOC_KEEP_TAG);
}
