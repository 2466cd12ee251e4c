/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "memory.h"

void consul_text_add(struct consul_text *text, const char *bytes, size_t length)
{
	if (text->length + length > text->room) {
		/* Twice as much each time, or a large text is copied again and again. */
		text->room = 2 * (text->length + length);
		text->bytes = consul_grow(text->bytes, text->room, 1);
	}
	if (length)
		memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
}

void consul_text_add_format(struct consul_text *text, const char *format, ...)
{
	va_list arguments;
	char *piece = NULL;
	va_start(arguments, format);
	int length = vasprintf(&piece, format, arguments);
	va_end(arguments);
	if (length < 0)
		consul_allocation_failed();
	consul_text_add(text, piece, (size_t) length);
	free(piece);
}

static int add_piece(const char *bytes, size_t length, void *text)
{
	consul_text_add(text, bytes, length);
	return 0;
}

void consul_text_add_json(struct consul_text *text, json_t *value)
{
	if (json_dump_callback(consul_json(value), add_piece, text, JSON_COMPACT | JSON_ENCODE_ANY))
		consul_allocation_failed();
	json_decref(value);
}

void consul_text_add_field(struct consul_text *text, const char *key, json_t *value)
{
	consul_text_add_format(text, "\"%s\":", key);
	consul_text_add_json(text, value);
}

void consul_text_reset(struct consul_text *text)
{
	text->length = 0;
}

void consul_text_clear(struct consul_text *text)
{
	free(text->bytes);
	memset(text, 0, sizeof(*text));
}
