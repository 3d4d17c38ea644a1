// SPDX-License-Identifier: GPL-2.0
/*
 * A Spin model of mm/kasan/vmalloc_shadow.c, vmalloc_reclaim.c and vmalloc_trap.c:
 * areas come and go on two CPUs, a third reclaims. All areas are small: nothing is
 * shared but the trap. In two variants there is more, but slot 0 only, as more than
 * that is too many states:
 *
 *   -DOTHERS  somebody else uses pages as well
 *   -DTRAPS   checks of bad accesses fault, and the handler sets the trap
 *
 * scripts/model verifies all three, and that a rule fails when a step that upholds
 * it is left out, by -D: those that are named after the trap need -DTRAPS as well.
 *
 *      slots of shadow |------- 0 -------|------- 1 -------|
 *      areas           |-- 0 --|   |----- 2 -----|  |- 1 --|
 *
 * Rules:
 *   1 a page that a live area overlaps is mapped, with one reference per area
 *   2 what is mapped reads as poison, but for the bytes of live allocations
 *   3 a page is freed when its PTE is clear and every TLB was flushed since
 *   4 no page is mapped where the flush of an old translation is pending
 *  10 a slot goes from the trap to a page only through clear and flush, and from
 *     a page to the trap never: where there is a live area no CPU reads the trap
 *
 * The trap may be set where a flush is pending: what a TLB still has there reads as
 * poison, too, and its page is not freed before the flush.
 *
 * Memory is sequentially consistent here; for the barriers there is Documentation/litmus-tests/kasan/.
 */

#define USERS	2
#define CPUS	3	/* the last one reclaims */
#define SLOTS	2
#define PAGES	3	/* old and new of one slot, and that of the other */
#define TRAP	PAGES	/* this page belongs to no slot, see init */
#define NONE	(PAGES + 1)
#define IS_OWN(page)	((page) < PAGES)	/* pte_is_own() */
#define REF	4	/* SHADOW_AREA_REF: more than somebody else adds */

#define FIRST(area)	(area == 1)
#if defined(OTHERS) || defined(TRAPS)
#define ONE_SLOT
#endif
#ifdef ONE_SLOT
#define END(area)	1
#else
#define END(area)	(1 + (area != 0))
#endif
#define BIT(area)	(1 + (area == 2))	/* in content[] and accessible[] */

byte pte[SLOTS] = NONE;
bool lock;			/* store.lock */
#ifdef TRAPS
bool trap_lock;
#endif
byte flush_start, flush_end;

/* store.nr_cleared never wraps. This is what is asked of it: did it change since this CPU looked? */
bool cleared[USERS] = true;

byte count[PAGES + 1];		/* _refcount */
bool buddy[PAGES + 1] = true;	/* is in the page allocator */
byte content[PAGES + 1] = 4;	/* a bit for each area that can be accessed, or */
#define POISON	0
#define JUNK	4

/*
 * Every CPU accesses all shadow all the time: it has a translation as soon as
 * there is one, until it is flushed. -DLAZY_TLB: or later, or never.
 */
byte tlb[6] = NONE;
#define TLB(cpu, slot)	tlb[(cpu) * SLOTS + (slot)]
#define IN_TLB(page, slot) (TLB(0, slot) == page || TLB(1, slot) == page || TLB(2, slot) == page)
#define FLUSHED(slot) (TLB(0, slot) == NONE && TLB(1, slot) == NONE && TLB(2, slot) == NONE)

/* The code does not have these, the rules are about them. */
bool taken[3];			/* areas: vmalloc hands out addresses once */
byte areas[SLOTS];		/* that have a reference */
byte accessible[SLOTS];		/* of them, those with live memory */
byte busy;			/* operations under way */
byte theirs = NONE;		/* page that somebody else has, */
byte borrowed = NONE;		/* or has a speculative reference to */

/* Always 0. It is there for the message: "assertion violated ((rule==4)||...". */
byte rule;
#define RULE(n, holds)	assert((rule == n) || (holds))

inline take_lock()
{
	atomic { !lock -> lock = true }
}

/* On one CPU. */
inline flush_tlb(cpu, slot)
{
#ifdef LAZY_TLB
	TLB(cpu, slot) = NONE
#else
	TLB(cpu, slot) = pte[slot]
#endif
}

/* The PTE of @slot was just set. */
inline load_tlbs(slot)
{
#ifdef LAZY_TLB
	skip
#else
	TLB(0, slot) = (TLB(0, slot) == NONE -> pte[slot] : TLB(0, slot));
	TLB(1, slot) = (TLB(1, slot) == NONE -> pte[slot] : TLB(1, slot));
	TLB(2, slot) = (TLB(2, slot) == NONE -> pte[slot] : TLB(2, slot));
#endif
}

