/* SPDX-License-Identifier: BSD-2-Clause */
#include "config_parts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../base/memory.h"
#include "../base/values.h"
#include "../service/registration.h"
#include "judge.h"

#define DEFAULT_TTL_MS (10L * 1000)
#define DEFAULT_DEREGISTER_AFTER_MS (10L * 60 * 1000)
#define DEFAULT_INTERVAL_MS (10L * 1000)
#define HOUR_MS (3600L * 1000)

/* Consul's own limits for the meta data of a service, without the places that the plugin needs. */
#define META_PAIRS 60
#define META_KEY_LENGTH 128
#define META_VALUE_LENGTH 512

char *consul_service_take_name(const char *option, const char *text, void *service)
{
	return consul_judge_text(option, text, &((struct consul_service_config *) service)->name);
}

char *consul_service_take_id(const char *option, const char *text, void *service)
{
	/* In the path of a request these two mean a folder, and Consul answers with a redirect. */
	if (!strcmp(text, ".") || !strcmp(text, ".."))
		return consul_wrong(option, text, "an id of dots only can't be asked for at an agent");
	return consul_judge_text(option, text, &((struct consul_service_config *) service)->id);
}

char *consul_service_take_port(const char *option, const char *text, void *target)
{
	struct consul_service_config *service = target;
	return consul_parse_port(text, &service->port) ? NULL : consul_wrong(option, text, "a port is a number from 1 to 65535");
}

char *consul_service_take_address(const char *option, const char *text, void *target)
{
	struct consul_service_config *service = target;
	if (!consul_is_clean(text) || strpbrk(text, " /,[]"))
		return consul_wrong(option, text, "it must be a host name or an IP address, without a port");
	if (!strcmp(text, "0.0.0.0") || !strcmp(text, "::"))
		return consul_wrong(option, text, "nobody can connect to the wildcard address: give one that others reach");
	return consul_judge_text(option, text, &service->address);
}

char *consul_service_take_tag(const char *option, const char *text, void *target)
{
	struct consul_service_config *service = target;
	if (!consul_is_clean(text))
		return consul_wrong(option, text, "a tag must be UTF-8 text, not empty and without control characters; commas separate tags");
	consul_list_add(&service->tags, text);
	return NULL;
}

static char *take_tags(const char *option, const char *text, void *service)
{
	return consul_take_parts(option, text, consul_service_take_tag, service);
}

static bool is_meta_key(const char *text, size_t length)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	return length && length <= META_KEY_LENGTH && strspn(text, allowed) == length && strncasecmp(text, "consul-", 7) && strncasecmp(text, "uwsgi-", 6);
}

static char *take_meta(const char *option, const char *text, void *target)
{
	struct consul_service_config *service = target;
	const char *equals = strchr(text, '=');
	size_t length = equals ? (size_t) (equals - text) : 0;
	if (!equals || !is_meta_key(text, length))
		return consul_wrong(option, text,
				    "it must be key=value; a key has 1 to 128 letters, digits, - and _ and does not start with consul- or uwsgi-");
	if (strlen(equals + 1) > META_VALUE_LENGTH || (equals[1] && !consul_is_clean(equals + 1)))
		return consul_wrong(option, text, "a value must be UTF-8 text of at most 512 bytes without control characters");
	for (size_t i = 0; i < service->meta_count; i++)
		if (strlen(service->meta[i].key) == length && !strncmp(service->meta[i].key, text, length))
			return consul_wrong(option, text, "this key is given twice");
	if (service->meta_count == META_PAIRS)
		return consul_wrong(option, text, "a service has at most 60 of them");
	service->meta = consul_grow(service->meta, service->meta_count + 1, sizeof(*service->meta));
	service->meta[service->meta_count].key = consul_copy(text, length);
	service->meta[service->meta_count++].value = consul_format("%s", equals + 1);
	return NULL;
}

