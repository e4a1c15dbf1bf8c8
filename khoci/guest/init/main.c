// SPDX-License-Identifier: GPL-2.0-or-later
/* The static /init of khoci's guests: PID 1, and nothing else runs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

#include "agent.h"
#include "fds.h"
#include "files.h"

#define TTY	"/dev/ttyS1"

static void make_raw(int tty)
{
	struct termios mode;

	if (tcgetattr(tty, &mode))
		return;
	cfmakeraw(&mode);
	mode.c_cflag |= CLOCAL | CREAD;
	cfsetspeed(&mode, B115200);
	tcsetattr(tty, TCSANOW, &mode);
}

/* Without a line to the host the only place left to say so is the log. */
static void give_up(int errnum)
{
	char text[96];

	snprintf(text, sizeof(text), "<2>khoci: open " TTY ": %s\n",
		 strerrorname_np(errnum));
	file_write("/dev/kmsg", text);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static int open_tty(void)
{
	int tty = open(TTY, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (tty < 0)
		give_up(errno);
	make_raw(tty);
	return tty;
}

static int run_on_host(struct agent *agent)
{
	agent->host = true;
	agent->in = STDIN_FILENO;
	agent->out = STDOUT_FILENO;
	say_hello(agent);
	serve(agent);
	return 0;
}

static void run_as_init(struct agent *agent)
{
	mount_all(agent->mounts);
	allow_many_fds();
	agent->in = agent->out = open_tty();
	say_hello(agent);
	for (;;) {
		serve(agent);
		sleep(1);
	}
}

int main(int argc, char **argv)
{
	static struct agent agent;

	if (argc == 2 && !strcmp(argv[1], "--stdio"))
		return run_on_host(&agent);
	if (getpid() == 1)
		run_as_init(&agent);
	fprintf(stderr, "usage: init --stdio (it is meant to be PID 1)\n");
	return 2;
}
