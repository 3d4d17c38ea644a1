/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hooks by which mm/vmalloc.c has address space backed with KASAN shadow, in
 * the modes that keep shadow in memory.
 */
#ifndef _LINUX_KASAN_VMALLOC_H
#define _LINUX_KASAN_VMALLOC_H

#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/types.h>

struct vm_struct;
struct vmap_area;

/*
 * What KASAN keeps with a vm_struct, for reports.
 */
struct kasan_vm_info {
	/* A struct kasan_track, which is private to mm/kasan/: see FREED. */
	u64 free_track[IS_ENABLED(CONFIG_KASAN_EXTRA_INFO) ? 2 : 1];
	union {
		const char *module;	/* whose memory this is, or NULL */
		unsigned long chunk;	/* CHUNK: its lowest address */
	};
	unsigned long nr;	/* of the record of its free, which is incomplete */
	unsigned int flags;
};

#define KASAN_VM_FREED	BIT(0)	/* free_track is set, but the area is still there */
#define KASAN_VM_QUEUED	BIT(1)	/* vfree() was called in an interrupt */
#define KASAN_VM_WORKER	BIT(2)	/* and now the worker calls it */
#define KASAN_VM_STACK	BIT(3)	/* the stack of a thread that exited */
#define KASAN_VM_CHUNK	BIT(4)	/* a group of a chunk of per-cpu memory */

#if defined(CONFIG_KASAN_VMALLOC) && !defined(CONFIG_KASAN_HW_TAGS)

/*
 * The generic mode keeps a page between mappings of vm_map_ram(), so that an
 * overrun does not end in the next one. With tags neighbours differ by theirs.
 */
#define KASAN_VMAP_RAM_GAP	(IS_ENABLED(CONFIG_KASAN_GENERIC) ? 1 : 0)

/* In vmap_area.flags, between VMAP_* and the number of the node. */
#define KASAN_VMAP_LARGE	BIT(7)

int kasan_populate_vmalloc(struct vmap_area *va, gfp_t gfp);
int kasan_populate_vmap_areas(struct vmap_area **vas, int nr, gfp_t gfp);
void kasan_release_vmalloc(const struct vmap_area *va);
void kasan_redzone_vmalloc(const void *start, unsigned long size);
bool kasan_vfree_atomic(const void *addr, unsigned long ip);
bool kasan_bad_vmalloc_free(const void *mem, unsigned long size,
			    unsigned long ip);
void kasan_report_bad_vfree(const void *addr, unsigned long ip, bool twice);
void kasan_populate_early_vm_area_shadow(void *start, unsigned long size);
bool kasan_handle_shadow_fault(unsigned long shadow, bool is_write);

#else

#define KASAN_VMAP_RAM_GAP	0

static inline int kasan_populate_vmalloc(struct vmap_area *va, gfp_t gfp)
{
	return 0;
}

/*
 * Rule 11. Not a function: the error path behind it has to be gone before the compiler
 * looks at its caller, or that does not come out as it is without the call.
 */
#define kasan_populate_vmap_areas(vas, nr, gfp)	\
	((void)(vas), (void)(nr), (void)(gfp), 0)

static inline void kasan_release_vmalloc(const struct vmap_area *va)
{
}

static inline void kasan_redzone_vmalloc(const void *start, unsigned long size)
{
}

static inline bool kasan_vfree_atomic(const void *addr, unsigned long ip)
{
	return false;
}

static inline bool kasan_bad_vmalloc_free(const void *mem, unsigned long size,
					  unsigned long ip)
{
	return false;
}

static inline void kasan_report_bad_vfree(const void *addr, unsigned long ip,
					  bool twice)
{
}

static inline void kasan_populate_early_vm_area_shadow(void *start,
						       unsigned long size)
{
}

static inline bool kasan_handle_shadow_fault(unsigned long shadow, bool is_write)
{
	return false;
}

#endif

/* What memory in vmalloc space is, for reports. */
enum kasan_vmalloc_kind {
	KASAN_VMALLOC_AREA,	/* an area with a vm_struct */
	KASAN_VMALLOC_RAM,	/* from vm_map_ram() */
	KASAN_VMALLOC_PERCPU,	/* from alloc_percpu(); addresses are those of CPU 0 */
	KASAN_VMALLOC_CHUNK,	/* an area that alloc_percpu() takes memory from */
};

#ifdef CONFIG_KASAN_VMALLOC_HISTORY

void kasan_record_vmalloc(const void *start, unsigned long size,
			  enum kasan_vmalloc_kind kind, bool freed);
void kasan_record_vm_area_free(struct vm_struct *vm, const void *addr,
			       unsigned long ip);
void __kasan_free_vm_struct(struct vm_struct *vm);
void kasan_vfree_deferred(const void *addr);
void kasan_record_thread_stack(struct vm_struct *vm, bool exits);
void kasan_set_vmalloc_module(const void *addr, const char *name);

/* Not as a tail call: vfree() or vunmap() is to be in the stack. */
static __always_inline void kasan_free_vm_struct(struct vm_struct *vm)
{
	__kasan_free_vm_struct(vm);
	barrier();
}

#else

static inline void kasan_record_vmalloc(const void *start, unsigned long size,
					enum kasan_vmalloc_kind kind, bool freed)
{
}

static inline void kasan_record_vm_area_free(struct vm_struct *vm,
					     const void *addr, unsigned long ip)
{
}

#define kasan_free_vm_struct(vm)	kfree(vm)

static inline void kasan_vfree_deferred(const void *addr)
{
}

static inline void kasan_record_thread_stack(struct vm_struct *vm, bool exits)
{
}

static inline void kasan_set_vmalloc_module(const void *addr, const char *name)
{
}

#endif

#endif /* _LINUX_KASAN_VMALLOC_H */
