/* SPDX-License-Identifier: BSD-2-Clause */
#include "services.h"

#include <stdlib.h>

#include "client.h"
#include "config.h"
#include "memory.h"
#include "service.h"

struct consul_services {
	size_t count;
	struct {
		struct consul_service *service;
		struct consul_client *client; /* of its own, or NULL */
	} items[];
};

struct consul_services *consul_services_new(const struct consul_config *config, struct consul_http *http, struct consul_client *client,
					    const struct consul_identity *identity, const _Atomic bool *present)
{
	struct consul_services *services = consul_allocate(1, sizeof(*services) + config->services_count * sizeof(services->items[0]));
	services->count = config->services_count;
	for (size_t i = 0; i < services->count; i++) {
		const struct consul_service_config *service = &config->services[i];
		if (service->connection)
			services->items[i].client = consul_client_new(http, service->connection);
		services->items[i].service =
			consul_service_new(service->connection ? services->items[i].client : client, service, identity, atomic_load(&present[i]));
	}
	return services;
}

void consul_services_free(struct consul_services *services)
{
	for (size_t i = 0; i < services->count; i++) {
		consul_service_free(services->items[i].service);
		if (services->items[i].client)
			consul_client_free(services->items[i].client);
	}
	free(services);
}

void consul_services_inherit(struct consul_services *services)
{
	for (size_t i = 0; i < services->count; i++)
		consul_service_inherit(services->items[i].service);
}

void consul_services_tick(struct consul_services *services, const struct consul_verdict *verdict, int64_t now)
{
	for (size_t i = 0; i < services->count; i++)
		consul_service_tick(services->items[i].service, verdict, now);
}

int64_t consul_services_due(const struct consul_services *services)
{
	int64_t first = INT64_MAX;
	for (size_t i = 0; i < services->count; i++) {
		int64_t due = consul_service_due(services->items[i].service);
		if (due < first)
			first = due;
	}
	return first;
}

bool consul_services_are_present(const struct consul_services *services)
{
	for (size_t i = 0; i < services->count; i++)
		if (!consul_service_present(services->items[i].service))
			return false;
	return true;
}

void consul_services_publish(const struct consul_services *services, _Atomic bool *present)
{
	for (size_t i = 0; i < services->count; i++)
		atomic_store(&present[i], consul_service_present(services->items[i].service));
}

void consul_services_leave(struct consul_services *services, bool claim, long most_ms)
{
	for (size_t i = 0; i < services->count; i++)
		consul_service_leave(services->items[i].service, claim, most_ms);
}

bool consul_services_left(const struct consul_services *services)
{
	for (size_t i = 0; i < services->count; i++)
		if (!consul_service_left(services->items[i].service))
			return false;
	return true;
}
