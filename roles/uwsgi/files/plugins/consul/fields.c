/* SPDX-License-Identifier: BSD-2-Clause */
#include "fields.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "values.h"

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t");
}

/* Reads what is in quotes, from behind the first one; returns what follows the last one, or NULL where there is none. */
static const char *read_quoted(const char *text, char **value)
{
	char *copy = consul_copy(text, strlen(text));
	char *end = copy;
	while (*text && *text != '"') {
		if (*text == '\\' && (text[1] == '"' || text[1] == '\\'))
			text++;
		*end++ = *text++;
	}
	*end = 0;
	*value = copy;
	return *text ? text + 1 : NULL;
}

static const char *read_value(const char *text, char **value)
{
	if (*text == '"')
		return read_quoted(text + 1, value);
	size_t length = strcspn(text, ",");
	*value = consul_trim(text, length);
	return text + length;
}

static struct consul_field *add(struct consul_fields *fields)
{
	fields->items = consul_grow(fields->items, fields->count + 1, sizeof(*fields->items));
	memset(&fields->items[fields->count], 0, sizeof(*fields->items));
	return &fields->items[fields->count++];
}

/* One part; returns where it ends, or NULL when a quote is left open. */
static const char *read_part(const char *text, struct consul_field *field)
{
	size_t length = *text == '"' ? 0 : strcspn(text, "=,\"");
	bool has_key = length && text[length] == '=';
	field->key = consul_trim(text, has_key ? length : 0);
	return read_value(has_key ? skip_blanks(text + length + 1) : text, &field->value);
}

const char *consul_fields_parse(const char *text, struct consul_fields *fields)
{
	memset(fields, 0, sizeof(*fields));
	for (;;) {
		text = read_part(skip_blanks(text), add(fields));
		if (!text)
			return "a quote is left open";
		text = skip_blanks(text);
		if (!*text)
			return NULL;
		if (*text++ != ',')
			return "a comma must follow what is in quotes";
	}
}

void consul_fields_clear(struct consul_fields *fields)
{
	for (size_t i = 0; i < fields->count; i++) {
		free(fields->items[i].key);
		free(fields->items[i].value);
	}
	free(fields->items);
	memset(fields, 0, sizeof(*fields));
}
