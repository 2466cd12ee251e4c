/* SPDX-License-Identifier: BSD-2-Clause */
#include "instance.h"

#include <string.h>

#include "json.h"

static json_t *copy_text(const json_t *object, const char *key)
{
	json_t *text = json_object_get(object, key);
	return json_is_string(text) ? json_incref(text) : json_null();
}

static json_t *copy_object(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);
	return json_is_object(value) ? json_incref(value) : json_object();
}

static json_t *copy_list(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);
	return json_is_array(value) ? json_incref(value) : json_array();
}

/* Consul leaves out a port that is none. */
static json_t *copy_port(const json_t *object)
{
	json_t *port = json_object_get(object, "Port");
	return json_is_integer(port) ? json_incref(port) : json_integer(0);
}

static json_t *tagged_addresses(const json_t *service)
{
	json_t *addresses = consul_json(json_object());
	const char *name;
	json_t *tagged;
	json_object_foreach (json_object_get(service, "TaggedAddresses"), name, tagged) {
		json_t *address = consul_json(json_object());
		consul_json_set(address, "address", copy_text(tagged, "Address"));
		consul_json_set(address, "port", copy_port(tagged));
		consul_json_set(addresses, name, address);
	}
	return addresses;
}

static json_t *weight(const json_t *service, const char *state)
{
	json_t *value = json_object_get(json_object_get(service, "Weights"), state);
	return json_is_integer(value) ? json_incref(value) : json_integer(1);
}

static json_t *weights(const json_t *service)
{
	json_t *both = consul_json(json_object());
	consul_json_set(both, "passing", weight(service, "Passing"));
	consul_json_set(both, "warning", weight(service, "Warning"));
	return both;
}

/* The worst of the checks, by Consul's own rule. */
static const char *status(const json_t *checks)
{
	static const char *const states[] = {"passing", "warning", "critical"};
	size_t worst = 0, i;
	json_t *check;
	json_array_foreach (checks, i, check) {
		const char *id = consul_json_string(check, "CheckID");
		if (!strcmp(id, "_node_maintenance") || !strncmp(id, "_service_maintenance:", 21))
			return "maintenance";
		for (size_t state = worst + 1; state < 3; state++)
			if (!strcmp(consul_json_string(check, "Status"), states[state]))
				worst = state;
	}
	return states[worst];
}

json_t *consul_instance(const json_t *entry)
{
	const json_t *node = json_object_get(entry, "Node"), *service = json_object_get(entry, "Service");
	if (!*consul_json_string(node, "Node") || !*consul_json_string(service, "Service") || !*consul_json_string(service, "ID"))
		return NULL;
	json_t *instance = consul_json(json_object());
	consul_json_set(instance, "node", copy_text(node, "Node"));
	consul_json_set(instance, "node_address", copy_text(node, "Address"));
	consul_json_set(instance, "node_meta", copy_object(node, "Meta"));
	consul_json_set(instance, "datacenter", copy_text(node, "Datacenter"));
	consul_json_set(instance, "service", copy_text(service, "Service"));
	consul_json_set(instance, "id", copy_text(service, "ID"));
	consul_json_set(instance, "address", *consul_json_string(service, "Address") ? copy_text(service, "Address") : copy_text(node, "Address"));
	consul_json_set(instance, "port", copy_port(service));
	consul_json_set(instance, "tags", copy_list(service, "Tags"));
	consul_json_set(instance, "meta", copy_object(service, "Meta"));
	consul_json_set(instance, "tagged_addresses", tagged_addresses(service));
	consul_json_set(instance, "weights", weights(service));
	consul_json_set(instance, "status", json_string(status(json_object_get(entry, "Checks"))));
	return instance;
}
