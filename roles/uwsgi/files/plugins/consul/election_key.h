/* SPDX-License-Identifier: BSD-2-Clause
 * The key that the leader holds: watched, acquired, released. Nothing happens but in consul_key_tick() and consul_http_wait(). */
#ifndef CONSUL_ELECTION_KEY_H
#define CONSUL_ELECTION_KEY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct consul_client;
struct consul_key;

enum consul_asked { CONSUL_ASKED_NOTHING, CONSUL_ASKED_WAITING, CONSUL_ASKED_GRANTED, CONSUL_ASKED_REFUSED, CONSUL_ASKED_FAILED };

/* `subject` is what lines of the log begin with. All must outlive it. */
struct consul_key *consul_key_new(struct consul_client *client, const char *subject, const char *name);
void consul_key_free(struct consul_key *key);

/* Keeps a blocking query under way. */
void consul_key_tick(struct consul_key *key, int64_t now);

/* When a tick has something to do; INT64_MAX: not before an answer. */
int64_t consul_key_due(const struct consul_key *key);

/* What it said before counts no longer: it is read anew, from the servers' leader, at the next tick. */
void consul_key_forget(struct consul_key *key);

/* Is it known who holds it? */
bool consul_key_known(const struct consul_key *key);

/* The session that holds it, "": none. */
const char *consul_key_holder(const struct consul_key *key);
uint64_t consul_key_modified(const struct consul_key *key); /* its index */
json_t *consul_key_value(const struct consul_key *key); /* what its holder wrote, or NULL; not the caller's */

/* Asks for one thing at a time; a question before is forgotten. `sent` is on the clock of consul_leader_now(). */
void consul_key_acquire(struct consul_key *key, const char *session, const char *value);
void consul_key_release(struct consul_key *key, const char *session, long most_ms);
enum consul_asked consul_key_asked(const struct consul_key *key);
int64_t consul_key_sent(const struct consul_key *key);
void consul_key_done(struct consul_key *key); /* the answer has been read */

#endif
