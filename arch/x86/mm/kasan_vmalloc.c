// SPDX-License-Identifier: GPL-2.0
/* Set-up of the shadow of vmalloc space for KASAN_VMALLOC. */

/* cpu_feature_enabled() cannot be used this early */
#define USE_EARLY_PGTABLE_L5

#include <linux/init.h>
#include <linux/kasan.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/pgalloc.h>

static void *__init alloc_table(void)
{
	void *table = memblock_alloc(PAGE_SIZE, PAGE_SIZE);

	if (!table)
		panic("kasan: no memory for the tables of the vmalloc shadow\n");
	return table;
}

/**
 * kasan_init_vmalloc_shadow - leave the vmalloc shadow to KASAN_VMALLOC
 *
 * Instead of early shadow it gets tables at the top level, and nothing below.
 * Every page table of the system copies its top level from init_mm's, so what
 * is filled in later is seen by all of them, and no access to the shadow of
 * live memory takes a fault that would have to copy an entry. The top level is
 * the PGD with 5 levels; with 4, where the PGD is folded, it is the P4D.
 */
void __init kasan_init_vmalloc_shadow(void)
{
	unsigned long addr, next, end;
	pgd_t *pgd;
	p4d_t *p4d;

	addr = (unsigned long)kasan_mem_to_shadow((void *)VMALLOC_START);
	end = (unsigned long)kasan_mem_to_shadow((void *)VMALLOC_END);

	for (; addr < end; addr = next) {
		next = pgd_addr_end(addr, end);
		pgd = pgd_offset_k(addr);
		p4d = (p4d_t *)pgd;

		if (pgtable_l5_enabled()) {
			if (pgd_none(*pgd))
				pgd_populate(&init_mm, pgd, alloc_table());
		} else {
			if (p4d_none(*p4d))
				p4d_populate(&init_mm, p4d, alloc_table());
		}
	}
}
