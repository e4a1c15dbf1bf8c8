// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The agent: PID 1 of both sides of a handover. It mounts what it needs, greets on the second
 * serial port and then does what it is told, a JSON line at a time; see ../protocol.py.
 *
 * "init --stdio" speaks on standard input and output instead, mounts nothing and refuses what
 * would end the machine: that is how the tests run it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

#define LINE_SIZE (1 << 16)
#define PORT "/dev/ttyS1"

struct agent {
	int in, out;
	bool machine;		/* false in tests: then the machine is not ours */
	struct json_out reply;
};

void fail(struct request *request, const char *what)
{
	request->error_number = errno;
	snprintf(request->error, sizeof(request->error), "%s: %s", what,
		 strerrorname_np(errno) ? strerrorname_np(errno) : "unknown error");
}

void refuse(struct request *request, const char *why)
{
	request->error_number = EINVAL;
	snprintf(request->error, sizeof(request->error), "%s", why);
}

static void put_uptime(struct json_out *out)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	json_put_number(out, "uptime", now.tv_sec * 1000000000LL + now.tv_nsec);
}

static void send_reply(struct agent *agent)
{
	const char *text = agent->reply.text;
	size_t left;

	json_close(&agent->reply, '}');
	left = agent->reply.length;
	while (left) {
		ssize_t written = write(agent->out, text, left);

		if (written < 0 && errno != EINTR)
			return;
		if (written > 0) {
			text += written;
			left -= written;
		}
	}
	if (write(agent->out, "\n", 1) != 1)
		return;
}

static void begin_reply(struct agent *agent)
{
	json_begin(&agent->reply);
	json_open(&agent->reply, NULL, '{');
}

static char *file_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? 0 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[length > 0 ? length : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static void put_setup_data(struct json_out *out)
{
	char path[96], text[32];

	json_open(out, "setup_data", '[');
	for (int i = 0; i < 64; i++) {
		snprintf(path, sizeof(path), "/sys/kernel/boot_params/setup_data/%d/type", i);
		if (access(path, R_OK))
			break;
		json_put_number(out, NULL, strtoll(file_text(path, text, sizeof(text)), NULL, 0));
	}
	json_close(out, ']');
}

static void put_kho(struct json_out *out)
{
	json_open(out, "kho", '{');
	json_put_bool(out, "enabled", !access(KHO_DIR, F_OK));
	json_put_bool(out, "finalize", !access(KHO_DIR "/out/finalize", F_OK));
	put_listing(out, "in", KHO_DIR "/in");
	json_close(out, '}');
}

static void greet(struct agent *agent)
{
	char cmdline[4096];
	struct utsname name;

	uname(&name);
	begin_reply(agent);
	json_put_number(&agent->reply, "khoci", KHOCI_PROTOCOL);
	json_put_string(&agent->reply, "event", "hello");
	json_put_string(&agent->reply, "release", name.release);
	json_put_string(&agent->reply, "cmdline",
			file_text("/proc/cmdline", cmdline, sizeof(cmdline)));
	put_setup_data(&agent->reply);
	put_kho(&agent->reply);
	put_uptime(&agent->reply);
	send_reply(agent);
}

static void command_ping(struct request *request)
{
	(void)request;
}

/* Checked only: what ends the machine is done once the answer is on its way. */
static const char *const endings[] = { "jump", "poweroff" };

static bool is_ending(const char *name)
{
	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++)
		if (!strcmp(name, endings[i]))
			return true;
	return false;
}

static const struct {
	const char *name;
	command_fn run;
	bool machine;		/* only where the machine is ours */
} commands[] = {
	{ "ping", command_ping, false },
	{ "finalize", command_finalize, true },
	{ "load", command_load, true },
	{ "jump", command_ping, true },
	{ "poweroff", command_ping, true },
	{ "read", command_read, false },
	{ "list", command_list, false },
	{ "pages", command_pages, false },
	{ "pressure", command_pressure, false },
};

static void dispatch(struct agent *agent, const char *name, struct request *request)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(name, commands[i].name))
			continue;
		if (commands[i].machine && !agent->machine)
			refuse(request, "not on this machine");
		else
			commands[i].run(request);
		return;
	}
	refuse(request, "unknown command");
}

static void end_machine(struct agent *agent, const char *name)
{
	tcdrain(agent->out);
	if (!strcmp(name, "jump"))
		kexec_jump();
	else
		reboot(RB_POWER_OFF);
	begin_reply(agent);
	json_put_string(&agent->reply, "event", "still here");
	json_put_string(&agent->reply, "error", strerrorname_np(errno));
	send_reply(agent);
}

static void obey(struct agent *agent, char *line)
{
	struct json_object arguments;
	struct request request = { .arguments = &arguments, .out = &agent->reply };
	const char *name = NULL;
	long long id = -1;

	begin_reply(agent);
	if (!json_parse(line, &arguments))
		refuse(&request, "not a flat JSON object");
	else if (!json_number(&arguments, "id", &id) || !(name = json_text(&arguments, "cmd")))
		refuse(&request, "id or cmd is missing");
	else
		dispatch(agent, name, &request);
	json_put_number(&agent->reply, "id", id);
	json_put_bool(&agent->reply, "ok", !*request.error);
	if (*request.error) {
		json_put_string(&agent->reply, "error", request.error);
		json_put_number(&agent->reply, "errno", request.error_number);
	}
	put_uptime(&agent->reply);
	send_reply(agent);
	if (name && !*request.error && is_ending(name))
		end_machine(agent, name);
}

/* Reads lines for ever; one that is too long is refused as a whole. */
static void serve(struct agent *agent)
{
	static char buffer[LINE_SIZE];
	size_t length = 0;
	bool too_long = false;

	for (;;) {
		char byte;
		ssize_t got = read(agent->in, &byte, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return;
		if (byte != '\n') {
			too_long |= length == sizeof(buffer) - 1;
			if (!too_long)
				buffer[length++] = byte;
			continue;
		}
		buffer[too_long ? 0 : length] = '\0';
		obey(agent, buffer);
		length = 0;
		too_long = false;
	}
}

static void mount_all(void)
{
	static const struct {
		const char *type, *where;
	} mounts[] = {
		{ "devtmpfs", "/dev" },
		{ "proc", "/proc" },
		{ "sysfs", "/sys" },
		{ "debugfs", "/sys/kernel/debug" },
		{ "tmpfs", "/tmp" },
	};

	for (size_t i = 0; i < sizeof(mounts) / sizeof(*mounts); i++)
		mount(mounts[i].type, mounts[i].where, mounts[i].type, 0, NULL);
}

static int open_port(void)
{
	int fd = open(PORT, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios settings;

	if (fd >= 0 && !tcgetattr(fd, &settings)) {
		cfmakeraw(&settings);
		cfsetspeed(&settings, B115200);
		tcsetattr(fd, TCSANOW, &settings);
	}
	return fd;
}

int main(int argc, char **argv)
{
	struct agent agent = { .in = 0, .out = 1 };

	agent.machine = argc < 2 || strcmp(argv[1], "--stdio");
	if (agent.machine) {
		mount_all();
		agent.in = agent.out = open_port();
	}
	greet(&agent);
	serve(&agent);
	while (agent.machine)
		pause();
	return 0;
}
