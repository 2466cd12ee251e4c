/* SPDX-License-Identifier: BSD-2-Clause
 * `consul-register`, the option of the plugin uwsgi-consul: its keys and its defaults, with the life of a service as it is here. */
#include "config_parts.h"

#include <stdlib.h>
#include <string.h>

#include "../base/memory.h"
#include "../base/values.h"
#include "judge.h"

#define OPTION "consul-register"
#define REGISTER_PATH "/v1/agent/service/register"
#define CHECK_PATH "/v1/agent/check/pass/service:"
#define DEREGISTER_PATH "/v1/agent/service/deregister/"
#define DEFAULT_TTL_MS (30L * 1000)

struct registration {
	struct consul_service_config *service;
	char *url, *register_url, *check_url, *deregister_url;
};

static struct consul_service_config *service_of(void *registration)
{
	return ((struct registration *) registration)->service;
}

static char *take_name(const char *option, const char *text, void *registration)
{
	return consul_service_take_name(option, text, service_of(registration));
}

static char *take_id(const char *option, const char *text, void *registration)
{
	return consul_service_take_id(option, text, service_of(registration));
}

static char *take_port(const char *option, const char *text, void *registration)
{
	return consul_service_take_port(option, text, service_of(registration));
}

static char *take_address(const char *option, const char *text, void *registration)
{
	return consul_service_take_address(option, text, service_of(registration));
}

/* Separated by blanks there. */
static char *take_tags(const char *option, const char *text, void *registration)
{
	char *problem = NULL;
	for (text += strspn(text, " "); *text && !problem; text += strspn(text, " ")) {
		size_t length = strcspn(text, " ");
		char *tag = consul_copy(text, length);
		problem = consul_service_take_tag(option, tag, service_of(registration));
		free(tag);
		text += length;
	}
	return problem;
}

static char *take_ttl(const char *option, const char *text, void *registration)
{
	static const struct consul_range range = {1000, 86400L * 1000, true, "a number of seconds from 1 to 86400 is right"};
	long ttl_ms = 0;
	char *problem = consul_judge_duration(option, text, &range, &ttl_ms);
	service_of(registration)->ttl_ms = ttl_ms ? ttl_ms : DEFAULT_TTL_MS;
	return problem;
}

static char *take_token(const char *option, const char *text, void *registration)
{
	struct consul_connection *connection = service_of(registration)->connection;
	if (!consul_is_clean(text) || strchr(text, ' '))
		return consul_wrong(option, "...", "a token has no blanks and no control characters");
	free(connection->token);
	connection->token = consul_format("%s", text);
	return NULL;
}

static char *take_no_verify(const char *option, const char *text, void *registration)
{
	(void) option;
	(void) text; /* whatever it is: that it is given, says it */
	service_of(registration)->connection->unverified = true;
	return NULL;
}

static char *take_debug(const char *option, const char *text, void *registration)
{
	(void) option;
	(void) text;
	service_of(registration)->connection->traced = true;
	return NULL;
}

static char *take_wait_workers(const char *option, const char *text, void *registration)
{
	(void) option;
	service_of(registration)->early = atoi(text) <= 0;
	return NULL;
}

static char *take_url(const char *option, const char *text, void *registration)
{
	return consul_judge_text(option, text, &((struct registration *) registration)->url);
}

static char *take_register_url(const char *option, const char *text, void *registration)
{
	return consul_judge_text(option, text, &((struct registration *) registration)->register_url);
}

static char *take_check_url(const char *option, const char *text, void *registration)
{
	return consul_judge_text(option, text, &((struct registration *) registration)->check_url);
}

static char *take_deregister_url(const char *option, const char *text, void *registration)
{
	return consul_judge_text(option, text, &((struct registration *) registration)->deregister_url);
}

/* It may be the end of a token with a comma, or the whole value in quotes. */
static char *take_bare(const char *option, const char *text, void *registration)
{
	(void) text;
	(void) registration;
	return consul_wrong(option, "...", "each part must be key=value, with quotes around a value that holds a comma, and none around all of them");
}

