// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "files.h"

/* PRINTKRB_RECORD_MAX of the kernel is less. */
#define RECORD_SIZE	8192
#define PART_SIZE	(32 * 1024)

/*
 * A record of Documentation/ABI/testing/dev-kmsg, "prio,seq,usec,…;text\n" and
 * a dictionary, becomes "[ sec.usec] text" as dmesg shows it.
 */
static void put_record(struct json_out *out, char *record)
{
	char line[RECORD_SIZE + 64];
	unsigned long long usec;
	char *text = strchr(record, ';');

	if (!text || sscanf(record, "%*u,%*u,%llu", &usec) != 1)
		return;
	text[strcspn(text, "\n")] = '\0';
	snprintf(line, sizeof(line), "[%5llu.%06llu] %s", usec / 1000000,
		 usec % 1000000, text + 1);
	json_put_text(out, NULL, line);
}

static void put_record_or_part(struct agent *agent, char *record)
{
	if (agent->answer.len > PART_SIZE) {
		json_close(&agent->answer, ']');
		answer_send_part(agent);
		json_open(&agent->answer, "lines", '[');
	}
	put_record(&agent->answer, record);
}

/* EPIPE: records were overwritten before they were read; the next is there. */
static bool read_records(struct agent *agent, int fd)
{
	char record[RECORD_SIZE + 1];
	ssize_t len;

	for (;;) {
		len = read(fd, record, RECORD_SIZE);
		if (len < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (len < 0)
			return errno == EAGAIN;
		record[len] = '\0';
		put_record_or_part(agent, record);
	}
}

/* A line in the log; without its end the kernel would wait for the rest. */
bool run_mark(struct agent *agent, const struct json_object *arguments)
{
	const char *text = need_text(agent, arguments, "text");
	char line[128];

	if (!text)
		return false;
	snprintf(line, sizeof(line), "%s\n", text);
	return file_write("/dev/kmsg", line) ||
	       failed(agent, errno, "write /dev/kmsg");
}

bool run_kmsg(struct agent *agent, const struct json_object *arguments)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	bool done;

	(void)arguments;
	if (fd < 0)
		return failed(agent, errno, "open /dev/kmsg");
	json_open(&agent->answer, "lines", '[');
	done = read_records(agent, fd) ||
	       failed(agent, errno, "read /dev/kmsg");
	json_close(&agent->answer, ']');
	close(fd);
	return done;
}
