/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is remembered of memory in vmalloc space: written by hooks
 * (vmalloc_history.c), read by reports (vmalloc_report.c).
 */
#ifndef __MM_KASAN_VMALLOC_HISTORY_H
#define __MM_KASAN_VMALLOC_HISTORY_H

#include <linux/llist.h>
#include <linux/types.h>
#include <linux/vmalloc.h>

#include "kasan.h"

/* The first bytes of an area that vfree_atomic() has queued. */
struct kasan_deferred_vfree {
	struct llist_node node;
	struct kasan_track track;	/* the caller of vfree() */
};

/* A piece of memory, as it was when it was allocated or freed. */
struct kasan_vmalloc_object {
	u8 kind;			/* enum kasan_vmalloc_kind */
	bool freed;
	u16 info;			/* KASAN_VM_* */
	u32 vm_flags;			/* of struct vm_struct */
	unsigned long start;
	unsigned long size;		/* as requested */
	unsigned long span;		/* with what belongs to nobody else behind it */
	union {
		const char *module;	/* whose memory it is, or NULL */
		unsigned long chunk;	/* KASAN_VMALLOC_CHUNK: its lowest address */
	};
	const void *caller;
	struct kasan_track alloc;
	struct kasan_track free;
	depot_stack_handle_t aux[2];	/* work that was queued, or RCU called, with it */
};

/* What a report knows of an address. */
enum kasan_vmalloc_place {
	KASAN_VMALLOC_UNKNOWN,
	KASAN_VMALLOC_IN_OBJECT,	/* in it, or it is the nearest */
	KASAN_VMALLOC_IN_PERCPU,	/* in per-cpu memory, but not of which object */
	KASAN_VMALLOC_IN_RAM,		/* in memory of vm_map_ram(), likewise */
};

struct kasan_vmalloc_found {
	struct kasan_vmalloc_object obj;
	unsigned long nr;	/* of the record; 0: it is live, or there is none */
	int cpu;		/* per-cpu memory: whose; -1 if that is not known */
};

enum kasan_vmalloc_place kasan_vmalloc_find(struct kasan_vmalloc_found *f, unsigned long addr);

struct kasan_vmalloc_record {
	/*
	 * Its number among the records of all CPUs, which tells what was last;
	 * clocks of CPUs differ by more than a vfree() takes. 0 while the record
	 * is written. Only its CPU writes, with interrupts off, so a reader that
	 * finds the same number before and after has a whole record.
	 */
	unsigned long nr;
	struct kasan_vmalloc_object obj;
};

struct kasan_vmalloc_record *kasan_vmalloc_records(int cpu, unsigned int *nr);
bool kasan_vmalloc_read_record(const struct kasan_vmalloc_record *record,
			       struct kasan_vmalloc_record *copy);
unsigned long kasan_vmalloc_history_complete_since(void);
void kasan_vmalloc_forget(void);
void kasan_vmalloc_describe_vm(struct kasan_vmalloc_object *obj,
			       const struct vm_struct *vm);
bool kasan_vmalloc_peek_tracks(struct kasan_vmalloc_object *obj,
			       const struct vm_struct *vm);

#ifdef CONFIG_KASAN_VMALLOC_HISTORY
bool kasan_record_vfree_atomic(struct vm_struct *vm,
			       struct kasan_deferred_vfree *deferred);
unsigned long kasan_vmalloc_freed_start(const void *addr);

#else

static inline bool kasan_record_vfree_atomic(struct vm_struct *vm,
					     struct kasan_deferred_vfree *deferred)
{
	return true;
}

static inline unsigned long kasan_vmalloc_freed_start(const void *addr)
{
	return 0;
}

#endif

#endif /* __MM_KASAN_VMALLOC_HISTORY_H */
