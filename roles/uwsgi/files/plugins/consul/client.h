/* SPDX-License-Identifier: BSD-2-Clause
 * Calls to whichever agent answers: the last good one first, then the others in their order. */
#ifndef CONSUL_CLIENT_H
#define CONSUL_CLIENT_H

#include "http.h"

struct consul_config;
struct consul_client;
struct consul_call;

/* `config` and `http` must outlive the client. */
struct consul_client *consul_client_new(struct consul_http *http, const struct consul_config *config);
void consul_client_free(struct consul_client *client);

/* `request.timeout_ms` is the most that all agents together may take; each has the configured time-out. `answered` is called once, from
 * consul_http_wait(); the call is gone by then. NULL: no exchange could be started. */
struct consul_call *consul_call_start(struct consul_client *client, const struct consul_request *request, consul_answered answered, void *context);
void consul_call_cancel(struct consul_call *call);

/* The agent does answer: it does not know what it was asked about. */
bool consul_answer_is_unknown(const struct consul_answer *answer);

#endif
