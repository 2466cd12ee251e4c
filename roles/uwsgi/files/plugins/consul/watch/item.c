/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "item.h"

#include <stdlib.h>
#include <string.h>

#include "moment.h"

#define LONGEST_NUMBER 32

static void write_name(struct consul_text *text, const char *kind, const char *name)
{
	consul_text_add(text, "{", 1);
	consul_text_add_field(text, kind, json_string(name));
	consul_text_add(text, ",", 1);
}

void consul_item_write(struct consul_text *text, const char *kind, const char *name, const struct consul_item *item)
{
	write_name(text, kind, name);
	if (item->indexed)
		consul_text_add_format(text, "\"index\":%llu,", (unsigned long long) item->index);
	consul_text_add_format(text, "\"changed\":");
	consul_moment_write(text, item->changed);
	consul_text_add_format(text, ",\"stale_since\":");
	if (item->stale_since > 0)
		consul_moment_write(text, item->stale_since);
	else
		consul_text_add_format(text, "null");
	consul_text_add(text, ",", 1);
	consul_text_add(text, item->content, item->length);
	consul_text_add(text, "}", 1);
}

struct reader {
	const char *at;
	const char *end;
};

static bool skip(struct reader *reader, const char *expected, size_t length)
{
	if ((size_t) (reader->end - reader->at) < length || memcmp(reader->at, expected, length))
		return false;
	reader->at += length;
	return true;
}

/* The text of one number or null, up to its comma. */
static bool read_word(struct reader *reader, const char *key, char word[LONGEST_NUMBER])
{
	if (!skip(reader, key, strlen(key)))
		return false;
	const char *comma = memchr(reader->at, ',', (size_t) (reader->end - reader->at));
	if (!comma || comma == reader->at || comma - reader->at >= LONGEST_NUMBER)
		return false;
	memcpy(word, reader->at, (size_t) (comma - reader->at));
	word[comma - reader->at] = 0;
	reader->at = comma + 1;
	return true;
}

static bool read_moment(struct reader *reader, const char *key, int64_t *moment)
{
	char word[LONGEST_NUMBER];
	*moment = 0;
	if (!read_word(reader, key, word))
		return false;
	if (!strcmp(word, "null"))
		return true;
	return consul_moment_read(word, moment) && *moment > 0;
}

static bool read_index(struct reader *reader, struct consul_item *item)
{
	char word[LONGEST_NUMBER];
	char *after;
	struct reader start = *reader;
	item->indexed = read_word(reader, "\"index\":", word);
	if (!item->indexed) {
		*reader = start;
		return true;
	}
	item->index = strtoull(word, &after, 10);
	return !*after;
}

bool consul_item_read(const char *text, size_t length, const char *kind, const char *name, struct consul_item *item)
{
	struct reader reader = {text, text + length};
	struct consul_text head = {0};
	memset(item, 0, sizeof(*item));
	write_name(&head, kind, name);
	bool good = skip(&reader, head.bytes, head.length) && read_index(&reader, item) && read_moment(&reader, "\"changed\":", &item->changed) &&
		    item->changed > 0 && read_moment(&reader, "\"stale_since\":", &item->stale_since) && reader.end - reader.at >= 2 &&
		    reader.end[-1] == '}';
	consul_text_clear(&head);
	if (!good)
		return false;
	item->content = reader.at;
	item->length = (size_t) (reader.end - reader.at) - 1;
	return true;
}
