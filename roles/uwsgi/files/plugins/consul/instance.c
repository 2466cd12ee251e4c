/* SPDX-License-Identifier: BSD-2-Clause */
#include "instance.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "memory.h"

static bool is_named(const json_t *object, const char *key)
{
	return json_is_string(json_object_get(object, key));
}

/* The worst of all checks, by Consul's own rule; NULL when they are no checks. */
static const char *status_of(const json_t *checks)
{
	const char *worst = "passing";
	size_t index;
	json_t *check;
	json_array_foreach(checks, index, check) {
		if (!is_named(check, "CheckID") || !is_named(check, "Status"))
			return NULL;
		const char *id = consul_json_string(check, "CheckID"), *status = consul_json_string(check, "Status");
		if (!strcmp(id, "_node_maintenance") || !strncmp(id, "_service_maintenance:", 21))
			return "maintenance";
		if (!strcmp(status, "critical") || (!strcmp(status, "warning") && strcmp(worst, "critical")))
			worst = !strcmp(status, "critical") ? "critical" : "warning";
	}
	return worst;
}

bool consul_instance_look(const json_t *entry, struct consul_instance *instance)
{
	instance->node = json_object_get(entry, "Node");
	instance->service = json_object_get(entry, "Service");
	const json_t *checks = json_object_get(entry, "Checks");
	if (!is_named(instance->node, "Node") || !is_named(instance->node, "Address") || !is_named(instance->service, "Service") ||
	    !is_named(instance->service, "ID") || !json_is_array(checks))
		return false;
	instance->port = json_integer_value(json_object_get(instance->service, "Port"));
	instance->status = status_of(checks);
	return instance->status != NULL;
}

/* A copy of an object whose keys are sorted, since Consul's are not in the same order in each answer. */
static json_t *sorted(const json_t *object)
{
	json_t *copy = consul_json(json_object());
	size_t count = json_object_size(object), i = 0;
	const char **keys = consul_allocate(count, sizeof(*keys));
	const char *key;
	json_t *value;
	json_object_foreach((json_t *) object, key, value) {
		size_t at = i++;
		for (; at && strcmp(keys[at - 1], key) > 0; at--)
			keys[at] = keys[at - 1];
		keys[at] = key;
	}
	for (i = 0; i < count; i++)
		consul_json_set(copy, keys[i], json_incref(json_object_get(object, keys[i])));
	free(keys);
	return copy;
}

static json_t *tags_of(const json_t *service)
{
	json_t *tags = json_object_get(service, "Tags");
	return json_is_array(tags) ? json_incref(tags) : consul_json(json_array());
}

static json_t *address_of(const struct consul_instance *instance)
{
	const char *own = consul_json_string(instance->service, "Address");
	return consul_json(json_string(*own ? own : consul_json_string(instance->node, "Address")));
}

static json_t *tagged_addresses_of(const json_t *service)
{
	json_t *found = sorted(json_object_get(service, "TaggedAddresses"));
	json_t *addresses = consul_json(json_object());
	const char *name;
	json_t *tagged;
	json_object_foreach(found, name, tagged) {
		json_t *address = consul_json(json_object());
		consul_json_set(address, "address", json_string(consul_json_string(tagged, "Address")));
		consul_json_set(address, "port", json_integer(json_integer_value(json_object_get(tagged, "Port"))));
		consul_json_set(addresses, name, address);
	}
	json_decref(found);
	return addresses;
}

static json_t *weight(const json_t *weights, const char *key)
{
	json_t *found = json_object_get(weights, key);
	return consul_json(json_integer(json_is_integer(found) ? json_integer_value(found) : 1));
}

static json_t *weights_of(const json_t *service)
{
	const json_t *found = json_object_get(service, "Weights");
	json_t *weights = consul_json(json_object());
	consul_json_set(weights, "passing", weight(found, "Passing"));
	consul_json_set(weights, "warning", weight(found, "Warning"));
	return weights;
}

static json_t *datacenter_of(const json_t *node)
{
	json_t *datacenter = json_object_get(node, "Datacenter");
	return json_is_string(datacenter) ? json_incref(datacenter) : json_null();
}

json_t *consul_instance_json(const struct consul_instance *instance)
{
	json_t *object = consul_json(json_object());
	const json_t *service = instance->service;
	consul_json_set(object, "node", json_string(consul_json_string(instance->node, "Node")));
	consul_json_set(object, "node_address", json_string(consul_json_string(instance->node, "Address")));
	consul_json_set(object, "node_meta", sorted(json_object_get(instance->node, "Meta")));
	consul_json_set(object, "datacenter", datacenter_of(instance->node));
	consul_json_set(object, "service", json_string(consul_json_string(service, "Service")));
	consul_json_set(object, "id", json_string(consul_json_string(service, "ID")));
	consul_json_set(object, "address", address_of(instance));
	consul_json_set(object, "port", json_integer(instance->port));
	consul_json_set(object, "tags", tags_of(service));
	consul_json_set(object, "meta", sorted(json_object_get(service, "Meta")));
	consul_json_set(object, "tagged_addresses", tagged_addresses_of(service));
	consul_json_set(object, "weights", weights_of(service));
	consul_json_set(object, "status", json_string(instance->status));
	return object;
}
