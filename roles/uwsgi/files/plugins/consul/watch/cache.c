/* SPDX-License-Identifier: BSD-2-Clause */
#include "../core.h"
#include "cache.h"

#include "../base/memory.h"
#include "cache_lock.h"

/* All that is asked for, each one twice while it is replaced: 10,000 instances are 5 MB, so are many keys. The rest is never touched, and costs
 * nothing. No item is ever too old, so the core needs no thread to look for such. */
#define OURS "name=%s,items=32768,keysize=1024,blocks=65536,blocksize=1024,bitmap=1,no_expire=1,ignore_full=1"

/* Where an item's new text is put first. No option and no key of Consul begins like this. */
#define SPARE "\001consul"

/* The core clears the head of each item, and by this alone has memory for all of them. They read as zero without it too. */
static void give_back(struct uwsgi_cache *cache)
{
	uintptr_t page = (uintptr_t) sysconf(_SC_PAGESIZE);
	uintptr_t first = ((uintptr_t) cache->items + page - 1) & ~(page - 1);
	uintptr_t last = (uintptr_t) cache->data & ~(page - 1);
	/* The user's options may have put something there already. */
	if (!cache->n_items && !cache->store && last > first)
		madvise((void *) first, last - first, MADV_REMOVE); /* in vain, it only costs memory */
}

struct uwsgi_cache *consul_cache_make(const char *name)
{
	char *text = consul_format("%s", name);
	struct uwsgi_cache *cache = uwsgi_cache_by_name(text);
	free(text);
	if (cache)
		return cache;
	char *options = consul_format(OURS, name);
	cache = uwsgi_cache_create(options);
	free(options);
	give_back(cache);
	return cache;
}

static struct uwsgi_cache_item *item_at(struct uwsgi_cache *cache, uint64_t index)
{
	return (struct uwsgi_cache_item *) ((char *) cache->items + (sizeof(struct uwsgi_cache_item) + cache->keysize) * index);
}

static const char *text_of(struct uwsgi_cache *cache, const struct uwsgi_cache_item *item)
{
	return (const char *) cache->data + item->first_block * cache->blocksize;
}

static struct uwsgi_cache_item *find(struct uwsgi_cache *cache, const char *key)
{
	uint32_t index = uwsgi_cache_exists2(cache, (char *) key, (uint16_t) strlen(key));
	return index ? item_at(cache, index) : NULL;
}

static bool store(struct uwsgi_cache *cache, const char *key, const char *text, size_t length)
{
	return !uwsgi_cache_set2(cache, (char *) key, (uint16_t) strlen(key), (char *) text, length, 0, UWSGI_CACHE_FLAG_UPDATE);
}

/* The core copies an item's new text to where readers look for it. Of a process that was killed meanwhile half of it would stay: so it is copied
 * to another item, and then both change their places. */
static bool replace(struct uwsgi_cache *cache, struct uwsgi_cache_item *item, const char *text, size_t length)
{
	if (!store(cache, SPARE, text, length))
		return false;
	struct uwsgi_cache_item *spare = find(cache, SPARE);
	uint64_t block = item->first_block, size = item->valsize;
	item->first_block = spare->first_block;
	item->valsize = spare->valsize;
	spare->first_block = block;
	spare->valsize = size;
	uwsgi_cache_del2(cache, SPARE, sizeof(SPARE) - 1, 0, UWSGI_CACHE_FLAG_LOCAL);
	return true;
}

static bool can_replace(const struct uwsgi_cache *cache)
{
	/* Elsewhere an item's place is its number; and other nodes must be told. */
	return cache->use_blocks_bitmap && !cache->nodes && cache->keysize >= sizeof(SPARE) - 1;
}

static bool is_same(struct uwsgi_cache *cache, const char *key, const char *text, size_t length)
{
	struct uwsgi_cache_item *item = find(cache, key);
	return item && item->valsize == length && !memcmp(text_of(cache, item), text, length);
}

