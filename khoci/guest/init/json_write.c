// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "json.h"

static void put(struct json_out *out, const char *text, size_t len)
{
	if (out->full || len > sizeof(out->data) - out->len) {
		out->full = true;
		return;
	}
	memcpy(out->data + out->len, text, len);
	out->len += len;
}

static void put_escaped(struct json_out *out, unsigned char byte)
{
	char escape[8] = { '\\', byte };

	if (byte == '"' || byte == '\\')
		put(out, escape, 2);
	else if (byte == '\n')
		put(out, "\\n", 2);
	else if (byte >= 0x20 && byte <= 0x7e)
		put(out, escape + 1, 1);
	else
		put(out, escape, snprintf(escape, sizeof(escape), "\\u%04x",
					  byte));
}

static void put_string(struct json_out *out, const char *bytes, size_t len)
{
	put(out, "\"", 1);
	for (size_t i = 0; i < len; i++)
		put_escaped(out, bytes[i]);
	put(out, "\"", 1);
}

static void begin(struct json_out *out, const char *key)
{
	if (out->comma)
		put(out, ",", 1);
	out->comma = true;
	if (key) {
		put_string(out, key, strlen(key));
		put(out, ":", 1);
	}
}

void json_open(struct json_out *out, const char *key, char bracket)
{
	begin(out, key);
	put(out, &bracket, 1);
	out->comma = false;
}

void json_close(struct json_out *out, char bracket)
{
	put(out, &bracket, 1);
	out->comma = true;
}

void json_put_bytes(struct json_out *out, const char *key,
		    const char *bytes, size_t len)
{
	begin(out, key);
	put_string(out, bytes, len);
}

void json_put_text(struct json_out *out, const char *key, const char *text)
{
	json_put_bytes(out, key, text, strlen(text));
}

void json_put_hex(struct json_out *out, const char *key,
		  const char *bytes, size_t len)
{
	char pair[3];

	begin(out, key);
	put(out, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		snprintf(pair, sizeof(pair), "%02x", (unsigned char)bytes[i]);
		put(out, pair, 2);
	}
	put(out, "\"", 1);
}

void json_put_int(struct json_out *out, const char *key, long long number)
{
	char digits[24];

	begin(out, key);
	put(out, digits, snprintf(digits, sizeof(digits), "%lld", number));
}

void json_put_bool(struct json_out *out, const char *key, bool value)
{
	begin(out, key);
	put(out, value ? "true" : "false", value ? 4 : 5);
}
