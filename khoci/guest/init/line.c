// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "line.h"

static char *find_newline(struct line_reader *reader)
{
	return memchr(reader->data + reader->start, '\n',
		      reader->end - reader->start);
}

/* True if that took dropping the beginning of a line. */
static bool make_room(struct line_reader *reader)
{
	bool full;

	reader->end -= reader->start;
	memmove(reader->data, reader->data + reader->start, reader->end);
	reader->start = 0;
	full = reader->end == sizeof(reader->data);
	if (full)
		reader->end = 0;
	return full;
}

static bool fill(struct line_reader *reader)
{
	ssize_t got;

	do {
		got = read(reader->fd, reader->data + reader->end,
			   sizeof(reader->data) - reader->end);
	} while (got < 0 && errno == EINTR);
	if (got <= 0)
		return false;
	reader->end += got;
	return true;
}

enum line line_next(struct line_reader *reader, char **line, size_t *len)
{
	bool too_long = false;
	char *newline;

	while (!(newline = find_newline(reader))) {
		too_long |= make_room(reader);
		if (!fill(reader))
			return LINE_END;
	}
	*line = reader->data + reader->start;
	*len = newline - *line;
	reader->start += *len + 1;
	return too_long ? LINE_TOO_LONG : LINE_READ;
}
