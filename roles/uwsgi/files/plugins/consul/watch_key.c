/* SPDX-License-Identifier: BSD-2-Clause */
#include "watch_key.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "memory.h"

static char *add(char *key, const char *name, const char *value)
{
	char *longer = consul_format("%s%c%s=%s", key, strchr(key, '?') ? '&' : '?', name, value);
	free(key);
	return longer;
}

static char *key_of_service(const struct consul_watch_config *config)
{
	char *plain = consul_format("service/%s", config->name);
	char *key = consul_format("%s", "");
	if (config->datacenter)
		key = add(key, "dc", config->datacenter);
	for (size_t i = 0; i < config->tags.count; i++)
		key = add(key, "tag", config->tags.items[i]);
	if (config->worst != CONSUL_PASSING)
		key = add(key, "status", config->worst == CONSUL_WARNING ? "warning" : "any");
	if (config->filter)
		key = add(key, "filter", config->filter);
	char *whole = consul_format("%s%s", plain, key);
	free(plain);
	free(key);
	return whole;
}

char *consul_watch_key(const struct consul_watch_config *config)
{
	if (config->kind == CONSUL_WATCH_SERVICE)
		return key_of_service(config);
	return consul_format("%s/%s", config->kind == CONSUL_WATCH_KV ? "keys" : "query", config->name);
}

bool consul_watch_has_key(const struct consul_watch_config *config, const char *key)
{
	size_t length = strlen(CONSUL_KEY_OF_ENTRY);
	char *own = consul_watch_key(config);
	bool found = !strcmp(own, key);
	free(own);
	return found || (config->kind == CONSUL_WATCH_KV && !strncmp(key, CONSUL_KEY_OF_ENTRY, length) &&
			 !strncmp(key + length, config->name, strlen(config->name)));
}
