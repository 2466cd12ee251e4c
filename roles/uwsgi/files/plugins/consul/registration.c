/* SPDX-License-Identifier: BSD-2-Clause */
#include "registration.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "memory.h"

static char *escape(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~";
	char *escaped = consul_allocate(3 * strlen(text) + 1, 1);
	char *end = escaped;
	for (; *text; text++) {
		if (strchr(plain, *text)) {
			*end++ = *text;
		} else {
			*end++ = '%';
			*end++ = "0123456789ABCDEF"[(unsigned char) *text >> 4];
			*end++ = "0123456789ABCDEF"[(unsigned char) *text & 15];
		}
	}
	return escaped;
}

static char *path_to(const char *before, const struct consul_config *config)
{
	char *id = escape(config->id);
	char *path = consul_format("%s%s", before, id);
	free(id);
	return path;
}

/* jansson fails on lack of memory only: the texts were judged as UTF-8 when the options were read. */
static json_t *must(json_t *json)
{
	if (!json)
		consul_allocation_failed();
	return json;
}

static void set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, must(value)))
		consul_allocation_failed();
}

static char *dump(json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	if (!text)
		consul_allocation_failed();
	return text;
}

/* As Go reads it, and as a person likes to. */
static json_t *duration(long milliseconds)
{
	char *text = milliseconds % 1000 ? consul_format("%ldms", milliseconds) : consul_format("%lds", milliseconds / 1000);
	json_t *json = must(json_string(text));
	free(text);
	return json;
}

static char *check_id(const struct consul_config *config)
{
	return consul_format("service:%s", config->id);
}

static json_t *check_of(const struct consul_config *config, enum consul_state state)
{
	json_t *check = must(json_object());
	char *id = check_id(config);
	set(check, "CheckID", json_string(id));
	free(id);
	set(check, "Name", json_string("uWSGI workers"));
	set(check, "TTL", duration(config->ttl_ms));
	set(check, "Status", json_string(consul_state_name(state)));
	if (config->deregister_after_ms)
		set(check, "DeregisterCriticalServiceAfter", duration(config->deregister_after_ms));
	return check;
}

static json_t *tags_of(const struct consul_config *config)
{
	json_t *tags = must(json_array());
	for (size_t i = 0; i < config->tags_count; i++)
		if (json_array_append_new(tags, must(json_string(config->tags[i]))))
			consul_allocation_failed();
	return tags;
}

static json_t *meta_of(const struct consul_config *config, const char *nonce)
{
	json_t *meta = must(json_object());
	for (size_t i = 0; i < config->meta_count; i++)
		set(meta, config->meta[i].key, json_string(config->meta[i].value));
	set(meta, CONSUL_NONCE_KEY, json_string(nonce));
	return meta;
}

char *consul_registration_path(void)
{
	return consul_format("/v1/agent/service/register?replace-existing-checks=true");
}

char *consul_registration_body(const struct consul_config *config, const char *nonce, enum consul_state state)
{
	json_t *service = must(json_object());
	set(service, "ID", json_string(config->id));
	set(service, "Name", json_string(config->name));
	set(service, "Port", json_integer(config->port));
	if (config->address)
		set(service, "Address", json_string(config->address));
	set(service, "Tags", tags_of(config));
	set(service, "Meta", meta_of(config, nonce));
	set(service, "Check", check_of(config, state));
	return dump(service);
}

char *consul_update_path(const struct consul_config *config)
{
	return path_to("/v1/agent/check/update/service:", config);
}

char *consul_update_body(enum consul_state state, const char *note)
{
	json_t *update = must(json_object());
	set(update, "Status", json_string(consul_state_name(state)));
	set(update, "Output", json_string(note));
	return dump(update);
}

char *consul_lookup_path(const struct consul_config *config)
{
	return path_to("/v1/agent/service/", config);
}

enum consul_owner consul_lookup_owner(const char *body, size_t length, const char *nonce)
{
	json_t *service = json_loadb(body, length, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(service)) {
		json_decref(service);
		return CONSUL_UNCLEAR;
	}
	const char *found = json_string_value(json_object_get(json_object_get(service, "Meta"), CONSUL_NONCE_KEY));
	enum consul_owner owner = found && !strcmp(found, nonce) ? CONSUL_OURS : CONSUL_ANOTHERS;
	json_decref(service);
	return owner;
}

char *consul_deregistration_path(const struct consul_config *config)
{
	return path_to("/v1/agent/service/deregister/", config);
}
