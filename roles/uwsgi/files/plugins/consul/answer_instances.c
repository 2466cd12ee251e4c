/* SPDX-License-Identifier: BSD-2-Clause */
#include "answer_instances.h"

#include <stdlib.h>
#include <string.h>

#include "instance.h"
#include "json.h"
#include "memory.h"

static bool is_wanted(const struct consul_instance *instance, enum consul_state worst)
{
	return worst == CONSUL_CRITICAL || !strcmp(instance->status, "passing") || (worst == CONSUL_WARNING && !strcmp(instance->status, "warning"));
}

static int compare(const void *one, const void *other)
{
	const struct consul_instance *left = one, *right = other;
	int order = strcmp(consul_json_string(left->node, "Node"), consul_json_string(right->node, "Node"));
	if (!order)
		order = (left->port > right->port) - (left->port < right->port);
	return order ? order : strcmp(consul_json_string(left->service, "ID"), consul_json_string(right->service, "ID"));
}

static bool collect(const json_t *entries, enum consul_state worst, struct consul_instance *instances, size_t *count)
{
	size_t index;
	json_t *entry;
	json_array_foreach(entries, index, entry) {
		struct consul_instance *instance = &instances[*count];
		if (!consul_instance_look(entry, instance))
			return false;
		*count += is_wanted(instance, worst);
	}
	return true;
}

bool consul_answer_instances(const json_t *entries, enum consul_state worst, struct consul_text *text)
{
	size_t count = 0;
	/* Go's empty list is null. */
	if (!json_is_array(entries) && !json_is_null(entries))
		return false;
	struct consul_instance *instances = consul_allocate(json_array_size(entries) + 1, sizeof(*instances));
	bool good = collect(entries, worst, instances, &count);
	if (good) {
		qsort(instances, count, sizeof(*instances), compare);
		consul_text_add_format(text, "\"instances\":[");
		for (size_t i = 0; i < count; i++) {
			if (i)
				consul_text_add(text, ",", 1);
			consul_text_add_json(text, consul_instance_json(&instances[i]));
		}
		consul_text_add(text, "]", 1);
	}
	free(instances);
	return good;
}

bool consul_answer_service(const char *body, size_t length, enum consul_state worst, struct consul_text *text)
{
	json_t *entries = json_loadb(body, length, JSON_ALLOW_NUL, NULL);
	bool good = entries && consul_answer_instances(entries, worst, text);
	json_decref(entries);
	return good;
}

bool consul_answer_query(const char *body, size_t length, struct consul_text *text)
{
	json_t *result = json_loadb(body, length, JSON_ALLOW_NUL, NULL);
	bool good = json_is_string(json_object_get(result, "Datacenter"));
	if (good) {
		consul_text_add_field(text, "datacenter", json_incref(json_object_get(result, "Datacenter")));
		consul_text_add(text, ",", 1);
		consul_text_add_field(text, "failovers", json_integer(json_integer_value(json_object_get(result, "Failovers"))));
		consul_text_add(text, ",", 1);
		/* Whom it lists is the query's own choice. */
		good = consul_answer_instances(json_object_get(result, "Nodes"), CONSUL_CRITICAL, text);
	}
	json_decref(result);
	return good;
}
