/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The agent: what every command gets to work with. */
#ifndef KHOCI_AGENT_H
#define KHOCI_AGENT_H

#include <stdbool.h>

#include "json.h"
#include "mounts.h"

#define PROTOCOL_VERSION	1

/*
 * host is set when the agent runs for a test on the host: commands that act on
 * the machine are refused then. id is that of the command in work, 0 if it has
 * none. said_ns is the uptime when the host last heard of it. error is why a
 * command failed, as the answer tells it.
 */
struct agent {
	int in;
	int out;
	bool host;
	long long id;
	long long said_ns;
	int errnum;
	char error[512];
	struct mount_point mounts[MOUNT_POINTS];
	struct json_out answer;
};

/* Say who this is and what it found. */
void say_hello(struct agent *agent);

/* Obey until there are no more commands. */
void serve(struct agent *agent);

/* A message is one object on a line: begin, json_put_*(), send. */
void message_begin(struct agent *agent);
void message_send(struct agent *agent);
void answer_begin(struct agent *agent);
/* Send a part of the answer; the rest follows in another. */
void answer_send_part(struct agent *agent);

/* To be called while a command takes long: now and then the host is told. */
void say_busy(struct agent *agent);

/* Note why a command failed, "what: ENAME"; always false, to be returned. */
bool failed(struct agent *agent, int errnum, const char *what, ...)
	__attribute__((format(printf, 3, 4)));

/* Report an event that is nobody's answer, with the error that caused it. */
void send_event(struct agent *agent, const char *event, const char *what,
		int errnum);

#endif
