/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The user interface of /dev/liveupdate as include/uapi/linux/liveupdate.h of
 * 7.3 has it; no host can be relied on to have that header.
 *
 * It is the same from 6.19 to 7.3 but for GET_NAME, which came with 7.2. The
 * first member of each struct is the size of it. Kernels take a larger one if
 * the rest is zero, so a struct that grows goes on working.
 */
#ifndef KHOCI_LIVEUPDATE_H
#define KHOCI_LIVEUPDATE_H

#include <linux/ioctl.h>
#include <stdint.h>

#define LUO_NAME_SIZE		64

/* On the device. */
#define LUO_CREATE_SESSION	_IO(0xba, 0x00)
#define LUO_RETRIEVE_SESSION	_IO(0xba, 0x01)

/* On a session. */
#define LUO_PRESERVE_FD		_IO(0xba, 0x40)
#define LUO_RETRIEVE_FD		_IO(0xba, 0x41)
#define LUO_FINISH		_IO(0xba, 0x42)
#define LUO_GET_NAME		_IO(0xba, 0x43)

/* CREATE_SESSION and RETRIEVE_SESSION; the kernel sets fd. */
struct luo_session {
	uint32_t size;
	int32_t fd;
	char name[LUO_NAME_SIZE];
};

/* PRESERVE_FD, and RETRIEVE_FD where the kernel sets fd. */
struct luo_file {
	uint32_t size;
	int32_t fd;
	uint64_t token;
};

struct luo_finish {
	uint32_t size;
	uint32_t reserved;
};

/* GET_NAME; the kernel sets name. */
struct luo_name {
	uint32_t size;
	uint32_t reserved;
	char name[LUO_NAME_SIZE];
};

#endif
