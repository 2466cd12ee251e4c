/* SPDX-License-Identifier: BSD-2-Clause */
#include "../core.h"
#include "service.h"

#include "../base/clock.h"
#include "../base/memory.h"
#include "../client/ask.h"
#include "../client/client.h"
#include "../client/trouble.h"
#include "../config/config.h"
#include "registration.h"

#define NEVER INT64_MAX

/* Nobody asks where it is before. */
#define PATIENCE_MS 5000

enum phase { WAITING, PRESENT, LEAVING, LEFT };

struct consul_service {
	struct consul_client *client;
	const struct consul_service_config *config;
	const struct consul_identity *identity;
	enum phase phase;
	struct consul_call *call; /* the one under way, or NULL */
	bool touched; /* a registration of ours was sent */
	bool unknown; /* the agent has to be told all again */
	int64_t born;
	bool missed; /* the log says that it is not registered yet */
	bool unproven; /* registered, and no update has been accepted since */
	bool told; /* `told_state` is what the agent has */
	enum consul_state told_state;
	unsigned token; /* with which it was registered */
	struct consul_verdict verdict; /* what the call under way tells */
	int64_t due;
	struct consul_trouble trouble;
	int64_t leave_by;
};

struct consul_service *consul_service_new(struct consul_client *client, const struct consul_service_config *config,
					  const struct consul_identity *identity, bool present)
{
	struct consul_service *service = consul_allocate(1, sizeof(*service));
	service->client = client;
	service->config = config;
	service->identity = identity;
	service->phase = present ? PRESENT : WAITING;
	service->born = consul_now();
	service->touched = present;
	return service;
}

static void drop_call(struct consul_service *service)
{
	if (service->call)
		consul_call_cancel(service->call);
	service->call = NULL;
}

void consul_service_free(struct consul_service *service)
{
	drop_call(service);
	consul_trouble_clear(&service->trouble);
	free(service);
}

static void failed(struct consul_service *service, const struct consul_answer *answer)
{
	consul_trouble_add(&service->trouble, service->config->id, answer);
	service->due = consul_now() + consul_trouble_pause(&service->trouble, service->config->ttl_ms / 3);
}

static void start(struct consul_service *service, const char *method, char *path, char *body, long most_ms, consul_answered answered)
{
	struct consul_question question = {.method = method, .path = path, .body = body, .most_ms = most_ms};
	service->call = consul_ask(service->client, &question, answered, service);
}

static void registered(void *context, const struct consul_answer *answer)
{
	struct consul_service *service = context;
	service->call = NULL;
	if (answer->status != 200) {
		failed(service, answer);
		return;
	}
	if (!service->unproven) {
		consul_trouble_end(&service->trouble, service->config->id);
		consul_log("%s: registered as %s, port %d, at agent %s (%s)", service->config->id, service->config->name, service->config->port,
			   answer->agent, service->verdict.note);
	}
	service->phase = PRESENT;
	service->unknown = false;
	service->unproven = true;
	service->told = false; /* an existing check keeps its state and note: tell ours */
	service->due = 0;
}

/* An agent that forgets what it was told a moment ago will forget it again: then there is no hurry. */
static void lost(struct consul_service *service, const struct consul_answer *answer)
{
	service->unknown = true;
	if (service->unproven) {
		failed(service, answer);
		return;
	}
	consul_log("%s: agent %s has lost it, registering again", service->config->id, answer->agent);
	service->due = 0;
}

static void updated(void *context, const struct consul_answer *answer)
{
	struct consul_service *service = context;
	service->call = NULL;
	if (consul_answer_is_unknown(answer)) {
		lost(service, answer);
		return;
	}
	if (answer->status != 200) {
		/* The agent brings the service to the catalog with the token of its registration: with another one that has to be made again. */
		service->unknown |= answer->status == 403;
		failed(service, answer);
		return;
	}
	consul_trouble_end(&service->trouble, service->config->id);
	if (service->token != consul_client_token(service->client))
		service->unknown = true;
	if (service->told && service->told_state != service->verdict.state)
		consul_log("%s: %s -> %s (%s)", service->config->id, consul_state_name(service->told_state), consul_state_name(service->verdict.state),
			   service->verdict.note);
	service->unproven = false;
	service->told = true;
	service->told_state = service->verdict.state;
	service->due = service->unknown ? 0 : consul_now() + service->config->ttl_ms / 3;
}

