// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"

#define PAGE_SHIFT 12
#define BATCH 512

/* include/uapi/linux/kernel-page-flags.h, include/linux/kernel-page-flags.h */
#define KPF_BUDDY 10
#define KPF_NOPAGE 20
#define KPF_RESERVED 32

struct page_counts {
	uint64_t pages, free, reserved, nopage;
};

static void count_flags(uint64_t flags, struct page_counts *counts)
{
	counts->pages++;
	counts->free += flags >> KPF_BUDDY & 1;
	counts->reserved += flags >> KPF_RESERVED & 1;
	counts->nopage += flags >> KPF_NOPAGE & 1;
}

/* kpageflags marks only the first page of a free block: the rest have the flag since 4.11. */
static bool count_pages(int fd, uint64_t start, uint64_t length, struct page_counts *counts)
{
	uint64_t flags[BATCH];
	uint64_t pfn = start >> PAGE_SHIFT, end = (start + length + (1 << PAGE_SHIFT) - 1) >> PAGE_SHIFT;

	while (pfn < end) {
		size_t wanted = end - pfn < BATCH ? end - pfn : BATCH;
		ssize_t got = pread(fd, flags, wanted * sizeof(*flags), pfn * sizeof(*flags));

		if (got <= 0)
			return false;
		for (size_t i = 0; i < got / sizeof(*flags); i++)
			count_flags(flags[i], counts);
		pfn += got / sizeof(*flags);
	}
	return true;
}

static void put_counts(struct json_out *out, const struct page_counts *counts)
{
	json_open(out, NULL, '{');
	json_put_number(out, "pages", counts->pages);
	json_put_number(out, "free", counts->free);
	json_put_number(out, "reserved", counts->reserved);
	json_put_number(out, "nopage", counts->nopage);
	json_close(out, '}');
}

/* "ranges": "start:length,start:length,...", numbers as strtoull reads them. */
void command_pages(struct request *request)
{
	const char *at = json_text(request->arguments, "ranges");
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		fail(request, "/proc/kpageflags");
		return;
	}
	json_open(request->out, "ranges", '[');
	while (at && *at && !*request->error) {
		struct page_counts counts = { 0 };
		char *end;
		uint64_t start = strtoull(at, &end, 0), length;

		if (*end != ':') {
			refuse(request, "ranges are start:length, with commas between");
			break;
		}
		length = strtoull(end + 1, &end, 0);
		at = *end == ',' ? end + 1 : end;
		if (*end && *end != ',')
			refuse(request, "ranges are start:length, with commas between");
		else if (!count_pages(fd, start, length, &counts))
			fail(request, "/proc/kpageflags");
		else
			put_counts(request->out, &counts);
	}
	json_close(request->out, ']');
	close(fd);
}

static uint64_t available_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	uint64_t kib = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib << 10;
}

/* Fills memory with a pattern and looks whether it stays; for a child of its own. */
static int press(uint64_t bytes)
{
	uint64_t words = bytes / sizeof(uint64_t);
	uint64_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return 2;
	for (uint64_t i = 0; i < words; i += 8)
		memory[i] = i ^ 0x6b686f63690a0000;
	for (uint64_t i = 0; i < words; i += 8)
		if (memory[i] != (i ^ 0x6b686f63690a0000))
			return 3;
	return 0;
}

static void killed_first(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (write(fd, "1000", 4) != 4)
			_exit(4);
		close(fd);
	}
}

/* Uses "percent" of the available memory once, so that whatever is not protected gets hit. */
void command_pressure(struct request *request)
{
	long long percent = 0;
	uint64_t bytes;
	int status = 0;
	pid_t child;

	if (!json_number(request->arguments, "percent", &percent) || percent < 1 || percent > 95) {
		refuse(request, "percent is 1 to 95");
		return;
	}
	bytes = available_memory() / 100 * percent >> PAGE_SHIFT << PAGE_SHIFT;
	child = fork();
	if (child == 0) {
		killed_first();
		_exit(press(bytes));
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		fail(request, "fork");
	else if (WIFSIGNALED(status))
		refuse(request, "the kernel killed the process that used memory");
	json_put_number(request->out, "bytes", bytes);
	json_put_bool(request->out, "intact", WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
