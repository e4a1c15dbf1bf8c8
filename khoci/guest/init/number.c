// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>

#include "number.h"

bool parse_number(const char **text, uint64_t *number)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	*number = strtoull(*text, &end, 0);
	*text = end;
	return !errno;
}

bool parse_range(const char **text, struct range *range)
{
	uint64_t end;

	if (!parse_number(text, &range->start) || *(*text)++ != ':' ||
	    !parse_number(text, &range->len))
		return false;
	if (__builtin_add_overflow(range->start, range->len, &end))
		return false;
	if (**text != ',')
		return !**text;
	(*text)++;
	return **text;
}
