/* SPDX-License-Identifier: BSD-2-Clause */
#include "session.h"

#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/json.h"
#include "../base/memory.h"
#include "../base/path.h"
#include "../base/values.h"
#include "../client/ask.h"
#include "../client/trouble.h"
#include "leader.h"

/* The next one who could become the leader must not wait for long. */
#define LONGEST_PAUSE_MS 5000

struct consul_session {
	struct consul_client *client;
	const char *subject;
	const char *body;
	int64_t renew_ms, missing_ms;
	int64_t missing_since; /* 0: no check is */
	char id[CONSUL_SESSION_SIZE];
	struct consul_call *call;
	int64_t sent; /* that call */
	int64_t confirmed;
	int64_t due; /* the next renewal, or creation */
	struct consul_trouble trouble;
};

struct consul_session *consul_session_new(struct consul_client *client, const char *subject, const char *body, int64_t renew_ms, int64_t missing_ms)
{
	struct consul_session *session = consul_allocate(1, sizeof(*session));
	session->client = client;
	session->subject = subject;
	session->body = body;
	session->renew_ms = renew_ms;
	session->missing_ms = missing_ms;
	session->trouble.silent = 2; /* a check may not have reached the servers yet */
	return session;
}

static void drop_call(struct consul_session *session)
{
	if (session->call)
		consul_call_cancel(session->call);
	session->call = NULL;
}

void consul_session_free(struct consul_session *session)
{
	drop_call(session);
	consul_trouble_clear(&session->trouble);
	free(session);
}

static void forget(struct consul_session *session)
{
	*session->id = 0;
	session->confirmed = 0;
	session->due = 0;
}

void consul_session_adopt(struct consul_session *session, const char *id)
{
	drop_call(session);
	forget(session);
	consul_cut(session->id, sizeof(session->id), id);
}

void consul_session_confirm(struct consul_session *session, int64_t sent)
{
	if (sent > session->confirmed)
		session->confirmed = sent;
}

/* An agent that was started anew has lost the services, and gets them back at their next sign of life: only what lasts longer is worth a line. */
static bool will_be_registered(struct consul_session *session, const struct consul_answer *answer)
{
	int64_t now = consul_now();
	if (answer->status != 500 || !strstr(answer->body, "Missing check")) {
		session->missing_since = 0;
		return false;
	}
	if (!session->missing_since)
		session->missing_since = now;
	return now - session->missing_since < session->missing_ms;
}

/* That no agent answers is said by whoever watches the key. */
static void failed(struct consul_session *session, const struct consul_answer *answer)
{
	if (answer->status && !will_be_registered(session, answer))
		consul_trouble_add(&session->trouble, session->subject, answer);
	else if (session->trouble.failures < 3)
		session->trouble.failures++;
	int64_t pause = consul_trouble_pause(&session->trouble, LONGEST_PAUSE_MS);
	session->due = consul_now() + (pause < session->renew_ms ? pause : session->renew_ms);
}

static void proved(struct consul_session *session)
{
	session->missing_since = 0;
	consul_trouble_end(&session->trouble, session->subject);
	consul_session_confirm(session, session->sent);
	session->due = consul_now() + session->renew_ms;
}

static void ask(struct consul_session *session, char *path, char *body, long most_ms, consul_answered answered)
{
	struct consul_question question = {.method = "PUT", .path = path, .body = body, .most_ms = most_ms};
	session->sent = consul_leader_now();
	session->call = consul_ask(session->client, &question, answered, session);
}

static void created(void *context, const struct consul_answer *answer)
{
	struct consul_session *session = context;
	json_t *json = answer->status == 200 ? json_loadb(answer->body, answer->length, 0, NULL) : NULL;
	const char *id = consul_json_string(json, "ID");
	session->call = NULL;
	if (*id && strlen(id) < sizeof(session->id)) {
		consul_cut(session->id, sizeof(session->id), id);
		proved(session);
	} else {
		failed(session, answer);
	}
	json_decref(json);
}

static void renewed(void *context, const struct consul_answer *answer)
{
	struct consul_session *session = context;
	session->call = NULL;
	if (answer->status == 200)
		proved(session);
	else if (answer->status == 404)
		forget(session);
	else
		failed(session, answer);
}

void consul_session_want(struct consul_session *session, int64_t now)
{
	if (!session->call && !*session->id && now >= session->due)
		ask(session, consul_format("/v1/session/create"), consul_format("%s", session->body), consul_client_patience(session->client), created);
}

void consul_session_tick(struct consul_session *session, int64_t now)
{
	if (!session->call && *session->id && now >= session->due)
		ask(session, consul_path("/v1/session/renew/", session->id), NULL, consul_client_patience(session->client), renewed);
}

int64_t consul_session_due(const struct consul_session *session)
{
	return session->call ? INT64_MAX : session->due;
}

void consul_session_doubt(struct consul_session *session)
{
	session->due = 0;
}

const char *consul_session_id(const struct consul_session *session)
{
	return session->id;
}

int64_t consul_session_confirmed(const struct consul_session *session)
{
	return session->confirmed;
}

static void destroyed(void *context, const struct consul_answer *answer)
{
	struct consul_session *session = context;
	(void) answer;
	session->call = NULL;
}

void consul_session_end(struct consul_session *session, long most_ms)
{
	char *path = *session->id ? consul_path("/v1/session/destroy/", session->id) : NULL;
	drop_call(session);
	forget(session);
	if (path)
		ask(session, path, NULL, most_ms, destroyed);
}

bool consul_session_ended(const struct consul_session *session)
{
	return !session->call && !*session->id;
}
