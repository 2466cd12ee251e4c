/* SPDX-License-Identifier: BSD-2-Clause
 * The leader's key, which anybody may write: whatever stands in it, its holder is known, and only an object is what the holder says of itself.
 * This harness is the client that the election's questions go to. */
#include "fuzz.h"

#include <jansson.h>

#include "ask.h"
#include "election_key.h"
#include "leader.h"

#define SESSION "0ec0a5b4-4b1f-6d5b-b3c1-5f4bd3dcbe0b"

static struct {
	consul_answered answered;
	void *context;
	char place; /* whose address is the call */
} asked;

struct consul_call *consul_ask(struct consul_client *client, const struct consul_question *question, consul_answered answered, void *context)
{
	(void) client;
	free(question->path);
	free(question->body);
	asked.answered = answered;
	asked.context = context;
	return (struct consul_call *) &asked.place;
}

void consul_call_cancel(struct consul_call *call)
{
	must(call == (struct consul_call *) &asked.place);
	asked.answered = NULL;
}

long consul_client_patience(const struct consul_client *client)
{
	(void) client;
	return 1000;
}

size_t consul_client_agent(const struct consul_client *client)
{
	(void) client;
	return 0;
}

char *consul_answer_describe(const struct consul_answer *answer)
{
	return fuzz_text((const uint8_t *) answer->agent, strlen(answer->agent));
}

static struct consul_key *read_key(const char *body, size_t length)
{
	const struct consul_answer answer = {.status = 200, .body = body, .length = length, .index = 17, .agent = "127.0.0.1:8500"};
	struct consul_key *key = consul_key_new(NULL, "election web", "uwsgi/election/web");
	consul_key_tick(key, 0);
	must(asked.answered && consul_key_due(key) == INT64_MAX);
	asked.answered(asked.context, &answer);
	must(consul_key_due(key) < INT64_MAX);
	return key;
}

/* The input as the whole answer. */
static void check_body(const char *body, size_t length)
{
	struct consul_key *key = read_key(body, length);
	const char *holder = consul_key_holder(key);
	must(strlen(holder) < CONSUL_SESSION_SIZE);
	must(consul_key_known(key) || (!*holder && !consul_key_value(key)));
	must(!consul_key_known(key) || body[strspn(body, " \t\r\n")] == '[');
	must(!consul_key_value(key) || json_is_object(consul_key_value(key)));
	consul_key_free(key);
}

/* The input as what somebody wrote into the key. */
static void check_value(const uint8_t *data, size_t size)
{
	char body[2 * 4096];
	unsigned long long flags = 0;
	memcpy(&flags, data, size < sizeof(flags) ? size : sizeof(flags));
	char *base64 = fuzz_base64(data, size);
	json_t *value = json_loadb((const char *) data, size, JSON_REJECT_DUPLICATES, NULL);
	int length = snprintf(body, sizeof(body), "[{\"LockIndex\":1,\"Key\":\"uwsgi/election/web\",\"Flags\":%llu,\"Value\":\"%s\",\"Session\":\"" SESSION
			      "\",\"CreateIndex\":7,\"ModifyIndex\":8}]", flags, base64);
	must(length > 0 && length < (int) sizeof(body));
	struct consul_key *key = read_key(body, (size_t) length);
	must(consul_key_known(key) && !strcmp(consul_key_holder(key), SESSION) && consul_key_modified(key) == 8);
	must(json_is_object(value) ? json_equal(consul_key_value(key), value) : !consul_key_value(key));
	consul_key_free(key);
	json_decref(value);
	free(base64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	check_body(text, size);
	check_value((const uint8_t *) text, size);
	free(text);
	return 0;
}
