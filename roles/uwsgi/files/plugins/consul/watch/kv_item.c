/* SPDX-License-Identifier: BSD-2-Clause */
#include "kv_item.h"

#include <stdlib.h>
#include <string.h>

#include "../base/base64.h"
#include "../base/json.h"
#include "../base/memory.h"
#include "../base/text.h"

#define DIGITS "0123456789"

/* Digits of the greatest number that jansson takes. */
#define MOST_DIGITS 18

/* Of the greatest number with 64 bits. */
#define MOST_DIGITS_OF_FLAGS 20

/* The length of what is at `text`, up to `end`: one string, one number, or one byte of anything else. */
static size_t token_length(const char *text, const char *end)
{
	size_t length = 1;
	if (*text == '"') {
		while (text + length < end && text[length] != '"')
			length += text[length] == '\\' && text + length + 1 < end ? 2 : 1;
		return text + length < end ? length + 1 : length;
	}
	if (*text >= '0' && *text <= '9')
		while (text + length < end && text[length] >= '0' && text[length] <= '9')
			length++;
	return length;
}

/* Flags have 64 bits without a sign, and jansson's numbers one bit less: what it could not read becomes a string. */
static void quote_big_numbers(const char *body, size_t length, struct consul_text *quoted)
{
	const char *end = body + length;
	for (size_t step; body < end; body += step) {
		bool big = (step = token_length(body, end)) > MOST_DIGITS && *body != '"';
		consul_text_add(quoted, "\"", big);
		consul_text_add(quoted, body, step);
		consul_text_add(quoted, "\"", big);
	}
}

json_t *consul_kv_load(const char *body, size_t length)
{
	json_error_t error;
	struct consul_text quoted = {0};
	json_t *entries = json_loadb(body, length, JSON_ALLOW_NUL, &error);
	if (entries || json_error_code(&error) != json_error_numeric_overflow)
		return entries;
	quote_big_numbers(body, length, &quoted);
	entries = json_loadb(quoted.bytes, quoted.length, JSON_ALLOW_NUL, &error);
	consul_text_clear(&quoted);
	return entries;
}

/* Consul's HTTP interface has no keys with a zero byte: it can't be asked for one, and no item of the cache is named so. */
bool consul_kv_is_entry(const json_t *entry)
{
	const json_t *key = json_object_get(entry, "Key"), *value = json_object_get(entry, "Value");
	size_t count;
	if (!json_is_string(key) || strlen(json_string_value(key)) != json_string_length(key))
		return false;
	if (!json_is_string(value))
		return json_is_null(value) || !value;
	unsigned char *bytes = consul_allocate(json_string_length(value) + 1, 1);
	bool good = consul_base64_decode(json_string_value(value), json_string_length(value), bytes, &count);
	free(bytes);
	return good;
}

/* What is no UTF-8 is left in Consul's own notation. */
static void set_value(json_t *item, const json_t *value)
{
	size_t count = 0;
	unsigned char *bytes = consul_allocate(json_string_length(value) + 1, 1);
	consul_base64_decode(json_string_value(value), json_string_length(value), bytes, &count);
	json_t *decoded = json_stringn((const char *) bytes, count);
	free(bytes);
	consul_json_set(item, "value", decoded ? decoded : json_null());
	if (!decoded)
		consul_json_set(item, "base64", json_string(json_string_value(value)));
}

const char *consul_kv_big_flags(const json_t *entry)
{
	const json_t *flags = json_object_get(entry, "Flags");
	const char *digits = json_string_value(flags);
	size_t length = json_string_length(flags);
	bool big = length > MOST_DIGITS && length <= MOST_DIGITS_OF_FLAGS && *digits != '0' && strspn(digits, DIGITS) == length;
	return big ? digits : NULL;
}

json_t *consul_kv_item(const json_t *entry)
{
	const json_t *session = json_object_get(entry, "Session");
	const char *big = consul_kv_big_flags(entry);
	json_t *item = consul_json(json_object());
	consul_json_set(item, "key", json_string(consul_json_string(entry, "Key")));
	set_value(item, json_object_get(entry, "Value"));
	consul_json_set(item, "flags", big ? json_real(strtod(big, NULL)) : json_integer(json_integer_value(json_object_get(entry, "Flags"))));
	consul_json_set(item, "index", json_integer(json_integer_value(json_object_get(entry, "ModifyIndex"))));
	consul_json_set(item, "session", json_is_string(session) ? json_string(json_string_value(session)) : json_null());
	return item;
}
