// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files that the host fills: it is told in which frames their pages are, and
 * writes them from outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "commands.h"

/* /proc/PID/pagemap: Documentation/admin-guide/mm/pagemap.rst */
#define PM_PRESENT	(1ULL << 63)
#define PM_FRAME	((1ULL << 55) - 1)

#define CHUNK		4096
#define PART		(128 * 1024)

struct run {
	uint64_t start;
	uint64_t len;
};

static void put_run(struct agent *agent, const struct run *run)
{
	if (!run->len)
		return;
	if (agent->answer.len > PART) {
		json_close(&agent->answer, ']');
		answer_send_part(agent);
		json_open(&agent->answer, "runs", '[');
	}
	json_put_int(&agent->answer, NULL, run->start);
	json_put_int(&agent->answer, NULL, run->len);
}

static bool put_page(struct agent *agent, uint64_t entry, uint64_t size,
		     struct run *run)
{
	uint64_t start = (entry & PM_FRAME) * size;

	if (!(entry & PM_PRESENT) || !start)
		return failed(agent, EFAULT, "/proc/self/pagemap hides a page");
	if (run->start + run->len != start) {
		put_run(agent, run);
		*run = (struct run){ .start = start };
	}
	run->len += size;
	return true;
}

static bool put_pages(struct agent *agent, int pagemap, uintptr_t address,
		      uint64_t pages)
{
	uint64_t entries[CHUNK], size = sysconf(_SC_PAGESIZE);
	off_t offset = address / size * sizeof(*entries);
	struct run run = { 0 };
	ssize_t got;

	while (pages) {
		got = pread(pagemap, entries,
			    sizeof(*entries) * (pages < CHUNK ? pages : CHUNK),
			    offset);
		if (got < (ssize_t)sizeof(*entries))
			return failed(agent, got < 0 ? errno : EIO,
				      "read /proc/self/pagemap");
		offset += got;
		got /= sizeof(*entries);
		pages -= got;
		for (ssize_t i = 0; i < got; i++)
			if (!put_page(agent, entries[i], size, &run))
				return false;
	}
	put_run(agent, &run);
	return true;
}

static bool put_runs(struct agent *agent, volatile char *data, size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	bool done;

	if (pagemap < 0)
		return failed(agent, errno, "open /proc/self/pagemap");
	for (size_t at = 0; at < size; at += page)
		data[at] = 0;
	json_open(&agent->answer, "runs", '[');
	done = put_pages(agent, pagemap, (uintptr_t)data,
			 (size + page - 1) / page);
	json_close(&agent->answer, ']');
	close(pagemap);
	return done;
}

static bool receive(struct agent *agent, const char *path, int fd, size_t size)
{
	char *data;
	bool done;

	if (ftruncate(fd, size))
		return failed(agent, errno, "resize %s", path);
	data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return failed(agent, errno, "map %s", path);
	done = put_runs(agent, data, size);
	munmap(data, size);
	return done;
}

bool run_receive(struct agent *agent, const struct json_object *arguments)
{
	const char *path = need_text(agent, arguments, "path");
	long long size = 0;
	bool done;
	int fd;

	if (!path ||
	    !number_between(agent, arguments, "size", 1, LLONG_MAX, &size))
		return false;
	if (!size)
		return failed(agent, EINVAL, "no number for size");
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return failed(agent, errno, "create %s", path);
	done = receive(agent, path, fd, size);
	close(fd);
	return done;
}

/* The sum of all words; a last one that is not whole has zeros behind it. */
static bool sum_words(int fd, uint64_t *sum)
{
	static uint64_t words[16 * 1024];
	ssize_t got;

	for (*sum = 0; (got = read(fd, words, sizeof(words))) > 0;) {
		for (ssize_t at = got; at % 8; at++)
			((char *)words)[at] = 0;
		for (ssize_t i = 0; i < (got + 7) / 8; i++)
			*sum += words[i];
	}
	return !got;
}

bool run_sum(struct agent *agent, const struct json_object *arguments)
{
	const char *path = need_text(agent, arguments, "path");
	char text[17];
	uint64_t sum;
	bool done;
	int fd;

	if (!path)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return failed(agent, errno, "open %s", path);
	done = sum_words(fd, &sum);
	close(fd);
	if (!done)
		return failed(agent, errno, "read %s", path);
	snprintf(text, sizeof(text), "%016llx", (unsigned long long)sum);
	json_put_text(&agent->answer, "sum", text);
	return true;
}
