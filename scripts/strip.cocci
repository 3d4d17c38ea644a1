// SPDX-License-Identifier: GPL-2.0
//
// Takes the software modes' vmalloc shadow out of mm/vmalloc.c, include/linux/kasan.h and the architectures' set-up:
// the calls that populate and release it, the declarations, and what serves nothing else. See scripts/strip.

// A failed per-cpu allocation gave its areas back in two places.
@release@
expression va;
identifier s, e;
@@
-	s = ...;
-	e = ...;
	va = merge_or_add_vmap_area_augment(...);
-	if (va)
-		kasan_release_vmalloc(s, e, ...);

@ depends on release @
identifier release.s;
type T;
@@
- T s;

@ depends on release @
identifier release.e;
type T;
@@
- T e;

// alloc_vmap_area()
@populate@
identifier ret;
statement S;
@@
- ret = kasan_populate_vmalloc(...);
- if (ret) S

@ depends on populate @
identifier populate.ret;
identifier f;
type T;
@@
 f(...) {
 ... when any
- T ret;
 ... when != ret
 }

// pcpu_get_vm_areas(): the loop, and the error path that only it takes.
@percpu@
identifier l;
@@
 if (kasan_populate_vmalloc(...))
	goto l;

@ depends on percpu @
identifier percpu.l;
expression a, n;
@@
(
- for (a = 0; a < n; a++) {
-	if (kasan_populate_vmalloc(...))
-		goto l;
- }
|
-l:
-	spin_lock(...);
-	...
-	return NULL;
)

// vm_area_register_early()
@@
@@
- kasan_populate_early_vm_area_shadow(...);

// An architecture's choice between vmalloc shadow and early shadow.
@@
identifier f, g;
expression start, end;
@@
- if (IS_ENABLED(CONFIG_KASAN_VMALLOC))
-	f(...);
- else
-	g(start, end);
+ g(start, end);

// purge_vmap_node()
@node@
identifier f;
@@
- if (IS_ENABLED(CONFIG_KASAN_VMALLOC))
-	f(...);

@@
identifier node.f;
type T;
@@
- T f(...) { ... }

// What nothing uses any more.
@@
identifier f =~ "^kasan_shallow_populate_p[g4]ds$";
type T;
@@
- T f(...) { ... }

@@
identifier f = {kasan_populate_vmalloc, kasan_release_vmalloc, kasan_populate_early_vm_area_shadow};
type T;
@@
- T f(...);

@@
identifier f = {kasan_populate_vmalloc, kasan_release_vmalloc, kasan_populate_early_vm_area_shadow};
type T;
@@
- T f(...) { ... }

@@
expression E;
@@
- #define KASAN_RELEASE_BATCH_SIZE E
