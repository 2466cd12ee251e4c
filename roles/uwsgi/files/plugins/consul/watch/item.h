/* SPDX-License-Identifier: BSD-2-Clause
 * What stands in the cache for a watch: a head that tells when, and then the content, whose bytes alone tell whether anything has changed.
 *   {"service":"web","index":17,"changed":1700000000.123,"stale_since":null,"instances":[...]} */
#ifndef CONSUL_ITEM_H
#define CONSUL_ITEM_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/text.h"

struct consul_item {
	uint64_t index;
	bool indexed; /* a prepared query has no index */
	int64_t changed; /* a moment */
	int64_t stale_since; /* 0: it is fresh */
	const char *content; /* fields of the object, without its braces */
	size_t length;
};

/* Adds the item's text. `kind` is the first field, with `name` in it. */
void consul_item_write(struct consul_text *text, const char *kind, const char *name, const struct consul_item *item);

/* Takes apart what consul_item_write() has made for this kind and name; false for anything else. The content stays where it is. */
bool consul_item_read(const char *text, size_t length, const char *kind, const char *name, struct consul_item *item);

#endif
