/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The counter that guest time is made of; the instructions under -icount. */
#ifndef KHOCI_CYCLES_H
#define KHOCI_CYCLES_H

static inline unsigned long long cycles(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	unsigned long long value;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
	return value;
#else
#error "no counter is known for this architecture"
#endif
}

#endif
