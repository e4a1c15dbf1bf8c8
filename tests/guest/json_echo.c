// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads lines; writes each as the agent's parser sees it, or "refused". */
#include <stdio.h>

#include "json.h"
#include "line.h"

static void put_member(struct json_out *out, const struct json_member *member)
{
	if (member->type == JSON_STRING)
		json_put_text(out, member->key, member->text);
	else if (member->type == JSON_INT)
		json_put_int(out, member->key, member->number);
	else
		json_put_bool(out, member->key, member->number);
}

static void echo(struct json_out *out, const struct json_object *object)
{
	out->len = 0;
	out->full = out->comma = false;
	json_open(out, NULL, '{');
	for (size_t i = 0; i < object->count; i++)
		put_member(out, &object->members[i]);
	json_close(out, '}');
	printf("%.*s\n", (int)out->len, out->data);
}

int main(void)
{
	static struct line_reader reader;
	static struct json_out out;
	struct json_object object;
	char *line;
	size_t len;

	while (line_next(&reader, &line, &len) != LINE_END) {
		if (json_parse(line, len, &object))
			echo(&out, &object);
		else
			printf("refused\n");
	}
	return 0;
}
