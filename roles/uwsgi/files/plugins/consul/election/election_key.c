/* SPDX-License-Identifier: BSD-2-Clause */
#include "election_key.h"

#include <stdlib.h>
#include <string.h>

#include "../base/base64.h"
#include "../base/clock.h"
#include "../base/json.h"
#include "../base/memory.h"
#include "../base/path.h"
#include "../base/values.h"
#include "../client/ask.h"
#include "../client/trouble.h"
#include "../watch/kv_item.h"
#include "leader.h"

#define WAIT_MS 60000

/* An agent that is about to stop answers at once, with nothing new. */
#define PAUSE_MS 500

#define LONGEST_PAUSE_MS 5000

struct consul_key {
	struct consul_client *client;
	const char *subject;
	const char *name;
	struct consul_call *reading;
	size_t agent; /* that holds the reading */
	int64_t began; /* that reading */
	int64_t due; /* the next one */
	uint64_t index; /* 0: it is read at once */
	bool known;
	char holder[CONSUL_SESSION_SIZE];
	uint64_t modified;
	json_t *value;
	struct consul_trouble trouble;
	struct consul_call *asking;
	enum consul_asked asked;
	int64_t sent;
};

struct consul_key *consul_key_new(struct consul_client *client, const char *subject, const char *name)
{
	struct consul_key *key = consul_allocate(1, sizeof(*key));
	key->client = client;
	key->subject = subject;
	key->name = name;
	key->trouble.silent = 2;
	return key;
}

static void drop(struct consul_call **call)
{
	if (*call)
		consul_call_cancel(*call);
	*call = NULL;
}

static void clear(struct consul_key *key)
{
	json_decref(key->value);
	key->value = NULL;
	key->modified = 0;
	*key->holder = 0;
}

void consul_key_free(struct consul_key *key)
{
	drop(&key->reading);
	drop(&key->asking);
	clear(key);
	consul_trouble_clear(&key->trouble);
	free(key);
}

/* Anybody may have written the key: what is no JSON object is no holder's. */
static json_t *decode(const char *base64)
{
	size_t length = 0;
	unsigned char *text = consul_allocate(strlen(base64) + 1, 1);
	bool good = consul_base64_decode(base64, strlen(base64), text, &length);
	json_t *value = good ? json_loadb((const char *) text, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
	free(text);
	if (json_is_object(value))
		return value;
	json_decref(value);
	return NULL;
}

static bool take(struct consul_key *key, const struct consul_answer *answer)
{
	json_t *list = consul_kv_load(answer->body, answer->length);
	json_t *entry = json_array_get(list, 0);
	bool good = json_is_object(entry);
	if (good) {
		clear(key);
		consul_cut(key->holder, sizeof(key->holder), consul_json_string(entry, "Session"));
		key->modified = (uint64_t) json_integer_value(json_object_get(entry, "ModifyIndex"));
		key->value = decode(consul_json_string(entry, "Value"));
	}
	json_decref(list);
	return good;
}

/* As Consul's documents demand: an index that goes back, or that there is none of, begins anew. */
static void take_index(struct consul_key *key, uint64_t index)
{
	int64_t now = consul_now();
	key->due = index == key->index && now - key->began < PAUSE_MS ? now + PAUSE_MS : 0;
	if (!index)
		key->due = now + PAUSE_MS;
	key->index = index < key->index ? 0 : index;
}

static void was_read(void *context, const struct consul_answer *answer)
{
	struct consul_key *key = context;
	key->reading = NULL;
	if (answer->status == 404) {
		clear(key);
	} else if (answer->status != 200 || !take(key, answer)) {
		consul_trouble_add(&key->trouble, key->subject, answer);
		key->due = consul_now() + consul_trouble_pause(&key->trouble, LONGEST_PAUSE_MS);
		key->index = 0; /* and so every agent is asked */
		return;
	}
	consul_trouble_end(&key->trouble, key->subject);
	key->known = true;
	take_index(key, answer->index);
}

static void read_now(struct consul_key *key)
{
	char *path = consul_path_of_key("/v1/kv/", key->name);
	struct consul_question question = {.method = "GET", .most_ms = consul_client_patience(key->client)};
	if (key->index) {
		char *index = consul_format("%llu", (unsigned long long) key->index);
		path = consul_path_add(path, "index", index);
		path = consul_path_add(path, "wait", "60s");
		question.wait_ms = WAIT_MS;
		free(index);
	} else {
		path = consul_path_add(path, "consistent", NULL);
	}
	question.path = path;
	key->agent = consul_client_agent(key->client);
	key->began = consul_now();
	key->reading = consul_ask(key->client, &question, was_read, key);
}

void consul_key_tick(struct consul_key *key, int64_t now)
{
	/* What waits for an agent that others no longer ask may wait in vain. */
	if (key->reading && key->index && key->agent != consul_client_agent(key->client))
		drop(&key->reading);
	if (!key->reading && now >= key->due)
		read_now(key);
}

int64_t consul_key_due(const struct consul_key *key)
{
	return key->reading ? INT64_MAX : key->due;
}

void consul_key_forget(struct consul_key *key)
{
	drop(&key->reading);
	key->known = false;
	key->index = 0;
	key->due = 0;
}

bool consul_key_known(const struct consul_key *key)
{
	return key->known;
}

const char *consul_key_holder(const struct consul_key *key)
{
	return key->holder;
}

uint64_t consul_key_modified(const struct consul_key *key)
{
	return key->modified;
}

json_t *consul_key_value(const struct consul_key *key)
{
	return key->value;
}

static void answered(void *context, const struct consul_answer *answer)
{
	struct consul_key *key = context;
	key->asking = NULL;
	if (answer->status != 200)
		key->asked = CONSUL_ASKED_FAILED;
	else
		key->asked = strncmp(answer->body, "true", 4) ? CONSUL_ASKED_REFUSED : CONSUL_ASKED_GRANTED;
}

static void ask(struct consul_key *key, const char *what, const char *session, const char *value, long most_ms)
{
	char *path = consul_path_of_key("/v1/kv/", key->name);
	struct consul_question question = {.method = "PUT", .path = consul_path_add(path, what, session), .most_ms = most_ms};
	question.body = value ? consul_format("%s", value) : NULL;
	drop(&key->asking);
	key->sent = consul_leader_now();
	key->asked = CONSUL_ASKED_WAITING;
	key->asking = consul_ask(key->client, &question, answered, key);
}

void consul_key_acquire(struct consul_key *key, const char *session, const char *value)
{
	ask(key, "acquire", session, value, consul_client_patience(key->client));
}

void consul_key_release(struct consul_key *key, const char *session, long most_ms)
{
	ask(key, "release", session, NULL, most_ms);
}

enum consul_asked consul_key_asked(const struct consul_key *key)
{
	return key->asked;
}

int64_t consul_key_sent(const struct consul_key *key)
{
	return key->sent;
}

void consul_key_done(struct consul_key *key)
{
	drop(&key->asking);
	key->asked = CONSUL_ASKED_NOTHING;
}
