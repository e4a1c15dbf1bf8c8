/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KHOCI_AGENT_H
#define KHOCI_AGENT_H

#include <stdbool.h>

#include "json.h"

#define KHOCI_PROTOCOL 1
#define KHO_DIR "/sys/kernel/debug/kho"

/* A command being answered. Fields go to out; fail() makes the answer a refusal. */
struct request {
	const struct json_object *arguments;
	struct json_out *out;
	char error[256];
	int error_number;
};

typedef void (*command_fn)(struct request *request);

/* "what: EWHATEVER" from errno. */
void fail(struct request *request, const char *what);
void refuse(struct request *request, const char *why);

/* kexec.c */
void command_finalize(struct request *request);
void command_load(struct request *request);
bool kexec_jump(void);

/* memory.c */
void command_pages(struct request *request);
void command_pressure(struct request *request);

/* files.c */
void command_read(struct request *request);
void command_list(struct request *request);
void put_listing(struct json_out *out, const char *name, const char *path);

#endif