static void register_now(struct consul_service *service)
{
	service->touched = true;
	start(service, "PUT", consul_registration_path(), consul_registration_body(service->config, service->identity, service->verdict.state),
	      consul_client_patience(service->client), registered);
	service->token = consul_client_token(service->client);
}

static void update_now(struct consul_service *service)
{
	start(service, "PUT", consul_update_path(service->config), consul_update_body(service->verdict.state, service->verdict.note), consul_client_patience(service->client),
	      updated);
}

void consul_service_inherit(struct consul_service *service)
{
	service->phase = PRESENT;
	service->unknown = true;
}

static bool is_news(const struct consul_service *service, const struct consul_verdict *verdict)
{
	return service->told && !service->trouble.failures && service->told_state != verdict->state;
}

static void log_waiting(struct consul_service *service, const struct consul_verdict *verdict, int64_t now)
{
	if (service->missed || now - service->born < PATIENCE_MS)
		return;
	service->missed = true;
	consul_log("%s: not registered yet: %s", service->config->id, verdict->note);
}

void consul_service_tick(struct consul_service *service, const struct consul_verdict *verdict, int64_t now)
{
	bool due = now >= service->due;
	if (service->call)
		return;
	if (service->phase == WAITING)
		log_waiting(service, verdict, now);
	if (service->phase == WAITING && due && (service->config->early || (verdict->complete && verdict->state != CONSUL_CRITICAL))) {
		service->verdict = *verdict;
		register_now(service);
	} else if (service->phase == PRESENT && (due || is_news(service, verdict))) {
		service->verdict = *verdict;
		(service->unknown ? register_now : update_now)(service);
	}
}

int64_t consul_service_due(const struct consul_service *service)
{
	return service->call || service->phase != PRESENT ? NEVER : service->due;
}

bool consul_service_present(const struct consul_service *service)
{
	return service->phase == PRESENT;
}

static void leave_with(struct consul_service *service, const char *what)
{
	consul_log("%s: %s", service->config->id, what);
	service->phase = LEFT;
}

static void leave_with_trouble(struct consul_service *service, const struct consul_answer *answer)
{
	char *line = consul_answer_describe(answer);
	consul_log("%s: not deregistered, it will be critical after its TTL: %s", service->config->id, line);
	free(line);
	service->phase = LEFT;
}

static void deregistered(void *context, const struct consul_answer *answer)
{
	struct consul_service *service = context;
	service->call = NULL;
	if (answer->status == 200 || answer->status == 404)
		leave_with(service, "deregistered");
	else
		leave_with_trouble(service, answer);
}

static long time_to_leave(const struct consul_service *service)
{
	int64_t left = service->leave_by - consul_now();
	return left > 0 ? (long) left : 0;
}

static void looked_up(void *context, const struct consul_answer *answer)
{
	struct consul_service *service = context;
	service->call = NULL;
	if (answer->status == 404)
		leave_with(service, "was not registered any more");
	else if (answer->status != 200)
		leave_with_trouble(service, answer);
	else if (consul_lookup_owner(answer->body, answer->length, service->identity->nonce) == CONSUL_ANOTHERS)
		leave_with(service, "another instance has registered this id, it stays");
	else
		start(service, "PUT", consul_deregistration_path(service->config), NULL, time_to_leave(service), deregistered);
}

void consul_service_leave(struct consul_service *service, bool claim, long most_ms)
{
	if (service->phase == LEAVING || service->phase == LEFT)
		return;
	drop_call(service);
	service->leave_by = consul_now() + most_ms;
	if (!service->touched && !claim) {
		service->phase = LEFT;
		return;
	}
	service->phase = LEAVING;
	start(service, "GET", consul_lookup_path(service->config), NULL, time_to_leave(service), looked_up);
}

bool consul_service_left(const struct consul_service *service)
{
	return service->phase == LEFT;
}
