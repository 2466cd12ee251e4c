/* SPDX-License-Identifier: BSD-2-Clause
 * One session in Consul: created, renewed, destroyed. Nothing happens but in consul_session_tick() and consul_http_wait(). */
#ifndef CONSUL_SESSION_H
#define CONSUL_SESSION_H

#include <stdbool.h>
#include <stdint.h>

struct consul_client;
struct consul_session;

/* `subject` is what lines of the log begin with; `body` is the JSON of its creation, which names checks that an agent may not know for `missing_ms`.
 * All must outlive it. */
struct consul_session *consul_session_new(struct consul_client *client, const char *subject, const char *body, int64_t renew_ms, int64_t missing_ms);
void consul_session_free(struct consul_session *session);

/* Goes on with one that an earlier process made: it is unconfirmed until a renewal says that it lives. */
void consul_session_adopt(struct consul_session *session, const char *id);

/* Creates it, unless it lives, is being created, or could not be a moment ago. */
void consul_session_want(struct consul_session *session, int64_t now);

/* Renews it when that is due. */
void consul_session_tick(struct consul_session *session, int64_t now);

/* When a tick or a wish has something to do; INT64_MAX: not before an answer. */
int64_t consul_session_due(const struct consul_session *session);

/* Something else says that it may not live any more: it is renewed at the next tick. */
void consul_session_doubt(struct consul_session *session);

/* Another request, sent at that time on the clock of consul_leader_now(), has proved that it lives. */
void consul_session_confirm(struct consul_session *session, int64_t sent);

/* "" while there is none. */
const char *consul_session_id(const struct consul_session *session);

/* Before it was last known to live, on the clock of consul_leader_now(); 0: not yet. */
int64_t consul_session_confirmed(const struct consul_session *session);

/* Destroys it, which is given up after `most_ms`, and is then left to its TTL. */
void consul_session_end(struct consul_session *session, long most_ms);
bool consul_session_ended(const struct consul_session *session);

#endif
