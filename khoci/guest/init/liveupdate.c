// SPDX-License-Identifier: GPL-2.0-or-later
/* Sessions of the live update orchestrator, and the files in them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "commands.h"
#include "fds.h"
#include "liveupdate.h"

/* A name that fills the field has no NUL, as the kernel would see of a bug. */
static bool set_name(struct agent *agent, char field[LUO_NAME_SIZE],
		     const char *name)
{
	size_t len = strlen(name);

	if (len > LUO_NAME_SIZE)
		return failed(agent, ENAMETOOLONG, "session %s", name);
	memcpy(field, name, len);
	return true;
}

static bool add_session(struct agent *agent, int device, unsigned long request,
			const char *name, struct fd_list *list)
{
	struct luo_session session = { .size = sizeof(session) };

	if (!set_name(agent, session.name, name))
		return false;
	if (ioctl(device, request, &session))
		return failed(agent, errno, "session %s", name);
	list->fds[list->count++] = session.fd;
	return true;
}

/* Without a count one session of this name, else name0, name1, ... */
static bool add_sessions(struct agent *agent,
			 const struct json_object *arguments,
			 unsigned long request, struct fd_list *list)
{
	const char *name = need_text(agent, arguments, "name");
	long long count = 0;
	char numbered[2 * LUO_NAME_SIZE];
	int device;

	if (!name || !need_fd(agent, arguments, "device", &device) ||
	    !number_between(agent, arguments, "count", 1, FDS_MAX, &count))
		return false;
	if (!count)
		return add_session(agent, device, request, name, list);
	for (long long i = 0; i < count; i++) {
		snprintf(numbered, sizeof(numbered), "%s%lld", name, i);
		if (!add_session(agent, device, request, numbered, list))
			return false;
	}
	return true;
}

static bool open_sessions(struct agent *agent,
			  const struct json_object *arguments,
			  unsigned long request)
{
	static struct fd_list list;

	list.count = 0;
	return add_sessions(agent, arguments, request, &list) ?
		       put_fds(agent, &list) :
		       drop_fds(&list);
}

bool run_create_session(struct agent *agent,
			const struct json_object *arguments)
{
	return open_sessions(agent, arguments, LUO_CREATE_SESSION);
}

bool run_retrieve_session(struct agent *agent,
			  const struct json_object *arguments)
{
	return open_sessions(agent, arguments, LUO_RETRIEVE_SESSION);
}

static bool need_session(struct agent *agent,
			 const struct json_object *arguments, int *session,
			 struct luo_file *file)
{
	const long long *token = json_int(arguments, "token");

	if (!token)
		return failed(agent, EINVAL, "no number for token");
	*file = (struct luo_file){ .size = sizeof(*file), .token = *token };
	return need_fd(agent, arguments, "session", session);
}

/* The files get token, token + 1, ... */
bool run_preserve(struct agent *agent, const struct json_object *arguments)
{
	static struct fd_list list;
	struct luo_file file;
	int session;

	if (!need_session(agent, arguments, &session, &file) ||
	    !need_fds(agent, arguments, &list))
		return false;
	for (size_t i = 0; i < list.count; i++, file.token++) {
		file.fd = list.fds[i];
		if (ioctl(session, LUO_PRESERVE_FD, &file))
			return failed(agent, errno, "preserve token %llu",
				      (unsigned long long)file.token);
	}
	return true;
}

static bool retrieve_files(struct agent *agent, int session,
			   struct luo_file *file, size_t count,
			   struct fd_list *list)
{
	for (; list->count < count; file->token++) {
		if (ioctl(session, LUO_RETRIEVE_FD, file))
			return failed(agent, errno, "retrieve token %llu",
				      (unsigned long long)file->token);
		list->fds[list->count++] = file->fd;
	}
	return true;
}

bool run_retrieve(struct agent *agent, const struct json_object *arguments)
{
	static struct fd_list list;
	struct luo_file file;
	long long count = 1;
	int session;

	list.count = 0;
	if (!need_session(agent, arguments, &session, &file) ||
	    !number_between(agent, arguments, "count", 1, FDS_MAX, &count))
		return false;
	return retrieve_files(agent, session, &file, count, &list) ?
		       put_fds(agent, &list) :
		       drop_fds(&list);
}

bool run_finish(struct agent *agent, const struct json_object *arguments)
{
	struct luo_finish finish = { .size = sizeof(finish) };
	static struct fd_list list;

	if (!need_fds(agent, arguments, &list))
		return false;
	for (size_t i = 0; i < list.count; i++)
		if (ioctl(list.fds[i], LUO_FINISH, &finish))
			return failed(agent, errno, "finish fd %d",
				      list.fds[i]);
	return true;
}

bool run_session_name(struct agent *agent, const struct json_object *arguments)
{
	struct luo_name name = { .size = sizeof(name) };
	int session;

	if (!need_fd(agent, arguments, "session", &session))
		return false;
	if (ioctl(session, LUO_GET_NAME, &name))
		return failed(agent, errno, "name of fd %d", session);
	json_put_bytes(&agent->answer, "name", name.name,
		       strnlen(name.name, sizeof(name.name)));
	return true;
}
