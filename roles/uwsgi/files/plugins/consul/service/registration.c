/* SPDX-License-Identifier: BSD-2-Clause */
#include "registration.h"

#include <stdlib.h>
#include <string.h>

#include "../base/json.h"
#include "../base/memory.h"
#include "../base/path.h"
#include "../base/values.h"
#include "../config/config.h"

static json_t *check_of(const struct consul_service_config *config, const char *suffix, const char *name)
{
	json_t *check = consul_json(json_object());
	char *id = consul_format("service:%s%s", config->id, suffix);
	consul_json_set(check, "CheckID", json_string(id));
	free(id);
	consul_json_set(check, "Name", json_string(name));
	if (config->deregister_after_ms)
		consul_json_set(check, "DeregisterCriticalServiceAfter", consul_json_duration(config->deregister_after_ms));
	return check;
}

static json_t *workers_check(const struct consul_service_config *config, enum consul_state state)
{
	json_t *check = check_of(config, "", "uWSGI workers");
	consul_json_set(check, "TTL", consul_json_duration(config->ttl_ms));
	consul_json_set(check, "Status", json_string(consul_state_name(state)));
	return check;
}

/* One that the agent makes by itself. It starts from passing, or a service that is ready would wait for the first interval. */
static json_t *agents_check(const struct consul_service_config *config, const char *suffix, const char *name, const char *kind, const char *target)
{
	json_t *check = check_of(config, suffix, name);
	consul_json_set(check, kind, json_string(target));
	consul_json_set(check, "Interval", consul_json_duration(config->check_interval_ms));
	consul_json_set(check, "Status", json_string(consul_state_name(CONSUL_PASSING)));
	return check;
}

static json_t *checks_of(const struct consul_service_config *config, enum consul_state state)
{
	json_t *checks = consul_json(json_array());
	consul_json_append(checks, workers_check(config, state));
	if (config->check_http)
		consul_json_append(checks, agents_check(config, CONSUL_CHECK_HTTP, "HTTP", "HTTP", config->check_http));
	if (config->check_tcp)
		consul_json_append(checks, agents_check(config, CONSUL_CHECK_TCP, "TCP", "TCP", config->check_tcp));
	return checks;
}

static json_t *tags_of(const struct consul_service_config *config)
{
	json_t *tags = consul_json(json_array());
	for (size_t i = 0; i < config->tags.count; i++)
		consul_json_append(tags, json_string(config->tags.items[i]));
	return tags;
}

static json_t *meta_of(const struct consul_service_config *config, const struct consul_identity *identity)
{
	json_t *meta = consul_json(json_object());
	char *master = consul_format("%d", identity->master);
	for (size_t i = 0; i < config->meta_count; i++)
		consul_json_set(meta, config->meta[i].key, json_string(config->meta[i].value));
	consul_json_set(meta, CONSUL_NONCE_KEY, json_string(identity->nonce));
	consul_json_set(meta, "uwsgi-version", json_string(identity->version));
	consul_json_set(meta, "uwsgi-mode", json_string(identity->mode));
	consul_json_set(meta, "uwsgi-master-pid", json_string(master));
	free(master);
	return meta;
}

static json_t *weights_of(const struct consul_service_config *config)
{
	json_t *weights = consul_json(json_object());
	consul_json_set(weights, "Passing", json_integer(config->passing_weight));
	consul_json_set(weights, "Warning", json_integer(config->warning_weight));
	return weights;
}

char *consul_registration_path(void)
{
	return consul_format("/v1/agent/service/register?replace-existing-checks=true");
}

char *consul_registration_body(const struct consul_service_config *config, const struct consul_identity *identity, enum consul_state state)
{
	json_t *service = consul_json(json_object());
	consul_json_set(service, "ID", json_string(config->id));
	consul_json_set(service, "Name", json_string(config->name));
	if (config->port)
		consul_json_set(service, "Port", json_integer(config->port));
	if (config->address)
		consul_json_set(service, "Address", json_string(config->address));
	consul_json_set(service, "Tags", tags_of(config));
	consul_json_set(service, "Meta", meta_of(config, identity));
	if (config->passing_weight >= 0)
		consul_json_set(service, "Weights", weights_of(config));
	consul_json_set(service, "Checks", checks_of(config, state));
	return consul_json_text(service);
}

char *consul_update_path(const struct consul_service_config *config)
{
	return consul_path("/v1/agent/check/update/service:", config->id);
}

/* An app's own words may be of two verdicts that were given at the same moment, and then no UTF-8. */
static json_t *text_of(const char *note)
{
	json_t *text = json_string(note);
	if (text)
		return text;
	char *printable = consul_printable(note);
	text = consul_json(json_string(printable));
	free(printable);
	return text;
}

char *consul_update_body(enum consul_state state, const char *note)
{
	json_t *update = consul_json(json_object());
	consul_json_set(update, "Status", json_string(consul_state_name(state)));
	consul_json_set(update, "Output", text_of(note));
	return consul_json_text(update);
}

char *consul_lookup_path(const struct consul_service_config *config)
{
	return consul_path("/v1/agent/service/", config->id);
}

enum consul_owner consul_lookup_owner(const char *body, size_t length, const char *nonce)
{
	json_t *service = json_loadb(body, length, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(service)) {
		json_decref(service);
		return CONSUL_UNCLEAR;
	}
	const char *found = consul_json_string(json_object_get(service, "Meta"), CONSUL_NONCE_KEY);
	enum consul_owner owner = strcmp(found, nonce) ? CONSUL_ANOTHERS : CONSUL_OURS;
	json_decref(service);
	return owner;
}

char *consul_deregistration_path(const struct consul_service_config *config)
{
	return consul_path("/v1/agent/service/deregister/", config->id);
}
