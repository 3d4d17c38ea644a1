// SPDX-License-Identifier: GPL-2.0
/*
 * KASAN_VMALLOC, bad frees: of what is not there, of what was freed before, and of what
 * is not what was allocated.
 */

#include <linux/build_bug.h>
#include <linux/kasan.h>
#include <linux/llist.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "kasan.h"
#include "vmalloc.h"
#include "vmalloc_history.h"

/* More takes long to poison: it is left to a worker. */
#define SHORT	(SZ_1M << KASAN_SHADOW_SCALE_SHIFT)

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
	if (!vm || vm->size >= min(kasan_vmalloc_share, SHORT))
		return false;

	__kasan_poison_vmalloc(addr + KASAN_GRANULE_SIZE,
			       get_vm_area_size(vm) - KASAN_GRANULE_SIZE);
	return false;

bad:
	kasan_report_bad_vfree(addr, ip, false);
	return true;
}
