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

#define pr_fmt(fmt) "kasan_vmalloc: " fmt

#include <linux/init.h>
#include <linux/kasan.h>
#include <linux/kernel.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "kasan.h"
#include "vmalloc_history.h"
#include "vmalloc_shadow.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "kasan_vmalloc."

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

/*
 * An area of at least this many bytes is large: it shares shadow between its ends,
 * see "what a slot names" in vmalloc_shadow.c. With ULONG_MAX no area is large. A
 * stack never is, because instrumented code writes to the shadow of stacks.
 */
unsigned long kasan_vmalloc_share __ro_after_init = CAN_SHARE ? SZ_1M : ULONG_MAX;

static_assert(THREAD_SIZE < SZ_1M);

/*
 * Not blocks of vm_map_ram() and per-cpu memory: they have no vm_struct of their own,
 * and their shadow is set piece by piece. Not modules: instrumented code poisons the
 * redzones of their variables.
 */
static bool is_large(const struct vm_struct *vm)
{
	return vm && vm->requested_size >= kasan_vmalloc_share &&
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
		return;
	}
	if (first > last) {
		set_part(start, end, value);
		return;
	}
	set_part(start, first, value);
	kasan_shadow_set(shadow_page_start(first), shadow_page_start(last), value);
	set_part(last, end, value);
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
 * Debugging: the area in [@start, @end) is dead, so its bytes are all poison,
 * and of one kind in each page, on which kasan_set_vmalloc_bounds() relies.
 */
static void check_poison(unsigned long start, unsigned long end,
			 const char *when)
{
	const size_t step = PAGE_SIZE >> KASAN_SHADOW_SCALE_SHIFT;
	const u8 *shadow = kasan_mem_to_shadow((void *)start);
	const u8 *first = shadow, *last = kasan_mem_to_shadow((void *)end);
	bool own = false;

	if (!IS_ENABLED(CONFIG_KASAN_VMALLOC_DEBUG))
		return;

	for (; shadow < last; shadow += step) {
		const u8 *bad = NULL;

		/* the same for all of a page of shadow */
		if (shadow == first || PAGE_ALIGNED((unsigned long)shadow))
			own = kasan_shadow_is_own((unsigned long)shadow);
		if (own)
			bad = kasan_shadow_find_live(shadow, step) ?:
			      kasan_shadow_find_other(shadow, *shadow, step);
		if (WARN_ONCE(bad, "%s: shadow of %lx in the area at %lx is %02x",
			      when, (unsigned long)kasan_shadow_to_mem(bad),
			      start, *bad))
			return;
		if (IS_ALIGNED((unsigned long)shadow, SHADOW_STRIDE))
			cond_resched();
	}
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
	if (ret)
		goto put_first;
	ret = kasan_shadow_reserve(first, last, vm->flags & VM_SPARSE, gfp);
	if (ret)
		goto put_last;
	return 0;

put_last:
	kasan_shadow_put(last, end, false);
put_first:
	kasan_shadow_put(start, first, false);
	return ret;
}

/**
 * kasan_populate_vmalloc - address space is taken: back it with shadow
 * @va: the space, and its vm_struct if it has one, with the size asked for and flags
 * @gfp: how the caller may allocate
 *
 * To be called before anybody can use the area. All of its shadow reads as
 * poison afterwards, or is absent.
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

	if (is_large(va->vm)) {
		va->flags |= KASAN_VMAP_LARGE;
		ret = populate_large(start, end - start, va->vm, gfp);
	} else {
		ret = kasan_shadow_get(shadow_page_start(start), shadow_page_end(end), gfp);
	}
	if (!ret)
		check_poison(start, end, "populate");
	return ret;
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

	check_poison(va->va_start, va->va_end, "release");
	if (!kasan_shadow_is_static())
		kasan_shadow_put(shadow_page_start(va->va_start),
				 shadow_page_end(va->va_end),
				 va->flags & KASAN_VMAP_LARGE);
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
		ret = kasan_populate_vmalloc(vas[i], gfp);
		if (ret)
			goto release;
		kasan_set_vmalloc_bounds((void *)vas[i]->va_start, 0,
					 vas[i]->va_end - vas[i]->va_start);
	}
	return 0;

release:
	while (i--)
		kasan_release_vmalloc(vas[i]);
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
 * kasan_resize_vmalloc - an allocation gets another size within its area
 * @mem: where it begins
 * @old_size: its size in bytes so far
 * @new_size: and from now on
 *
 * If the new end is inside a shared page of shadow, all the memory that this page
 * describes stays accessible.
 *
 * Context: Process context, may reschedule.
 */
