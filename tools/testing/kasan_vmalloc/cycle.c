// SPDX-License-Identifier: GPL-2.0
/*
 * A module to be loaded and unloaded many times. What it has may be touched, each
 * time; with bad=1 it reads the byte behind a global, which KASAN has to report.
 */

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/module.h>

static bool bad;
module_param(bad, bool, 0444);

static u8 data[5000] = { 1 };
static u8 zeroed[3 * 4096 + 13];

static noinline void cycle_global_oob(void)
{
	u8 *p = zeroed;

	OPTIMIZER_HIDE_VAR(p);
	(void)READ_ONCE(p[sizeof(zeroed)]);
}

static int __init cycle_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(data); i++) {
		if (READ_ONCE(data[i]) != !i)
			return -EIO;
		WRITE_ONCE(data[i], 2);
	}
	for (i = 0; i < ARRAY_SIZE(zeroed); i++) {
		if (READ_ONCE(zeroed[i]))
			return -EIO;
		WRITE_ONCE(zeroed[i], 2);
	}
	if (bad)
		cycle_global_oob();
	return 0;
}

static void __exit cycle_exit(void)
{
}

module_init(cycle_init);
module_exit(cycle_exit);
MODULE_DESCRIPTION("A module to be loaded and unloaded");
MODULE_LICENSE("GPL");
