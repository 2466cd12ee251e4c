/* SPDX-License-Identifier: BSD-2-Clause */
#include "http.h"
#include "instance.h"
#include "json.h"
#include "memory.h"
#include "path.h"
#include "rpc_functions.h"

/* 10,000 instances have about 15 MB. */
#define LARGE_ANSWER ((size_t) 256 * 1024 * 1024)

enum { SERVICES_DC };

static void ask_services(struct consul_rpc_call *call, struct consul_request *request, char **path, char **body)
{
	(void) body;
	request->method = "GET";
	request->most = LARGE_ANSWER;
	*path = consul_rpc_where(call, consul_format("/v1/catalog/services"), SERVICES_DC, true);
}

static json_t *read_services(const struct consul_answer *answer)
{
	json_t *services = consul_rpc_json(answer);
	if (json_is_object(services))
		return services;
	json_decref(services);
	return NULL;
}

const struct consul_rpc_function consul_rpc_services = {
	.name = "consul_services",
	.arguments = {"dc"},
	.ask = ask_services,
	.read = read_services,
};

enum { SERVICE_TAG, SERVICE_NAME, SERVICE_DC };

static void ask_service(struct consul_rpc_call *call, struct consul_request *request, char **path, char **body)
{
	(void) body;
	const char *tag = consul_rpc_value(call, SERVICE_TAG);
	request->method = "GET";
	request->most = LARGE_ANSWER;
	*path = consul_path_add(consul_path("/v1/health/service/", consul_rpc_name(call, SERVICE_NAME)), "passing", NULL);
	if (*tag)
		*path = consul_path_add(*path, "tag", tag);
	*path = consul_rpc_where(call, *path, SERVICE_DC, true);
}

static json_t *read_service(const struct consul_answer *answer)
{
	json_t *entries = consul_rpc_read_list(answer), *instances = consul_json(json_array()), *entry;
	size_t i;
	bool good = entries;
	json_array_foreach (entries, i, entry) {
		struct consul_instance instance;
		good = good && consul_instance_look(entry, &instance);
		if (good)
			consul_json_append(instances, consul_instance_json(&instance));
	}
	json_decref(entries);
	if (good)
		return instances;
	json_decref(instances);
	return NULL;
}

const struct consul_rpc_function consul_rpc_service = {
	.name = "consul_service",
	.arguments = {"tag", "name", "dc"},
	.needed = 2,
	.ask = ask_service,
	.read = read_service,
};
