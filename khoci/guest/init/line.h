/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines of bounded length from a file descriptor. */
#ifndef KHOCI_LINE_H
#define KHOCI_LINE_H

#include <stddef.h>

#define LINE_SIZE	(64 * 1024)

enum line {
	LINE_READ,
	LINE_TOO_LONG,
	LINE_END,
};

struct line_reader {
	int fd;
	size_t start;
	size_t end;
	char data[LINE_SIZE];
};

/*
 * The next line, without its newline; valid until the next call. Of one that
 * is too long only the end is there. A last line without newline is dropped.
 */
enum line line_next(struct line_reader *reader, char **line, size_t *len);

#endif
