/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of the protocol. */
#ifndef KHOCI_COMMANDS_H
#define KHOCI_COMMANDS_H

#include <stdbool.h>

#include "agent.h"

/*
 * run adds to the answer, or returns failed(). after is called when the answer
 * is out. guest_only commands act on the machine and are refused on the host.
 */
struct command {
	const char *name;
	bool (*run)(struct agent *agent, const struct json_object *arguments);
	void (*after)(struct agent *agent);
	bool guest_only;
};

/* NULL if there is none of that name. */
const struct command *find_command(const char *name);

bool run_finalize(struct agent *agent, const struct json_object *arguments);
bool run_receive(struct agent *agent, const struct json_object *arguments);
bool run_sum(struct agent *agent, const struct json_object *arguments);
bool run_load(struct agent *agent, const struct json_object *arguments);
bool run_jump(struct agent *agent, const struct json_object *arguments);
void after_jump(struct agent *agent);
bool run_poweroff(struct agent *agent, const struct json_object *arguments);
void after_poweroff(struct agent *agent);
bool run_crash(struct agent *agent, const struct json_object *arguments);
void after_crash(struct agent *agent);
bool run_read(struct agent *agent, const struct json_object *arguments);
bool run_write(struct agent *agent, const struct json_object *arguments);
bool run_list(struct agent *agent, const struct json_object *arguments);
bool run_pages(struct agent *agent, const struct json_object *arguments);
bool run_pressure(struct agent *agent, const struct json_object *arguments);
bool run_relax(struct agent *agent, const struct json_object *arguments);
bool run_kmsg(struct agent *agent, const struct json_object *arguments);
bool run_mark(struct agent *agent, const struct json_object *arguments);
bool run_symbol(struct agent *agent, const struct json_object *arguments);
bool run_open(struct agent *agent, const struct json_object *arguments);
bool run_close(struct agent *agent, const struct json_object *arguments);
bool run_memfd(struct agent *agent, const struct json_object *arguments);
bool run_fill(struct agent *agent, const struct json_object *arguments);
bool run_check(struct agent *agent, const struct json_object *arguments);
bool run_seek(struct agent *agent, const struct json_object *arguments);
bool run_seal(struct agent *agent, const struct json_object *arguments);
bool run_create_session(struct agent *agent,
			const struct json_object *arguments);
bool run_retrieve_session(struct agent *agent,
			  const struct json_object *arguments);
bool run_session_name(struct agent *agent, const struct json_object *arguments);
bool run_preserve(struct agent *agent, const struct json_object *arguments);
bool run_retrieve(struct agent *agent, const struct json_object *arguments);
bool run_finish(struct agent *agent, const struct json_object *arguments);

/* An argument that must be there; NULL, and noted by failed(), if it is not. */
const char *need_text(struct agent *agent, const struct json_object *arguments,
		      const char *key);

/* An argument that may be there; if it is not, number keeps its value. */
bool number_between(struct agent *agent, const struct json_object *arguments,
		    const char *key, long long low, long long high,
		    long long *number);

#endif
