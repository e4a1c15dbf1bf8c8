// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "json.h"

struct cursor {
	char *at;
	char *end;
};

static void skip_space(struct cursor *cursor)
{
	while (cursor->at < cursor->end && strchr(" \t\r", *cursor->at) &&
	       *cursor->at)
		cursor->at++;
}

static bool take(struct cursor *cursor, char wanted)
{
	if (cursor->at == cursor->end || *cursor->at != wanted)
		return false;
	cursor->at++;
	return true;
}

static bool take_token(struct cursor *cursor, char wanted)
{
	skip_space(cursor);
	return take(cursor, wanted);
}

static bool take_word(struct cursor *cursor, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(cursor->end - cursor->at) < len ||
	    memcmp(cursor->at, word, len))
		return false;
	cursor->at += len;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_code_point(struct cursor *cursor, unsigned char *byte)
{
	int high, low;

	if (cursor->end - cursor->at < 4 || !take_word(cursor, "00"))
		return false;
	high = hex_digit(*cursor->at++);
	low = hex_digit(*cursor->at++);
	if (high < 0 || low < 0)
		return false;
	*byte = high << 4 | low;
	return *byte != 0;
}

static bool parse_escape(struct cursor *cursor, unsigned char *byte)
{
	static const char names[] = "\"\\/bfnrt";
	static const char bytes[] = "\"\\/\b\f\n\r\t";
	const char *name;

	if (take(cursor, 'u'))
		return parse_code_point(cursor, byte);
	if (cursor->at == cursor->end || !*cursor->at)
		return false;
	name = strchr(names, *cursor->at++);
	if (!name)
		return false;
	*byte = bytes[name - names];
	return true;
}

static bool parse_string(struct cursor *cursor, const char **text)
{
	unsigned char byte;
	char *out;

	if (!take_token(cursor, '"'))
		return false;
	*text = out = cursor->at;
	while (cursor->at < cursor->end) {
		byte = *cursor->at++;
		if (byte == '"') {
			*out = '\0';
			return true;
		}
		if (byte < 0x20 || byte > 0x7f)
			return false;
		if (byte == '\\' && !parse_escape(cursor, &byte))
			return false;
		*out++ = byte;
	}
	return false;
}

static bool parse_int(struct cursor *cursor, long long *number)
{
	bool negative = take(cursor, '-');
	const char *digits = cursor->at;
	int digit;

	*number = 0;
	while (cursor->at < cursor->end && *cursor->at >= '0' &&
	       *cursor->at <= '9') {
		digit = *cursor->at++ - '0';
		if (__builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, negative ? -digit : digit,
					   number))
			return false;
	}
	return cursor->at == digits + 1 ||
	       (cursor->at > digits && *digits != '0');
}

static bool parse_value(struct cursor *cursor, struct json_member *member)
{
	skip_space(cursor);
	if (cursor->at < cursor->end && *cursor->at == '"') {
		member->type = JSON_STRING;
		return parse_string(cursor, &member->text);
	}
	member->type = JSON_BOOL;
	member->number = take_word(cursor, "true");
	if (member->number || take_word(cursor, "false"))
		return true;
	member->type = JSON_INT;
	return parse_int(cursor, &member->number);
}

static const struct json_member *find(const struct json_object *object,
				      const char *key)
{
	for (size_t i = 0; i < object->count; i++)
		if (!strcmp(object->members[i].key, key))
			return &object->members[i];
	return NULL;
}

static bool parse_member(struct cursor *cursor, struct json_object *object)
{
	struct json_member member = { 0 };

	if (object->count == JSON_MEMBERS ||
	    !parse_string(cursor, &member.key) || find(object, member.key) ||
	    !take_token(cursor, ':') || !parse_value(cursor, &member))
		return false;
	object->members[object->count++] = member;
	return true;
}

static bool parse_members(struct cursor *cursor, struct json_object *object)
{
	if (take_token(cursor, '}'))
		return true;
	do {
		if (!parse_member(cursor, object))
			return false;
	} while (take_token(cursor, ','));
	return take_token(cursor, '}');
}

bool json_parse(char *text, size_t len, struct json_object *object)
{
	struct cursor cursor = { text, text + len };

	object->count = 0;
	if (!take_token(&cursor, '{') || !parse_members(&cursor, object))
		return false;
	skip_space(&cursor);
	return cursor.at == cursor.end;
}

const char *json_text(const struct json_object *object, const char *key)
{
	const struct json_member *member = find(object, key);

	return member && member->type == JSON_STRING ? member->text : NULL;
}

const long long *json_int(const struct json_object *object, const char *key)
{
	const struct json_member *member = find(object, key);

	return member && member->type == JSON_INT ? &member->number : NULL;
}
