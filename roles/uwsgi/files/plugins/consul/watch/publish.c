/* SPDX-License-Identifier: BSD-2-Clause */
#include "publish.h"

#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/json.h"
#include "../base/memory.h"
#include "../client/http.h"
#include "../config/config.h"
#include "answer_instances.h"
#include "answer_kv.h"
#include "cache.h"
#include "item.h"
#include "moment.h"
#include "watch_key.h"

struct publishing {
	struct uwsgi_cache *cache;
	const struct consul_watch_config *config;
	const char *key;
	uint64_t index;
	char *before_text; /* of the item that is there, or NULL */
	struct consul_item before;
	json_t *seen; /* keys of this answer */
	bool entries_changed;
	enum consul_cache_result refusal; /* of the first item that was refused, with its key, its length, and how many there were */
	char *refused_key;
	size_t refused_length, refused_count;
};

static const char *kind_of(const struct consul_watch_config *config)
{
	return config->kind == CONSUL_WATCH_SERVICE ? "service" : config->kind == CONSUL_WATCH_KV ? "prefix" : "query";
}

static void read_before(struct publishing *publishing)
{
	size_t length;
	publishing->before_text = consul_cache_get(publishing->cache, publishing->key, &length);
	if (publishing->before_text &&
	    !consul_item_read(publishing->before_text, length, kind_of(publishing->config), publishing->config->name, &publishing->before)) {
		free(publishing->before_text);
		publishing->before_text = NULL;
	}
}

/* True when the cache has it now, and did not before. */
static bool set(struct publishing *publishing, const char *key, const struct consul_text *text)
{
	if (publishing->refusal == CONSUL_CACHE_LOCKED)
		return false; /* each try takes a second */
	enum consul_cache_result result = consul_cache_set(publishing->cache, key, text->bytes, text->length);
	if (result == CONSUL_CACHE_SAME || result == CONSUL_CACHE_STORED)
		return result == CONSUL_CACHE_STORED;
	if (!publishing->refused_count++ || result == CONSUL_CACHE_LOCKED) {
		free(publishing->refused_key);
		publishing->refused_key = consul_format("%s", key);
		publishing->refused_length = text->length;
		publishing->refusal = result;
	}
	return false;
}

static void set_entry(void *context, const char *key, const struct consul_text *entry)
{
	struct publishing *publishing = context;
	char *full = consul_format(CONSUL_KEY_OF_ENTRY "%s", key);
	publishing->entries_changed |= set(publishing, full, entry);
	consul_json_set(publishing->seen, key, json_true());
	free(full);
}

static void delete_entry(struct publishing *publishing, const char *key)
{
	char *full = consul_format(CONSUL_KEY_OF_ENTRY "%s", key);
	publishing->entries_changed |= consul_cache_delete(publishing->cache, full);
	free(full);
}

/* Keys that stood in the list before, and do not now. */
static void delete_missing(struct publishing *publishing)
{
	struct consul_text object = {0};
	size_t index;
	json_t *key;
	if (!publishing->before_text)
		return;
	consul_text_add_format(&object, "{%.*s}", (int) publishing->before.length, publishing->before.content);
	json_t *before = json_loadb(object.bytes, object.length, 0, NULL);
	json_array_foreach(json_object_get(before, "keys"), index, key)
		if (json_is_string(key) && !json_object_get(publishing->seen, json_string_value(key)))
			delete_entry(publishing, json_string_value(key));
	json_decref(before);
	consul_text_clear(&object);
}

static bool read_entries(struct publishing *publishing, const struct consul_answer *answer, struct consul_text *content)
{
	publishing->seen = consul_json(json_object());
	/* Consul has no other way to say that there is none. */
	size_t length = answer->status == 404 ? 0 : answer->length;
	bool good = consul_answer_kv(answer->body, length, set_entry, publishing, content);
	if (good)
		delete_missing(publishing);
	json_decref(publishing->seen);
	return good;
}

static bool read_answer(struct publishing *publishing, const struct consul_answer *answer, struct consul_text *content)
{
	switch (publishing->config->kind) {
	case CONSUL_WATCH_SERVICE:
		return consul_answer_service(answer->body, answer->length, publishing->config->worst, content);
	case CONSUL_WATCH_KV:
		return read_entries(publishing, answer, content);
	default:
		return consul_answer_query(answer->body, answer->length, content);
	}
}

static bool is_same(const struct publishing *publishing, const struct consul_text *content)
{
	return publishing->before_text && !publishing->entries_changed && content->length == publishing->before.length &&
	       !memcmp(content->bytes, publishing->before.content, content->length);
}

static bool write_item(struct publishing *publishing, const struct consul_item *item)
{
	struct consul_text text = {0};
	consul_item_write(&text, kind_of(publishing->config), publishing->config->name, item);
	bool stored = set(publishing, publishing->key, &text);
	consul_text_clear(&text);
	return stored;
}

static enum consul_published settle(struct publishing *publishing, const struct consul_text *content)
{
	struct consul_item item = {.index = publishing->index, .indexed = publishing->config->kind != CONSUL_WATCH_QUERY, .changed = consul_moment_now(),
				   .content = content->bytes, .length = content->length};
	if (is_same(publishing, content)) {
		item = publishing->before;
		item.stale_since = 0;
		write_item(publishing, &item);
		return CONSUL_PUBLISHED_SAME;
	}
	bool stored = write_item(publishing, &item);
	if (!stored && !publishing->entries_changed)
		return CONSUL_PUBLISHED_SAME;
	return publishing->before_text ? CONSUL_PUBLISHED_CHANGE : CONSUL_PUBLISHED_FIRST;
}

/* Once, until all fits again. */
static void report(struct publishing *publishing, bool *refused)
{
	if (publishing->refused_count && !*refused)
		consul_cache_log_refusal(publishing->cache, publishing->refusal, publishing->refused_key, publishing->refused_length,
					 publishing->refused_count);
	*refused = publishing->refused_count != 0;
	free(publishing->refused_key);
}

enum consul_published consul_publish(struct uwsgi_cache *cache, const struct consul_watch_config *config, const char *key,
				     const struct consul_answer *answer, bool *refused)
{
	struct publishing publishing = {.cache = cache, .config = config, .key = key, .index = answer->index};
	struct consul_text content = {0};
	enum consul_published published = CONSUL_UNUSABLE;
	read_before(&publishing);
	if (read_answer(&publishing, answer, &content)) {
		published = settle(&publishing, &content);
		report(&publishing, refused);
		if (publishing.refusal == CONSUL_CACHE_LOCKED)
			published = CONSUL_LOCKED;
	}
	consul_text_clear(&content);
	free(publishing.before_text);
	return published;
}

bool consul_publish_is_there(struct uwsgi_cache *cache, const struct consul_watch_config *config, const char *key)
{
	struct publishing publishing = {.cache = cache, .config = config, .key = key};
	read_before(&publishing);
	bool there = publishing.before_text != NULL;
	free(publishing.before_text);
	return there;
}

void consul_publish_stale(struct uwsgi_cache *cache, const struct consul_watch_config *config, const char *key)
{
	struct publishing publishing = {.cache = cache, .config = config, .key = key};
	bool refused = true; /* no line: that there is no room was said when the content came */
	read_before(&publishing);
	if (publishing.before_text && !(publishing.before.stale_since > 0)) {
		publishing.before.stale_since = consul_moment_now();
		write_item(&publishing, &publishing.before);
		report(&publishing, &refused);
	}
	free(publishing.before_text);
}
