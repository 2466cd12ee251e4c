/* SPDX-License-Identifier: BSD-2-Clause */
#include "config_parts.h"

#include <stdlib.h>
#include <string.h>

#include "../base/memory.h"
#include "../client/token.h"
#include "judge.h"

#define DEFAULT_AGENT "127.0.0.1:8500"
#define DEFAULT_TIMEOUT_MS (2L * 1000)

void consul_connection_add_agent(struct consul_connection *connection, const struct consul_address *agent)
{
	connection->agents = consul_grow(connection->agents, connection->agents_count + 1, sizeof(*connection->agents));
	connection->agents[connection->agents_count++] = *agent;
}

static char *take_agent(const char *option, const char *text, void *connection)
{
	struct consul_address agent;
	if (!consul_address_parse(text, &agent))
		return consul_wrong(option, text, "an agent is host:port, [::1]:8500, http(s)://host:port or unix:///path");
	consul_connection_add_agent(connection, &agent);
	return NULL;
}

static char *take_agents(const char *option, const char *text, void *connection)
{
	return consul_take_parts(option, text, take_agent, connection);
}

static char *take_consistency(const char *option, const char *text, void *target)
{
	static const char *const modes[] = {[CONSUL_DEFAULT] = "default", [CONSUL_CONSISTENT] = "consistent", [CONSUL_STALE] = "stale", NULL};
	struct consul_connection *connection = target;
	int mode = 0;
	char *problem = consul_judge_choice(option, text, modes, "the modes are default, consistent and stale", &mode);
	connection->consistency = (enum consul_consistency) mode;
	return problem;
}

static char *take_datacenter(const char *option, const char *text, void *connection)
{
	return consul_judge_text(option, text, &((struct consul_connection *) connection)->datacenter);
}

static char *take_token_file(const char *option, const char *text, void *target)
{
	struct consul_connection *connection = target;
	char *trouble = consul_token_check(text);
	char *problem = trouble ? consul_wrong(option, text, trouble) : consul_judge_path(option, text, &connection->token_file);
	free(trouble);
	return problem;
}

static char *take_ca(const char *option, const char *text, void *connection)
{
	return consul_judge_file(option, text, &((struct consul_connection *) connection)->ca);
}

static char *take_cert(const char *option, const char *text, void *connection)
{
	return consul_judge_file(option, text, &((struct consul_connection *) connection)->cert);
}

static char *take_key(const char *option, const char *text, void *connection)
{
	return consul_judge_file(option, text, &((struct consul_connection *) connection)->key);
}

static char *take_timeout(const char *option, const char *text, void *target)
{
	static const struct consul_range range = {100, 60 * 1000, false, "a time from 100ms to 60s is right, such as 2s"};
	return consul_judge_duration(option, text, &range, &((struct consul_connection *) target)->timeout_ms);
}

/* One without the other is of no use, and both are of none without TLS. */
static char *check_tls(const struct consul_connection *connection)
{
	bool secure = false;
	if (connection->cert && !connection->key)
		return consul_wrong("consul-cert", connection->cert, "it needs a consul-key beside it");
	if (connection->key && !connection->cert)
		return consul_wrong("consul-key", connection->key, "it needs a consul-cert beside it");
	for (size_t i = 0; i < connection->agents_count; i++)
		secure |= !strncmp(connection->agents[i].base, "https:", 6);
	if (!secure && (connection->ca || connection->cert))
		return consul_wrong(connection->ca ? "consul-ca" : "consul-cert", connection->ca ? connection->ca : connection->cert,
				    "no consul-agent is https://..., so nothing would be checked or encrypted");
	return NULL;
}

char *consul_connection_read(const struct consul_options *options, struct consul_connection *connection)
{
	const struct consul_reading readings[] = {
		{"consul-agent", &options->agent, take_agents, connection},
		{"consul-consistency-mode", &options->consistency_mode, take_consistency, connection},
		{"consul-datacenter", &options->datacenter, take_datacenter, connection},
		{"consul-token-file", &options->token_file, take_token_file, connection},
		{"consul-ca", &options->ca, take_ca, connection},
		{"consul-cert", &options->cert, take_cert, connection},
		{"consul-key", &options->key, take_key, connection},
		{"consul-timeout", &options->timeout, take_timeout, connection},
	};
	connection->timeout_ms = DEFAULT_TIMEOUT_MS;
	char *problem = CONSUL_TAKE_OPTIONS(readings);
	if (!problem && !connection->agents_count)
		problem = take_agent("consul-agent", DEFAULT_AGENT, connection);
	return problem ? problem : check_tls(connection);
}

void consul_connection_clear(struct consul_connection *connection)
{
	for (size_t i = 0; i < connection->agents_count; i++)
		consul_address_clear(&connection->agents[i]);
	if (connection->token)
		explicit_bzero(connection->token, strlen(connection->token));
	free(connection->agents);
	free(connection->datacenter);
	free(connection->token_file);
	free(connection->token);
	free(connection->ca);
	free(connection->cert);
	free(connection->key);
	memset(connection, 0, sizeof(*connection));
}
