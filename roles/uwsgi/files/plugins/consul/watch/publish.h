/* SPDX-License-Identifier: BSD-2-Clause
 * Consul's answers made into items of the cache. What stands there is also all that is remembered of the answer before: so it outlives this process. */
#ifndef CONSUL_PUBLISH_H
#define CONSUL_PUBLISH_H

#include <stdbool.h>

struct consul_answer;
struct consul_watch_config;
struct uwsgi_cache;

enum consul_published {
	CONSUL_PUBLISHED_SAME,
	CONSUL_PUBLISHED_FIRST, /* there was nothing before */
	CONSUL_PUBLISHED_CHANGE,
	CONSUL_UNUSABLE, /* the answer is none of Consul's */
	CONSUL_LOCKED, /* try again */
};

/* What is known from one answer to the next, besides the items; kept by the caller, and all false at first. */
struct consul_publish_state {
	bool refused; /* there is something that the cache does not take, and the log has a line about it */
	bool listed; /* all keys of the prefix that have an item stand in its list */
	bool owed; /* items have changed, but the cache was locked before that could be told */
};

enum consul_published consul_publish(struct uwsgi_cache *cache, const struct consul_watch_config *config, const char *key,
				     const struct consul_answer *answer, struct consul_publish_state *state);

/* Is there an answer in the cache, of this life or of the one before? */
bool consul_publish_is_there(struct uwsgi_cache *cache, const struct consul_watch_config *config, const char *key);

/* Notes down that Consul can't be asked any more. The first time counts. False: the cache is locked, try again. */
bool consul_publish_stale(struct uwsgi_cache *cache, const struct consul_watch_config *config, const char *key);

#endif
