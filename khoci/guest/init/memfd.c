// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory files: to be made, filled so that each byte is known, and checked. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "fds.h"
#include "number.h"
#include "pattern.h"
#include "sha256.h"

#define CHUNK		(64 * 1024)

/*
 * What a file holds from 0 to size: the pattern of seed, and zeros where holes
 * ("start:len,start:len", ascending) are.
 */
struct content {
	uint64_t size;
	uint64_t seed;
	const char *holes;
};

struct findings {
	struct sha256 sha;
	uint64_t checked;
	uint64_t wrong;
	int64_t first_wrong;
};

/* How a file is made; allocate: with pages that are there, but not written. */
struct making {
	long long size;
	long long flags;
	long long allocate;
	long long count;
};

static int make_memfd(const struct making *making)
{
	int fd = memfd_create("khoci", MFD_CLOEXEC | making->flags);
	int error;

	if (fd < 0)
		return -1;
	if (!ftruncate(fd, making->size) &&
	    (!making->allocate || !making->size ||
	     !fallocate(fd, 0, 0, making->size)))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static bool make_memfds(struct agent *agent, const struct making *making,
			struct fd_list *list)
{
	list->count = 0;
	while (list->count < (size_t)making->count) {
		int fd = make_memfd(making);

		if (fd < 0)
			return failed(agent, errno, "memfd of %lld bytes",
				      making->size);
		list->fds[list->count++] = fd;
	}
	return true;
}

/* flags: MFD_... of include/uapi/linux/memfd.h; all are close-on-exec. */
bool run_memfd(struct agent *agent, const struct json_object *arguments)
{
	struct making making = { .flags = MFD_ALLOW_SEALING, .count = 1 };
	static struct fd_list list;

	if (!number_between(agent, arguments, "size", 0, LLONG_MAX,
			    &making.size) ||
	    !number_between(agent, arguments, "flags", 0, UINT_MAX,
			    &making.flags) ||
	    !number_between(agent, arguments, "allocate", 0, 1,
			    &making.allocate) ||
	    !number_between(agent, arguments, "count", 1, FDS_MAX,
			    &making.count))
		return false;
	return make_memfds(agent, &making, &list) ? put_fds(agent, &list) :
						    drop_fds(&list);
}

static bool need_content(struct agent *agent,
			 const struct json_object *arguments,
			 struct content *content)
{
	const long long *seed = json_int(arguments, "seed");
	const char *holes = json_text(arguments, "holes");
	long long size = 0;

	if (!seed || !json_int(arguments, "size"))
		return failed(agent, EINVAL, "no number for size and seed");
	if (!number_between(agent, arguments, "size", 0, LLONG_MAX, &size))
		return false;
	*content = (struct content){ size, *seed, holes ? holes : "" };
	return true;
}

/* The next hole, or an empty one at the end of the file. */
static bool next_hole(struct agent *agent, const struct content *content,
		      const char **text, uint64_t after, struct range *hole)
{
	*hole = (struct range){ content->size, 0 };
	if (!**text)
		return true;
	if (parse_range(text, hole) && hole->start >= after &&
	    hole->start + hole->len <= content->size)
		return true;
	return failed(agent, EINVAL,
		      "holes are not start:len,start:len in order");
}

static bool write_range(struct agent *agent, int fd, uint64_t seed,
			uint64_t start, uint64_t end)
{
	static unsigned char bytes[CHUNK];
	ssize_t done;

	while (start < end) {
		size_t len = end - start < CHUNK ? end - start : CHUNK;

		pattern_fill(seed, start, bytes, len);
		done = pwrite(fd, bytes, len, start);
		if (done < 0)
			return false;
		start += done;
		say_busy(agent);
	}
	return true;
}

static bool fill(struct agent *agent, int fd, const struct content *content)
{
	const char *text = content->holes;
	struct range hole;

	for (uint64_t at = 0; at < content->size; at = hole.start + hole.len) {
		if (!next_hole(agent, content, &text, at, &hole))
			return false;
		if (!write_range(agent, fd, content->seed, at, hole.start))
			return failed(agent, errno, "write fd %d", fd);
	}
	return true;
}

/* The files are filled with seed, seed + 1, ...; holes are left as they are. */
bool run_fill(struct agent *agent, const struct json_object *arguments)
{
	static struct fd_list list;
	struct content content;

	if (!need_content(agent, arguments, &content) ||
	    !need_fds(agent, arguments, &list))
		return false;
	for (size_t i = 0; i < list.count; i++, content.seed++)
		if (!fill(agent, list.fds[i], &content))
			return false;
	return true;
}

static void count_wrong(struct findings *findings, const unsigned char *got,
			const unsigned char *wanted, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (got[i] == wanted[i])
			continue;
		if (!findings->wrong++)
			findings->first_wrong = findings->checked + i;
	}
}

