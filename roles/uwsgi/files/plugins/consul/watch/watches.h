/* SPDX-License-Identifier: BSD-2-Clause
 * All watches of an instance. */
#ifndef CONSUL_WATCHES_H
#define CONSUL_WATCHES_H

#include <stdbool.h>
#include <stdint.h>

struct consul_board;
struct consul_client;
struct consul_config;
struct consul_watches;
struct uwsgi_cache;

/* All must outlive them. `board`: NULL before the app is loaded, when changes need no action and the log no line. `patience_ms`: in which all agents
 * together must have answered. */
struct consul_watches *consul_watches_new(const struct consul_config *config, struct consul_client *client, struct uwsgi_cache *cache,
					  struct consul_board *board, long patience_ms);
void consul_watches_free(struct consul_watches *watches);

void consul_watches_tick(struct consul_watches *watches, int64_t now);
int64_t consul_watches_due(const struct consul_watches *watches);

/* Nothing is asked any more: somebody else does, or the instance ends. */
void consul_watches_stop(struct consul_watches *watches);

/* Each has an answer, was told why there is none, or has what was known before while no agent answers. */
bool consul_watches_are_settled(const struct consul_watches *watches);

/* Those of which nothing stands in the cache, for the log; NULL when there are none. The caller frees it. */
char *consul_watches_missing(const struct consul_watches *watches);

/* Why that is so for the first of them that was told; "" when none was. */
const char *consul_watches_reason(const struct consul_watches *watches);

#endif
