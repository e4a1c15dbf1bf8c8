// SPDX-License-Identifier: GPL-2.0-or-later
#include <endian.h>
#include <string.h>

#include "pattern.h"

static uint64_t word(uint64_t seed, uint64_t index)
{
	uint64_t mixed = seed + (index + 1) * 0x9e3779b97f4a7c15ULL;

	mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9ULL;
	mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebULL;
	return mixed ^ mixed >> 31;
}

void pattern_fill(uint64_t seed, uint64_t offset, unsigned char *data,
		  size_t len)
{
	while (len) {
		uint64_t bytes = htole64(word(seed, offset / 8));
		size_t skip = offset % 8;
		size_t count = len < 8 - skip ? len : 8 - skip;

		memcpy(data, (unsigned char *)&bytes + skip, count);
		data += count;
		offset += count;
		len -= count;
	}
}
