/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * File descriptors as handles: an answer gives them as "fds":[5,6], an argument
 * takes them as "5,6". They stay open until they are closed by command, or the
 * kernel is left.
 */
#ifndef KHOCI_FDS_H
#define KHOCI_FDS_H

#include "agent.h"

#define FDS_MAX		16384

struct fd_list {
	size_t count;
	int fds[FDS_MAX];
};

/* An argument that must be there; false, and noted by failed(), if it is not. */
bool need_fd(struct agent *agent, const struct json_object *arguments,
	     const char *key, int *fd);

/* The argument "fds"; else the same. */
bool need_fds(struct agent *agent, const struct json_object *arguments,
	      struct fd_list *list);

/* Add the list to the answer; always true, to be returned. */
bool put_fds(struct agent *agent, const struct fd_list *list);

/* Close what was opened before something failed; always false. */
bool drop_fds(struct fd_list *list);

/* Let this process have all the descriptors that a list can hold. */
void allow_many_fds(void);

#endif
