/* SPDX-License-Identifier: BSD-2-Clause */
#include "watch.h"

#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "../base/path.h"
#include "../base/retry.h"
#include "../client/client.h"
#include "../config/config.h"
#include "change.h"
#include "probe.h"
#include "publish.h"
#include "watch_key.h"

#define NEVER INT64_MAX

/* How long an agent may hold a query: a random time, so that not all instances come back at once. */
#define WAIT_MS 50000
#define WAIT_MORE_MS 10000

/* In which an answer must be complete that the agent need not wait for. Whether it answers at all is found out by the probe, and sooner. */
#define FETCH_MS 30000

/* At most 20 queries a second, whatever changes; one a second at an agent that answers at once although nothing has changed. */
#define BETWEEN_QUERIES_MS 50
#define BETWEEN_SAME_ANSWERS_MS 1000

/* What takes long to read may take a fifth of our time. */
#define REST_FACTOR 4

/* The cache is locked: then nobody tries for as long. */
#define LOCKED_MS 5000
#define LOCKED_MORE_MS 500

#define MOST_BYTES ((size_t) 64 * 1024 * 1024)

/* An answer from which on its memory is worth giving back at once. */
#define LARGE_BYTES ((size_t) 128 * 1024)

struct consul_watch {
	struct consul_watching *watching;
	const struct consul_watch_config *config;
	char *key;
	struct consul_call *call; /* the one under way, or NULL */
	uint64_t index; /* that the next query waits for a change of; 0: it does not wait */
	bool waiting; /* the query under way may be held by the agent */
	size_t agent; /* that was asked last */
	int64_t started, due;
	unsigned failures;
	bool spread; /* the agent could not help, another may */
	bool settled, stale;
	struct consul_publish_state state;
	bool troubled;
	char *trouble; /* its own, as last logged, or NULL */
	char *reason; /* why the first answer is of no use, or NULL */
};

struct consul_watch *consul_watch_new(struct consul_watching *watching, const struct consul_watch_config *config)
{
	struct consul_watch *watch = consul_allocate(1, sizeof(*watch));
	watch->watching = watching;
	watch->config = config;
	watch->key = consul_watch_key(config);
	return watch;
}

static void drop_call(struct consul_watch *watch)
{
	if (watch->call)
		consul_call_cancel(watch->call);
	watch->call = NULL;
}

void consul_watch_free(struct consul_watch *watch)
{
	drop_call(watch);
	free(watch->key);
	free(watch->trouble);
	free(watch->reason);
	free(watch);
}

static char *path_of_query(const struct consul_watch_config *config)
{
	char *path = consul_path("/v1/query/", config->name);
	char *whole = consul_format("%s/execute", path);
	free(path);
	return whole;
}

static char *path_of_service(const struct consul_watch_config *config)
{
	char *path = consul_path("/v1/health/service/", config->name);
	for (size_t i = 0; i < config->tags.count; i++)
		path = consul_path_add(path, "tag", config->tags.items[i]);
	if (config->worst == CONSUL_PASSING)
		path = consul_path_add(path, "passing", "1");
	return config->filter ? consul_path_add(path, "filter", config->filter) : path;
}

static char *path_of(const struct consul_watch_config *config)
{
	if (config->kind == CONSUL_WATCH_KV)
		return consul_path_add(consul_path_of_key("/v1/kv/", config->name), "recurse", NULL);
	return config->kind == CONSUL_WATCH_SERVICE ? path_of_service(config) : path_of_query(config);
}

static char *add_wait(char *path, uint64_t index, long wait_ms)
{
	char number[32];
	snprintf(number, sizeof(number), "%llu", (unsigned long long) index);
	path = consul_path_add(path, "index", number);
	snprintf(number, sizeof(number), "%ldms", wait_ms);
	return consul_path_add(path, "wait", number);
}

static char *query_of(const struct consul_watch *watch, long wait_ms)
{
	const struct consul_connection *connection = consul_client_connection(watch->watching->client);
	const char *datacenter = watch->config->datacenter ? watch->config->datacenter : connection->datacenter;
	char *path = path_of(watch->config);
	if (datacenter)
		path = consul_path_add(path, "dc", datacenter);
	if (connection->consistency != CONSUL_DEFAULT)
		path = consul_path_add(path, connection->consistency == CONSUL_STALE ? "stale" : "consistent", NULL);
	return watch->waiting ? add_wait(path, watch->index, wait_ms) : path;
}

