// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"

#define KALLSYMS	"/proc/kallsyms"

/* The address of a function, 0 if there is none of that name or it is hidden. */
static unsigned long long address_of(FILE *symbols, const char *name)
{
	unsigned long long address;
	char line[512], found[256], type;

	while (fgets(line, sizeof(line), symbols)) {
		if (sscanf(line, "%llx %c %255s", &address, &type, found) == 3 &&
		    (type == 'T' || type == 't') && !strcmp(found, name))
			return address;
	}
	return 0;
}

bool run_symbol(struct agent *agent, const struct json_object *arguments)
{
	const char *name = need_text(agent, arguments, "name");
	unsigned long long address;
	char text[32];
	FILE *symbols;

	if (!name)
		return false;
	symbols = fopen(KALLSYMS, "re");
	if (!symbols)
		return failed(agent, errno, "open %s", KALLSYMS);
	address = address_of(symbols, name);
	fclose(symbols);
	if (!address)
		return failed(agent, ENOENT, "%s has no address for %s",
			      KALLSYMS, name);
	snprintf(text, sizeof(text), "%#llx", address);
	json_put_text(&agent->answer, "address", text);
	return true;
}
