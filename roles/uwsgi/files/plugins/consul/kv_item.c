/* SPDX-License-Identifier: BSD-2-Clause */
#include "kv_item.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base64.h"
#include "json.h"

/* Consul says null for an empty value. Text goes as text; what is none goes as Consul sent it. */
static bool add_value(json_t *item, const json_t *value)
{
	size_t length;
	const char *encoded = json_is_null(value) ? "" : json_string_value(value);
	char *bytes = encoded ? consul_base64_decode(encoded, &length) : NULL;
	if (!bytes)
		return false;
	json_t *text = json_stringn(bytes, length);
	free(bytes);
	consul_json_set(item, "value", text ? text : json_null());
	if (!text)
		consul_json_set(item, "base64", json_string(encoded));
	return true;
}

json_t *consul_kv_item(const json_t *entry)
{
	const json_t *key = json_object_get(entry, "Key"), *flags = json_object_get(entry, "Flags"), *index = json_object_get(entry, "ModifyIndex");
	const json_t *session = json_object_get(entry, "Session");
	if (!json_is_string(key) || !json_is_number(flags) || !json_is_number(index))
		return NULL;
	json_t *item = consul_json(json_object());
	consul_json_set(item, "key", json_copy((json_t *) key));
	if (!add_value(item, json_object_get(entry, "Value"))) {
		json_decref(item);
		return NULL;
	}
	consul_json_set(item, "flags", json_copy((json_t *) flags));
	consul_json_set(item, "index", json_integer((json_int_t) json_number_value(index)));
	consul_json_set(item, "session", json_is_string(session) ? json_copy((json_t *) session) : json_null());
	return item;
}
