/* SPDX-License-Identifier: BSD-2-Clause
 * A text that grows, for JSON that is written piece by piece: a large answer must not be held twice as objects. */
#ifndef CONSUL_TEXT_H
#define CONSUL_TEXT_H

#include <jansson.h>
#include <stddef.h>

struct consul_text {
	char *bytes; /* not ended by 0; NULL while nothing was added */
	size_t length;
	size_t room;
};

void consul_text_add(struct consul_text *text, const char *bytes, size_t length);
void consul_text_add_format(struct consul_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The compact JSON of `value`, which is gone afterwards. */
void consul_text_add_json(struct consul_text *text, json_t *value);

/* `"key":` and the value's JSON. */
void consul_text_add_field(struct consul_text *text, const char *key, json_t *value);

/* Empty again, the memory is kept for what comes next. */
void consul_text_reset(struct consul_text *text);
void consul_text_clear(struct consul_text *text);

#endif
