/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers inside of text arguments. */
#ifndef KHOCI_NUMBER_H
#define KHOCI_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

struct range {
	uint64_t start;
	uint64_t len;
};

/* Read a number without sign and move behind it; false if there is none. */
bool parse_number(const char **text, uint64_t *number);

/* Read "start:len", and the comma if another range follows. */
bool parse_range(const char **text, struct range *range);

#endif
