/* SPDX-License-Identifier: BSD-2-Clause
 * A graceful reload loses the cache's memory: what was known last goes over in a file without a name. */
#ifndef CONSUL_CACHE_HANDOVER_H
#define CONSUL_CACHE_HANDOVER_H

struct consul_config;
struct uwsgi_cache;

/* Takes what the previous life of this process left, so that neither apps nor vassals inherit it. Once, as early as possible. */
void consul_cache_handover_take(void);

/* Puts into the cache what still is watched, and closes the file. `cache`: NULL where there is none. */
void consul_cache_handover_read(struct uwsgi_cache *cache, const struct consul_config *config);

/* Just before the master becomes another program. */
void consul_cache_handover_leave(struct uwsgi_cache *cache);

#endif
