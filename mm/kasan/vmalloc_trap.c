// SPDX-License-Identifier: GPL-2.0
/*
 * Traps: what a check finds where there is no shadow.
 *
 * The check faults. The fault handler sets the slot to the page of traps, which reads
 * as KASAN_VMALLOC_ABSENT. The check runs again, and reports. Populate treats a trap
 * like none, but clears and flushes the slot first.
 *
 * A fault can happen in any context, so its handler cannot take kasan_store.lock. It must
 * not set a trap in a slot that populate is setting. So every writer of a slot that
 * is none holds trap_lock, and looks at the slot again.
 */

#include <linux/atomic.h>
#include <linux/cacheflush.h>
#include <linux/irqflags.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include <asm/tlbflush.h>

#include "kasan.h"
#include "vmalloc_store.h"

const u8 kasan_trap_page[PAGE_SIZE] __aligned(PAGE_SIZE) = {
	[0 ... PAGE_SIZE - 1] = KASAN_VMALLOC_ABSENT
};

/*
 * The CPU for which a slot that is none stays so. It has interrupts off, but an NMI
 * or a tracer can fault meanwhile, and has to know: hence not a spinlock, which on
 * one CPU is none.
 */
#define NOBODY		(-1)
static atomic_t trap_lock = ATOMIC_INIT(NOBODY);

/**
 * kasan_shadow_set_none - set slots that are none
 * @slot: that of the page of shadow at @addr
 * @addr: address of the first page of shadow
 * @end: address behind the last one, which has its slot in the same table
 * @pte: what to set them to
 *
 * Context: Any but NMI. Takes trap_lock.
 * Return: in how many, up to the first that is not none.
 */
unsigned long kasan_shadow_set_none(pte_t *slot, unsigned long addr, unsigned long end, pte_t pte)
{
	unsigned long flags, nr = 0;

	local_irq_save(flags);
	while (atomic_cmpxchg(&trap_lock, NOBODY, smp_processor_id()) != NOBODY)
		cpu_relax();
	for (; addr < end && pte_none(ptep_get(slot)); addr += PAGE_SIZE, slot++, nr++)
		set_pte_at(&init_mm, addr, slot, pte);
	atomic_set_release(&trap_lock, NOBODY);
	local_irq_restore(flags);
	return nr;
}

/**
 * kasan_shadow_clear_trap - make a slot none that is a trap
 * @slot: that of the page of shadow at @addr
 * @addr: see @slot
 *
 * A bad access can set the trap again; the caller then tries again.
 *
 * Context: Process context. No range says that the flush of this slot is pending, so
 * nobody else may set it meanwhile: the caller holds kasan_store.lock, or the slot is between
 * the ends of its area.
 */
void kasan_shadow_clear_trap(pte_t *slot, unsigned long addr)
{
	ptep_get_and_clear(&init_mm, addr, slot);
	kasan_shadow_flush(addr, addr + PAGE_SIZE);
	count_event(KASAN_SHADOW_TRAP_FLUSHES);
}

/* How often to try for trap_lock: its owner may have been stopped, as by a panic. */
#define TRAP_LOCK_TRIES		10000000

/* If the slot at @addr is none, make it a trap. Return: false if that cannot be done. */
static bool map_trap(unsigned long addr)
{
	unsigned int tries = TRAP_LOCK_TRIES;
	pte_t *slot = shadow_slot(addr);
	unsigned long flags;
	int owner, cpu;

	if (!slot)
		return false;

	local_irq_save(flags);
	cpu = smp_processor_id();
	while ((owner = atomic_cmpxchg(&trap_lock, NOBODY, cpu)) != NOBODY) {
		if (owner == cpu || !--tries) {
			local_irq_restore(flags);
			return false;
		}
		cpu_relax();
	}
	if (pte_none(ptep_get(slot))) {
		/*
		 * The flush of what was here can be pending. That was poison or the
		 * zeroes of an area just freed, so a TLB that has it does no harm; but
		 * this architecture wants it broken before it is made.
		 */
		if (IS_ENABLED(CONFIG_ARM64))
			flush_tlb_kernel_range(addr, addr + PAGE_SIZE);
		set_pte_at(&init_mm, addr, slot, shared_pte(trap_pfn()));
		count_event(KASAN_SHADOW_TRAPS);
	}
	atomic_set_release(&trap_lock, NOBODY);
	local_irq_restore(flags);
	flush_cache_vmap(addr, addr + PAGE_SIZE);
	return true;
}

/* How often to look whether there is something to read now. */
#define TRAP_READ_TRIES		1000

/**
 * kasan_handle_shadow_fault - a fault is about to become an oops
 * @shadow: the address that faulted
 * @is_write: by a write
 *
 * If a check faulted because there is no shadow, set a trap, see "what a slot names" in
 * vmalloc_shadow.c. If a page table is missing, only print which address was accessed.
 *
 * Context: Any.
 * Return: true if the instruction that faulted has to run again.
 */
bool kasan_handle_shadow_fault(unsigned long shadow, bool is_write)
{
	int tries;
	u8 byte;

	/* Checks only read shadow. A write to missing shadow is another bug. */
	if (is_write || !addr_in_shadow((void *)shadow) ||
	    !is_vmalloc_or_module_addr(kasan_shadow_to_mem((void *)shadow)))
		return false;

	/* Some other fault would come again for ever, so see whether a read works now. */
	for (tries = TRAP_READ_TRIES; kasan_shadow_shared_ready && tries; tries--) {
		if (!map_trap(round_down(shadow, PAGE_SIZE)))
			break;
		if (!get_kernel_nofault(byte, (u8 *)shadow))
			return true;
	}
	/* On arm64 die_kernel_fault() does. */
	if (!IS_ENABLED(CONFIG_ARM64))
		kasan_non_canonical_hook(shadow);
	return false;
}
