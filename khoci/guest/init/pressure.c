// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"
#include "files.h"

#define PERCENT_MAX	95

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

/* The child is the first to go when memory runs out; PID 1 cannot go. */
static pid_t start_child(size_t bytes)
{
	pid_t child = fork();

	if (child)
		return child;
	file_write("/proc/self/oom_score_adj", "1000");
	_exit(fill_and_check(bytes));
}

static bool judge(struct agent *agent, int status)
{
	if (WIFSIGNALED(status))
		return failed(agent, ENOMEM, "killed by signal %d",
			      WTERMSIG(status));
	if (WEXITSTATUS(status) == CHANGED)
		return failed(agent, EIO, "memory changed under the child");
	if (WEXITSTATUS(status) == NO_MEMORY)
		return failed(agent, ENOMEM, "mmap");
	return true;
}

static bool press(struct agent *agent, size_t bytes)
{
	pid_t child = start_child(bytes);
	int status;

	if (child < 0)
		return failed(agent, errno, "fork");
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return failed(agent, errno, "waitpid");
	return judge(agent, status);
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
	size_t bytes;

	if (!percent || *percent < 1 || *percent > PERCENT_MAX)
		return failed(agent, EINVAL, "percent is not 1 to %d",
			      PERCENT_MAX);
	if (max && *max < 1)
		return failed(agent, EINVAL, "max is not above 0");
	bytes = bytes_to_press(*percent, max);
	if (bytes && !press(agent, bytes))
		return false;
	json_put_int(&agent->answer, "bytes", bytes);
	return true;
}
