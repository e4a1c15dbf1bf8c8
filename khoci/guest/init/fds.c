// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

#include "commands.h"
#include "fds.h"
#include "number.h"

/* The agent's own line and its standard files are not to be touched. */
static bool usable(struct agent *agent, long long fd)
{
	if (fd <= STDERR_FILENO || fd > INT_MAX || fd == agent->in ||
	    fd == agent->out)
		return failed(agent, EBADF, "fd %lld", fd);
	return true;
}

bool need_fd(struct agent *agent, const struct json_object *arguments,
	     const char *key, int *fd)
{
	const long long *number = json_int(arguments, key);

	if (!number)
		return failed(agent, EINVAL, "no number for %s", key);
	*fd = *number;
	return usable(agent, *number);
}

static bool parse_fds(struct agent *agent, const char *text,
		      struct fd_list *list)
{
	uint64_t fd;

	do {
		if (!parse_number(&text, &fd) || fd > INT_MAX)
			return failed(agent, EINVAL, "fds are not fd,fd");
		if (list->count == FDS_MAX)
			return failed(agent, E2BIG, "more than %d fds",
				      FDS_MAX);
		if (!usable(agent, fd))
			return false;
		list->fds[list->count++] = fd;
	} while (*text && *text++ == ',');
	return !*text || failed(agent, EINVAL, "fds are not fd,fd");
}

bool need_fds(struct agent *agent, const struct json_object *arguments,
	      struct fd_list *list)
{
	const char *text = need_text(agent, arguments, "fds");

	list->count = 0;
	return text && parse_fds(agent, text, list);
}

bool put_fds(struct agent *agent, const struct fd_list *list)
{
	json_open(&agent->answer, "fds", '[');
	for (size_t i = 0; i < list->count; i++)
		json_put_int(&agent->answer, NULL, list->fds[i]);
	json_close(&agent->answer, ']');
	return true;
}

bool drop_fds(struct fd_list *list)
{
	while (list->count)
		close(list->fds[--list->count]);
	return false;
}

void allow_many_fds(void)
{
	struct rlimit limit = { 2 * FDS_MAX, 2 * FDS_MAX };

	setrlimit(RLIMIT_NOFILE, &limit);
}

bool run_open(struct agent *agent, const struct json_object *arguments)
{
	const char *path = need_text(agent, arguments, "path");
	static struct fd_list list;

	if (!path)
		return false;
	list.count = 1;
	list.fds[0] = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (list.fds[0] < 0)
		return failed(agent, errno, "open %s", path);
	return put_fds(agent, &list);
}

bool run_close(struct agent *agent, const struct json_object *arguments)
{
	static struct fd_list list;

	if (!need_fds(agent, arguments, &list))
		return false;
	for (size_t i = 0; i < list.count; i++)
		if (close(list.fds[i]))
			return failed(agent, errno, "close fd %d", list.fds[i]);
	return true;
}
