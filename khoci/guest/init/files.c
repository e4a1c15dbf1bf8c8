// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

static ssize_t read_fully(int fd, char *data, size_t size)
{
	size_t len = 0;
	ssize_t got;

	while (len < size) {
		got = read(fd, data + len, size - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (!got)
			break;
		len += got;
	}
	return len;
}

static void close_keeping_errno(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
}

ssize_t file_read(const char *path, off_t offset, char *data, size_t size)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -1;
	if (offset && lseek(fd, offset, SEEK_SET) < 0)
		len = -1;
	else
		len = read_fully(fd, data, size);
	close_keeping_errno(fd);
	return len;
}

void file_text(const char *path, char *text, size_t size)
{
	ssize_t len = file_read(path, 0, text, size - 1);

	if (len > 0 && text[len - 1] == '\n')
		len--;
	text[len > 0 ? len : 0] = '\0';
}

bool file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	done = write(fd, text, strlen(text)) >= 0;
	close_keeping_errno(fd);
	return done;
}

static int is_name(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
}

int folder_read(const char *path, struct dirent ***entries)
{
	return scandir(path, entries, is_name, versionsort);
}

void folder_free(struct dirent **entries, int count)
{
	if (count < 0)
		return;
	while (count--)
		free(entries[count]);
	free(entries);
}

long long meminfo_kb(const char *name)
{
	char text[4096];
	const char *line;

	file_text("/proc/meminfo", text, sizeof(text));
	line = strstr(text, name);
	return line ? strtoll(line + strlen(name), NULL, 10) : 0;
}
