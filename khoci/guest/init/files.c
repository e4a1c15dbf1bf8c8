// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

#define MAX_READ (1 << 16)

static const char *path_argument(struct request *request)
{
	const char *path = json_text(request->arguments, "path");

	if (!path)
		refuse(request, "path is missing");
	return path;
}

/* The first bytes of a file as text; a byte that is not ASCII is \u00xx. */
void command_read(struct request *request)
{
	const char *path = path_argument(request);
	static char text[MAX_READ];
	size_t length = 0;
	ssize_t got = 0;
	int fd;

	if (!path)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fail(request, path);
		return;
	}
	while (length < sizeof(text)) {
		got = read(fd, text + length, sizeof(text) - length);
		if (got <= 0)
			break;
		length += got;
	}
	if (got < 0)
		fail(request, path);
	close(fd);
	json_put_text(request->out, "text", text, length);
}

static int is_entry(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
}

/* An array of the names in a folder, sorted; empty if there is no such folder. */
void put_listing(struct json_out *out, const char *name, const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_entry, alphasort);

	json_open(out, name, '[');
	for (int i = 0; i < count; i++) {
		json_put_string(out, NULL, entries[i]->d_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	json_close(out, ']');
}

void command_list(struct request *request)
{
	const char *path = path_argument(request);

	if (!path)
		return;
	if (access(path, R_OK))
		fail(request, path);
	put_listing(request->out, "names", path);
}
