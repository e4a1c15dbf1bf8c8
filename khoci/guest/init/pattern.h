/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Content that can be predicted byte by byte. The 64-bit little-endian words
 * are the splitmix64 generator's; khoci/guest/memfd.py has the same.
 */
#ifndef KHOCI_PATTERN_H
#define KHOCI_PATTERN_H

#include <stddef.h>
#include <stdint.h>

/* The bytes of a file made from seed that begin at offset. */
void pattern_fill(uint64_t seed, uint64_t offset, unsigned char *data,
		  size_t len);

#endif
