/* SPDX-License-Identifier: BSD-2-Clause */
#include "candidate.h"

#include <stdlib.h>

#include "config.h"
#include "json.h"
#include "memory.h"

/* A service at agents of its own may be unknown to the one that makes the session. */
static json_t *service_checks(const struct consul_config *config)
{
	json_t *checks = consul_json(json_array());
	for (size_t i = 0; i < config->services_count; i++) {
		const struct consul_service_config *service = &config->services[i];
		if (service->connection)
			continue;
		json_t *check = consul_json(json_object());
		char *id = consul_format("service:%s", service->id);
		consul_json_set(check, "ID", json_string(id));
		consul_json_append(checks, check);
		free(id);
	}
	return checks;
}

char *consul_candidate_session(const struct consul_config *config)
{
	const struct consul_election_config *election = &config->election;
	json_t *session = consul_json(json_object());
	json_t *node_checks = consul_json(json_array());
	char *name = consul_format("uWSGI election %s", election->name);
	consul_json_append(node_checks, json_string("serfHealth"));
	consul_json_set(session, "Name", json_string(name));
	consul_json_set(session, "TTL", consul_json_duration(election->ttl_ms));
	consul_json_set(session, "LockDelay", consul_json_duration(election->lock_delay_ms));
	consul_json_set(session, "Behavior", json_string("release"));
	consul_json_set(session, "NodeChecks", node_checks);
	consul_json_set(session, "ServiceChecks", service_checks(config));
	free(name);
	return consul_json_text(session);
}

char *consul_candidate_value(const struct consul_config *config, const struct consul_candidate *candidate)
{
	const struct consul_service_config *service = config->services_count ? config->services : NULL;
	json_t *value = consul_json(json_object());
	char *id = service ? consul_format("%s", service->id) : consul_format("%s-%d", candidate->node, candidate->master);
	consul_json_set(value, "id", json_string(id));
	consul_json_set(value, "node", json_string(candidate->node));
	consul_json_set(value, "address", service && service->address ? json_string(service->address) : json_null());
	consul_json_set(value, "port", service && service->port ? json_integer(service->port) : json_null());
	consul_json_set(value, "master", json_integer(candidate->master));
	consul_json_set(value, "instance", json_string(candidate->nonce));
	free(id);
	return consul_json_text(value);
}

char *consul_candidate_item(const struct consul_config *config, json_t *holder, unsigned long long token)
{
	json_t *item = consul_json(json_object());
	consul_json_set(item, "election", json_string(config->election.name));
	consul_json_set(item, "leader", json_boolean(token));
	consul_json_set(item, "holder", holder ? json_incref(holder) : json_null());
	consul_json_set(item, "token", token ? json_integer((json_int_t) token) : json_null());
	return consul_json_text(item);
}
