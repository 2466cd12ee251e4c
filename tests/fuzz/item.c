/* SPDX-License-Identifier: BSD-2-Clause
 * A watch's item in the cache: what was written is read again, also after a reload; what an app has put there instead is no item, or does no harm. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <jansson.h>

#include "item.h"

/* Moments have milliseconds, and eleven digits before those. */
#define MOST INT64_C(100000000000000)

static void check_same(const struct consul_item *one, const struct consul_item *other)
{
	must(one->indexed == other->indexed && (!one->indexed || one->index == other->index));
	must(one->changed == other->changed && one->stale_since == other->stale_since);
	must(one->length == other->length && !memcmp(one->content, other->content, one->length));
}

static void check_round(const char *kind, const char *name, const struct consul_item *item)
{
	struct consul_text text = {0};
	struct consul_item again;
	consul_item_write(&text, kind, name, item);
	must(consul_item_read(text.bytes, text.length, kind, name, &again));
	check_same(item, &again);
	must(again.content >= text.bytes && again.content + again.length + 1 == text.bytes + text.length);
	must(!consul_item_read(text.bytes, text.length, "other", name, &again));
	must(!consul_item_read(text.bytes, text.length - 1, kind, name, &again) || item->content[item->length - 1] == '}');
	consul_text_clear(&text);
}

/* The input as what stands in the cache. */
static void check_text(const char *text, size_t size)
{
	struct consul_item item;
	if (!consul_item_read(text, size, "service", "web", &item))
		return;
	must(item.content >= text && item.length > 0 && item.content + item.length == text + size - 1);
	must(item.changed > 0 && item.changed < MOST && item.stale_since >= 0 && item.stale_since < MOST);
	check_round("service", "web", &item);
}

/* The input's first bytes as numbers, then a line with the name, then the content. */
static void check_parts(const uint8_t *data, size_t size)
{
	uint64_t numbers[3];
	struct consul_item item = {0};
	if (size <= sizeof(numbers))
		return;
	memcpy(numbers, data, sizeof(numbers));
	char *text = fuzz_text(data + sizeof(numbers), size - sizeof(numbers));
	char *rest = text, *name = strsep(&rest, "\n");
	json_t *good = json_string(name);
	if (good && rest && *rest) {
		item.index = numbers[0];
		item.indexed = numbers[1] & 1;
		item.changed = 1 + (int64_t) (numbers[1] % (MOST - 1));
		item.stale_since = numbers[2] & 1 ? 1 + (int64_t) (numbers[2] % (MOST - 1)) : 0;
		item.content = rest;
		item.length = strlen(rest);
		check_round("prefix", name, &item);
	}
	json_decref(good);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size ? size : 1);
	must(text);
	memcpy(text, data, size);
	check_text(text, size);
	check_parts(data, size);
	free(text);
	return 0;
}
