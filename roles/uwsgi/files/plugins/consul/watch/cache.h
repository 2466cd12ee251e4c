/* SPDX-License-Identifier: BSD-2-Clause
 * The uWSGI cache that apps read: one process of ours writes it at a time, any number of others read. */
#ifndef CONSUL_CACHE_H
#define CONSUL_CACHE_H

#include <stdbool.h>
#include <stddef.h>

struct uwsgi_cache;

enum consul_cache_result { CONSUL_CACHE_SAME, CONSUL_CACHE_STORED, CONSUL_CACHE_LONG_KEY, CONSUL_CACHE_TOO_LARGE, CONSUL_CACHE_FULL,
			   CONSUL_CACHE_LOCKED };

/* The cache of this name, made unless the user's options have. Before anything is forked. */
struct uwsgi_cache *consul_cache_make(const char *name);

/* Stores the text in one piece, unless it stands there already. What does not fit is refused, and what stood there before stays. */
enum consul_cache_result consul_cache_set(struct uwsgi_cache *cache, const char *key, const char *text, size_t length);

/* `text`: a copy, which the caller frees; NULL where there is no such item. False: somebody has locked the cache. */
bool consul_cache_get(struct uwsgi_cache *cache, const char *key, char **text, size_t *length);

/* CONSUL_CACHE_SAME: there was no such item. */
enum consul_cache_result consul_cache_delete(struct uwsgi_cache *cache, const char *key);

/* Calls `each` for every item; none may be stored or deleted meanwhile. False: somebody has locked the cache, and it was called for none. */
typedef void (*consul_cache_item)(void *context, const char *key, size_t key_length, const char *text, size_t length);
bool consul_cache_each(struct uwsgi_cache *cache, consul_cache_item each, void *context);

/* Has the log say once what was refused and what would help; that the cache is locked was said already. `key`: the first one; `count`: how many. */
void consul_cache_log_refusal(const struct uwsgi_cache *cache, enum consul_cache_result result, const char *key, size_t length, size_t count);

#endif
