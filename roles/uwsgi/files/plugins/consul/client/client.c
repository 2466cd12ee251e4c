/* SPDX-License-Identifier: BSD-2-Clause */
#include "client.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/memory.h"
#include "../base/values.h"
#include "../config/config.h"
#include "token.h"

struct consul_client {
	struct consul_http *http;
	const struct consul_connection *connection;
	struct consul_token *token;
	size_t current; /* the agent that answered last */
	struct consul_contact contact;
};

struct consul_call {
	struct consul_client *client;
	struct consul_exchange *exchange;
	char *method, *path, *body;
	size_t body_length, most;
	int64_t deadline;
	size_t first; /* the agent that is asked first: which one answered last may change meanwhile */
	size_t tried, tries;
	long share_ms; /* the most that one agent may take */
	bool once;
	bool patient; /* one agent holds it for long: that it fails says nothing of the others */
	consul_answered answered;
	void *context;
};

struct consul_client *consul_client_new(struct consul_http *http, const struct consul_connection *connection)
{
	struct consul_client *client = consul_allocate(1, sizeof(*client));
	client->http = http;
	client->connection = connection;
	client->token = consul_token_new(connection->token_file, connection->token);
	return client;
}

void consul_client_free(struct consul_client *client)
{
	consul_token_free(client->token);
	free(client);
}

const struct consul_connection *consul_client_connection(const struct consul_client *client)
{
	return client->connection;
}

long consul_client_patience(const struct consul_client *client)
{
	return client->connection->timeout_ms * (long) client->connection->agents_count;
}

unsigned consul_client_token(const struct consul_client *client)
{
	return consul_token_version(client->token);
}

size_t consul_client_agent(const struct consul_client *client)
{
	return client->current;
}

const struct consul_contact *consul_client_contact(const struct consul_client *client)
{
	return &client->contact;
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
	return (call->first + call->tried) % call->client->connection->agents_count;
}

static void call_answered(void *context, const struct consul_answer *answer);

static bool try_agent(struct consul_call *call)
{
	const struct consul_client *client = call->client;
	int64_t left = call->deadline - consul_now();
	if (call->tried >= call->tries || left <= 0)
		return false;
	/* An agent that never answers must leave time for those after it. */
	int64_t share = left / (int64_t) (call->tries - call->tried);
	struct consul_target target = {&client->connection->agents[agent_of(call)], client->connection, client->token};
	struct consul_request request = {
		.method = call->method,
		.path = call->path,
		.body = call->body,
		.body_length = call->body_length,
		.timeout_ms = share < call->share_ms ? (long) share + 1 : call->share_ms,
		.most = call->most,
		.once = call->once,
	};
	call->exchange = consul_http_start(client->http, &target, &request, call_answered, call);
	return call->exchange != NULL;
}

bool consul_answer_is_unknown(const struct consul_answer *answer)
{
	/* Agents before 1.11 have no 404 for a check that they do not know. */
	return answer->status == 404 ||
	       (answer->status == 500 && (strstr(answer->body, "does not have associated TTL") || strstr(answer->body, "Unknown check")));
}

char *consul_answer_describe(const struct consul_answer *answer)
{
	char *text = consul_printable(answer->status ? answer->body : answer->error);
	char *line = answer->status ? consul_format("agent %s answers %ld: %s", answer->agent, answer->status, text)
				    : consul_format("agent %s does not answer: %s", answer->agent, text);
	free(text);
	return line;
}

static void note_contact(struct consul_call *call, const struct consul_answer *answer)
{
	struct consul_contact *contact = &call->client->contact;
	if (answer->status) {
		contact->away = false;
		contact->last = consul_unix_time();
		contact->at = consul_now();
	} else if (!call->patient) {
		contact->away = true;
	}
}

static void call_answered(void *context, const struct consul_answer *answer)
{
	struct consul_call *call = context;
	bool failed = !answer->status || (answer->status >= 500 && !consul_answer_is_unknown(answer));
	call->exchange = NULL; /* it ends after this */
	if (failed) {
		call->tried++;
		if ((!call->once || answer->unsent) && try_agent(call))
			return;
		/* The next one that must not be done twice begins with another agent, or it would fail like this one. */
		if (call->once)
			call->client->current = agent_of(call);
	} else {
		call->client->current = agent_of(call);
	}
	note_contact(call, answer);
	consul_answered answered = call->answered;
	void *for_whom = call->context;
	call_free(call);
	answered(for_whom, answer);
}

static struct consul_call *start(struct consul_client *client, const struct consul_request *request, size_t tries, long share_ms, bool patient,
				 consul_answered answered, void *context)
{
	struct consul_call *call = consul_allocate(1, sizeof(*call));
	call->client = client;
	call->method = consul_format("%s", request->method);
	call->path = consul_format("%s", request->path);
	call->body_length = request->body_length ? request->body_length : request->body ? strlen(request->body) : 0;
	call->body = request->body ? consul_copy(request->body, call->body_length) : NULL;
	call->most = request->most;
	call->deadline = consul_now() + request->timeout_ms;
	call->first = client->current;
	call->tries = tries;
	call->share_ms = share_ms;
	call->once = request->once;
	call->patient = patient;
	call->answered = answered;
	call->context = context;
	if (try_agent(call))
		return call;
	call_free(call);
	return NULL;
}

struct consul_call *consul_call_start(struct consul_client *client, const struct consul_request *request, consul_answered answered, void *context)
{
	return start(client, request, client->connection->agents_count, client->connection->timeout_ms, false, answered, context);
}

struct consul_call *consul_call_wait(struct consul_client *client, const struct consul_request *request, long wait_ms, consul_answered answered,
				     void *context)
{
	struct consul_request patient = *request;
	/* Consul adds up to a sixteenth of the time, so that not all come back at once. */
	patient.timeout_ms = wait_ms + wait_ms / 16 + client->connection->timeout_ms;
	return start(client, &patient, 1, patient.timeout_ms, true, answered, context);
}

void consul_call_cancel(struct consul_call *call)
{
	if (call->exchange)
		consul_exchange_cancel(call->exchange);
	call_free(call);
}
