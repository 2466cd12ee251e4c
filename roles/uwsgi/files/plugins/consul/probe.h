/* SPDX-License-Identifier: BSD-2-Clause
 * Whether an agent answers, asked when nothing else has told for a while: a blocking query that waits and one that hangs look the same. */
#ifndef CONSUL_PROBE_H
#define CONSUL_PROBE_H

#include <stdint.h>

struct consul_client;
struct consul_probe;
struct uwsgi_cache;

/* Both must outlive it. Its results are the client's contact, and the item `agent` of the cache. `patience_ms`: in which all agents together must
 * have answered. */
struct consul_probe *consul_probe_new(struct consul_client *client, struct uwsgi_cache *cache, long patience_ms);
void consul_probe_free(struct consul_probe *probe);

/* A request has failed: ask now. */
void consul_probe_doubt(struct consul_probe *probe);

void consul_probe_tick(struct consul_probe *probe, int64_t now);
int64_t consul_probe_due(const struct consul_probe *probe);

/* Why no agent answers, or "". */
const char *consul_probe_trouble(const struct consul_probe *probe);

#endif
