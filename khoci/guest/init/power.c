// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "commands.h"
#include "files.h"

#define SYSRQ	"/proc/sysrq-trigger"

bool run_poweroff(struct agent *agent, const struct json_object *arguments)
{
	(void)agent;
	(void)arguments;
	return true;
}

void after_poweroff(struct agent *agent)
{
	reboot(RB_POWER_OFF);
	reboot(RB_HALT_SYSTEM);
	send_event(agent, "poweroff-failed", "reboot", errno);
}

bool run_crash(struct agent *agent, const struct json_object *arguments)
{
	(void)arguments;
	if (access(SYSRQ, W_OK))
		return failed(agent, errno, "open %s", SYSRQ);
	return true;
}

void after_crash(struct agent *agent)
{
	file_write(SYSRQ, "c");
	send_event(agent, "crash-failed", "write " SYSRQ, errno);
}