/* If there is one. */
inline take_page(page)
{
	if
	:: buddy[0] -> page = 0
	:: buddy[1] -> page = 1
	:: buddy[2] -> page = 2
	fi;
	buddy[page] = false;
	count[page] = 1
}

inline put_page(page, refs)
{
	RULE(1, count[page] >= refs);
	count[page] = count[page] - refs;
	if
	:: count[page] == 0 -> buddy[page] = true; content[page] = JUNK
	:: else
	fi
}

/* Goes where this CPU's TLB says. */
inline write_shadow(bits)
{
	page = TLB(cpu, s);
#ifdef LAZY_TLB
	if
	:: page == NONE -> page = pte[s]; TLB(cpu, s) = page
	:: else
	fi;
#endif
	RULE(1, IS_OWN(page));
	content[page] = bits;
	page = NONE
}

proctype user(byte cpu)
{
	byte area, s, upto, i;
	byte page = NONE, spare = NONE;
	bool locked, failed;

	/* kasan_shadow_get() */
next_area:
	atomic {
		if
		:: !taken[0] -> area = 0
#ifndef ONE_SLOT
		:: !taken[1] -> area = 1
#endif
		:: !taken[2] -> area = 2
		fi;
		taken[area] = true;
		busy++;
		s = FIRST(area);
		upto = END(area);
		goto get_now
	}

	/* shadow_get(): here without the lock, and in shadow_map() with it */
get:
	atomic {
		skip;
get_now:	page = pte[s];
		if
		:: page == NONE && !locked -> goto map_missed
		:: !IS_OWN(page) && locked -> page = NONE; goto map	/* nobody else takes a trap away */
		:: else
		fi
	}
get_loaded:
	atomic {
		if
#ifndef ADD_EVEN_IF_ZERO
		:: count[page] == 0 -> RULE(4, !locked); page = NONE; goto map_missed
#endif
		:: else -> count[page] = count[page] + REF
		fi
	}
get_counted:
	atomic {
		if
#ifndef NO_RECHECK
		:: page != pte[s]
#endif
		:: else -> areas[s]++; page = NONE; goto next
		fi
	}
	atomic {
#ifndef NO_PUT_BACK
		put_page(page, REF);
#endif
		page = NONE;
		goto get
	}

map_missed:
	atomic {
		if
		:: spare == NONE -> take_page(spare)
#ifndef NO_FILL
			; content[spare] = POISON
#endif
		:: spare != NONE -> goto map_lock
		:: failed = true; upto = s; goto got_all	/* no memory for a page or a table */
		fi
	}
	/* alloc_spare() */
	atomic {
		if
		:: count[spare] == 1 -> count[spare] = 0
		:: else -> count[spare] = count[spare] - 1; spare = NONE; goto map_missed
		fi
	}

	/* shadow_map() */
map_lock:
	atomic {
#ifndef NO_LOCK
		!lock -> lock = true;
#endif
		locked = true;
		if
#ifndef NO_SLOT_FLUSH
		:: pte[s] == NONE && flush_start <= s && s < flush_end && cleared[cpu] ->
			cleared[cpu] = false;
			lock = false;
			locked = false
#endif
#ifdef NO_SECOND_LOOK
		:: else -> goto map
#else
		:: else -> goto get_now
#endif
		fi
	}
map_flushing:
#ifdef LOCAL_SLOT_FLUSH
	flush_tlb(cpu, s);
#else
	do
	:: i < CPUS -> d_step { flush_tlb(i, s); i++ }
	:: else -> i = 0; break
	od;
#endif
map_flushed:
#ifdef NO_REFLUSH
	atomic { !lock -> lock = true; locked = true; goto get_now }
#endif
	goto map_lock;

#ifdef TRAPS
	/*
	 * kasan_shadow_clear_trap(). Nothing says that this flush is pending, so no other
	 * populate may look at the slot before: store.lock is kept.
	 */
map_trapped:
	pte[s] = NONE;
map_trap_cleared:
#ifdef TRAP_FLUSH_UNLOCKED
	atomic { locked = false; lock = false }
#endif
#ifndef NO_TRAP_FLUSH
	do
	:: i < CPUS -> d_step { flush_tlb(i, s); i++ }
	:: else -> i = 0; break
	od;
#endif
map_trap_flushed:
#ifdef TRAP_FLUSH_UNLOCKED
	goto map_lock;
#endif
	goto map_setting;
#endif

map:
	skip;
	/*
	 * kasan_shadow_set_none(): looks and sets with trap_lock held, which is one step here.
	 * Without store.lock only map_trap() sets a PTE, and that waits.
	 */
map_setting:
	atomic {
#ifdef TRAPS
		!trap_lock;
#ifndef TRAP_OVERWRITE
		if
		:: pte[s] == TRAP -> goto map_trapped
		:: else
		fi;
#endif
		RULE(10, pte[s] != TRAP && !IN_TLB(TRAP, s));
#endif
		RULE(4, pte[s] == NONE && FLUSHED(s));
		pte[s] = spare;
		load_tlbs(s)
	}
	atomic {
		count[spare] = 1 + REF;
		areas[s]++;
		spare = NONE;
next:
		s++;
		if
		:: locked -> locked = false; lock = false; cleared[cpu] = true
		:: else
		fi;
		if
		:: s < upto -> goto get
		:: else
		fi
	}

got_all:
	atomic {
		if
		:: spare != NONE -> count[spare] = 1; put_page(spare, 1); spare = NONE
		:: else
		fi;
		s = FIRST(area);
		if
		:: failed && s == upto -> goto released
		:: failed && s < upto -> goto put
		:: else
		fi
	}

	/* __kasan_unpoison_vmalloc() */
unpoison:
	atomic {
		accessible[s] = accessible[s] | BIT(area);
		write_shadow(content[page] | BIT(area));
		s++;
		if
		:: s < upto -> goto unpoison
		:: else -> s = FIRST(area); busy--
		fi
	}

	/* Used. Freed: poisoned at once, released when the addresses are purged. */
poison:
	atomic {
		if
		:: s == FIRST(area) -> busy++
		:: else
		fi;
		accessible[s] = accessible[s] & ~BIT(area);
#ifndef NO_POISON_ON_FREE
		write_shadow(content[page] & ~BIT(area));
#endif
		s++;
		if
		:: s < upto -> goto poison
		:: else -> s = FIRST(area)
		fi
	}

	/* kasan_shadow_put() */
put:
	atomic {
		skip;
put_now:	page = pte[s];
		RULE(1, IS_OWN(page))
	}
put_loaded:
	atomic {
#ifdef NO_UNWIND
		if
		:: failed
		:: else -> put_page(page, REF)
		fi;
#else
		put_page(page, REF);
#endif
		areas[s]--;
		page = NONE
	}
put_dropped:
	atomic {
		s++;
		if
		:: s < upto -> goto put_now
		:: else
		fi;
released:
		taken[area] = false; failed = false; area = 0; s = 0; upto = 0; busy--;
		goto next_area
	}
}

