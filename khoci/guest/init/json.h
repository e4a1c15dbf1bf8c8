/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The little JSON the agent speaks: flat objects in, any nesting out. */
#ifndef KHOCI_JSON_H
#define KHOCI_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* Values of one flat object; text is unescaped and lives in the object. */
#define JSON_MAX_FIELDS 16

struct json_field {
	const char *name;
	const char *text;	/* NULL if the value is a number or a bool */
	long long number;
};

struct json_object {
	struct json_field fields[JSON_MAX_FIELDS];
	int count;
};

/* Parses line in place. False if it is not one flat object of strings, integers and bools. */
bool json_parse(char *line, struct json_object *object);

const char *json_text(const struct json_object *object, const char *name);
bool json_number(const struct json_object *object, const char *name, long long *number);

/* A growing text; what does not fit in memory ends the agent. */
struct json_out {
	char *text;
	size_t length, size;
	bool comma;
};

void json_begin(struct json_out *out);
void json_open(struct json_out *out, const char *name, char bracket);
void json_close(struct json_out *out, char bracket);
void json_put_text(struct json_out *out, const char *name, const char *text, size_t length);
void json_put_string(struct json_out *out, const char *name, const char *text);
void json_put_number(struct json_out *out, const char *name, long long number);
void json_put_bool(struct json_out *out, const char *name, bool value);

#endif
