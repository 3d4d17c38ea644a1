// SPDX-License-Identifier: GPL-2.0
/*
 * The longest time for which a CPU did not reschedule. On each CPU a timer
 * keeps waking a thread that goes before all others, and that looks how long ago
 * it ran last: where the kernel does not preempt itself (PREEMPT_NONE), that is
 * how long it took to come by a place to reschedule at, and up to one period of
 * the timer more. Time with interrupts off counts as well.
 *
 *   echo > /sys/module/gap/parameters/gap    begin anew
 *   cat /sys/module/gap/parameters/gap       NANOSECONDS CPU FUNCTION
 *
 * FUNCTION is where the last timer interrupt in that time came.
 */

#define pr_fmt(fmt) "gap: " fmt

#include <linux/cpumask.h>
#include <linux/hrtimer.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/version.h>

#include <asm/irq_regs.h>

/* In microseconds. */
static unsigned int period = 100;
module_param(period, uint, 0444);

/* Written on its own CPU only, but for the reset. */
struct meter {
	struct hrtimer timer;
	struct task_struct *task;
	unsigned long ip;	/* what the timer interrupted last */
	ktime_t ran;		/* when the thread last ran */
	s64 longest;		/* in ns */
	unsigned long where;	/* ip of that time */
};

static DEFINE_PER_CPU(struct meter, meters);

static enum hrtimer_restart tick(struct hrtimer *timer)
{
	struct meter *meter = container_of(timer, struct meter, timer);
	struct pt_regs *regs = get_irq_regs();

	meter->ip = regs ? instruction_pointer(regs) : 0;
	wake_up_process(meter->task);
	hrtimer_forward_now(timer, ns_to_ktime(period * NSEC_PER_USEC));
	return HRTIMER_RESTART;
}

static int measure(void *data)
{
	struct meter *meter = data;

	sched_set_fifo(current);
	meter->ran = ktime_get();
	hrtimer_start(&meter->timer, ns_to_ktime(period * NSEC_PER_USEC),
		      HRTIMER_MODE_REL_PINNED);

	for (;;) {
		ktime_t now;
		s64 gap;

		set_current_state(TASK_INTERRUPTIBLE);
		if (kthread_should_stop())
			break;
		schedule();

		now = ktime_get();
		gap = ktime_to_ns(ktime_sub(now, meter->ran));
		meter->ran = now;
		if (gap > READ_ONCE(meter->longest)) {
			meter->where = meter->ip;
			WRITE_ONCE(meter->longest, gap);
		}
	}
	__set_current_state(TASK_RUNNING);
	hrtimer_cancel(&meter->timer);
	return 0;
}

static int gap_set(const char *val, const struct kernel_param *kp)
{
	int cpu;

	for_each_online_cpu(cpu)
		WRITE_ONCE(per_cpu(meters, cpu).longest, 0);
	return 0;
}

static int gap_get(char *buffer, const struct kernel_param *kp)
{
	int cpu, longest = cpumask_first(cpu_online_mask);

	for_each_online_cpu(cpu)
		if (READ_ONCE(per_cpu(meters, cpu).longest) >
		    READ_ONCE(per_cpu(meters, longest).longest))
			longest = cpu;
	return sysfs_emit(buffer, "%lld %d %ps\n",
			  per_cpu(meters, longest).longest, longest,
			  (void *)per_cpu(meters, longest).where);
}

static const struct kernel_param_ops gap_ops = {
	.set = gap_set,
	.get = gap_get,
};
module_param_cb(gap, &gap_ops, NULL, 0600);

static void stop(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct meter *meter = per_cpu_ptr(&meters, cpu);

		if (meter->task)
			kthread_stop(meter->task);
	}
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static void hrtimer_setup(struct hrtimer *timer, enum hrtimer_restart (*function)(struct hrtimer *),
			  clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

static int __init gap_init(void)
{
	int cpu;

	for_each_online_cpu(cpu) {
		struct meter *meter = per_cpu_ptr(&meters, cpu);
		struct task_struct *task;

		hrtimer_setup(&meter->timer, tick, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED);
		task = kthread_create_on_cpu(measure, meter, cpu, "gap/%u");
		if (IS_ERR(task)) {
			stop();
			return PTR_ERR(task);
		}
		meter->task = task;
		wake_up_process(task);
	}
	return 0;
}

static void __exit gap_exit(void)
{
	stop();
}

module_init(gap_init);
module_exit(gap_exit);
MODULE_DESCRIPTION("The longest time for which a CPU did not reschedule");
MODULE_LICENSE("GPL");