inline free_batch()
{
	do
	:: i < PAGES && (batch & (1 << i)) ->
		count[i] = 1;			/* page_ref_unfreeze() */
		d_step { put_page(i, 1); i++ }
	:: i < PAGES && !(batch & (1 << i)) -> i++
	:: i == PAGES -> i = 0; break
	od
}

inline drop_range()
{
	atomic { !lock -> flush_start = 0; flush_end = 0 }
}

proctype reclaim()
{
	byte s, upto, i;
	byte page = NONE, batch;

	/* reclaim_batch(): any pages of the list, in any order */
next_batch:
	atomic { !lock -> lock = true; busy++; goto look }
next_page:
	atomic {
		skip;
look:		if
		:: IS_OWN(pte[0]) -> s = 0
		:: IS_OWN(pte[1]) -> s = 1
		:: lock = false; goto relock	/* cond_resched_lock() */
		:: lock = false;
			if
			:: batch == 0 -> goto through
			:: else -> goto reclaim_cleared
			fi
		fi;
		/* kasan_shadow_unmap() */
		page = pte[s];
		if
		:: count[page] == 1
#ifndef NO_FREEZE
			-> count[page] = 0
#endif
		:: else -> page = NONE; goto next_page
		fi
	}
unmap_frozen:
#ifdef CLEAR_UNLOCKED
	lock = false;
#endif
	atomic {
		if
		:: flush_start == flush_end -> flush_start = s; flush_end = s + 1
		:: else
		fi;
		if
		:: s < flush_start -> flush_start = s
		:: else
		fi;
		if
		:: s >= flush_end -> flush_end = s + 1
		:: else
		fi;
		pte[s] = NONE;
		cleared[0] = true;
		cleared[1] = true;
		batch = batch | (1 << page);
		page = NONE;
		s = 0
	}
#ifdef CLEAR_UNLOCKED
	take_lock();
#endif
	goto next_page;

relock:
	atomic { !lock -> lock = true; goto look }

reclaim_cleared:
#ifdef FREE_BEFORE_FLUSH
	free_batch();
	batch = 0;
#endif
	atomic { s = flush_start; upto = flush_end }
#ifdef RANGE_DROPPED_EARLY
	drop_range();
#endif
	/* kasan_shadow_flush() */
#ifdef LOCAL_FLUSH
	i = CPUS - 1;
#endif
#ifdef NO_FLUSH
	i = CPUS;
#endif
	do
	:: i < CPUS -> d_step {
		flush_tlb(i, s);
		if
		:: s + 1 < upto -> flush_tlb(i, s + 1)
		:: else
		fi;
		i++ }
	:: i == CPUS -> i = 0; s = 0; upto = 0; break
	od;
reclaim_flushed:
	drop_range();
reclaim_dropped:
	free_batch();
	atomic {
		batch = 0;
through:
		busy--;
		goto next_batch
	}
}

