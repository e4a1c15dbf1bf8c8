// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "cycles.h"

/*
 * Return right behind a tick of the kernel, so that the next one is as far away
 * as it can be. One is seen by the time that is missing here.
 */
static void wait_for_tick(void)
{
	unsigned long long now = cycles(), before;
	int left = 4000000;

	do {
		before = now;
		now = cycles();
	} while (now - before < 1000 && --left);
}

bool run_write(struct agent *agent, const struct json_object *arguments)
{
	const char *path = need_text(agent, arguments, "path");
	const char *text = need_text(agent, arguments, "text");
	unsigned long long began;
	ssize_t len;
	int fd;

	if (!path || !text)
		return false;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return failed(agent, errno, "open %s", path);
	wait_for_tick();
	began = cycles();
	len = write(fd, text, strlen(text));
	began = cycles() - began;
	if (len < 0)
		failed(agent, errno, "write %s", path);
	close(fd);
	json_put_int(&agent->answer, "cycles", began);
	return len >= 0;
}
