// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "commands.h"
#include "cycles.h"
#include "files.h"

bool run_finalize(struct agent *agent, const struct json_object *arguments)
{
	const char *path = KHO_FOLDER "/out/finalize";
	const char *value = json_text(arguments, "value");
	bool present = !access(path, F_OK);

	if (present && !file_write(path, value ? value : "1"))
		return failed(agent, errno, "write %s", path);
	json_put_bool(&agent->answer, "present", present);
	return true;
}

static int open_image(struct agent *agent, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		failed(agent, errno, "open %s", path);
	return fd;
}

static bool load(struct agent *agent, int kernel, int initrd,
		 const char *cmdline)
{
	unsigned long flags = initrd < 0 ? KEXEC_FILE_NO_INITRAMFS : 0;
	unsigned long long began = cycles();

	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(cmdline) + 1,
		    cmdline, flags))
		return failed(agent, errno, "kexec_file_load");
	json_put_int(&agent->answer, "cycles", cycles() - began);
	return true;
}

static bool load_with_initrd(struct agent *agent, int kernel,
			     const char *path, const char *cmdline)
{
	int initrd = open_image(agent, path);
	bool done;

	if (initrd < 0)
		return false;
	done = load(agent, kernel, initrd, cmdline);
	close(initrd);
	return done;
}

bool run_load(struct agent *agent, const struct json_object *arguments)
{
	const char *initrd = json_text(arguments, "initrd");
	const char *path = need_text(agent, arguments, "kernel");
	const char *cmdline = need_text(agent, arguments, "cmdline");
	int kernel;
	bool done;

	if (!path || !cmdline)
		return false;
	kernel = open_image(agent, path);
	if (kernel < 0)
		return false;
	done = initrd ? load_with_initrd(agent, kernel, initrd, cmdline) :
			load(agent, kernel, -1, cmdline);
	close(kernel);
	return done;
}

bool run_jump(struct agent *agent, const struct json_object *arguments)
{
	char loaded[8];

	(void)arguments;
	file_text("/sys/kernel/kexec_loaded", loaded, sizeof(loaded));
	if (strcmp(loaded, "1"))
		return failed(agent, ENODEV, "no consumer is loaded");
	return true;
}

void after_jump(struct agent *agent)
{
	reboot(RB_KEXEC);
	send_event(agent, "jump-failed", "reboot", errno);
}
