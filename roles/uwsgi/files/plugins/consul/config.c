/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "memory.h"
#include "options.h"
#include "registration.h"
#include "token.h"
#include "values.h"

#define DEFAULT_AGENT "127.0.0.1:8500"
#define DEFAULT_TTL_MS (10L * 1000)
#define DEFAULT_DEREGISTER_AFTER_MS (10L * 60 * 1000)
#define DEFAULT_TIMEOUT_MS (2L * 1000)
#define HOUR_MS (3600L * 1000)

/* Consul's own limits for the meta data of a service; one place is ours. */
#define META_PAIRS 63
#define META_KEY_LENGTH 128
#define META_VALUE_LENGTH 512

static char *wrong(const char *option, const char *value, const char *right)
{
	char *shown = consul_printable(value);
	char *problem = consul_format("%s = %s: %s", option, shown, right);
	free(shown);
	return problem;
}

static const char *last(const struct consul_values *values)
{
	return values->count ? values->items[values->count - 1] : NULL;
}

/* Calls `take` for each part of a list separated by commas, over all values of the option, until one finds fault. */
static char *each_part(const struct consul_values *values, struct consul_config *config, char *(*take)(struct consul_config *, const char *))
{
	char *problem = NULL;
	for (size_t i = 0; i < values->count && !problem; i++) {
		const char *start = values->items[i];
		for (;;) {
			size_t length = strcspn(start, ",");
			char *part = consul_trim(start, length);
			problem = take(config, part);
			free(part);
			if (problem || !start[length])
				break;
			start += length + 1;
		}
	}
	return problem;
}

static char *take_agent(struct consul_config *config, const char *text)
{
	struct consul_address address;
	if (!consul_address_parse(text, &address))
		return wrong("consul-agent", text, "an agent is host:port, [::1]:8500, http(s)://host:port or unix:///path");
	config->agents = consul_grow(config->agents, config->agents_count + 1, sizeof(*config->agents));
	config->agents[config->agents_count++] = address;
	return NULL;
}

static char *read_agents(const struct consul_options *options, struct consul_config *config)
{
	return options->agent.count ? each_part(&options->agent, config, take_agent) : take_agent(config, DEFAULT_AGENT);
}

static char *read_consistency(const struct consul_options *options, struct consul_config *config)
{
	static const char *const modes[] = {[CONSUL_DEFAULT] = "default", [CONSUL_CONSISTENT] = "consistent", [CONSUL_STALE] = "stale"};
	const char *text = last(&options->consistency_mode);
	for (size_t i = 0; text && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (!strcmp(text, modes[i])) {
			config->consistency = (enum consul_consistency) i;
			return NULL;
		}
	}
	return text ? wrong("consul-consistency-mode", text, "the modes are default, consistent and stale") : NULL;
}

static char *read_token_file(const struct consul_options *options, struct consul_config *config)
{
	const char *path = last(&options->token_file);
	if (!path)
		return NULL;
	char *trouble = consul_token_check(path);
	char *problem = trouble ? wrong("consul-token-file", path, trouble) : NULL;
	free(trouble);
	if (!problem)
		config->token_file = consul_format("%s", path);
	return problem;
}

struct range {
	long least, most;
	bool or_zero;
	const char *right;
};

static char *read_duration(const char *option, const struct consul_values *values, struct range range, long *milliseconds)
{
	const char *text = last(values);
	long value;
	if (!text)
		return NULL;
	if (!consul_parse_duration(text, &value) || ((value < range.least || value > range.most) && !(range.or_zero && !value)))
		return wrong(option, text, range.right);
	*milliseconds = value;
	return NULL;
}

static char *read_durations(const struct consul_options *options, struct consul_config *config)
{
	static const struct range ttl = {1000, 24 * HOUR_MS, false, "a time from 1s to 24h is right, such as 10, 10s or 1m"};
	static const struct range after = {60 * 1000, 8760 * HOUR_MS, true, "a time from 1m (Consul's least) to 8760h is right, or 0 for never"};
	static const struct range timeout = {100, 60 * 1000, false, "a time from 100ms to 60s is right, such as 2s"};
	char *problem = read_duration("consul-check-ttl", &options->check_ttl, ttl, &config->ttl_ms);
	if (!problem)
		problem = read_duration("consul-check-deregister-after", &options->check_deregister_after, after, &config->deregister_after_ms);
	if (!problem)
		problem = read_duration("consul-timeout", &options->timeout, timeout, &config->timeout_ms);
	return problem;
}

static char *read_text(const char *option, const struct consul_values *values, char **field)
{
	const char *text = last(values);
	if (!text)
		return NULL;
	if (!consul_is_clean(text))
		return wrong(option, text, "it must be UTF-8 text, not empty and without control characters");
	*field = consul_format("%s", text);
	return NULL;
}

static char *take_tag(struct consul_config *config, const char *text)
{
	if (!consul_is_clean(text))
		return wrong("consul-service-tags", text, "a tag must be UTF-8 text, not empty and without control characters; commas separate tags");
	config->tags = consul_grow(config->tags, config->tags_count + 1, sizeof(*config->tags));
	config->tags[config->tags_count++] = consul_format("%s", text);
	return NULL;
}

static bool is_meta_key(const char *text, size_t length)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	return length && length <= META_KEY_LENGTH && strspn(text, allowed) == length && strncasecmp(text, "consul-", 7);
}

