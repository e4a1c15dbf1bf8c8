// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "mounts.h"

static int mount_one(const char *type, const char *target)
{
	mkdir(target, 0755);
	if (!mount("none", target, type, 0, NULL) || errno == EBUSY)
		return 0;
	return errno;
}

void mount_all(struct mount_point points[MOUNT_POINTS])
{
	static const char *const wanted[MOUNT_POINTS][2] = {
		{ "devtmpfs", "/dev" },
		{ "proc", "/proc" },
		{ "sysfs", "/sys" },
		{ "debugfs", "/sys/kernel/debug" },
	};

	for (size_t i = 0; i < MOUNT_POINTS; i++) {
		points[i].type = wanted[i][0];
		points[i].error = mount_one(wanted[i][0], wanted[i][1]);
	}
}