static void mark_stale(struct consul_watch *watch)
{
	watch->stale = watch->stale || consul_publish_stale(watch->watching->cache, watch->config, watch->key);
}

/* True for what is new. A watch that is refused has a trouble of its own, and says so; that of the cluster, one says for all. */
static bool is_news(struct consul_watch *watch, long status, const char *agent)
{
	bool own = status < 500;
	char **place = own ? &watch->trouble : &watch->watching->trouble;
	char *key = own ? consul_format("%ld", status) : consul_format("%s %ld", agent, status);
	bool news = !*place || strcmp(*place, key);
	free(*place);
	*place = key;
	return news;
}

static char *describe(const struct consul_answer *answer, const char *what)
{
	return what ? consul_format("agent %s: %s", answer->agent, what) : consul_answer_describe(answer);
}

/* The log has one line for all watches then. */
static void keep_reason(struct consul_watch *watch, const struct consul_answer *answer, const char *what)
{
	free(watch->reason);
	watch->reason = describe(answer, what);
}

static void log_trouble(struct consul_watch *watch, const struct consul_answer *answer, const char *what)
{
	watch->watching->troubled += !watch->troubled;
	watch->troubled = true;
	if (!watch->watching->board)
		keep_reason(watch, answer, what);
	/* That nobody answers at all is for the probe to say. */
	if (!watch->watching->board || !answer->status || !is_news(watch, answer->status, answer->agent))
		return;
	char *line = describe(answer, what);
	consul_log("%s: %s; trying again", watch->key, line);
	free(line);
}

static void log_recovery(struct consul_watch *watch)
{
	struct consul_watching *watching = watch->watching;
	if (!watch->troubled)
		return;
	watch->troubled = false;
	watching->troubled--;
	if (watch->trouble)
		consul_log("%s: Consul answers again", watch->key);
	free(watch->trouble);
	watch->trouble = NULL;
	if (watching->troubled || !watching->trouble)
		return;
	consul_log("all that is watched is up to date again");
	free(watching->trouble);
	watching->trouble = NULL;
}

/* A query that was held tells nothing when it breaks off: another one is made first. */
static void failed(struct consul_watch *watch, const struct consul_answer *answer, const char *what)
{
	bool broken_off = watch->waiting && (!answer->status || answer->status >= 500);
	watch->index = 0;
	watch->spread = answer->status >= 500;
	watch->due = consul_now();
	if (!broken_off || watch->failures)
		watch->due += consul_retry_delay(watch->failures + 1, CONSUL_LONGEST_RETRY_MS);
	watch->failures++;
	if (!answer->status)
		consul_probe_doubt(watch->watching->probe);
	if (broken_off)
		return;
	if (answer->status) {
		watch->settled = true;
		mark_stale(watch);
	}
	log_trouble(watch, answer, what);
}

/* An index that goes back is another history, which is asked for from its start. One of 0 would not wait. */
static void take_index(struct consul_watch *watch, uint64_t index)
{
	if (watch->config->kind == CONSUL_WATCH_QUERY)
		return;
	if (!index)
		index = 1;
	watch->index = index < watch->index ? 0 : index;
}

static int64_t pause(const struct consul_watch *watch, bool same_index, int64_t now, int64_t work)
{
	if (watch->config->kind == CONSUL_WATCH_QUERY)
		return watch->config->interval_ms + random() % (watch->config->interval_ms / 8 + 1);
	int64_t least = same_index ? BETWEEN_SAME_ANSWERS_MS : BETWEEN_QUERIES_MS;
	int64_t left = watch->started + least - now;
	if (left < REST_FACTOR * work)
		left = REST_FACTOR * work;
	return left > 0 ? left : 0;
}

static void succeeded(struct consul_watch *watch, const struct consul_answer *answer, int64_t work)
{
	uint64_t before = watch->index;
	int64_t now = consul_now();
	bool was_waiting = watch->waiting;
	take_index(watch, answer->index);
	watch->due = now + pause(watch, was_waiting && before == watch->index, now, work);
	/* Queries that always break off although others succeed must not follow at once. */
	if (was_waiting || watch->config->kind == CONSUL_WATCH_QUERY || !watch->failures)
		watch->failures = 0;
	else if (watch->failures > 1)
		watch->due = now + consul_retry_delay(watch->failures, CONSUL_LONGEST_RETRY_MS);
	watch->settled = true;
	watch->stale = false;
	watch->spread = false;
	log_recovery(watch);
}