static char *take_weights(const char *option, const char *text, void *target)
{
	/* Consul's own limits. */
	static const struct consul_range range = {0, 65535, true, "it must be PASSING or PASSING:WARNING, numbers from 0 to 65535 (passing from 1), such as 10:1"};
	struct consul_service_config *service = target;
	const char *colon = strchr(text, ':');
	char *first = consul_copy(text, colon ? (size_t) (colon - text) : strlen(text));
	long passing = 0, warning = 1;
	char *problem = consul_judge_number(option, first, &range, &passing);
	free(first);
	if (!problem && colon)
		problem = consul_judge_number(option, colon + 1, &range, &warning);
	if (problem || !passing) {
		free(problem);
		return consul_wrong(option, text, range.right);
	}
	service->passing_weight = (int) passing;
	service->warning_weight = (int) warning;
	return NULL;
}

static char *take_ttl(const char *option, const char *text, void *service)
{
	static const struct consul_range range = {1000, 24 * HOUR_MS, false, "a time from 1s to 24h is right, such as 10, 10s or 1m"};
	return consul_judge_duration(option, text, &range, &((struct consul_service_config *) service)->ttl_ms);
}

static char *take_deregister_after(const char *option, const char *text, void *service)
{
	static const struct consul_range range = {60 * 1000, 8760 * HOUR_MS, true, "a time from 1m (Consul's least) to 8760h is right, or 0 for never"};
	return consul_judge_duration(option, text, &range, &((struct consul_service_config *) service)->deregister_after_ms);
}

static char *take_interval(const char *option, const char *text, void *service)
{
	static const struct consul_range range = {1000, 24 * HOUR_MS, false, "a time from 1s to 24h is right, such as 10s"};
	return consul_judge_duration(option, text, &range, &((struct consul_service_config *) service)->check_interval_ms);
}

static char *take_check_http(const char *option, const char *text, void *target)
{
	struct consul_service_config *service = target;
	if (!consul_is_clean(text) || strpbrk(text, " \"<>\\") || (*text != '/' && strncmp(text, "http://", 7) && strncmp(text, "https://", 8)))
		return consul_wrong(option, text, "it must be a URL, http://... or https://..., or a path of the service such as /health");
	return consul_judge_text(option, text, &service->check_http);
}

static char *take_check_tcp(const char *option, const char *text, void *target)
{
	struct consul_service_config *service = target;
	const char *colon = strrchr(text, ':');
	int port;
	if (strcmp(text, "true") && (!consul_is_clean(text) || !colon || colon == text || strpbrk(text, " /") || !consul_parse_port(colon + 1, &port)))
		return consul_wrong(option, text, "it must be host:port, or true for the service itself");
	return consul_judge_text(option, text, &service->check_tcp);
}

static const struct consul_rule service_rules[] = {
	{"name", consul_service_take_name, false},
	{"id", consul_service_take_id, false},
	{"port", consul_service_take_port, false},
	{"address", consul_service_take_address, false},
	{"tags", take_tags, true},
	{"meta", take_meta, true},
	{"weights", take_weights, false},
	{"check-ttl", take_ttl, false},
	{"check-deregister-after", take_deregister_after, false},
	{"check-http", take_check_http, false},
	{"check-tcp", take_check_tcp, false},
	{"check-interval", take_interval, false},
	{NULL, NULL, false},
};

struct consul_service_config *consul_service_config_add(struct consul_config *config)
{
	config->services = consul_grow(config->services, config->services_count + 1, sizeof(*config->services));
	struct consul_service_config *service = &config->services[config->services_count++];
	memset(service, 0, sizeof(*service));
	service->passing_weight = service->warning_weight = -1;
	service->ttl_ms = DEFAULT_TTL_MS;
	service->deregister_after_ms = DEFAULT_DEREGISTER_AFTER_MS;
	service->check_interval_ms = DEFAULT_INTERVAL_MS;
	return service;
}

/* The options that all services share, into one of them. */
static char *take_shared(const struct consul_options *options, struct consul_service_config *service)
{
	const struct consul_reading readings[] = {
		{"consul-check-ttl", &options->check_ttl, take_ttl, service},
		{"consul-check-deregister-after", &options->check_deregister_after, take_deregister_after, service},
		{"consul-check-http", &options->check_http, take_check_http, service},
		{"consul-check-tcp", &options->check_tcp, take_check_tcp, service},
		{"consul-check-interval", &options->check_interval, take_interval, service},
	};
	return CONSUL_TAKE_OPTIONS(readings);
}

/* Wrong values of them are found without a service too. */
static char *judge_shared(const struct consul_options *options)
{
	struct consul_config scratch = {0};
	char *problem = take_shared(options, consul_service_config_add(&scratch));
	consul_service_config_clear(&scratch.services[0]);
	free(scratch.services);
	return problem;
}

