// SPDX-License-Identifier: GPL-2.0-or-later
#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *skip_space(char *at)
{
	while (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')
		at++;
	return at;
}

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

/* Only ASCII is written with \u by the host; anything else is refused. */
static char *unescape_unicode(char *at, char *to)
{
	int value = 0;

	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(at[i]);

		if (digit < 0)
			return NULL;
		value = value * 16 + digit;
	}
	if (value < 1 || value > 127)
		return NULL;
	*to = (char)value;
	return at + 4;
}

static char *unescape(char *at, char *to)
{
	static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
	const char *found;

	if (*at == 'u')
		return unescape_unicode(at + 1, to);
	found = *at ? strchr(from, *at) : NULL;
	if (!found)
		return NULL;
	*to = into[found - from];
	return at + 1;
}

/* Unescapes a string in place; returns what is behind it, NULL if it is not one. */
static char *parse_string(char *at, const char **text)
{
	char *to;

	if (*at != '"')
		return NULL;
	to = ++at;
	*text = to;
	while (*at != '"') {
		if ((unsigned char)*at < 0x20)
			return NULL;
		if (*at == '\\') {
			at = unescape(at + 1, to);
			if (!at)
				return NULL;
		} else {
			*to = *at++;
		}
		to++;
	}
	*to = '\0';
	return at + 1;
}

static char *parse_number(char *at, long long *number)
{
	char *end;

	if (*at != '-' && (*at < '0' || *at > '9'))
		return NULL;
	*number = strtoll(at, &end, 10);
	return end == at ? NULL : end;
}

static char *parse_value(char *at, struct json_field *field)
{
	field->text = NULL;
	field->number = 0;
	if (*at == '"')
		return parse_string(at, &field->text);
	if (!strncmp(at, "true", 4)) {
		field->number = 1;
		return at + 4;
	}
	if (!strncmp(at, "false", 5))
		return at + 5;
	return parse_number(at, &field->number);
}

static char *parse_field(char *at, struct json_object *object)
{
	struct json_field *field = &object->fields[object->count];

	if (object->count == JSON_MAX_FIELDS)
		return NULL;
	at = parse_string(skip_space(at), &field->name);
	if (!at)
		return NULL;
	at = skip_space(at);
	if (*at != ':')
		return NULL;
	at = parse_value(skip_space(at + 1), field);
	if (!at)
		return NULL;
	object->count++;
	return skip_space(at);
}

bool json_parse(char *line, struct json_object *object)
{
	char *at = skip_space(line);

	object->count = 0;
	if (*at != '{')
		return false;
	at = skip_space(at + 1);
	if (*at == '}')
		return !*skip_space(at + 1);
	do {
		at = parse_field(at, object);
	} while (at && *at++ == ',');
	return at && at[-1] == '}' && !*skip_space(at);
}

static const struct json_field *find(const struct json_object *object, const char *name)
{
	for (int i = 0; i < object->count; i++)
		if (!strcmp(object->fields[i].name, name))
			return &object->fields[i];
	return NULL;
}

const char *json_text(const struct json_object *object, const char *name)
{
	const struct json_field *field = find(object, name);

	return field ? field->text : NULL;
}

bool json_number(const struct json_object *object, const char *name, long long *number)
{
	const struct json_field *field = find(object, name);

	if (!field || field->text)
		return false;
	*number = field->number;
	return true;
}

static void append(struct json_out *out, const char *text, size_t length)
{
	if (out->length + length > out->size) {
		out->size = (out->length + length) * 2 + 256;
		out->text = realloc(out->text, out->size);
		if (!out->text)
			abort();
	}
	memcpy(out->text + out->length, text, length);
	out->length += length;
}

static void append_text(struct json_out *out, const char *text)
{
	append(out, text, strlen(text));
}

static void escape(struct json_out *out, const char *text, size_t length)
{
	char code[8];

	append_text(out, "\"");
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = text[i];

		if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\') {
			append(out, &text[i], 1);
		} else {
			snprintf(code, sizeof(code), "\\u%04x", byte);
			append_text(out, code);
		}
	}
	append_text(out, "\"");
}

static void start(struct json_out *out, const char *name)
{
	if (out->comma)
		append_text(out, ",");
	out->comma = true;
	if (!name)
		return;
	escape(out, name, strlen(name));
	append_text(out, ":");
}

void json_begin(struct json_out *out)
{
	out->length = 0;
	out->comma = false;
}

void json_open(struct json_out *out, const char *name, char bracket)
{
	start(out, name);
	append(out, &bracket, 1);
	out->comma = false;
}

void json_close(struct json_out *out, char bracket)
{
	append(out, &bracket, 1);
	out->comma = true;
}

void json_put_text(struct json_out *out, const char *name, const char *text, size_t length)
{
	start(out, name);
	escape(out, text, length);
}

void json_put_string(struct json_out *out, const char *name, const char *text)
{
	json_put_text(out, name, text, strlen(text));
}

void json_put_number(struct json_out *out, const char *name, long long number)
{
	char text[24];

	start(out, name);
	snprintf(text, sizeof(text), "%lld", number);
	append_text(out, text);
}

void json_put_bool(struct json_out *out, const char *name, bool value)
{
	start(out, name);
	append_text(out, value ? "true" : "false");
}
