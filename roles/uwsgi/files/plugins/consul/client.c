/* SPDX-License-Identifier: BSD-2-Clause */
#include "client.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "config.h"
#include "memory.h"

struct consul_client {
	struct consul_http *http;
	const struct consul_config *config;
	size_t current; /* the agent that answered last */
};

struct consul_call {
	struct consul_client *client;
	struct consul_exchange *exchange;
	char *method, *path, *body;
	int64_t deadline;
	size_t tried;
	consul_answered answered;
	void *context;
};

struct consul_client *consul_client_new(struct consul_http *http, const struct consul_config *config)
{
	struct consul_client *client = consul_allocate(1, sizeof(*client));
	client->http = http;
	client->config = config;
	return client;
}

void consul_client_free(struct consul_client *client)
{
	free(client);
}

static void call_free(struct consul_call *call)
{
	free(call->method);
	free(call->path);
	free(call->body);
	free(call);
}

static size_t agent_of(const struct consul_call *call)
{
	return (call->client->current + call->tried) % call->client->config->agents_count;
}

static void call_answered(void *context, const struct consul_answer *answer);

static bool try_agent(struct consul_call *call)
{
	const struct consul_config *config = call->client->config;
	int64_t left = call->deadline - consul_now();
	if (call->tried >= config->agents_count || left <= 0)
		return false;
	/* An agent that never answers must leave time for those after it. */
	int64_t share = left / (int64_t) (config->agents_count - call->tried);
	struct consul_request request = {call->method, call->path, call->body, share < config->timeout_ms ? (long) share + 1 : config->timeout_ms};
	call->exchange = consul_http_start(call->client->http, &config->agents[agent_of(call)], &request, call_answered, call);
	return call->exchange != NULL;
}

bool consul_answer_is_unknown(const struct consul_answer *answer)
{
	/* Agents before 1.11 have no 404 for a check that they do not know. */
	return answer->status == 404 ||
	       (answer->status == 500 && (strstr(answer->body, "does not have associated TTL") || strstr(answer->body, "Unknown check")));
}

static void call_answered(void *context, const struct consul_answer *answer)
{
	struct consul_call *call = context;
	bool failed = !answer->status || (answer->status >= 500 && !consul_answer_is_unknown(answer));
	call->exchange = NULL; /* it ends after this */
	if (failed) {
		call->tried++;
		if (try_agent(call))
			return;
	} else {
		call->client->current = agent_of(call);
	}
	consul_answered answered = call->answered;
	void *for_whom = call->context;
	call_free(call);
	answered(for_whom, answer);
}

struct consul_call *consul_call_start(struct consul_client *client, const struct consul_request *request, consul_answered answered, void *context)
{
	struct consul_call *call = consul_allocate(1, sizeof(*call));
	call->client = client;
	call->method = consul_format("%s", request->method);
	call->path = consul_format("%s", request->path);
	call->body = request->body ? consul_format("%s", request->body) : NULL;
	call->deadline = consul_now() + request->timeout_ms;
	call->answered = answered;
	call->context = context;
	if (try_agent(call))
		return call;
	call_free(call);
	return NULL;
}

void consul_call_cancel(struct consul_call *call)
{
	if (call->exchange)
		consul_exchange_cancel(call->exchange);
	call_free(call);
}
