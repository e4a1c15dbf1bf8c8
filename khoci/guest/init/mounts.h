/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file systems the agent needs. */
#ifndef KHOCI_MOUNTS_H
#define KHOCI_MOUNTS_H

#define MOUNT_POINTS	4

/* error is the errno if it could not be mounted, else 0. */
struct mount_point {
	const char *type;
	int error;
};

void mount_all(struct mount_point points[MOUNT_POINTS]);

#endif
