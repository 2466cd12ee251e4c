/* SPDX-License-Identifier: BSD-2-Clause */
#include "blocking.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "client.h"
#include "config.h"
#include "memory.h"

/* What is due is libcurl's to know: it ends its waiting earlier. */
#define LOOK_MS 1000

/* One is the agent's that answers, the other that of the next one. */
#define IDLE 2

struct caller {
	pid_t pid; /* who made it: whoever was forked since has only a copy of what is the other's */
	struct consul_http *http;
	struct consul_client *client;
};

struct question {
	consul_answered answered;
	void *context;
	bool over;
};

static const struct consul_connection *connection;
static pthread_key_t callers;
/* Older libcurl can't be set up by two threads at once. */
static pthread_mutex_t set_up = PTHREAD_MUTEX_INITIALIZER;

static void lock(void)
{
	pthread_mutex_lock(&set_up);
}

static void unlock(void)
{
	pthread_mutex_unlock(&set_up);
}

static void caller_free(void *context)
{
	struct caller *caller = context;
	/* In a fork even an orderly end would say goodbye over the parent's connection. */
	if (caller->pid == getpid()) {
		lock();
		consul_client_free(caller->client);
		consul_http_free(caller->http);
		unlock();
	}
	free(caller);
}

static struct caller *caller_new(void)
{
	lock();
	struct consul_http *http = consul_http_new(IDLE);
	unlock();
	if (!http)
		return NULL;
	struct caller *caller = consul_allocate(1, sizeof(*caller));
	caller->pid = getpid();
	caller->http = http;
	caller->client = consul_client_new(http, connection);
	return caller;
}

static void forget_caller(void)
{
	struct caller *caller = pthread_getspecific(callers);
	pthread_setspecific(callers, NULL);
	if (caller)
		caller_free(caller);
}

static struct caller *this_caller(void)
{
	struct caller *caller = pthread_getspecific(callers);
	if (caller && caller->pid == getpid())
		return caller;
	forget_caller();
	caller = caller_new();
	if (caller && pthread_setspecific(callers, caller)) {
		caller_free(caller);
		return NULL;
	}
	return caller;
}

bool consul_blocking_prepare(const struct consul_connection *to)
{
	connection = to;
	/* A process that is forked while another thread sets itself up must not find the lock closed for ever. */
	return !pthread_atfork(lock, unlock, unlock) && !pthread_key_create(&callers, caller_free);
}

static void finish(void *context, const struct consul_answer *answer)
{
	struct question *question = context;
	question->over = true;
	question->answered(question->context, answer);
}

static void fail(struct question *question, const char *error)
{
	finish(question, &(struct consul_answer){.body = "", .error = error, .agent = connection->agents[0].name, .unsent = true});
}

static void ask(struct caller *caller, const struct consul_request *request, struct question *question)
{
	struct consul_request bounded = *request;
	bounded.timeout_ms = consul_client_patience(caller->client);
	struct consul_call *call = consul_call_start(caller->client, &bounded, finish, question);
	if (!call) {
		fail(question, "no request could be started");
		return;
	}
	while (!question->over && consul_http_wait(caller->http, NULL, 0, LOOK_MS))
		;
	if (!question->over) {
		consul_call_cancel(call);
		finish(question, &(struct consul_answer){.body = "", .error = "poll() failed", .agent = connection->agents[0].name});
	}
}

void consul_blocking_ask(const struct consul_request *request, bool keep, consul_answered answered, void *context)
{
	struct question question = {.answered = answered, .context = context};
	struct caller *caller = this_caller();
	if (!caller) {
		fail(&question, "no memory or no descriptor is left");
		return;
	}
	ask(caller, request, &question);
	if (!keep)
		forget_caller();
}
