// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"

#define FINALIZE KHO_DIR "/out/finalize"

/* Before 7.1 the handover is serialised on demand; 6.17 and 6.18 want it before the load. */
void command_finalize(struct request *request)
{
	int fd = open(FINALIZE, O_WRONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		json_put_bool(request->out, "present", false);
		return;
	}
	if (fd < 0 || write(fd, "1", 1) != 1)
		fail(request, FINALIZE);
	if (fd >= 0)
		close(fd);
	json_put_bool(request->out, "present", true);
}

static int open_argument(struct request *request, const char *name)
{
	const char *path = json_text(request->arguments, name);
	int fd;

	if (!path) {
		refuse(request, "an argument is missing");
		return -1;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail(request, path);
	return fd;
}

void command_load(struct request *request)
{
	const char *cmdline = json_text(request->arguments, "cmdline");
	int kernel = open_argument(request, "kernel");
	int initrd = open_argument(request, "initrd");

	if (!cmdline)
		refuse(request, "an argument is missing");
	else if (kernel >= 0 && initrd >= 0 &&
		 syscall(SYS_kexec_file_load, kernel, initrd, strlen(cmdline) + 1, cmdline, 0UL))
		fail(request, "kexec_file_load");
	close(kernel);
	close(initrd);
}

/* Returns only if there is nothing to jump to. */
bool kexec_jump(void)
{
	sync();
	return !reboot(RB_KEXEC);
}
