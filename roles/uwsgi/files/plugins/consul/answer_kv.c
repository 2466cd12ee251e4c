/* SPDX-License-Identifier: BSD-2-Clause */
#include "answer_kv.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "kv_item.h"

static void write_entry(struct consul_text *text, const json_t *entry)
{
	const char *flags = consul_kv_big_flags(entry);
	json_t *item = consul_kv_item(entry);
	if (flags)
		json_object_del(item, "flags");
	consul_text_add_json(text, item);
	if (flags) {
		text->length--; /* the brace */
		consul_text_add_format(text, ",\"flags\":%s}", flags);
	}
}

static bool are_entries(const json_t *entries)
{
	size_t index;
	json_t *entry;
	json_array_foreach(entries, index, entry)
		if (!consul_kv_is_entry(entry))
			return false;
	return json_is_array(entries);
}

bool consul_answer_kv(const char *body, size_t length, consul_kv_entry each, void *context, struct consul_text *text)
{
	json_t *entries = length ? consul_kv_load(body, length) : consul_json(json_array());
	struct consul_text item = {0};
	size_t index;
	json_t *entry;
	if (!are_entries(entries)) {
		json_decref(entries);
		return false;
	}
	consul_text_add_format(text, "\"keys\":[");
	json_array_foreach(entries, index, entry) {
		if (index)
			consul_text_add(text, ",", 1);
		consul_text_add_json(text, json_string(consul_json_string(entry, "Key")));
		consul_text_reset(&item);
		write_entry(&item, entry);
		each(context, consul_json_string(entry, "Key"), &item);
	}
	consul_text_add(text, "]", 1);
	consul_text_clear(&item);
	json_decref(entries);
	return true;
}