/* Whoever else gets pages of the allocator, or guesses them, as compaction does. */
proctype others()
{
end:	do
	:: atomic { take_page(theirs) }
		d_step { put_page(theirs, 1); theirs = NONE }
	:: atomic {
		if
		:: count[0] > 0 -> borrowed = 0
		:: count[1] > 0 -> borrowed = 1
		:: count[2] > 0 -> borrowed = 2
		fi;
		count[borrowed] = count[borrowed] + 1 }
		d_step { put_page(borrowed, 1); borrowed = NONE }
	:: break
	od
}

#ifdef TRAPS
/*
 * Checks of bad accesses fault, on any CPU, whatever that is doing. So the handler
 * does not take store.lock, and sets the trap where a flush is pending, too.
 */
proctype faults()
{
	byte s;

	/* map_trap() */
end:	do
	:: atomic {
		if
		:: pte[0] == NONE -> s = 0
#ifndef ONE_SLOT
		:: pte[1] == NONE -> s = 1
#endif
		fi;
#ifndef NO_TRAP_LOCK
		trap_lock = true	/* it is free: to set what is none is one step */
#endif
	   }
trap_setting:
	   atomic {
		RULE(10, pte[s] == NONE);
		pte[s] = TRAP;
		load_tlbs(s);
		s = 0;
		trap_lock = false }
	od
}
#endif

#ifdef LAZY_TLB
proctype accesses()
{
	byte i, s;
end:	do
	:: atomic {
		if
		:: i = 0
		:: i = 1
		:: i = 2
		fi;
		if
		:: pte[0] != NONE && TLB(i, 0) == NONE -> TLB(i, 0) = pte[0]
		:: pte[1] != NONE && TLB(i, 1) == NONE -> TLB(i, 1) = pte[1]
		fi;
		i = 0 }
	od
}
#endif

/* In every state: what each translation, or the PTE, of a slot leads to. */
#define OURS(page, slot) ((page) == NONE || (!buddy[page] && (page) != theirs))
#define READS(page, slot) (!OURS(page, slot) || (page) == NONE || content[page] == accessible[slot])
#define REFS(page, slot) (areas[slot] == 0 || (IS_OWN(page) && count[page] > areas[slot] * REF))
#define NO_TRAP(page, slot) (areas[slot] == 0 || (page) != TRAP)
#define EXACT(page, slot) (!IS_OWN(page) || count[page] == 1 + areas[slot] * REF + (page == borrowed))
#define KNOWN(page)	(buddy[page] || pte[0] == page || pte[1] == page || theirs == page || borrowed == page)
#define ALL(f, slot)	(f(pte[slot], slot) && f(TLB(0, slot), slot) && f(TLB(1, slot), slot) && f(TLB(2, slot), slot))

proctype rules()
{
end:	do
	:: !REFS(pte[0], 0) || !REFS(pte[1], 1) -> RULE(1, false)
	:: busy == 0 && !(EXACT(pte[0], 0) && EXACT(pte[1], 1) && KNOWN(0) && KNOWN(1) && KNOWN(2)) -> RULE(1, false)
	:: !ALL(READS, 0) || !ALL(READS, 1) -> RULE(2, false)
	:: !ALL(OURS, 0) || !ALL(OURS, 1) -> RULE(3, false)
#ifdef TRAPS
	:: !ALL(NO_TRAP, 0) || !ALL(NO_TRAP, 1) -> RULE(10, false)
#endif
	od
}

init {
	atomic {
		/* Its count stays 0, and so does the rest. */
		buddy[TRAP] = false;
		content[TRAP] = POISON;
		run user(0);
		run user(1);
		run reclaim();
#ifdef OTHERS
		run others();
#endif
#ifdef TRAPS
		run faults();
#endif
#ifdef LAZY_TLB
		run accesses();
#endif
		run rules()
	}
}
