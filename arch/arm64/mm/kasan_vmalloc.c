// SPDX-License-Identifier: GPL-2.0
/* Set-up of the shadow of vmalloc space for KASAN_VMALLOC. */

#include <linux/init.h>
#include <linux/kasan.h>
#include <linux/math.h>
#include <linux/mm.h>

#include <asm/memory.h>
#include <asm/sections.h>

/**
 * kasan_init_vmalloc_shadow - tell vmalloc space from the kernel image
 *
 * The image lies in vmalloc space. Its shadow is mapped in whole pages of zeroes, so the
 * first and the last also make space next to the image accessible. Poison that space:
 * other areas will have their shadow in these pages. With pages of 4K the image begins
 * where a page of shadow does, so there is nothing to poison before it; with larger pages
 * there can be. The guard page behind the image belongs to its last area, so it gets
 * shadow even where that begins another page.
 */
void __init kasan_init_vmalloc_shadow(void)
{
	const unsigned long per_page = PAGE_SIZE << KASAN_SHADOW_SCALE_SHIFT;
	unsigned long start = (unsigned long)KERNEL_START;
	unsigned long end = (unsigned long)KERNEL_END;
	unsigned long first = round_down(start, per_page);
	unsigned long last = round_up(end + PAGE_SIZE, per_page);

	kasan_redzone_vmalloc((void *)first, start - first);
	kasan_populate_early_vm_area_shadow((void *)end, PAGE_SIZE);
	kasan_redzone_vmalloc((void *)end, last - end);
}
