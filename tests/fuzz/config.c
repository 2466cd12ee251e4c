/* SPDX-License-Identifier: BSD-2-Clause
 * All options of the plugin, by the table that uWSGI reads them from: what the configuration accepts, Consul can be told; what it refuses, it explains.
 *
 * An input has one `option = value` per line. `node`, `socket-host` and `socket-port` are what the machine says of itself. */
#define _GNU_SOURCE
#include "paths.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <sys/mman.h>
#include <unistd.h>

#include "candidate.h"
#include "config.h"
#include "option_table.h"
#include "options.h"
#include "path.h"
#include "registration.h"
#include "values.h"
#include "watch_key.h"

#define NONCE "0123456789abcdef0123456789abcdef"

/* Stands at the beginning of each token that an input gives in an option's value. */
#define TOKEN "c0ffee-5ec4e7-"

#define OWN_META 4 /* what the plugin adds to a service's meta data */

struct machine {
	char node[256];
	struct consul_endpoint endpoint;
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

/* The value with TOKEN behind each `token=`; the caller frees it. */
static char *with_tokens(const char *value)
{
	size_t size = 0;
	char *text = NULL;
	FILE *stream = open_memstream(&text, &size);
	must(stream);
	for (const char *at; (at = strstr(value, "token=")); value = at + 6)
		fprintf(stream, "%.*s" TOKEN, (int) (at + 6 - value), value);
	fputs(value, stream);
	must(!fclose(stream));
	return text;
}

static void give(const char *option, const char *value, struct machine *machine)
{
	struct in6_addr unused;
	if (!strcmp(option, "node"))
		snprintf(machine->node, sizeof(machine->node), "%s", value);
	else if (!strcmp(option, "socket-port"))
		machine->endpoint.port = (uint16_t) atoi(value);
	else if (!strcmp(option, "socket-host") && (inet_pton(AF_INET, value, &unused) == 1 || inet_pton(AF_INET6, value, &unused) == 1))
		snprintf(machine->endpoint.host, sizeof(machine->endpoint.host), "%s", value);
	char *secret = !strcmp(option, "consul-register") ? with_tokens(value) : NULL;
	for (struct uwsgi_option *known = consul_option_table; known->name; known++)
		if (!strcmp(option, known->name))
			known->func(known->name, (char *) (secret ? secret : names_a_file(option) ? file_for(value) : value), known->data);
	free(secret);
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
	for (struct uwsgi_option *known = consul_option_table; known->name; known++)
		consul_list_clear(known->data);
}

static void check_problem(const char *problem)
{
	must(consul_is_clean(problem));
	must(!strncmp(problem, "consul-", 7) && strstr(problem, " = ") && strstr(problem, ": "));
	must(!strstr(problem, TOKEN));
}

static bool within(long value, long least, long most)
{
	return value >= least && value <= most;
}

static bool clean_or_none(const char *text)
{
	return !text || consul_is_clean(text);
}

static void check_list(const struct consul_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		must(consul_is_clean(list->items[i]));
}

static void check_connection(const struct consul_connection *connection)
{
	must(connection->agents_count > 0);
	for (size_t i = 0; i < connection->agents_count; i++)
		must(strstr(connection->agents[i].base, "://") && consul_is_clean(connection->agents[i].name));
	must(connection->consistency <= CONSUL_STALE && clean_or_none(connection->datacenter));
	must(within(connection->timeout_ms, 100, 60000));
	must(!connection->cert == !connection->key);
	must(!connection->token || (consul_is_clean(connection->token) && !strchr(connection->token, ' ') && !connection->token_file));
}

static void check_service(const struct consul_service_config *service)
{
	must(consul_is_clean(service->name) && clean_or_none(service->id));
	must(within(service->port, 0, 65535));
	/* Nothing that would end the host in a URL, and no port. */
	must(!service->address || (consul_is_clean(service->address) && !strpbrk(service->address, " /,[]")));
	check_list(&service->tags);
	must(service->meta_count + OWN_META <= 64);
	for (size_t i = 0; i < service->meta_count; i++)
		must(within((long) strlen(service->meta[i].key), 1, 128) && strlen(service->meta[i].value) <= 512);
	must(service->passing_weight < 0 ? service->warning_weight < 0
					 : within(service->passing_weight, 1, 65535) && within(service->warning_weight, 0, 65535));
	must(within(service->ttl_ms, 1000, 24L * 3600 * 1000) && within(service->check_interval_ms, 1000, 24L * 3600 * 1000));
	must(!service->deregister_after_ms || within(service->deregister_after_ms, 60000, 8760L * 3600 * 1000));
	must(clean_or_none(service->check_http) && clean_or_none(service->check_tcp));
	must(service->portless == (service->connection != NULL)); /* the old plugin's option */
	if (service->connection)
		check_connection(service->connection);
}

static void check_watch(const struct consul_watch_config *watch)
{
	char *key = consul_watch_key(watch);
	must(consul_is_clean(watch->name) && clean_or_none(watch->datacenter) && clean_or_none(watch->filter) && clean_or_none(watch->touched));
	must(watch->worst <= CONSUL_CRITICAL && within(watch->interval_ms, 1000, 3600L * 1000) && within(watch->signum, 0, 255));
	must(watch->action != CONSUL_CHANGE_TOUCH || watch->touched);
	check_list(&watch->tags);
	must(consul_watch_has_key(watch, key));
	/* It can be asked for. */
	char *path = watch->kind == CONSUL_WATCH_KV ? consul_path_of_key("/v1/kv/", watch->name) : consul_path("/v1/query/", watch->name);
	check_taken(path);
	free(path);
	free(key);
}

static void check_watches(const struct consul_config *config)
{
	must(consul_is_clean(config->cache) && !strpbrk(config->cache, ",= \""));
	for (size_t i = 0; i < config->watches_count; i++) {
		char *key = consul_watch_key(&config->watches[i]);
		check_watch(&config->watches[i]);
		for (size_t j = 0; j < i; j++) {
			char *other = consul_watch_key(&config->watches[j]);
			must(strcmp(key, other));
			free(other);
		}
		free(key);
	}
}

static void check_election(const struct consul_election_config *election)
{
	if (!election->name) {
		must(!election->key && !election->gain.count && !election->loss.count && !election->crons.count && !election->unique_crons.count);
		return;
	}
	char *path = consul_path_of_key("/v1/kv/", election->key);
	must(consul_is_clean(election->name) && consul_is_clean(election->key) && *election->key != '/');
	check_path(path, "/v1/kv/", election->key);
	must(within(election->ttl_ms, 10000, 24L * 3600 * 1000) && within(election->lock_delay_ms, 0, 60000));
	check_list(&election->gain);
	check_list(&election->loss);
	check_list(&election->crons);
	check_list(&election->unique_crons);
	free(path);
}

static void check_config(const struct consul_config *config)
{
	check_connection(&config->connection);
	must(!config->connection.token);
	must(within(config->backlog, 0, 1000000) && config->suspended <= CONSUL_CRITICAL && within(config->stop_ms, 100, 60000));
	for (size_t i = 0; i < config->services_count; i++)
		check_service(&config->services[i]);
	check_watches(config);
	check_election(&config->election);
	must(consul_config_is_active(config) == (config->services_count || config->watches_count || config->election.name));
}

static const char *text_in(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static void check_duration(const json_t *object, const char *key, long milliseconds)
{
	long told = -1;
	must(consul_parse_duration(text_in(object, key), &told) && told == milliseconds);
}

/* Where the suffix is not that of the workers, the agent makes the check by itself. */
static void check_check(const json_t *check, const struct consul_service_config *service, const char *suffix)
{
	const char *id = text_in(check, "CheckID");
	size_t length = strlen(service->id);
	must(!strncmp(id, "service:", 8) && !strncmp(id + 8, service->id, length) && !strcmp(id + 8 + length, suffix));
	must(*text_in(check, "Name"));
	if (service->deregister_after_ms)
		check_duration(check, "DeregisterCriticalServiceAfter", service->deregister_after_ms);
	else
		must(!json_object_get(check, "DeregisterCriticalServiceAfter"));
	check_duration(check, *suffix ? "Interval" : "TTL", *suffix ? service->check_interval_ms : service->ttl_ms);
	must(!json_object_get(check, *suffix ? "TTL" : "Interval"));
	must(strcmp(suffix, ":http") || !strcmp(text_in(check, "HTTP"), service->check_http));
	must(strcmp(suffix, ":tcp") || !strcmp(text_in(check, "TCP"), service->check_tcp));
	must(!strcmp(text_in(check, "Status"), *suffix ? "passing" : "warning"));
}

static void check_checks(const json_t *checks, const struct consul_service_config *service)
{
	size_t count = 0;
	check_check(json_array_get(checks, count++), service, "");
	if (service->check_http)
		check_check(json_array_get(checks, count++), service, ":http");
	if (service->check_tcp)
		check_check(json_array_get(checks, count++), service, ":tcp");
	must(json_array_size(checks) == count);
}

static void check_tags(const json_t *tags, const struct consul_service_config *service)
{
	must(json_is_array(tags) && json_array_size(tags) == service->tags.count);
	for (size_t i = 0; i < service->tags.count; i++)
		must(!strcmp(json_string_value(json_array_get(tags, i)), service->tags.items[i]));
}

static void check_meta(const json_t *meta, const struct consul_service_config *service)
{
	must(json_object_size(meta) == service->meta_count + OWN_META && json_object_size(meta) <= 64);
	must(!strcmp(text_in(meta, CONSUL_NONCE_KEY), NONCE) && !strcmp(text_in(meta, "uwsgi-master-pid"), "4711"));
	must(!strcmp(text_in(meta, "uwsgi-version"), "2.0") && !strcmp(text_in(meta, "uwsgi-mode"), "prefork"));
	for (size_t i = 0; i < service->meta_count; i++)
		must(!strcmp(text_in(meta, service->meta[i].key), service->meta[i].value));
}

static void check_weights(const json_t *weights, const struct consul_service_config *service)
{
	must(!weights == (service->passing_weight < 0));
	must(!weights || (json_integer_value(json_object_get(weights, "Passing")) == service->passing_weight &&
			  json_integer_value(json_object_get(weights, "Warning")) == service->warning_weight));
}

static void check_registration(const struct consul_service_config *service)
{
	static const struct consul_identity identity = {.nonce = NONCE, .version = "2.0", .mode = "prefork", .master = 4711};
	char *body = consul_registration_body(service, &identity, CONSUL_WARNING);
	json_t *said = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
	must(!strcmp(text_in(said, "ID"), service->id) && !strcmp(text_in(said, "Name"), service->name));
	must(json_integer_value(json_object_get(said, "Port")) == service->port);
	must(!strcmp(text_in(said, "Address"), service->address ? service->address : ""));
	check_tags(json_object_get(said, "Tags"), service);
	check_meta(json_object_get(said, "Meta"), service);
	check_weights(json_object_get(said, "Weights"), service);
	check_checks(json_object_get(said, "Checks"), service);
	/* The agent gives back what it was told, and so we know our own. */
	must(consul_lookup_owner(body, strlen(body), NONCE) == CONSUL_OURS);
	must(!service->connection || !service->connection->token || !strstr(body, "\"token\""));
	json_decref(said);
	free(body);
}

static void check_paths(const struct consul_service_config *service)
{
	static const struct {
		char *(*path)(const struct consul_service_config *);
		const char *before;
	} paths[] = {
		{consul_update_path, "/v1/agent/check/update/service:"},
		{consul_lookup_path, "/v1/agent/service/"},
		{consul_deregistration_path, "/v1/agent/service/deregister/"},
	};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		char *path = paths[i].path(service);
		must(strlen(path) > strlen(paths[i].before) && !strchr(path + strlen(paths[i].before), '/'));
		check_path(path, paths[i].before, service->id);
		free(path);
	}
}

/* No check of one is a check of the other; the id of a service is that of its first check. */
static void check_apart(const struct consul_service_config *one, const struct consul_service_config *other)
{
	size_t length = strlen(one->id);
	must(strcmp(one->id, other->id));
	if (strncmp(one->id, other->id, length))
		return;
	must(!one->check_http || strcmp(other->id + length, ":http"));
	must(!one->check_tcp || strcmp(other->id + length, ":tcp"));
}

static void check_candidate(const struct consul_config *config)
{
	size_t checks = 0;
	char *body = consul_candidate_session(config);
	json_t *session = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
	for (size_t i = 0; i < config->services_count; i++)
		checks += !config->services[i].connection;
	check_duration(session, "TTL", config->election.ttl_ms);
	check_duration(session, "LockDelay", config->election.lock_delay_ms);
	must(json_array_size(json_object_get(session, "ServiceChecks")) == checks);
	json_decref(session);
	free(body);
}

static void check_complete(const struct consul_config *config)
{
	char *identity = consul_config_identity(config);
	for (size_t i = 0; i < config->services_count; i++) {
		const struct consul_service_config *service = &config->services[i];
		must(service->id && (service->port || service->portless));
		must(!service->check_http || strstr(service->check_http, "://"));
		must(!service->check_tcp || strrchr(service->check_tcp, ':'));
		check_service(service);
		check_paths(service);
		check_registration(service);
		must(strstr(identity, service->id));
		for (size_t j = 0; j < config->services_count; j++)
			if (i != j)
				check_apart(service, &config->services[j]);
	}
	if (config->election.name)
		check_candidate(config);
	must(!*identity == !(config->services_count || config->election.name));
	free(identity);
}

static void run(char *text)
{
	struct machine machine = {.node = "node1", .endpoint = {.port = 8080}};
	struct consul_config config;
	give_all(text, &machine);
	char *problem = consul_config_read(&consul_options, &config);
	if (!problem) {
		check_config(&config);
		problem = consul_config_complete(&config, machine.node, &machine.endpoint);
		if (!problem)
			check_complete(&config);
	}
	if (problem)
		check_problem(problem);
	free(problem);
	consul_config_clear(&config);
	take_all_back();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	if (!strstr(text, "c0ffee")) /* the token is nowhere else */
		run(text);
	free(text);
	return 0;
}
