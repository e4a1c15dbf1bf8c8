// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "commands.h"
#include "number.h"

/* Bits of /proc/kpageflags: include/uapi/linux/kernel-page-flags.h ... */
#define KPF_LRU		5
#define KPF_SLAB	7
#define KPF_BUDDY	10
#define KPF_MMAP	11
#define KPF_ANON	12
#define KPF_SWAPBACKED	14
#define KPF_HUGE	17
#define KPF_NOPAGE	20
#define KPF_THP		22
#define KPF_OFFLINE	23
#define KPF_ZERO_PAGE	24
#define KPF_PGTABLE	26
/* ... and include/linux/kernel-page-flags.h */
#define KPF_RESERVED	32

/* What tells of somebody who uses a page. */
#define USED	(1ULL << KPF_LRU | 1ULL << KPF_SLAB | 1ULL << KPF_MMAP | \
		 1ULL << KPF_ANON | 1ULL << KPF_SWAPBACKED | \
		 1ULL << KPF_HUGE | 1ULL << KPF_THP | 1ULL << KPF_OFFLINE | \
		 1ULL << KPF_ZERO_PAGE | 1ULL << KPF_PGTABLE)

#define CHUNK		4096

struct counts {
	uint64_t pages;
	uint64_t free;
	uint64_t reserved;
	uint64_t plain;
	uint64_t used;
	uint64_t nopage;
};

static void count_flags(struct counts *counts, uint64_t flags)
{
	if (flags & 1ULL << KPF_NOPAGE)
		counts->nopage++;
	else if (flags & 1ULL << KPF_BUDDY)
		counts->free++;
	else if (flags & 1ULL << KPF_RESERVED)
		counts->reserved++;
	else if (flags & USED)
		counts->used++;
	else
		counts->plain++;
}

/* Frames past the end of memory, where the file ends, count as nopage. */
static bool count_frames(int fd, uint64_t frame, struct counts *counts)
{
	uint64_t flags[CHUNK], left = counts->pages;
	ssize_t got;

	while (left) {
		got = pread(fd, flags, 8 * (left < CHUNK ? left : CHUNK),
			    8 * frame);
		if (got < 0)
			return false;
		if (got < 8)
			break;
		got /= 8;
		for (ssize_t i = 0; i < got; i++)
			count_flags(counts, flags[i]);
		frame += got;
		left -= got;
	}
	counts->nopage += left;
	return true;
}

static bool count_range(int fd, const struct range *range,
			struct counts *counts)
{
	uint64_t size = sysconf(_SC_PAGESIZE);
	uint64_t first = range->start / size;
	uint64_t last = range->len ? (range->start + range->len - 1) / size : 0;

	*counts = (struct counts){ 0 };
	if (range->len)
		counts->pages = last - first + 1;
	return count_frames(fd, first, counts);
}

static void put_counts(struct json_out *out, const struct range *range,
		       const struct counts *counts)
{
	json_open(out, NULL, '{');
	json_put_int(out, "start", range->start);
	json_put_int(out, "pages", counts->pages);
	json_put_int(out, "free", counts->free);
	json_put_int(out, "reserved", counts->reserved);
	json_put_int(out, "plain", counts->plain);
	json_put_int(out, "used", counts->used);
	json_put_int(out, "nopage", counts->nopage);
	json_close(out, '}');
}

static bool put_ranges(struct agent *agent, int fd, const char *text)
{
	struct counts counts;
	struct range range;

	json_open(&agent->answer, "ranges", '[');
	while (*text) {
		if (!parse_range(&text, &range))
			return failed(agent, EINVAL,
				      "ranges are not start:len,start:len");
		if (!count_range(fd, &range, &counts))
			return failed(agent, errno, "read /proc/kpageflags");
		put_counts(&agent->answer, &range, &counts);
	}
	json_close(&agent->answer, ']');
	return true;
}

bool run_pages(struct agent *agent, const struct json_object *arguments)
{
	const char *ranges = need_text(agent, arguments, "ranges");
	bool done;
	int fd;

	if (!ranges)
		return false;
	fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return failed(agent, errno, "open /proc/kpageflags");
	done = put_ranges(agent, fd, ranges);
	close(fd);
	return done;
}
