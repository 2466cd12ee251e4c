/* SPDX-License-Identifier: BSD-2-Clause
 * The first answers of all watches, before the app is loaded. */
#ifndef CONSUL_PREFETCH_H
#define CONSUL_PREFETCH_H

struct consul_config;
struct uwsgi_cache;

/* Returns when the cache has them, or `consul-timeout` is over. In a process of its own, since what libcurl starts must not be inherited by workers. */
void consul_prefetch(struct consul_config *config, struct uwsgi_cache *cache);

#endif
