/* SPDX-License-Identifier: BSD-2-Clause
 * Calls to whichever agent answers: the last good one first, then the others in their order. */
#ifndef CONSUL_CLIENT_H
#define CONSUL_CLIENT_H

#include "http.h"

struct consul_connection;
struct consul_client;
struct consul_call;

/* Both must outlive the client. */
struct consul_client *consul_client_new(struct consul_http *http, const struct consul_connection *connection);
void consul_client_free(struct consul_client *client);
const struct consul_connection *consul_client_connection(const struct consul_client *client);

/* The most that a call takes when every agent takes its whole time. */
long consul_client_patience(const struct consul_client *client);

/* Changes whenever requests carry another token. */
unsigned consul_client_token(const struct consul_client *client);

/* Changes when another agent answers than the one that did before: what still waits for that one may wait in vain. */
size_t consul_client_agent(const struct consul_client *client);

/* Whether any agent answers at all, and be it that it can't help. */
struct consul_contact {
	bool away; /* every agent was asked, and none did */
	double last; /* when one did, in unix time; 0: never yet */
	int64_t at; /* the same by our own clock */
};
const struct consul_contact *consul_client_contact(const struct consul_client *client);

/* Goes to the next agent when one fails; a request that must not be done twice, only when it certainly was not sent.
 * `request.timeout_ms` is the most that all agents together may take; each has the connection's time-out. `answered` is called once, from
 * consul_http_wait(); the call is gone by then. NULL: no exchange could be started. */
struct consul_call *consul_call_start(struct consul_client *client, const struct consul_request *request, consul_answered answered, void *context);

/* The same for a blocking query, which the agent may hold for `wait_ms`: only the agent that answered last is asked. */
struct consul_call *consul_call_wait(struct consul_client *client, const struct consul_request *request, long wait_ms, consul_answered answered,
				     void *context);
void consul_call_cancel(struct consul_call *call);

/* The agent does answer: it does not know what it was asked about. */
bool consul_answer_is_unknown(const struct consul_answer *answer);

/* What the log says of an answer that is no success; the caller frees it. */
char *consul_answer_describe(const struct consul_answer *answer);

#endif
