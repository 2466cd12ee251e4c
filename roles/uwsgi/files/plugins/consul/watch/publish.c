/* SPDX-License-Identifier: BSD-2-Clause */
#include "publish.h"

#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/json.h"
#include "../base/list.h"
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
	struct consul_publish_state *state;
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

/* False: the cache is locked. */
static bool read_before(struct publishing *publishing)
{
	size_t length;
	if (!consul_cache_get(publishing->cache, publishing->key, &publishing->before_text, &length))
		return false;
	if (publishing->before_text &&
	    !consul_item_read(publishing->before_text, length, kind_of(publishing->config), publishing->config->name, &publishing->before)) {
		free(publishing->before_text);
		publishing->before_text = NULL;
	}
	return true;
}

/* True when the cache has it now, and did not before. */
static bool set(struct publishing *publishing, const char *key, const struct consul_text *text)
{
	if (publishing->refusal == CONSUL_CACHE_LOCKED)
		return false; /* all that follows comes again */
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

static void delete_entry(struct publishing *publishing, const char *full)
{
	enum consul_cache_result result = publishing->refusal == CONSUL_CACHE_LOCKED ? CONSUL_CACHE_LOCKED :
											consul_cache_delete(publishing->cache, full);
	publishing->entries_changed |= result == CONSUL_CACHE_STORED;
	if (result == CONSUL_CACHE_LOCKED)
		publishing->refusal = result;
}

static bool is_seen(const struct publishing *publishing, const char *full)
{
	return json_object_get(publishing->seen, full + strlen(CONSUL_KEY_OF_ENTRY));
}

/* Keys that stood in the list before, and do not now. */
static void delete_listed(struct publishing *publishing)
{
	struct consul_text object = {0};
	size_t index;
	json_t *key;
	consul_text_add_format(&object, "{%.*s}", (int) publishing->before.length, publishing->before.content);
	json_t *before = json_loadb(object.bytes, object.length, 0, NULL);
	json_array_foreach(json_object_get(before, "keys"), index, key) {
		char *full = consul_format(CONSUL_KEY_OF_ENTRY "%s", json_is_string(key) ? json_string_value(key) : "");
		if (json_is_string(key) && !is_seen(publishing, full))
			delete_entry(publishing, full);
		free(full);
	}
	json_decref(before);
	consul_text_clear(&object);
}

struct sweep {
	const struct publishing *publishing;
	struct consul_list gone;
};

static void sweep_item(void *context, const char *key, size_t key_length, const char *text, size_t length)
{
	struct sweep *sweep = context;
	(void) text;
	(void) length;
	char *full = consul_copy(key, key_length);
	if (!strncmp(full, CONSUL_KEY_OF_ENTRY, strlen(CONSUL_KEY_OF_ENTRY)) && consul_watch_has_key(sweep->publishing->config, full) &&
	    !is_seen(sweep->publishing, full))
		consul_list_add(&sweep->gone, full);
	free(full);
}

/* The items of keys that no list has: an earlier one had no room, or somebody threw it out. */
static void delete_unlisted(struct publishing *publishing)
{
	struct sweep sweep = {.publishing = publishing};
	if (!consul_cache_each(publishing->cache, sweep_item, &sweep))
		publishing->refusal = CONSUL_CACHE_LOCKED;
	for (size_t i = 0; i < sweep.gone.count; i++)
		delete_entry(publishing, sweep.gone.items[i]);
	consul_list_clear(&sweep.gone);
}

static void delete_missing(struct publishing *publishing)
{
	if (publishing->before_text && publishing->state->listed)
		delete_listed(publishing);
	else
		delete_unlisted(publishing);
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

/* True when the cache has it now, and did not before. */
static bool write_item(struct publishing *publishing, const struct consul_item *item)
{
	struct consul_text text = {0};
	size_t refused = publishing->refused_count;
	consul_item_write(&text, kind_of(publishing->config), publishing->config->name, item);
	bool stored = set(publishing, publishing->key, &text);
	if (publishing->state)
		publishing->state->listed = publishing->refused_count == refused && publishing->refusal != CONSUL_CACHE_LOCKED;
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
static void report(const struct publishing *publishing, struct consul_publish_state *state)
{
	if (publishing->refused_count && !state->refused)
		consul_cache_log_refusal(publishing->cache, publishing->refusal, publishing->refused_key, publishing->refused_length,
					 publishing->refused_count);
	state->refused = publishing->refused_count != 0;
}

static void clear(struct publishing *publishing)
{
	free(publishing->refused_key);
	free(publishing->before_text);
}

static enum consul_published finish(struct publishing *publishing, const struct consul_text *content)
{
	struct consul_publish_state *state = publishing->state;
	enum consul_published published = settle(publishing, content);
	bool locked = publishing->refusal == CONSUL_CACHE_LOCKED;
	/* What has changed already is no change when the same answer comes again. */
	state->owed = locked && publishing->entries_changed;
	if (!locked)
		report(publishing, state);
	return locked ? CONSUL_LOCKED : published;
}

enum consul_published consul_publish(struct uwsgi_cache *cache, const struct consul_watch_config *config, const char *key,
				     const struct consul_answer *answer, struct consul_publish_state *state)
{
	struct publishing publishing = {
		.cache = cache, .config = config, .key = key, .state = state, .index = answer->index, .entries_changed = state->owed};
	struct consul_text content = {0};
	enum consul_published published = CONSUL_UNUSABLE;
	if (!read_before(&publishing))
		published = CONSUL_LOCKED;
	else if (read_answer(&publishing, answer, &content))
		published = finish(&publishing, &content);
	consul_text_clear(&content);
	clear(&publishing);
	return published;
}

bool consul_publish_is_there(struct uwsgi_cache *cache, const struct consul_watch_config *config, const char *key)
{
	struct publishing publishing = {.cache = cache, .config = config, .key = key};
	read_before(&publishing);
	bool there = publishing.before_text != NULL;
	clear(&publishing);
	return there;
}

bool consul_publish_stale(struct uwsgi_cache *cache, const struct consul_watch_config *config, const char *key)
{
	struct publishing publishing = {.cache = cache, .config = config, .key = key};
	bool read = read_before(&publishing);
	if (publishing.before_text && !(publishing.before.stale_since > 0)) {
		publishing.before.stale_since = consul_moment_now();
		/* No line when there is no room: that was said when the content came. */
		write_item(&publishing, &publishing.before);
	}
	clear(&publishing);
	return read && publishing.refusal != CONSUL_CACHE_LOCKED;
}
