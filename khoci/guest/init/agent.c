// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"
#include "commands.h"
#include "line.h"

#define BUSY_NS	2000000000LL

static long long uptime_ns(void)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void write_all(int fd, const char *data, size_t len)
{
	ssize_t done;

	while (len) {
		done = write(fd, data, len);
		if (done < 0 && errno != EINTR)
			return;
		if (done > 0) {
			data += done;
			len -= done;
		}
	}
}

void message_begin(struct agent *agent)
{
	agent->answer.len = 0;
	agent->answer.full = false;
	agent->answer.comma = false;
	json_open(&agent->answer, NULL, '{');
}

static void begin_answer_with(struct agent *agent, bool ok)
{
	message_begin(agent);
	json_put_int(&agent->answer, "id", agent->id);
	json_put_bool(&agent->answer, "ok", ok);
}

static void put_error(struct agent *agent, const char *error, int errnum)
{
	json_put_text(&agent->answer, "error", error);
	json_put_int(&agent->answer, "errno", errnum);
}

static void send_failure(struct agent *agent)
{
	begin_answer_with(agent, false);
	put_error(agent, agent->error, agent->errnum);
	message_send(agent);
}

void message_send(struct agent *agent)
{
	json_put_int(&agent->answer, "uptime", uptime_ns());
	json_close(&agent->answer, '}');
	if (agent->answer.full) {
		failed(agent, EMSGSIZE, "the answer is too long");
		send_failure(agent);
		return;
	}
	write_all(agent->out, agent->answer.data, agent->answer.len);
	write_all(agent->out, "\n", 1);
	tcdrain(agent->out);
}

void answer_begin(struct agent *agent)
{
	begin_answer_with(agent, true);
}

/* It leaves alone the answer that is being made. */
void say_busy(struct agent *agent)
{
	static const char event[] = "{\"event\":\"busy\"}\n";
	long long now = uptime_ns();

	if (now - agent->said_ns < BUSY_NS)
		return;
	agent->said_ns = now;
	write_all(agent->out, event, sizeof(event) - 1);
}

void answer_send_part(struct agent *agent)
{
	json_put_bool(&agent->answer, "more", true);
	message_send(agent);
	answer_begin(agent);
}

static const char *errno_name(int errnum)
{
	const char *name = strerrorname_np(errnum);

	return name ? name : "unknown error";
}

bool failed(struct agent *agent, int errnum, const char *what, ...)
{
	size_t size = sizeof(agent->error) - sizeof(": EPROTONOSUPPORT");
	size_t len;
	va_list arguments;

	va_start(arguments, what);
	vsnprintf(agent->error, size, what, arguments);
	va_end(arguments);
	len = strlen(agent->error);
	snprintf(agent->error + len, sizeof(agent->error) - len, ": %s",
		 errno_name(errnum));
	agent->errnum = errnum;
	return false;
}

void send_event(struct agent *agent, const char *event, const char *what,
		int errnum)
{
	failed(agent, errnum, "%s", what);
	message_begin(agent);
	json_put_text(&agent->answer, "event", event);
	put_error(agent, agent->error, agent->errnum);
	message_send(agent);
}

static bool run_command(struct agent *agent, const struct json_object *object,
			const struct command **command)
{
	const char *name = json_text(object, "cmd");

	if (!name)
		return failed(agent, EBADMSG, "line without a command");
	*command = find_command(name);
	if (!*command)
		return failed(agent, ENOSYS, "unknown command %s", name);
	if ((*command)->guest_only && agent->host)
		return failed(agent, EPERM, "%s is for guests only", name);
	return (*command)->run(agent, object);
}

static void obey(struct agent *agent, const struct json_object *object)
{
	const long long *id = json_int(object, "id");
	const struct command *command = NULL;

	agent->id = id ? *id : 0;
	agent->said_ns = uptime_ns();
	answer_begin(agent);
	if (!run_command(agent, object, &command)) {
		send_failure(agent);
		return;
	}
	message_send(agent);
	if (command->after)
		command->after(agent);
}

static void reject(struct agent *agent, int errnum, const char *what)
{
	agent->id = 0;
	failed(agent, errnum, "%s", what);
	send_failure(agent);
}

void serve(struct agent *agent)
{
	static struct line_reader reader;
	struct json_object object;
	enum line kind;
	char *line;
	size_t len;

	reader.fd = agent->in;
	while ((kind = line_next(&reader, &line, &len)) != LINE_END) {
		if (kind == LINE_TOO_LONG)
			reject(agent, EMSGSIZE, "the line is too long");
		else if (!json_parse(line, len, &object))
			reject(agent, EBADMSG, "not a flat JSON object");
		else
			obey(agent, &object);
	}
}
