// SPDX-License-Identifier: GPL-2.0
/*
 * What operations in vmalloc space cost, in instructions: for a guest under
 * QEMU's -icount shift=0 with one CPU, where get_cycles() counts them.
 *
 * When loaded it runs each workload a number of times and prints lines of
 *
 *   bench: WORKLOAD REPETITION OPERATIONS CYCLES
 *
 * The first repetition, number 0, finds no shadow at the addresses that it
 * gets. Reading the parameter "clock" gives the counter, to time user space, and
 *
 *   echo 64 500 > /sys/module/bench/parameters/all_cpus
 *
 * is vmalloc() and vfree() of 64 pages, 500 times on each CPU at once.
 */

#define pr_fmt(fmt) "bench: " fmt

#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/string.h>
#include <linux/timex.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

static unsigned int repetitions = 3;
module_param(repetitions, uint, 0444);

/* For a short form, that only shows that it works. */
static unsigned int divide = 1;
module_param(divide, uint, 0444);

/* Run this workload only. */
static char *only = "";
module_param(only, charp, 0444);

/* Put before the names of the workloads. */
static char *label = "";
module_param(label, charp, 0444);

static int clock_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%llu\n", (u64)get_cycles());
}

static const struct kernel_param_ops clock_ops = { .get = clock_get };
module_param_cb(clock, &clock_ops, NULL, 0444);

#define NR_HELD		2000
static void *held[NR_HELD];

/* One after the other: the same addresses again and again. */
static int churn(unsigned int pages, unsigned int nr)
{
	while (nr--) {
		void *p = vmalloc((size_t)pages << PAGE_SHIFT);

		if (!p)
			return -ENOMEM;
		vfree(p);
	}
	vm_unmap_aliases();
	return 0;
}

/* All at once, then freed, then purged. */
static int hold(unsigned int pages, unsigned int nr)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < nr; i++) {
		held[i] = vmalloc((size_t)pages << PAGE_SHIFT);
		if (!held[i]) {
			ret = -ENOMEM;
			break;
		}
	}
	while (i--)
		vfree(held[i]);
	vm_unmap_aliases();
	return ret;
}

struct job {
	struct work_struct work;
	unsigned int pages, nr;
	int ret;
};

static DEFINE_PER_CPU(struct job, jobs);

static void do_job(struct work_struct *work)
{
	struct job *job = container_of(work, struct job, work);

	job->ret = churn(job->pages, job->nr);
}

static int all_cpus_set(const char *val, const struct kernel_param *kp)
{
	struct workqueue_struct *wq;
	unsigned int pages, nr;
	int cpu, ret = 0;

	if (sscanf(val, "%u %u", &pages, &nr) != 2 || !pages)
		return -EINVAL;

	/* vmalloc's own work is not to wait for this. */
	wq = alloc_workqueue("bench", WQ_CPU_INTENSIVE, 0);
	if (!wq)
		return -ENOMEM;
	for_each_online_cpu(cpu) {
		struct job *job = per_cpu_ptr(&jobs, cpu);

		INIT_WORK(&job->work, do_job);
		job->pages = pages;
		job->nr = nr;
		queue_work_on(cpu, wq, &job->work);
	}
	destroy_workqueue(wq);

	for_each_online_cpu(cpu)
		ret = ret ?: per_cpu(jobs, cpu).ret;
	return ret;
}

static const struct kernel_param_ops all_cpus_ops = { .set = all_cpus_set };
module_param_cb(all_cpus, &all_cpus_ops, NULL, 0200);

static int ram(unsigned int nr_pages, unsigned int nr)
{
	struct page *pages[16];
	unsigned int i;
	int ret = 0;

	for (i = 0; i < nr_pages; i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		if (!pages[i])
			ret = -ENOMEM;
	}
	while (nr-- && !ret) {
		void *p = vm_map_ram(pages, nr_pages, NUMA_NO_NODE);

		if (p)
			vm_unmap_ram(p, nr_pages);
		else
			ret = -ENOMEM;
	}
	vm_unmap_aliases();
	for (i = 0; i < nr_pages; i++)
		if (pages[i])
			__free_page(pages[i]);
	return ret;
}

static int percpu(unsigned int bytes, unsigned int nr)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < nr; i++) {
		held[i] = (void __force *)__alloc_percpu(bytes, 8);
		if (!held[i]) {
			ret = -ENOMEM;
			break;
		}
	}
	while (i--)
		free_percpu((void __percpu *)held[i]);
	return ret;
}

static int nothing(void *unused)
{
	return 0;
}

static int thread(unsigned int unused, unsigned int nr)
{
	while (nr--) {
		struct task_struct *task = kthread_run(nothing, NULL, "bench");

		if (IS_ERR(task))
			return PTR_ERR(task);
		kthread_stop(task);
	}
	return 0;
}

static const struct workload {
	const char *name;
	int (*run)(unsigned int arg, unsigned int nr);
	unsigned int arg, nr;
} workloads[] = {
	{ "churn/1", churn, 1, 10000 },
	{ "churn/4", churn, 4, 5000 },
	{ "churn/8", churn, 8, 5000 },
	{ "churn/16", churn, 16, 2000 },
	{ "churn/64", churn, 64, 1000 },
	{ "churn/256", churn, 256, 200 },
	{ "churn/4096", churn, 4096, 20 },
	{ "hold/1", hold, 1, NR_HELD },
	{ "hold/4", hold, 4, NR_HELD },
	{ "hold/8", hold, 8, NR_HELD },
	{ "hold/16", hold, 16, NR_HELD },
	{ "hold/64", hold, 64, NR_HELD },
	{ "hold/256", hold, 256, 400 },
	{ "hold/4096", hold, 4096, 25 },
	{ "vm_map_ram/4", ram, 4, 5000 },
	{ "percpu/1024", percpu, 1024, NR_HELD },
	{ "thread", thread, 0, 1000 },
	{ "churn/32", churn, 32, 1000 },
	{ "churn/128", churn, 128, 400 },
	{ "churn/1024", churn, 1024, 80 },
	{ "hold/32", hold, 32, NR_HELD },
	{ "hold/128", hold, 128, 800 },
	{ "hold/1024", hold, 1024, 100 },
};

static int run(const struct workload *w)
{
	unsigned int nr = max(w->nr / divide, 1U);
	unsigned int i;
	int ret;

	for (i = 0; i <= repetitions; i++) {
		u64 start = get_cycles();

		ret = w->run(w->arg, nr);
		if (ret)
			return ret;
		pr_info("%s%s %u %u %llu\n", label, w->name, i, nr,
			(u64)get_cycles() - start);
	}
	return 0;
}

static int __init bench_init(void)
{
	int i, ret;

	for (i = 0; i < ARRAY_SIZE(workloads); i++) {
		if (*only && strcmp(only, workloads[i].name))
			continue;
		ret = run(&workloads[i]);
		if (ret) {
			pr_err("%s failed: %d\n", workloads[i].name, ret);
			return ret;
		}
	}
	return 0;
}

static void __exit bench_exit(void)
{
}

module_init(bench_init);
module_exit(bench_exit);
MODULE_DESCRIPTION("What operations in vmalloc space cost");
MODULE_LICENSE("GPL");