static char *take_meta(struct consul_config *config, const char *text)
{
	const char *equals = strchr(text, '=');
	size_t length = equals ? (size_t) (equals - text) : 0;
	if (!equals || !is_meta_key(text, length))
		return wrong("consul-service-meta", text,
			     "it must be key=value; a key has 1 to 128 letters, digits, - and _ and does not start with consul-");
	if (strlen(equals + 1) > META_VALUE_LENGTH || (equals[1] && !consul_is_clean(equals + 1)))
		return wrong("consul-service-meta", text, "a value must be UTF-8 text of at most 512 bytes without control characters");
	if (length == strlen(CONSUL_NONCE_KEY) && !strncmp(text, CONSUL_NONCE_KEY, length))
		return wrong("consul-service-meta", text, "the key " CONSUL_NONCE_KEY " is the plugin's own");
	for (size_t i = 0; i < config->meta_count; i++)
		if (strlen(config->meta[i].key) == length && !strncmp(config->meta[i].key, text, length))
			return wrong("consul-service-meta", text, "this key is given twice");
	if (config->meta_count == META_PAIRS)
		return wrong("consul-service-meta", text, "a service has at most 63 of them");
	config->meta = consul_grow(config->meta, config->meta_count + 1, sizeof(*config->meta));
	config->meta[config->meta_count].key = consul_copy(text, length);
	config->meta[config->meta_count++].value = consul_format("%s", equals + 1);
	return NULL;
}

static char *read_meta(const struct consul_options *options, struct consul_config *config)
{
	char *problem = NULL;
	for (size_t i = 0; i < options->service_meta.count && !problem; i++)
		problem = take_meta(config, options->service_meta.items[i]);
	return problem;
}

static char *read_port(const struct consul_options *options, struct consul_config *config)
{
	const char *text = last(&options->service_port);
	if (text && !consul_parse_port(text, &config->port))
		return wrong("consul-service-port", text, "a port is a number from 1 to 65535");
	return NULL;
}

static char *read_address(const struct consul_options *options, struct consul_config *config)
{
	const char *text = last(&options->service_address);
	if (!text)
		return NULL;
	if (!consul_is_clean(text) || strpbrk(text, " /,[]"))
		return wrong("consul-service-address", text, "it must be a host name or an IP address, without a port");
	if (!strcmp(text, "0.0.0.0") || !strcmp(text, "::"))
		return wrong("consul-service-address", text, "nobody can connect to the wildcard address: give one that others reach");
	config->address = consul_format("%s", text);
	return NULL;
}

static char *require_name(const struct consul_options *options)
{
	const struct {
		const char *option;
		const struct consul_values *values;
	} of_a_service[] = {
		{"consul-service-id", &options->service_id},		 {"consul-service-tags", &options->service_tags},
		{"consul-service-port", &options->service_port},	 {"consul-service-meta", &options->service_meta},
		{"consul-service-address", &options->service_address},
	};
	for (size_t i = 0; !options->service_name.count && i < sizeof(of_a_service) / sizeof(of_a_service[0]); i++)
		if (of_a_service[i].values->count)
			return wrong(of_a_service[i].option, last(of_a_service[i].values), "it needs a consul-service-name beside it");
	return NULL;
}

/* In the path of a request these two mean a folder, and Consul answers with a redirect. */
static char *read_id(const struct consul_options *options, struct consul_config *config)
{
	char *problem = read_text("consul-service-id", &options->service_id, &config->id);
	if (!problem && config->id && (!strcmp(config->id, ".") || !strcmp(config->id, "..")))
		problem = wrong("consul-service-id", config->id, "an id of dots only can't be asked for at an agent");
	return problem;
}

static char *read_service(const struct consul_options *options, struct consul_config *config)
{
	char *problem = require_name(options);
	if (!problem)
		problem = read_text("consul-service-name", &options->service_name, &config->name);
	if (!problem)
		problem = read_id(options, config);
	if (!problem && options->service_tags.count)
		problem = each_part(&options->service_tags, config, take_tag);
	if (!problem)
		problem = read_meta(options, config);
	if (!problem)
		problem = read_port(options, config);
	if (!problem)
		problem = read_address(options, config);
	return problem;
}

char *consul_config_read(const struct consul_options *options, struct consul_config *config)
{
	memset(config, 0, sizeof(*config));
	config->ttl_ms = DEFAULT_TTL_MS;
	config->deregister_after_ms = DEFAULT_DEREGISTER_AFTER_MS;
	config->timeout_ms = DEFAULT_TIMEOUT_MS;
	char *problem = read_agents(options, config);
	if (!problem)
		problem = read_consistency(options, config);
	if (!problem)
		problem = read_token_file(options, config);
	if (!problem)
		problem = read_durations(options, config);
	if (!problem)
		problem = read_service(options, config);
	return problem;
}

char *consul_config_complete(struct consul_config *config, const char *node, int port)
{
	if (!config->name)
		return NULL;
	if (!config->port)
		config->port = port;
	if (!config->port)
		return wrong("consul-service-name", config->name,
			     "its port is unknown, since no http or TCP socket is bound here: give consul-service-port");
	if (!config->id)
		config->id = consul_format("%s-%s-%d", config->name, node, config->port);
	if (!consul_is_clean(config->id))
		return wrong("consul-service-id", config->id, "the node's name, which is part of it, is no UTF-8 text: give a consul-service-id");
	return NULL;
}

void consul_config_clear(struct consul_config *config)
{
	for (size_t i = 0; i < config->agents_count; i++)
		consul_address_clear(&config->agents[i]);
	for (size_t i = 0; i < config->tags_count; i++)
		free(config->tags[i]);
	for (size_t i = 0; i < config->meta_count; i++) {
		free(config->meta[i].key);
		free(config->meta[i].value);
	}
	free(config->agents);
	free(config->tags);
	free(config->meta);
	free(config->token_file);
	free(config->name);
	free(config->id);
	free(config->address);
	memset(config, 0, sizeof(*config));
}
