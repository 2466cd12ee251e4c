/* SPDX-License-Identifier: BSD-2-Clause
 * All options of the plugin, by the table that uWSGI reads them from: what the configuration accepts, Consul can be told.
 *
 * An input has one `option = value` per line. `node` and `socket-port` are what the machine says of itself. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <curl/curl.h>
#include <jansson.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
#include "option_table.h"
#include "options.h"
#include "registration.h"
#include "values.h"

#define NONCE "0123456789abcdef0123456789abcdef"

struct machine {
	char node[256];
	int port;
};

/* No input names a file of this machine: `good` is one with a word in it, everything else an empty one. */
static const char *file_for(const char *value)
{
	static char path[64];
	if (!*path) {
		int file = memfd_create("good", 0);
		must(file >= 0 && write(file, "secret\n", 7) == 7);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	}
	return strcmp(value, "good") ? "/dev/null" : path;
}

static bool names_a_file(const char *option)
{
	static const char *const endings[] = {"-file", "-ca", "-cert", "-key"};
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
		if (strlen(option) > strlen(endings[i]) && !strcmp(option + strlen(option) - strlen(endings[i]), endings[i]))
			return true;
	return false;
}

static void give(const char *option, const char *value, struct machine *machine)
{
	if (!strcmp(option, "node"))
		snprintf(machine->node, sizeof(machine->node), "%s", value);
	else if (!strcmp(option, "socket-port"))
		machine->port = (uint16_t) atoi(value);
	for (struct uwsgi_option *known = consul_option_table; known->name; known++)
		if (!strcmp(option, known->name))
			known->func(known->name, (char *) (names_a_file(option) ? file_for(value) : value), known->data);
}

static void give_all(char *text, struct machine *machine)
{
	char *rest = NULL;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *equals = strstr(line, " = ");
		if (!equals)
			continue;
		*equals = 0;
		give(line, equals + 3, machine);
	}
}

static void take_all_back(void)
{
	for (struct uwsgi_option *known = consul_option_table; known->name; known++) {
		struct consul_values *values = known->data;
		for (size_t i = 0; i < values->count; i++)
			free(values->items[i]);
		free(values->items);
		memset(values, 0, sizeof(*values));
	}
}

static void check_problem(const char *problem)
{
	must(consul_is_clean(problem));
	must(!strncmp(problem, "consul-", 7) && strstr(problem, " = ") && strstr(problem, ": "));
}

static void check_config(const struct consul_config *config)
{
	must(config->agents_count > 0);
	for (size_t i = 0; i < config->agents_count; i++)
		must(strstr(config->agents[i].base, "://") && consul_is_clean(config->agents[i].name));
	must(config->consistency <= CONSUL_STALE);
	must(config->ttl_ms >= 1000 && config->ttl_ms <= 24L * 3600 * 1000);
	must(!config->deregister_after_ms || config->deregister_after_ms >= 60000);
	must(config->timeout_ms >= 100 && config->timeout_ms <= 60000);
	must(config->port >= 0 && config->port <= 65535);
	must(config->name || (!config->id && !config->address && !config->tags_count && !config->meta_count));
	for (size_t i = 0; i < config->tags_count; i++)
		must(consul_is_clean(config->tags[i]) && !strchr(config->tags[i], ','));
	must(config->meta_count < 64);
	for (size_t i = 0; i < config->meta_count; i++)
		must(strlen(config->meta[i].key) <= 128 && strlen(config->meta[i].value) <= 512);
}

/* Whatever the id, it stays one part of the path, and the agent reads there what was meant. */
static void check_path(char *path, const char *before, const char *id)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~%";
	int length = 0;
	must(!strncmp(path, before, strlen(before)));
	const char *escaped = path + strlen(before);
	must(strspn(escaped, plain) == strlen(escaped) && strcmp(escaped, ".") && strcmp(escaped, ".."));
	char *again = curl_easy_unescape(NULL, escaped, 0, &length);
	must(again && (size_t) length == strlen(id) && !memcmp(again, id, (size_t) length));
	curl_free(again);
	free(path);
}

static void check_tags(const json_t *tags, const struct consul_config *config)
{
	must(json_array_size(tags) == config->tags_count);
	for (size_t i = 0; i < config->tags_count; i++)
		must(!strcmp(json_string_value(json_array_get(tags, i)), config->tags[i]));
}

static void check_meta(const json_t *meta, const struct consul_config *config)
{
	must(json_object_size(meta) == config->meta_count + 1 && json_object_size(meta) <= 64);
	must(!strcmp(json_string_value(json_object_get(meta, CONSUL_NONCE_KEY)), NONCE));
	for (size_t i = 0; i < config->meta_count; i++)
		must(!strcmp(json_string_value(json_object_get(meta, config->meta[i].key)), config->meta[i].value));
}

static void check_registration(const struct consul_config *config)
{
	const char *id, *name, *ttl;
	json_t *tags, *meta;
	int port;
	char *body = consul_registration_body(config, NONCE, CONSUL_PASSING);
	json_t *said = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
	must(!json_unpack(said, "{s:s, s:s, s:i, s:o, s:o, s:{s:s}}", "ID", &id, "Name", &name, "Port", &port, "Tags", &tags, "Meta", &meta, "Check",
			  "TTL", &ttl));
	must(!strcmp(id, config->id) && !strcmp(name, config->name) && port == config->port);
	check_tags(tags, config);
	check_meta(meta, config);
	/* The agent gives back what it was told, and so we know our own. */
	must(consul_lookup_owner(body, strlen(body), NONCE) == CONSUL_OURS);
	json_decref(said);
	free(body);
}

static void check_service(const struct consul_config *config)
{
	must(consul_is_clean(config->name) && consul_is_clean(config->id) && config->port >= 1);
	/* Nothing that would end the host in a URL, and no port. */
	must(!config->address || (consul_is_clean(config->address) && !strpbrk(config->address, " /,[]")));
	check_path(consul_update_path(config), "/v1/agent/check/update/service:", config->id);
	check_path(consul_lookup_path(config), "/v1/agent/service/", config->id);
	check_path(consul_deregistration_path(config), "/v1/agent/service/deregister/", config->id);
	check_registration(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine machine = {.node = "node1", .port = 8080};
	struct consul_config config;
	char *text = fuzz_text(data, size);
	give_all(text, &machine);
	char *problem = consul_config_read(&consul_options, &config);
	if (!problem) {
		check_config(&config);
		problem = consul_config_complete(&config, machine.node, machine.port);
		if (!problem && config.name)
			check_service(&config);
	}
	if (problem)
		check_problem(problem);
	free(problem);
	consul_config_clear(&config);
	take_all_back();
	free(text);
	return 0;
}
