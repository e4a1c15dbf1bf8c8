// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "commands.h"

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
	if (getpid() != 1)
		return failed(agent, EPERM, "panic: not the init process");
	return true;
}

/* A kernel whose init process ends panics; that needs no SysRq. */
void after_crash(struct agent *agent)
{
	(void)agent;
	_exit(1);
}
