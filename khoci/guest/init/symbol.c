// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"

#define KALLSYMS	"/proc/kallsyms"

static bool find_function(FILE *symbols, const char *name,
			  unsigned long long *address)
{
	char line[512], found[256], type;

	while (fgets(line, sizeof(line), symbols)) {
		if (sscanf(line, "%llx %c %255s", address, &type, found) == 3 &&
		    (type == 'T' || type == 't') && !strcmp(found, name))
			return true;
	}
	return false;
}

bool run_symbol(struct agent *agent, const struct json_object *arguments)
{
	const char *name = need_text(agent, arguments, "name");
	unsigned long long address;
	char text[32];
	FILE *symbols;
	bool found;

	if (!name)
		return false;
	symbols = fopen(KALLSYMS, "re");
	if (!symbols)
		return failed(agent, errno, "open %s", KALLSYMS);
	found = find_function(symbols, name, &address);
	fclose(symbols);
	if (!found)
		return failed(agent, ENOENT, "%s has no function %s", KALLSYMS,
			      name);
	if (!address)
		return failed(agent, EPERM, "%s hides addresses", KALLSYMS);
	snprintf(text, sizeof(text), "%#llx", address);
	json_put_text(&agent->answer, "address", text);
	return true;
}