/* Go on to end, or to the end of the file if that comes first. */
static bool check_range(struct agent *agent, int fd, struct findings *findings,
			const uint64_t *seed, uint64_t end)
{
	static unsigned char got[CHUNK], wanted[CHUNK];
	ssize_t done;

	memset(wanted, 0, sizeof(wanted));
	while (findings->checked < end) {
		uint64_t left = end - findings->checked;

		done = pread(fd, got, left < CHUNK ? left : CHUNK,
			     findings->checked);
		if (done <= 0)
			return !done;
		if (seed)
			pattern_fill(*seed, findings->checked, wanted, done);
		if (memcmp(got, wanted, done))
			count_wrong(findings, got, wanted, done);
		sha256_add(&findings->sha, got, done);
		findings->checked += done;
		say_busy(agent);
	}
	return true;
}

static bool check(struct agent *agent, int fd, const struct content *content,
		  struct findings *findings)
{
	const char *text = content->holes;
	struct range hole;

	for (uint64_t at = 0; at < content->size; at = hole.start + hole.len) {
		if (!next_hole(agent, content, &text, at, &hole))
			return false;
		if (!check_range(agent, fd, findings, &content->seed,
				 hole.start) ||
		    !check_range(agent, fd, findings, NULL,
				 hole.start + hole.len))
			return failed(agent, errno, "read fd %d", fd);
	}
	return true;
}

static void put_findings(struct json_out *out, struct findings *findings)
{
	unsigned char digest[SHA256_SIZE];

	sha256_end(&findings->sha, digest);
	json_put_int(out, "checked", findings->checked);
	json_put_int(out, "wrong", findings->wrong);
	json_put_int(out, "first_wrong", findings->first_wrong);
	json_put_hex(out, "sha256", (char *)digest, sizeof(digest));
}

static bool put_file(struct agent *agent, int fd, const struct content *content)
{
	struct findings findings = { .first_wrong = -1 };
	struct json_out *out = &agent->answer;
	struct stat status;

	if (fstat(fd, &status))
		return failed(agent, errno, "fd %d", fd);
	sha256_begin(&findings.sha);
	if (!check(agent, fd, content, &findings))
		return false;
	json_open(out, NULL, '{');
	json_put_int(out, "size", status.st_size);
	json_put_int(out, "mode", status.st_mode & 07777);
	json_put_int(out, "allocated", status.st_blocks * 512LL);
	json_put_int(out, "position", lseek(fd, 0, SEEK_CUR));
	json_put_int(out, "seals", fcntl(fd, F_GET_SEALS));
	put_findings(out, &findings);
	json_close(out, '}');
	return true;
}

/* The files are compared with seed, seed + 1, ...; not past size. */
bool run_check(struct agent *agent, const struct json_object *arguments)
{
	static struct fd_list list;
	struct content content;

	if (!need_content(agent, arguments, &content) ||
	    !need_fds(agent, arguments, &list))
		return false;
	json_open(&agent->answer, "files", '[');
	for (size_t i = 0; i < list.count; i++, content.seed++)
		if (!put_file(agent, list.fds[i], &content))
			return false;
	json_close(&agent->answer, ']');
	return true;
}

bool run_seek(struct agent *agent, const struct json_object *arguments)
{
	static struct fd_list list;
	long long position = 0;

	if (!need_fds(agent, arguments, &list) ||
	    !number_between(agent, arguments, "position", 0, LLONG_MAX,
			    &position))
		return false;
	for (size_t i = 0; i < list.count; i++)
		if (lseek(list.fds[i], position, SEEK_SET) < 0)
			return failed(agent, errno, "seek fd %d", list.fds[i]);
	return true;
}

/* seals: F_SEAL_... of include/uapi/linux/fcntl.h, added to those there are. */
bool run_seal(struct agent *agent, const struct json_object *arguments)
{
	static struct fd_list list;
	long long seals = 0;

	if (!need_fds(agent, arguments, &list) ||
	    !number_between(agent, arguments, "seals", 0, INT_MAX, &seals))
		return false;
	for (size_t i = 0; i < list.count; i++)
		if (fcntl(list.fds[i], F_ADD_SEALS, (int)seals))
			return failed(agent, errno, "seal fd %d", list.fds[i]);
	return true;
}
