/* SPDX-License-Identifier: BSD-2-Clause
 * The life of one service in Consul: registered once it is ready, kept up to date, deregistered at the end. */
#ifndef CONSUL_SERVICE_H
#define CONSUL_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "verdict.h"

struct consul_client;
struct consul_identity;
struct consul_service;
struct consul_service_config;

/* All three must outlive the service. `present`: an earlier process of this instance has registered it. */
struct consul_service *consul_service_new(struct consul_client *client, const struct consul_service_config *config,
					  const struct consul_identity *identity, bool present);
void consul_service_free(struct consul_service *service);

/* There is a registration that others made for us: it becomes ours at the next tick, even if the state is critical. */
void consul_service_inherit(struct consul_service *service);

/* Tells the present state, and starts the request that is due, if any. */
void consul_service_tick(struct consul_service *service, const struct consul_verdict *verdict, int64_t now);

/* When the next request will be due, if the state does not change. */
int64_t consul_service_due(const struct consul_service *service);

/* Registered, as far as we know. */
bool consul_service_present(const struct consul_service *service);

/* Starts the deregistration, which is given up after `most_ms`. `claim`: the registration may be ours although we never made it. */
void consul_service_leave(struct consul_service *service, bool claim, long most_ms);
bool consul_service_left(const struct consul_service *service);

#endif
