/* SPDX-License-Identifier: BSD-2-Clause */
#include "config_parts.h"

#include <stdlib.h>
#include <string.h>

#include "../base/memory.h"
#include "../service/registration.h"
#include "judge.h"

#define DEFAULT_STOP_MS (2L * 1000)

static char *take_backlog(const char *option, const char *text, void *backlog)
{
	static const struct consul_range range = {1, 1000000, true, "a number of connections is right, or 0 for never"};
	return consul_judge_number(option, text, &range, backlog);
}

static char *take_suspended(const char *option, const char *text, void *state)
{
	static const char *const states[] = {[CONSUL_PASSING] = "passing", [CONSUL_WARNING] = "warning", [CONSUL_CRITICAL] = "critical", NULL};
	int index = CONSUL_CRITICAL;
	char *problem = consul_judge_choice(option, text, states, "the states are passing, warning and critical", &index);
	*(enum consul_state *) state = (enum consul_state) index;
	return problem;
}

static char *take_stop_timeout(const char *option, const char *text, void *stop_ms)
{
	static const struct consul_range range = {100, 60 * 1000, false, "a time from 100ms to 60s is right, such as 2s"};
	return consul_judge_duration(option, text, &range, stop_ms);
}

char *consul_config_read(const struct consul_options *options, struct consul_config *config)
{
	memset(config, 0, sizeof(*config));
	config->suspended = CONSUL_CRITICAL;
	config->stop_ms = DEFAULT_STOP_MS;
	const struct consul_reading readings[] = {
		{"consul-stop-timeout", &options->stop_timeout, take_stop_timeout, &config->stop_ms},
		{"consul-check-backlog", &options->check_backlog, take_backlog, &config->backlog},
		{"consul-suspended", &options->suspended, take_suspended, &config->suspended},
	};
	char *problem = consul_connection_read(options, &config->connection);
	if (!problem)
		problem = CONSUL_TAKE_OPTIONS(readings);
	if (!problem)
		problem = consul_service_config_read(options, config);
	if (!problem)
		problem = consul_register_read(options, config);
	if (!problem)
		problem = consul_watch_read(options, config);
	if (!problem)
		problem = consul_election_read(options, &config->election);
	return problem ? problem : consul_watch_check(config);
}

/* A check of `one` has the id that `other` has for its first. */
static bool has_check_of(const struct consul_service_config *one, const struct consul_service_config *other)
{
	size_t length = strlen(one->id);
	const char *suffix = strncmp(one->id, other->id, length) ? "" : other->id + length;
	return (one->check_http && !strcmp(suffix, CONSUL_CHECK_HTTP)) || (one->check_tcp && !strcmp(suffix, CONSUL_CHECK_TCP));
}

/* Two services with one id would take each other out, and so would their checks. */
static char *find_twins(const struct consul_config *config)
{
	for (size_t i = 0; i < config->services_count; i++)
		for (size_t j = 0; j < config->services_count; j++) {
			const struct consul_service_config *one = &config->services[j], *other = &config->services[i];
			if (j < i && !strcmp(one->id, other->id))
				return consul_wrong("consul-service-id", other->id, "two services of this instance have it: each needs its own");
			if (has_check_of(one, other))
				return consul_wrong("consul-service-id", other->id, "a check of another service of this instance has it: take another");
		}
	return NULL;
}

char *consul_config_complete(struct consul_config *config, const char *node, const struct consul_endpoint *endpoint)
{
	for (size_t i = 0; i < config->services_count; i++) {
		char *problem = consul_service_config_complete(&config->services[i], node, endpoint);
		if (problem)
			return problem;
	}
	return find_twins(config);
}

bool consul_config_is_active(const struct consul_config *config)
{
	return config->services_count || config->watches_count || config->election.name;
}

char *consul_config_identity(const struct consul_config *config)
{
	char *identity = consul_format("%s", "");
	for (size_t i = 0; i < config->services_count; i++) {
		/* An id has no control characters. */
		char *longer = consul_format("%s%s\n", identity, config->services[i].id);
		free(identity);
		identity = longer;
	}
	if (config->election.name) {
		char *longer = consul_format("%selection %s\n", identity, config->election.key);
		free(identity);
		identity = longer;
	}
	return identity;
}

void consul_config_clear(struct consul_config *config)
{
	for (size_t i = 0; i < config->services_count; i++)
		consul_service_config_clear(&config->services[i]);
	for (size_t i = 0; i < config->watches_count; i++)
		consul_watch_config_clear(&config->watches[i]);
	consul_election_config_clear(&config->election);
	consul_connection_clear(&config->connection);
	free(config->services);
	free(config->watches);
	free(config->cache);
	memset(config, 0, sizeof(*config));
}
