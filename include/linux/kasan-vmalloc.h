/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hooks by which mm/vmalloc.c has address space backed with KASAN shadow, in
 * the modes that keep shadow in memory.
 */
#ifndef _LINUX_KASAN_VMALLOC_H
#define _LINUX_KASAN_VMALLOC_H

#include <linux/types.h>

struct vmap_area;

#if defined(CONFIG_KASAN_VMALLOC) && !defined(CONFIG_KASAN_HW_TAGS)

int kasan_populate_vmalloc(unsigned long addr, unsigned long size, gfp_t gfp);
int kasan_populate_vmap_areas(struct vmap_area **vas, int nr, gfp_t gfp);
void kasan_release_vmalloc(unsigned long start, unsigned long end);
void kasan_populate_early_vm_area_shadow(void *start, unsigned long size);

#else

static inline int kasan_populate_vmalloc(unsigned long addr, unsigned long size,
					 gfp_t gfp)
{
	return 0;
}

/*
 * Not a function: the error path behind it has to be gone before the compiler
 * looks at its caller, or that does not come out as it is without the call.
 */
#define kasan_populate_vmap_areas(vas, nr, gfp)	\
	((void)(vas), (void)(nr), (void)(gfp), 0)

static inline void kasan_release_vmalloc(unsigned long start,
					 unsigned long end)
{
}

static inline void kasan_populate_early_vm_area_shadow(void *start,
						       unsigned long size)
{
}

#endif

#endif /* _LINUX_KASAN_VMALLOC_H */