void kasan_resize_vmalloc(const void *mem, unsigned long old_size,
			  unsigned long new_size)
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

/* Is the byte at @mem accessible? What has no shadow is not. */
static bool is_accessible(const void *mem)
{
	const void *addr = kasan_reset_tag(mem);
	u8 shadow, tag = get_tag(mem);

	if (get_kernel_nofault(shadow, (u8 *)kasan_mem_to_shadow(addr)))
		return false;
	if (IS_ENABLED(CONFIG_KASAN_GENERIC))
		return !shadow || (shadow < KASAN_GRANULE_SIZE &&
				   (unsigned long)addr % KASAN_GRANULE_SIZE < shadow);
	return shadow == tag || (tag == KASAN_TAG_KERNEL && shadow != KASAN_TAG_INVALID);
}

/**
 * kasan_report_bad_vfree - report a free of what is not there to be freed
 * @addr: the address that was given
 * @ip: the caller
 * @twice: the caller knows that it is a second free
 *
 * It is a second free, too, if memory that begins there was freed, as far as is
 * known.
 *
 * Context: Any but NMI.
 */
void kasan_report_bad_vfree(const void *addr, unsigned long ip, bool twice)
{
	const void *mem = kasan_reset_tag(addr);
	unsigned long start;
	u8 shadow;

	if (!twice && has_shadow(mem)) {
		start = kasan_vmalloc_freed_start(mem);
		twice = start ? start == (unsigned long)mem :
			!get_kernel_nofault(shadow, (u8 *)kasan_mem_to_shadow(mem)) &&
			shadow == KASAN_VMALLOC_FREE;
	}
	kasan_report_invalid_free((void *)addr, ip, twice ? KASAN_REPORT_DOUBLE_FREE :
							    KASAN_REPORT_INVALID_FREE);
}

/* Are @addr and the byte before it in one area? */
static bool is_inside(unsigned long addr)
{
	struct vmap_area va;
	struct vm_struct vm;

	return peek_vmap_area(addr, 0, &va, &vm) && va.va_start < addr;
}

/**
 * kasan_bad_vmalloc_free - is what is freed not what was allocated?
 * @mem: the address that was given, of memory without a vm_struct of its own
 * @size: its size in bytes as the caller has it, in whole pages; 0 if unknown
 * @ip: the caller
 *
 * All of @size has to be accessible. In the generic mode the bytes before and
 * after it have to be poison, which is so because of KASAN_VMAP_RAM_GAP.
 *
 * Context: Any but NMI.
 * Return: true after it was reported. Then it must not be freed.
 */
bool kasan_bad_vmalloc_free(const void *mem, unsigned long size, unsigned long ip)
{
	unsigned long off = 0;

	if (!has_shadow(mem))
		return false;

	do {
		if (!is_accessible(mem + off))
			goto bad;
		off += PAGE_SIZE;
	} while (off < size);

	if (IS_ENABLED(CONFIG_KASAN_GENERIC) && size &&
	    (is_accessible(mem + size) ||
	     (is_accessible(mem - 1) && is_inside((unsigned long)mem))))
		goto bad;
	return false;

bad:
	kasan_report_bad_vfree(mem, ip, false);
	return true;
}

/**
 * kasan_vfree_atomic - vfree() in an interrupt leaves an area to a worker
 * @addr: the address that was given
 * @ip: the caller of vfree()
 *
 * Note who freed the area, and poison it now, except for the granule that the
 * queue links. The worker poisons areas that are large, as that may take long and
 * a TLB flush, and those that are missed here.
 *
 * Context: Any but NMI, whatever locks are held.
 * Return: true if the area was freed before, or @addr is not where it begins,
 * which was reported. Then it must not be queued.
 */
