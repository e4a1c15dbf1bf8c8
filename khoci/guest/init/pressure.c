// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"
#include "files.h"

#define PERCENT_MAX	95
#define PATIENCE_MS	1000
#define PIPES		256
#define RING		(2 << 20)

enum outcome {
	KEPT,
	CHANGED,
	NO_MEMORY,
};

static uint64_t pattern(size_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ULL;
}

static enum outcome fill_and_check(size_t bytes)
{
	size_t count = bytes / sizeof(uint64_t);
	volatile uint64_t *words = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (words == MAP_FAILED)
		return NO_MEMORY;
	for (size_t i = 0; i < count; i++)
		words[i] = pattern(i);
	for (size_t i = 0; i < count; i++)
		if (words[i] != pattern(i))
			return CHANGED;
	return KEPT;
}

/*
 * Freed memory that a CPU keeps for itself is in no list that marks it. Where
 * blocks of several pages are freed one after the other, as the rings of large
 * pipes are, the CPU gives up all that it keeps (nr_pcp_free() of
 * mm/page_alloc.c). Pipes that cannot be made do less.
 */
static void drain_lists(void)
{
	int ends[PIPES][2], made = 0;

	while (made < PIPES && !pipe2(ends[made], O_CLOEXEC))
		fcntl(ends[made++][1], F_SETPIPE_SZ, RING);
	while (made--) {
		close(ends[made][0]);
		close(ends[made][1]);
	}
}

/* The one child that holds memory; 0 if none does. */
static pid_t holder;

/* The child is the first to go when memory runs out; PID 1 cannot go. */
static pid_t start_child(size_t bytes, int report)
{
	pid_t child = fork();
	char outcome;

	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	file_write("/proc/self/oom_score_adj", "1000");
	outcome = fill_and_check(bytes);
	drain_lists();
	if (write(report, &outcome, 1) == 1)
		pause();
	_exit(0);
}

static bool judge(struct agent *agent, int outcome)
{
	if (outcome == CHANGED)
		return failed(agent, EIO, "memory changed under the child");
	if (outcome == NO_MEMORY)
		return failed(agent, ENOMEM, "mmap");
	return true;
}

static void end_holder(void)
{
	if (!holder)
		return;
	kill(holder, SIGKILL);
	while (waitpid(holder, NULL, 0) < 0 && errno == EINTR)
		;
	holder = 0;
}

static ssize_t wait_for(struct agent *agent, int report, char *outcome)
{
	struct pollfd ready = { .fd = report, .events = POLLIN };
	ssize_t len;

	while (poll(&ready, 1, PATIENCE_MS) <= 0)
		say_busy(agent);
	do
		len = read(report, outcome, 1);
	while (len < 0 && errno == EINTR);
	return len;
}

/* The child says how it went; it says nothing if it is killed. */
static bool press(struct agent *agent, size_t bytes)
{
	int report[2];
	char outcome;
	ssize_t len;

	if (pipe(report))
		return failed(agent, errno, "pipe");
	holder = start_child(bytes, report[1]);
	close(report[1]);
	len = wait_for(agent, report[0], &outcome);
	close(report[0]);
	if (holder < 0) {
		holder = 0;
		return failed(agent, EAGAIN, "fork");
	}
	if (len != 1)
		return failed(agent, ENOMEM, "the child was killed");
	return judge(agent, outcome);
}

/* A share of MemAvailable, or max if that is less; in whole pages. */
static size_t bytes_to_press(long long percent, const long long *max)
{
	long long bytes = meminfo_kb("MemAvailable:") * 1024 / 100 * percent;

	if (max && *max < bytes)
		bytes = *max;
	return bytes & -sysconf(_SC_PAGESIZE);
}

bool run_pressure(struct agent *agent, const struct json_object *arguments)
{
	const long long *percent = json_int(arguments, "percent");
	const long long *max = json_int(arguments, "max");
	long long hold = 0;
	size_t bytes;
	bool done;

	if (!percent || *percent < 1 || *percent > PERCENT_MAX)
		return failed(agent, EINVAL, "percent is not 1 to %d",
			      PERCENT_MAX);
	if (max && *max < 1)
		return failed(agent, EINVAL, "max is not above 0");
	if (!number_between(agent, arguments, "hold", 0, 1, &hold))
		return false;
	end_holder();
	bytes = bytes_to_press(*percent, max);
	done = !bytes || press(agent, bytes);
	if (!done || !hold)
		end_holder();
	if (done)
		json_put_int(&agent->answer, "bytes", bytes);
	return done;
}

bool run_relax(struct agent *agent, const struct json_object *arguments)
{
	(void)agent;
	(void)arguments;
	end_holder();
	return true;
}
