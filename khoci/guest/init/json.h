/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The JSON of the line protocol: flat objects in, any shape out, ASCII only.
 *
 * A string stands for bytes, one code point each: a byte above 0x7e is written
 * as \u00XX, and no code point above 0xff is read.
 */
#ifndef KHOCI_JSON_H
#define KHOCI_JSON_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_MEMBERS	16
#define JSON_OUT_SIZE	(256 * 1024)

enum json_type {
	JSON_STRING,
	JSON_INT,
	JSON_BOOL,
};

/* text is set for strings, number for integers and booleans. */
struct json_member {
	const char *key;
	enum json_type type;
	const char *text;
	long long number;
};

struct json_object {
	size_t count;
	struct json_member members[JSON_MEMBERS];
};

/*
 * Read one object of strings, integers and booleans. The text is decoded in
 * place and must outlive the object. False if it is anything else.
 */
bool json_parse(char *text, size_t len, struct json_object *object);

/* NULL if there is no such member, or it is of another type. */
const char *json_text(const struct json_object *object, const char *key);
const long long *json_int(const struct json_object *object, const char *key);

/* What is written. full is set, and the text useless, once it does not fit. */
struct json_out {
	size_t len;
	bool full;
	bool comma;
	char data[JSON_OUT_SIZE];
};

/* The key is NULL for the outermost object and for the elements of an array. */
void json_open(struct json_out *out, const char *key, char bracket);
void json_close(struct json_out *out, char bracket);
void json_put_bytes(struct json_out *out, const char *key,
		    const char *bytes, size_t len);
void json_put_text(struct json_out *out, const char *key, const char *text);
void json_put_hex(struct json_out *out, const char *key,
		  const char *bytes, size_t len);
void json_put_int(struct json_out *out, const char *key, long long number);
void json_put_bool(struct json_out *out, const char *key, bool value);

#endif
