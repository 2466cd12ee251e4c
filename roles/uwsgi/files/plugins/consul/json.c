/* SPDX-License-Identifier: BSD-2-Clause */
#include "json.h"

#include <stdlib.h>

#include "memory.h"

json_t *consul_json(json_t *value)
{
	if (!value)
		consul_allocation_failed();
	return value;
}

void consul_json_set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, consul_json(value)))
		consul_allocation_failed();
}

void consul_json_append(json_t *array, json_t *value)
{
	if (json_array_append_new(array, consul_json(value)))
		consul_allocation_failed();
}

json_t *consul_json_duration(long milliseconds)
{
	char *text = milliseconds % 1000 ? consul_format("%ldms", milliseconds) : consul_format("%lds", milliseconds / 1000);
	json_t *json = consul_json(json_string(text));
	free(text);
	return json;
}

char *consul_json_text(json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(value);
	if (!text)
		consul_allocation_failed();
	return text;
}

const char *consul_json_string(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}
