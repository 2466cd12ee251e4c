/* SPDX-License-Identifier: BSD-2-Clause
 * HTTP exchanges with agents, side by side in one event loop, over connections that stay open. */
#ifndef CONSUL_HTTP_H
#define CONSUL_HTTP_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct consul_address;
struct consul_connection;
struct consul_http;
struct consul_exchange;
struct consul_token;

struct consul_answer {
	long status; /* 0: the agent did not answer, and `error` says why */
	const char *body; /* ended by 0 */
	size_t length;
	uint64_t index; /* X-Consul-Index, 0 where there is none */
	const char *error;
	const char *agent; /* whose answer it is */
	bool unsent; /* the agent has certainly not seen the request */
};

typedef void (*consul_answered)(void *context, const struct consul_answer *answer);

struct consul_request {
	const char *method;
	const char *path; /* with its query, escaped */
	const char *body; /* JSON, or NULL */
	size_t body_length; /* 0: that of a text */
	long timeout_ms;
	size_t most; /* bytes of an answer, 0: what small answers need */
	bool once; /* it must not be done twice: sent again only after it was certainly not sent */
};

/* Where an exchange goes, and with what rights. All must outlive it. */
struct consul_target {
	const struct consul_address *agent;
	const struct consul_connection *connection;
	struct consul_token *token;
};

/* NULL when libcurl has no memory or no descriptor left. `idle` connections are kept open at most. */
struct consul_http *consul_http_new(long idle);
void consul_http_free(struct consul_http *http);

/* Starts an exchange; `answered` is called once from consul_http_wait(), unless it is cancelled before. NULL: it could not start. */
struct consul_exchange *consul_http_start(struct consul_http *http, const struct consul_target *target, const struct consul_request *request,
					  consul_answered answered, void *context);
void consul_exchange_cancel(struct consul_exchange *exchange);

/* Waits for the exchanges and for the caller's descriptors, at most so long, and delivers what has come. False when poll() failed. */
bool consul_http_wait(struct consul_http *http, struct curl_waitfd *others, unsigned count, int timeout_ms);

#endif
