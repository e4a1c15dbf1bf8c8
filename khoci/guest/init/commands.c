// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "commands.h"

static bool run_ping(struct agent *agent, const struct json_object *arguments)
{
	(void)agent;
	(void)arguments;
	return true;
}

static const struct command commands[] = {
	{ .name = "ping", .run = run_ping },
	{ .name = "read", .run = run_read },
	{ .name = "write", .run = run_write, .guest_only = true },
	{ .name = "list", .run = run_list },
	{ .name = "pages", .run = run_pages },
	{ .name = "pressure", .run = run_pressure },
	{ .name = "relax", .run = run_relax },
	{ .name = "kmsg", .run = run_kmsg },
	{ .name = "mark", .run = run_mark, .guest_only = true },
	{ .name = "symbol", .run = run_symbol },
	{ .name = "open", .run = run_open },
	{ .name = "close", .run = run_close },
	{ .name = "memfd", .run = run_memfd },
	{ .name = "fill", .run = run_fill },
	{ .name = "check", .run = run_check },
	{ .name = "seek", .run = run_seek },
	{ .name = "seal", .run = run_seal },
	{ .name = "create-session", .run = run_create_session },
	{ .name = "retrieve-session", .run = run_retrieve_session },
	{ .name = "session-name", .run = run_session_name },
	{ .name = "preserve", .run = run_preserve },
	{ .name = "retrieve", .run = run_retrieve },
	{ .name = "finish", .run = run_finish },
	{ .name = "finalize", .run = run_finalize, .guest_only = true },
	{ .name = "receive", .run = run_receive },
	{ .name = "sum", .run = run_sum },
	{ .name = "load", .run = run_load, .guest_only = true },
	{ "jump", run_jump, after_jump, true },
	{ "poweroff", run_poweroff, after_poweroff, true },
	{ "crash", run_crash, after_crash, true },
};

const struct command *find_command(const char *name)
{
	size_t count = sizeof(commands) / sizeof(commands[0]);

	for (size_t i = 0; i < count; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

const char *need_text(struct agent *agent, const struct json_object *arguments,
		      const char *key)
{
	const char *text = json_text(arguments, key);

	if (!text)
		failed(agent, EINVAL, "no text for %s", key);
	return text;
}

bool number_between(struct agent *agent, const struct json_object *arguments,
		    const char *key, long long low, long long high,
		    long long *number)
{
	const long long *given = json_int(arguments, key);

	if (!given)
		return true;
	if (*given < low || *given > high)
		return failed(agent, EINVAL, "%s is not %lld to %lld", key, low,
			      high);
	*number = *given;
	return true;
}
