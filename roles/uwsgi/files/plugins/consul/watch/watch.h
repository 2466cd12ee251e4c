/* SPDX-License-Identifier: BSD-2-Clause
 * The life of one watch: it asks, waits for the answer to change, and asks again. */
#ifndef CONSUL_WATCH_H
#define CONSUL_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct consul_board;
struct consul_client;
struct consul_probe;
struct consul_watch;
struct consul_watch_config;
struct uwsgi_cache;

/* What all watches share. */
struct consul_watching {
	struct consul_client *client;
	struct consul_probe *probe;
	struct uwsgi_cache *cache;
	struct consul_board *board; /* NULL: the app is not loaded yet, so no change needs an action, and the log no line */
	bool large; /* an answer has taken memory that is worth giving back */
	char *trouble; /* of the cluster, as last logged, or NULL */
	unsigned troubled; /* how many watches have any */
};

/* Both must outlive it. */
struct consul_watch *consul_watch_new(struct consul_watching *watching, const struct consul_watch_config *config);
void consul_watch_free(struct consul_watch *watch);

/* Starts the request that is due, if any. */
void consul_watch_tick(struct consul_watch *watch, int64_t now);
int64_t consul_watch_due(const struct consul_watch *watch);

/* Has an answer, or was told why there is none. */
bool consul_watch_is_settled(const struct consul_watch *watch);

/* Something of it stands in the cache. */
bool consul_watch_is_there(const struct consul_watch *watch);
/* Why it has no answer, as far as it was told; "" else. Only before the app is loaded. */
const char *consul_watch_reason(const struct consul_watch *watch);
const char *consul_watch_name(const struct consul_watch *watch);

#endif