static const struct consul_rule rules[] = {
	{"", take_bare, true},
	{"address", take_address, false},
	{"check_url", take_check_url, false},
	{"debug", take_debug, false},
	{"deregister_url", take_deregister_url, false},
	{"id", take_id, false},
	{"name", take_name, false},
	{"port", take_port, false},
	{"register_url", take_register_url, false},
	{"ssl_no_verify", take_no_verify, false},
	{"tags", take_tags, false},
	{"token", take_token, false},
	{"ttl", take_ttl, false},
	{"url", take_url, false},
	{"wait_workers", take_wait_workers, false},
	{NULL, NULL, false},
};

/* The agent of a URL, which ends in `path` of the API (NULL: is the agent's own). */
static char *take_agent(const char *key, const char *url, const char *path, struct consul_connection *connection)
{
	const char *end = url && path ? strstr(url, path) : NULL;
	struct consul_address agent;
	if (!url)
		return NULL;
	char *base = consul_copy(url, end ? (size_t) (end - url) : strlen(url));
	bool good = (end || !path) && consul_address_parse_url(base, &agent);
	free(base);
	if (good) {
		consul_connection_add_agent(connection, &agent);
		return NULL;
	}
	char *option = consul_format(OPTION ", %s", key);
	/* There may be a password or a token in it. */
	char *problem = consul_wrong(option, strpbrk(url, "@?") ? "..." : url, path ? "it must be the URL of an agent, http(s)://host:port, with the path of this call in Consul's API behind it"
						       : "it must be the URL of an agent, http(s)://host:port");
	free(option);
	return problem;
}

/* The first one is asked first, those of other calls, if they differ, only while it is away. */
static char *take_agents(const struct registration *registration)
{
	struct consul_connection *connection = registration->service->connection;
	char *problem = take_agent("register_url", registration->register_url, REGISTER_PATH, connection);
	if (!problem)
		problem = take_agent("url", registration->url, NULL, connection);
	if (!problem)
		problem = take_agent("check_url", registration->check_url, CHECK_PATH, connection);
	if (!problem)
		problem = take_agent("deregister_url", registration->deregister_url, DEREGISTER_PATH, connection);
	if (!problem && !connection->agents_count)
		problem = consul_wrong(OPTION, registration->service->name, "it needs the url of an agent, such as url=http://127.0.0.1:8500");
	return problem;
}

static void drop_repeated_agents(struct consul_connection *connection)
{
	size_t kept = 0;
	for (size_t i = 0; i < connection->agents_count; i++) {
		bool known = false;
		for (size_t j = 0; j < kept; j++)
			known |= !strcmp(connection->agents[j].base, connection->agents[i].base);
		if (known)
			consul_address_clear(&connection->agents[i]);
		else
			connection->agents[kept++] = connection->agents[i];
	}
	connection->agents_count = kept;
}

static char *read_one(struct registration *registration, const char *text)
{
	struct consul_service_config *service = registration->service;
	char *problem = consul_take_fields(OPTION, text, rules,
					   "the keys are name, url, address, check_url, debug, deregister_url, id, port, register_url, ssl_no_verify, tags, token, "
					   "ttl and wait_workers, each as key=value",
					   registration);
	if (!problem && !service->name)
		problem = consul_wrong(OPTION, "...", "it needs a name=...");
	if (!problem)
		problem = take_agents(registration);
	if (!problem && !service->id)
		problem = consul_service_take_id(OPTION, service->name, service);
	drop_repeated_agents(service->connection);
	return problem;
}

static char *read_registration(struct consul_config *config, const char *text)
{
	struct registration registration = {.service = consul_service_config_add(config)};
	struct consul_service_config *service = registration.service;
	service->portless = true;
	service->ttl_ms = DEFAULT_TTL_MS;
	service->connection = consul_allocate(1, sizeof(*service->connection));
	service->connection->timeout_ms = config->connection.timeout_ms;
	char *problem = read_one(&registration, text);
	free(registration.url);
	free(registration.register_url);
	free(registration.check_url);
	free(registration.deregister_url);
	return problem;
}

char *consul_register_read(const struct consul_options *options, struct consul_config *config)
{
	char *problem = NULL;
	for (size_t i = 0; i < options->registers.count && !problem; i++)
		problem = read_registration(config, options->registers.items[i]);
	return problem;
}