/* The options of the one service that is not listed. */
static char *take_named(const struct consul_options *options, struct consul_service_config *service)
{
	const struct consul_reading readings[] = {
		{"consul-service-name", &options->service_name, consul_service_take_name, service},
		{"consul-service-id", &options->service_id, consul_service_take_id, service},
		{"consul-service-tags", &options->service_tags, take_tags, service},
		{"consul-service-port", &options->service_port, consul_service_take_port, service},
		{"consul-service-address", &options->service_address, consul_service_take_address, service},
		{"consul-service-meta", &options->service_meta, take_meta, service},
		{"consul-service-weights", &options->service_weights, take_weights, service},
	};
	for (size_t i = 0; !service && i < sizeof(readings) / sizeof(readings[0]); i++)
		if (readings[i].values->count)
			return consul_wrong(readings[i].option, readings[i].values->items[0], "it needs a consul-service-name beside it");
	return service ? CONSUL_TAKE_OPTIONS(readings) : NULL;
}

static char *read_named(const struct consul_options *options, struct consul_config *config)
{
	struct consul_service_config *service = options->service_name.count ? consul_service_config_add(config) : NULL;
	char *problem = service ? take_shared(options, service) : NULL;
	return problem ? problem : take_named(options, service);
}

static char *read_listed(const struct consul_options *options, struct consul_config *config, const char *text)
{
	struct consul_service_config *service = consul_service_config_add(config);
	char *problem = take_shared(options, service);
	if (!problem)
		problem = consul_take_fields("consul-service", text, service_rules,
					     "the keys are name, id, port, address, tags, meta, weights, check-ttl, check-deregister-after, check-http, check-tcp "
					     "and check-interval, each as key=value, with quotes around what holds a comma",
					     service);
	if (!problem && !service->name)
		problem = consul_wrong("consul-service", text, "it needs a name=...");
	return problem;
}

char *consul_service_config_read(const struct consul_options *options, struct consul_config *config)
{
	char *problem = judge_shared(options);
	if (!problem)
		problem = read_named(options, config);
	for (size_t i = 0; i < options->service.count && !problem; i++)
		problem = read_listed(options, config, options->service.items[i]);
	return problem;
}

/* Where the agent, which is on this node, reaches the service. */
static char *own_authority(const struct consul_service_config *service, const struct consul_endpoint *endpoint)
{
	const char *host = service->address ? service->address : *endpoint->host ? endpoint->host : "127.0.0.1";
	return consul_format(strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, service->port);
}

static void complete_checks(struct consul_service_config *service, const struct consul_endpoint *endpoint)
{
	char *authority = own_authority(service, endpoint);
	if (service->check_http && *service->check_http == '/') {
		char *url = consul_format("http://%s%s", authority, service->check_http);
		free(service->check_http);
		service->check_http = url;
	}
	if (service->check_tcp && !strcmp(service->check_tcp, "true")) {
		free(service->check_tcp);
		service->check_tcp = consul_format("%s", authority);
	}
	free(authority);
}

char *consul_service_config_complete(struct consul_service_config *service, const char *node, const struct consul_endpoint *endpoint)
{
	if (!service->port)
		service->port = endpoint->port;
	if (!service->port && !service->portless)
		return consul_wrong("consul-service-name", service->name,
				    "its port is unknown, since no http or TCP socket is bound here: give consul-service-port");
	if (!service->id)
		service->id = consul_format("%s-%s-%d", service->name, node, service->port);
	if (!consul_is_clean(service->id))
		return consul_wrong("consul-service-id", service->id, "the node's name, which is part of it, is no UTF-8 text: give a consul-service-id");
	complete_checks(service, endpoint);
	return NULL;
}

void consul_service_config_clear(struct consul_service_config *service)
{
	for (size_t i = 0; i < service->meta_count; i++) {
		free(service->meta[i].key);
		free(service->meta[i].value);
	}
	if (service->connection)
		consul_connection_clear(service->connection);
	consul_list_clear(&service->tags);
	free(service->meta);
	free(service->name);
	free(service->id);
	free(service->address);
	free(service->check_http);
	free(service->check_tcp);
	free(service->connection);
}
