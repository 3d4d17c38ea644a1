/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the hooks of KASAN_VMALLOC (vmalloc.c, vmalloc_free.c) have in common, and their
 * tests look at.
 */
#ifndef __MM_KASAN_VMALLOC_H
#define __MM_KASAN_VMALLOC_H

#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "kasan.h"

/*
 * An area of at least this many bytes is large: it shares shadow between its ends, see
 * "what a slot names" in vmalloc_shadow.c. With ULONG_MAX no area is large.
 */
extern unsigned long kasan_vmalloc_share;

/*
 * Rule 7: only vmalloc and module space is touched. Memory hotplug calls
 * __vmalloc_node_range() to allocate KASAN's own shadow of the linear map.
 *
 * All hooks ask this first, nearly always of vmalloc space, which takes no call.
 */
static __always_inline bool has_shadow(const void *mem)
{
	unsigned long addr = (unsigned long)kasan_reset_tag(mem);

	return kasan_vmalloc_ready() &&
	       (likely(addr >= VMALLOC_START && addr < VMALLOC_END) ||
		is_vmalloc_or_module_addr(mem));
}

#endif /* __MM_KASAN_VMALLOC_H */