/* An agent that loses its servers may answer a query that waits by a lower index and nothing at all; so may one whose servers
 * got an older state back. Only an answer that waits for nothing tells what is true. */
static bool went_back(const struct consul_watch *watch, const struct consul_answer *answer)
{
	return watch->waiting && watch->config->kind != CONSUL_WATCH_QUERY && answer->index && answer->index < watch->index;
}

static void ask_anew(struct consul_watch *watch)
{
	watch->index = 0;
	watch->due = consul_now() + pause(watch, false, consul_now(), 0);
}

static bool is_good(const struct consul_watch *watch, const struct consul_answer *answer)
{
	return answer->status == 200 || (answer->status == 404 && watch->config->kind == CONSUL_WATCH_KV);
}

static void take(struct consul_watch *watch, const struct consul_answer *answer)
{
	int64_t began = consul_now();
	enum consul_published published =
		consul_publish(watch->watching->cache, watch->config, watch->key, answer, &watch->state);
	if (published == CONSUL_UNUSABLE) {
		failed(watch, answer, "the answer is not what Consul's API promises");
		return;
	}
	if (published == CONSUL_LOCKED) {
		watch->index = 0;
		watch->due = consul_now() + LOCKED_MS + random() % LOCKED_MORE_MS;
		return;
	}
	succeeded(watch, answer, consul_now() - began);
	if (published == CONSUL_PUBLISHED_CHANGE && watch->watching->board)
		consul_change_happened(watch->config, watch->key, watch->watching->board);
}

static void answered(void *context, const struct consul_answer *answer)
{
	struct consul_watch *watch = context;
	watch->call = NULL;
	watch->watching->large |= answer->length >= LARGE_BYTES;
	watch->agent = consul_client_agent(watch->watching->client);
	if (is_good(watch, answer) && went_back(watch, answer))
		ask_anew(watch);
	else if (is_good(watch, answer))
		take(watch, answer);
	else
		failed(watch, answer, NULL);
}

static void ask(struct consul_watch *watch, int64_t now)
{
	struct consul_client *client = watch->watching->client;
	watch->waiting = watch->index && !watch->spread;
	long wait_ms = watch->waiting ? WAIT_MS + random() % WAIT_MORE_MS : FETCH_MS;
	char *path = query_of(watch, wait_ms);
	struct consul_request request = {.method = "GET", .path = path, .timeout_ms = consul_client_patience(client), .most = MOST_BYTES};
	watch->started = now;
	watch->agent = consul_client_agent(client);
	watch->call = watch->spread ? consul_call_start(client, &request, answered, watch) : consul_call_wait(client, &request, wait_ms, answered, watch);
	if (!watch->call)
		failed(watch, &(struct consul_answer){.error = "no request could be started", .agent = "", .body = ""}, NULL);
	free(path);
}

/* What another agent is asked for has nothing to do with what this one was. */
static void start_again(struct consul_watch *watch, int64_t now)
{
	drop_call(watch);
	watch->index = 0;
	watch->failures = 0;
	watch->due = now;
	watch->agent = consul_client_agent(watch->watching->client);
}

void consul_watch_tick(struct consul_watch *watch, int64_t now)
{
	const struct consul_client *client = watch->watching->client;
	if (consul_client_contact(client)->away) {
		start_again(watch, now);
		mark_stale(watch);
		return;
	}
	if (watch->agent != consul_client_agent(client) && !watch->spread)
		start_again(watch, now);
	if (!watch->call && now >= watch->due)
		ask(watch, now);
}

int64_t consul_watch_due(const struct consul_watch *watch)
{
	return watch->call || consul_client_contact(watch->watching->client)->away ? NEVER : watch->due;
}

bool consul_watch_is_settled(const struct consul_watch *watch)
{
	return watch->settled;
}

bool consul_watch_is_there(const struct consul_watch *watch)
{
	return consul_publish_is_there(watch->watching->cache, watch->config, watch->key);
}

const char *consul_watch_reason(const struct consul_watch *watch)
{
	return watch->reason ? watch->reason : "";
}

const char *consul_watch_name(const struct consul_watch *watch)
{
	return watch->key;
}
