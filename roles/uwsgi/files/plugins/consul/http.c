/* SPDX-License-Identifier: BSD-2-Clause */
#include "http.h"

#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "memory.h"
#include "token.h"

/* What we ask for fits in far less: an agent that sends more is none. */
#define LONGEST_BODY ((size_t) 1024 * 1024)

struct consul_http {
	CURLM *multi;
	struct consul_token *token;
};

struct consul_exchange {
	struct consul_http *http;
	CURL *easy;
	struct curl_slist *headers;
	char *sent; /* the request's body */
	char *body;
	size_t length;
	char error[CURL_ERROR_SIZE];
	char *agent;
	consul_answered answered;
	void *context;
};

struct consul_http *consul_http_new(const char *token_file)
{
	if (curl_global_init(CURL_GLOBAL_ALL))
		return NULL;
	CURLM *multi = curl_multi_init();
	if (!multi) {
		curl_global_cleanup();
		return NULL;
	}
	/* One connection is all that exchanges one after the other need; a second is the next agent's. */
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 2L);
	struct consul_http *http = consul_allocate(1, sizeof(*http));
	http->multi = multi;
	http->token = consul_token_new(token_file);
	return http;
}

void consul_http_free(struct consul_http *http)
{
	curl_multi_cleanup(http->multi);
	consul_token_free(http->token);
	free(http);
	curl_global_cleanup();
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
	struct consul_exchange *exchange = context;
	size_t length = size * count;
	if (length > LONGEST_BODY - exchange->length)
		return 0;
	exchange->body = consul_grow(exchange->body, exchange->length + length + 1, 1);
	memcpy(exchange->body + exchange->length, data, length);
	exchange->length += length;
	exchange->body[exchange->length] = 0;
	return length;
}

static bool add_header(struct consul_exchange *exchange, const char *header)
{
	struct curl_slist *longer = curl_slist_append(exchange->headers, header);
	if (longer)
		exchange->headers = longer;
	return longer != NULL;
}

static bool add_headers(struct consul_exchange *exchange)
{
	const char *token = consul_token_value(exchange->http->token);
	bool good = add_header(exchange, "Expect:") && add_header(exchange, "Accept: application/json") &&
		    (!exchange->sent || add_header(exchange, "Content-Type: application/json"));
	if (good && token) {
		char *header = consul_format("X-Consul-Token: %s", token);
		good = add_header(exchange, header);
		explicit_bzero(header, strlen(header));
		free(header);
	}
	return good && !curl_easy_setopt(exchange->easy, CURLOPT_HTTPHEADER, exchange->headers);
}

static bool only_http(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
	return !curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	return !curl_easy_setopt(easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
}

/* Neither a proxy nor .netrc nor a redirect may have a say in where the token goes. */
static bool set_rules(struct consul_exchange *exchange, const struct consul_address *agent, long timeout_ms)
{
	CURL *easy = exchange->easy;
	return only_http(easy) && !curl_easy_setopt(easy, CURLOPT_PROXY, "") && !curl_easy_setopt(easy, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED) &&
	       !curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) && !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) &&
	       !curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) && !curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms) &&
	       !curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms) &&
	       (!agent->unix_path || !curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, agent->unix_path));
}

static bool set_request(struct consul_exchange *exchange, const struct consul_address *agent, const struct consul_request *request)
{
	CURL *easy = exchange->easy;
	char *url = consul_format("%s%s", agent->base, request->path);
	bool good = !curl_easy_setopt(easy, CURLOPT_URL, url) && !curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) && !curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	free(url);
	if (good && strcmp(request->method, "GET"))
		good = !curl_easy_setopt(easy, CURLOPT_POSTFIELDS, exchange->sent ? exchange->sent : "") &&
		       !curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long) (exchange->sent ? strlen(exchange->sent) : 0));
	return good && !curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) && !curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange) &&
	       !curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->error) && !curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
}

struct consul_exchange *consul_http_start(struct consul_http *http, const struct consul_address *agent, const struct consul_request *request,
					  consul_answered answered, void *context)
{
	struct consul_exchange *exchange = consul_allocate(1, sizeof(*exchange));
	exchange->http = http;
	exchange->sent = request->body ? consul_format("%s", request->body) : NULL;
	exchange->body = consul_format("%s", "");
	exchange->agent = consul_format("%s", agent->name);
	exchange->answered = answered;
	exchange->context = context;
	exchange->easy = curl_easy_init();
	if (exchange->easy && set_request(exchange, agent, request) && set_rules(exchange, agent, request->timeout_ms) && add_headers(exchange) &&
	    !curl_multi_add_handle(http->multi, exchange->easy))
		return exchange;
	consul_exchange_cancel(exchange);
	return NULL;
}

void consul_exchange_cancel(struct consul_exchange *exchange)
{
	if (exchange->easy) {
		curl_multi_remove_handle(exchange->http->multi, exchange->easy);
		curl_easy_cleanup(exchange->easy);
	}
	curl_slist_free_all(exchange->headers);
	free(exchange->sent);
	free(exchange->body);
	free(exchange->agent);
	free(exchange);
}

static void deliver(CURL *easy, CURLcode result)
{
	struct consul_exchange *exchange = NULL;
	struct consul_answer answer = {0};
	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **) &exchange);
	if (result == CURLE_OK)
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer.status);
	answer.error = answer.status ? "" : exchange->error[0] ? exchange->error : curl_easy_strerror(result);
	answer.body = exchange->body;
	answer.length = exchange->length;
	answer.agent = exchange->agent;
	exchange->answered(exchange->context, &answer);
	consul_exchange_cancel(exchange);
}

/* Whether there was any. */
static bool deliver_finished(struct consul_http *http)
{
	bool any = false;
	int left;
	CURLMsg *message;
	while ((message = curl_multi_info_read(http->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		deliver(message->easy_handle, message->data.result);
		any = true;
	}
	return any;
}

bool consul_http_wait(struct consul_http *http, struct curl_waitfd *others, unsigned count, int timeout_ms)
{
	int running;
	/* What was just started has to get going before there is something to wait for; with a fast agent, or one that refuses, it also ends here. */
	curl_multi_perform(http->multi, &running);
	if (deliver_finished(http))
		return true;
	if (curl_multi_poll(http->multi, others, count, timeout_ms, NULL))
		return false;
	curl_multi_perform(http->multi, &running);
	deliver_finished(http);
	return true;
}
