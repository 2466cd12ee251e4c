/* SPDX-License-Identifier: BSD-2-Clause
 * An instance of a service as apps see it. */
#ifndef CONSUL_INSTANCE_H
#define CONSUL_INSTANCE_H

#include <jansson.h>
#include <stdbool.h>

/* What it takes to choose and to sort, from one entry of an answer of /v1/health/service. Lives as long as the entry. */
struct consul_instance {
	const json_t *node, *service;
	const char *status; /* the worst of its checks: passing, warning or critical; or maintenance */
	json_int_t port; /* 0 where it has none */
};

/* False when the entry is not what Consul's API promises. */
bool consul_instance_look(const json_t *entry, struct consul_instance *instance);

/* All of it. */
json_t *consul_instance_json(const struct consul_instance *instance);

#endif