bool kasan_vfree_atomic(const void *addr, unsigned long ip)
{
	unsigned long start = (unsigned long)kasan_reset_tag(addr);
	u8 *shadow = kasan_mem_to_shadow((void *)start);
	struct vm_struct copy, *vm = NULL;
	struct vmap_area va;

	BUILD_BUG_ON(sizeof(struct llist_node) > KASAN_GRANULE_SIZE);
	if (!has_shadow(addr))
		return false;

	/* The area can be missed, as this takes no lock. */
	if (peek_vmap_area(start, 0, &va, &copy)) {
		vm = va.vm;
		if (!vm || va.va_start != start)
			goto bad;
	}
	/* With tags, the pointer makes executable memory accessible, not its tag. */
	if (!PAGE_ALIGNED(start) ||
	    (IS_ENABLED(CONFIG_KASAN_GENERIC) && !is_accessible(addr)) ||
	    !kasan_record_vfree_atomic(vm, (void *)addr))
		goto bad;
	/*
	 * Less than a granule can have been asked for. Such shadow is never shared,
	 * whatever the area is.
	 */
	if (IS_ENABLED(CONFIG_KASAN_GENERIC) && *shadow)
		*shadow = 0;
	if (!vm || vm->size >= min(kasan_vmalloc_share, SHADOW_STRIDE << KASAN_SHADOW_SCALE_SHIFT))
		return false;

	__kasan_poison_vmalloc(addr + KASAN_GRANULE_SIZE,
			       get_vm_area_size(vm) - KASAN_GRANULE_SIZE);
	return false;

bad:
	kasan_report_bad_vfree(addr, ip, false);
	return true;
}

/**
 * kasan_vmalloc_to_page - vmalloc_to_page() for reports
 * @addr: an address in vmalloc or module space
 *
 * Tables can be freed while this looks at them, and not all that is mapped there
 * has a struct page: memory of devices has none.
 *
 * Context: Any. Takes no lock.
 * Return: the page, or NULL.
 */
struct page *kasan_vmalloc_to_page(const void *addr)
{
	unsigned long a = (unsigned long)addr;
	pgd_t pgd, *pgdp = pgd_offset_k(a);
	p4d_t p4d, *p4dp;
	pud_t pud, *pudp;
	pmd_t pmd, *pmdp;
	pte_t pte;

	if (get_kernel_nofault(pgd, pgdp) || pgd_none(pgd) || pgd_bad(pgd))
		return NULL;
	p4dp = p4d_offset_lockless(pgdp, pgd, a);
	if (get_kernel_nofault(p4d, p4dp) || p4d_none(p4d) || p4d_bad(p4d))
		return NULL;
	pudp = pud_offset_lockless(p4dp, p4d, a);
	if (get_kernel_nofault(pud, pudp) || pud_none(pud) || pud_bad(pud))
		return NULL;
	pmdp = pmd_offset_lockless(pudp, pud, a);
	if (get_kernel_nofault(pmd, pmdp) || pmd_none(pmd))
		return NULL;
	if (pmd_leaf(pmd))
		return pfn_to_online_page(pmd_pfn(pmd) + PFN_DOWN(a & ~PMD_MASK));
	if (pmd_bad(pmd) || get_kernel_nofault(pte, pte_offset_kernel(&pmd, a)) ||
	    !pte_present(pte))
		return NULL;
	return pfn_to_online_page(pte_pfn(pte));
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

/* Which accesses are not seen depends on the compiler, so say it where it is so. */
static int __init kasan_vmalloc_init(void)
{
	if (!IS_ENABLED(CONFIG_CC_HAS_KASAN_MEMINTRINSIC_PREFIX) &&
	    IS_ENABLED(CONFIG_GENERIC_ENTRY))
		pr_info("memcpy(), memset() and memmove() are not checked: that takes GCC 13 or Clang 15\n");
	return 0;
}
core_initcall(kasan_vmalloc_init);

static int share_set(const char *val, const struct kernel_param *kp)
{
	char *end;
	unsigned long long bytes = memparse(val, &end);

	if (end == val || (*end && *end != '\n'))
		return -EINVAL;
	if (CAN_SHARE && bytes && bytes < ULONG_MAX)
		kasan_vmalloc_share = max(bytes, THREAD_SIZE + PAGE_SIZE);
	else
		kasan_vmalloc_share = ULONG_MAX;
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
