/* SPDX-License-Identifier: BSD-2-Clause
 * All services of an instance together: they live and leave as one. */
#ifndef CONSUL_SERVICES_H
#define CONSUL_SERVICES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "verdict.h"

struct consul_client;
struct consul_config;
struct consul_http;
struct consul_identity;
struct consul_services;

/* All must outlive them. `client` is for those that have no connection of their own; `present`: which ones an earlier process of this instance has
 * registered. */
struct consul_services *consul_services_new(const struct consul_config *config, struct consul_http *http, struct consul_client *client,
					    const struct consul_identity *identity, const _Atomic bool *present);
void consul_services_free(struct consul_services *services);

/* As those of one service, for all. */
void consul_services_inherit(struct consul_services *services);
void consul_services_tick(struct consul_services *services, const struct consul_verdict *verdict, int64_t now);
int64_t consul_services_due(const struct consul_services *services);
bool consul_services_are_present(const struct consul_services *services);
void consul_services_publish(const struct consul_services *services, _Atomic bool *present);
void consul_services_leave(struct consul_services *services, bool claim, long most_ms);
bool consul_services_left(const struct consul_services *services);

#endif
