// SPDX-License-Identifier: GPL-2.0
/*
 * KASAN_VMALLOC_DELAY: holds CPUs up at the steps of populate, release and
 * reclaim between which another CPU can come in, so that what is a race of a
 * few instructions elsewhere happens all the time.
 */

#include <kunit/static_stub.h>
#include <linux/delay.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/time64.h>

#include "vmalloc_shadow.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "kasan_vmalloc."

/* Of so many passes of a step one is held up. */
#define DELAY_ONE_IN	4

/* With the lock of the store held the others only wait: no need to for long. */
#define DELAY_LOCKED_US	20U

/* Under RCU a CPU spins, until a reclaim has run whole elsewhere, with delays. */
#define DELAY_RCU_FACTOR	4

static unsigned int delay;

/* A second is more than any race takes. */
static int delay_set(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 0, USEC_PER_SEC);
}

static const struct kernel_param_ops delay_ops = {
	.set = delay_set,
	.get = param_get_uint,
};
module_param_cb(delay, &delay_ops, &delay, 0644);
MODULE_PARM_DESC(delay, "Longest delay at a step in microseconds, 0 (default) for none");

/**
 * kasan_shadow_step - a step is done: wait here, perhaps
 * @step: which, to be found by those who trace or stub this
 *
 * Context: Process context. Sleeps where that is allowed.
 */
noinline void kasan_shadow_step(enum kasan_shadow_step step)
{
	unsigned int us = READ_ONCE(delay);

	KUNIT_STATIC_STUB_REDIRECT(kasan_shadow_step, step);

	if (!us || get_random_u32_below(DELAY_ONE_IN))
		return;
	us = get_random_u32_inclusive(1, us);
	/* with PREEMPT_RT a spinlock leaves us preemptible, and RCU would warn */
	if (preemptible() && !rcu_preempt_depth())
		usleep_range(us, us);
	else
		udelay(step == KASAN_SHADOW_GET_LOADED ? us * DELAY_RCU_FACTOR :
							 min(us, DELAY_LOCKED_US));
}

/**
 * kasan_shadow_set_delay - the same as by the parameter, for tests
 * @us: the longest delay in microseconds, 0 for none
 *
 * Context: Any.
 */
void kasan_shadow_set_delay(unsigned int us)
{
	WRITE_ONCE(delay, us);
}
