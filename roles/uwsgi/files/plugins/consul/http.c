/* SPDX-License-Identifier: BSD-2-Clause */
#include "http.h"

#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "config.h"
#include "header.h"
#include "log.h"
#include "memory.h"
#include "token.h"

/* What is asked for fits in far less unless the request says so: an agent that sends more is none. */
#define SMALL_ANSWER ((size_t) 1024 * 1024)

struct consul_http {
	CURLM *multi;
};

struct consul_exchange {
	struct consul_http *http;
	CURL *easy;
	struct curl_slist *headers;
	char *method, *path;
	char *sent; /* the request's body */
	size_t sent_length;
	char *body;
	size_t length, room, most;
	uint64_t index;
	char error[CURL_ERROR_SIZE];
	char *agent;
	bool traced;
	bool uncertified; /* it goes by TLS, without a certificate of ours */
	consul_answered answered;
	void *context;
};

struct consul_http *consul_http_new(long idle)
{
	if (curl_global_init(CURL_GLOBAL_ALL))
		return NULL;
	CURLM *multi = curl_multi_init();
	if (!multi) {
		curl_global_cleanup();
		return NULL;
	}
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, idle);
	struct consul_http *http = consul_allocate(1, sizeof(*http));
	http->multi = multi;
	return http;
}

void consul_http_free(struct consul_http *http)
{
	curl_multi_cleanup(http->multi);
	free(http);
	curl_global_cleanup();
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
	struct consul_exchange *exchange = context;
	size_t length = size * count;
	if (length > exchange->most - exchange->length)
		return 0;
	if (exchange->length + length >= exchange->room) {
		/* Twice as much each time, or a large answer is copied again and again. */
		exchange->room = 2 * (exchange->length + length) + 1;
		exchange->body = consul_grow(exchange->body, exchange->room, 1);
	}
	memcpy(exchange->body + exchange->length, data, length);
	exchange->length += length;
	exchange->body[exchange->length] = 0;
	return length;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
	struct consul_exchange *exchange = context;
	consul_header_index(data, size * count, &exchange->index);
	return size * count;
}

static bool add_header(struct consul_exchange *exchange, const char *header)
{
	struct curl_slist *longer = curl_slist_append(exchange->headers, header);
	if (longer)
		exchange->headers = longer;
	return longer != NULL;
}

static bool add_headers(struct consul_exchange *exchange, struct consul_token *holder)
{
	const char *token = consul_token_value(holder);
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

/* A resolver that does not answer must not hold up the end of a request whose time is over. */
static bool leave_resolver(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075700
	return !curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#else
	return easy != NULL;
#endif
}

static bool set_file(CURL *easy, CURLoption option, const char *path)
{
	return !path || !curl_easy_setopt(easy, option, path);
}

static bool set_tls(CURL *easy, const struct consul_connection *connection)
{
	long verified = !connection->unverified;
	return !curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verified) && !curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verified ? 2L : 0L) &&
	       set_file(easy, CURLOPT_CAINFO, connection->ca) && set_file(easy, CURLOPT_SSLCERT, connection->cert) &&
	       set_file(easy, CURLOPT_SSLKEY, connection->key);
}

/* Neither a proxy nor .netrc nor a redirect may have a say in where the token goes. */
static bool set_rules(CURL *easy, const struct consul_address *agent, long timeout_ms, long connect_ms)
{
	return only_http(easy) && leave_resolver(easy) && !curl_easy_setopt(easy, CURLOPT_PROXY, "") && !curl_easy_setopt(easy, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED) &&
	       !curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) && !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) &&
	       !curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) &&
	       !curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms < connect_ms ? timeout_ms : connect_ms) &&
	       !curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms) &&
	       (!agent->unix_path || !curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, agent->unix_path));
}

static bool set_callbacks(struct consul_exchange *exchange)
{
	CURL *easy = exchange->easy;
	return !curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) && !curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange) &&
	       !curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header) && !curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange) &&
	       !curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->error) && !curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
}

static bool set_request(struct consul_exchange *exchange, const struct consul_address *agent)
{
	CURL *easy = exchange->easy;
	char *url = consul_format("%s%s", agent->base, exchange->path);
	bool good = !curl_easy_setopt(easy, CURLOPT_URL, url) && !curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) &&
		    !curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, exchange->method);
	free(url);
	if (good && strcmp(exchange->method, "GET"))
		good = !curl_easy_setopt(easy, CURLOPT_POSTFIELDS, exchange->sent ? exchange->sent : "") &&
		       !curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) exchange->sent_length);
	return good;
}

