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
 * The image lies in vmalloc space. Its shadow is mapped in whole pages that read
 * as accessible, so the last one says so of what is behind the image, too. Poison
 * that: areas will share the page. The guard page behind the image belongs to its
 * last area, so it gets shadow even where that begins another page.
 *
 * The image begins at the beginning of a shadow page.
 */
void __init kasan_init_vmalloc_shadow(void)
{
	unsigned long end = (unsigned long)KERNEL_END;
	unsigned long last = round_up(end + PAGE_SIZE,
				      PAGE_SIZE << KASAN_SHADOW_SCALE_SHIFT);

	BUILD_BUG_ON(MIN_KIMG_ALIGN % (PAGE_SIZE << KASAN_SHADOW_SCALE_SHIFT));

	kasan_populate_early_vm_area_shadow((void *)end, PAGE_SIZE);
	kasan_poison_vmalloc((void *)end, last - end);
}
