// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "files.h"

#define READ_MAX	(64 * 1024)

static bool is_text(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((bytes[i] < 0x20 || bytes[i] > 0x7e) &&
		    !(bytes[i] && strchr("\n\r\t", bytes[i])))
			return false;
	return true;
}

bool run_read(struct agent *agent, const struct json_object *arguments)
{
	static char bytes[READ_MAX + 1];
	const char *path = need_text(agent, arguments, "path");
	const long long *max = json_int(arguments, "max");
	ssize_t limit = max ? *max : READ_MAX;
	long long offset = 0;
	ssize_t len;

	if (!path ||
	    !number_between(agent, arguments, "offset", 0, LLONG_MAX, &offset))
		return false;
	if (limit < 0 || limit > READ_MAX)
		return failed(agent, EINVAL, "max is not 0 to %d", READ_MAX);
	len = file_read(path, offset, bytes, limit + 1);
	if (len < 0)
		return failed(agent, errno, "read %s", path);
	json_put_bool(&agent->answer, "truncated", len > limit);
	if (len > limit)
		len = limit;
	if (is_text(bytes, len))
		json_put_bytes(&agent->answer, "text", bytes, len);
	else
		json_put_hex(&agent->answer, "hex", bytes, len);
	return true;
}

static void put_name(struct json_out *out, const struct dirent *entry)
{
	char name[sizeof(entry->d_name) + 1];

	snprintf(name, sizeof(name), "%s%s", entry->d_name,
		 entry->d_type == DT_DIR ? "/" : "");
	json_put_text(out, NULL, name);
}

bool run_list(struct agent *agent, const struct json_object *arguments)
{
	const char *path = need_text(agent, arguments, "path");
	struct dirent **entries = NULL;
	int count;

	if (!path)
		return false;
	count = folder_read(path, &entries);
	if (count < 0)
		return failed(agent, errno, "list %s", path);
	json_open(&agent->answer, "names", '[');
	for (int i = 0; i < count; i++)
		put_name(&agent->answer, entries[i]);
	json_close(&agent->answer, ']');
	folder_free(entries, count);
	return true;
}