/* On a connection that was kept libcurl itself sends a request again when the agent closes without an answer. */
static bool set_once(CURL *easy, bool once)
{
	return !once || !curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
}

static struct consul_exchange *exchange_new(struct consul_http *http, const struct consul_target *target, const struct consul_request *request)
{
	struct consul_exchange *exchange = consul_allocate(1, sizeof(*exchange));
	exchange->http = http;
	exchange->easy = curl_easy_init();
	exchange->method = consul_format("%s", request->method);
	exchange->path = consul_format("%s", request->path);
	exchange->sent_length = request->body_length ? request->body_length : request->body ? strlen(request->body) : 0;
	exchange->sent = request->body ? consul_copy(request->body, exchange->sent_length) : NULL;
	exchange->body = consul_format("%s", "");
	exchange->most = request->most ? request->most : SMALL_ANSWER;
	exchange->agent = consul_format("%s", target->agent->name);
	exchange->traced = target->connection->traced;
	exchange->uncertified = !target->connection->cert && !strncmp(target->agent->base, "https:", 6);
	return exchange;
}

struct consul_exchange *consul_http_start(struct consul_http *http, const struct consul_target *target, const struct consul_request *request,
					  consul_answered answered, void *context)
{
	struct consul_exchange *exchange = exchange_new(http, target, request);
	exchange->answered = answered;
	exchange->context = context;
	if (exchange->easy && set_request(exchange, target->agent) && set_callbacks(exchange) &&
	    set_once(exchange->easy, request->once) && set_rules(exchange->easy, target->agent, request->timeout_ms, target->connection->timeout_ms) &&
	    set_tls(exchange->easy, target->connection) && add_headers(exchange, target->token) && !curl_multi_add_handle(http->multi, exchange->easy))
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
	free(exchange->method);
	free(exchange->path);
	free(exchange->sent);
	free(exchange->body);
	free(exchange->agent);
	free(exchange);
}

/* An agent that misses the client's certificate just hangs up. */
static const char *hint(const struct consul_exchange *exchange, CURLcode result)
{
	bool hung_up = result == CURLE_SEND_ERROR || result == CURLE_RECV_ERROR || result == CURLE_GOT_NOTHING;
	return hung_up && exchange->uncertified ? "; does it ask for a client certificate? Then consul-cert and consul-key are right" : "";
}

/* Of two words for a failure libcurl's general one is the surer one: the other may tell of a step on the way. */
static char *describe(const struct consul_exchange *exchange, CURLcode result)
{
	const char *words = curl_easy_strerror(result);
	const char *after = hint(exchange, result);
	return exchange->error[0] ? consul_format("%s (%s)%s", words, exchange->error, after) : consul_format("%s%s", words, after);
}

/* Either alone would do; what a request of two writes costs is worth a second look. */
static bool was_not_sent(CURL *easy)
{
	curl_off_t begun = 1;
	long sent = 1;
	curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &begun);
	curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &sent);
	return !begun && !sent;
}

static void deliver(CURL *easy, CURLcode result)
{
	struct consul_exchange *exchange = NULL;
	struct consul_answer answer = {0};
	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **) &exchange);
	if (result == CURLE_OK)
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer.status);
	char *error = describe(exchange, result);
	answer.error = answer.status ? "" : error;
	answer.body = exchange->body;
	answer.length = exchange->length;
	answer.index = exchange->index;
	answer.agent = exchange->agent;
	answer.unsent = !answer.status && was_not_sent(easy);
	if (exchange->traced)
		consul_log("%s %s at %s: %ld %s", exchange->method, exchange->path, exchange->agent, answer.status, answer.error);
	exchange->answered(exchange->context, &answer);
	free(error);
	consul_exchange_cancel(exchange);
}

static bool deliver_all(struct consul_http *http)
{
	CURLMsg *message;
	int left;
	bool any = false;
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
	/* What was just started has to get going before there is something to wait for. It may be over by then, and nothing would end the waiting. */
	curl_multi_perform(http->multi, &running);
	if (deliver_all(http))
		return true;
	if (curl_multi_poll(http->multi, others, count, timeout_ms, NULL))
		return false;
	curl_multi_perform(http->multi, &running);
	deliver_all(http);
	return true;
}