enum consul_cache_result consul_cache_set(struct uwsgi_cache *cache, const char *key, const char *text, size_t length)
{
	if (strlen(key) > cache->keysize)
		return CONSUL_CACHE_LONG_KEY;
	if (!consul_cache_lock_to_read(cache))
		return CONSUL_CACHE_LOCKED;
	bool same = is_same(cache, key, text, length);
	consul_cache_unlock(cache);
	if (same)
		return CONSUL_CACHE_SAME;
	if (length > cache->max_item_size)
		return CONSUL_CACHE_TOO_LARGE;
	if (!consul_cache_lock_to_write(cache))
		return CONSUL_CACHE_LOCKED;
	struct uwsgi_cache_item *item = can_replace(cache) ? find(cache, key) : NULL;
	bool stored = item ? replace(cache, item, text, length) : store(cache, key, text, length);
	consul_cache_unlock(cache);
	return stored ? CONSUL_CACHE_STORED : CONSUL_CACHE_FULL;
}

bool consul_cache_get(struct uwsgi_cache *cache, const char *key, char **text, size_t *length)
{
	*text = NULL;
	*length = 0;
	if (strlen(key) > cache->keysize)
		return true;
	if (!consul_cache_lock_to_read(cache))
		return false;
	struct uwsgi_cache_item *item = find(cache, key);
	if (item) {
		*length = item->valsize;
		*text = consul_copy(text_of(cache, item), *length);
	}
	consul_cache_unlock(cache);
	return true;
}

enum consul_cache_result consul_cache_delete(struct uwsgi_cache *cache, const char *key)
{
	if (strlen(key) > cache->keysize)
		return CONSUL_CACHE_SAME;
	if (!consul_cache_lock_to_write(cache))
		return CONSUL_CACHE_LOCKED;
	bool was_there = !uwsgi_cache_del2(cache, (char *) key, (uint16_t) strlen(key), 0, 0);
	consul_cache_unlock(cache);
	return was_there ? CONSUL_CACHE_STORED : CONSUL_CACHE_SAME;
}

bool consul_cache_each(struct uwsgi_cache *cache, consul_cache_item each, void *context)
{
	if (!consul_cache_lock_to_read(cache))
		return false;
	uint64_t left = cache->n_items;
	/* The last places are used first. Most never are, and looking at one costs memory. */
	for (uint64_t i = cache->max_items - 1; i && left; i--) {
		const struct uwsgi_cache_item *item = item_at(cache, i);
		if (!item->keysize)
			continue;
		left--;
		each(context, item->key, item->keysize, text_of(cache, item), item->valsize);
	}
	consul_cache_unlock(cache);
	return true;
}

void consul_cache_log_refusal(const struct uwsgi_cache *cache, enum consul_cache_result result, const char *key, size_t length, size_t count)
{
	if (result == CONSUL_CACHE_LOCKED)
		return;
	char *others = count > 1 ? consul_format(" and %zu more", count - 1) : consul_format("%s", "");
	if (result == CONSUL_CACHE_LONG_KEY)
		consul_log("%s%s: not in the cache: a key has %llu bytes at most there; a greater keysize in cache2 = name=%s,... would help", key, others,
			   (unsigned long long) cache->keysize, cache->name);
	else if (result == CONSUL_CACHE_TOO_LARGE)
		consul_log("%s%s: not in the cache, what was there before stays: it has %zu bytes, an item %llu at most; more blocks and bitmap=1 in "
			   "cache2 = name=%s,... would help", key, others, length, (unsigned long long) cache->max_item_size, cache->name);
	else
		consul_log("%s%s: not in the cache, what was there before stays: it has %zu bytes, for which no room is left (items are stored anew before the "
			   "old ones go); more items and blocks in cache2 = name=%s,... would help", key, others, length, cache->name);
	free(others);
}
