/* SPDX-License-Identifier: BSD-2-Clause */
#include "probe.h"

#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/json.h"
#include "../base/memory.h"
#include "../base/retry.h"
#include "../base/text.h"
#include "../client/client.h"
#include "../config/config.h"
#include "cache.h"
#include "moment.h"
#include "watch_key.h"

/* No answer of anybody for so long: then we ask. */
#define SILENCE_MS 5000

/* How old `last_contact` may be before it is written anew. */
#define BETWEEN_CONTACTS_MS 1000

struct consul_probe {
	struct consul_client *client;
	struct uwsgi_cache *cache;
	long patience_ms;
	struct consul_call *call; /* the one under way, or NULL */
	int64_t due;
	unsigned failures;
	bool doubted;
	char *trouble; /* why no agent answers */
	bool told, told_away; /* what the item says */
	size_t told_agent;
	int64_t since, last; /* moments; 0: none yet */
};

/* An earlier process of this instance, or of its life before a reload, has told already. */
static void remember(struct consul_probe *probe)
{
	size_t length;
	char *text;
	consul_cache_get(probe->cache, CONSUL_KEY_OF_AGENT, &text, &length); /* in vain, it begins anew */
	json_t *item = text ? json_loadb(text, length, 0, NULL) : NULL;
	probe->since = consul_moment_of(json_number_value(json_object_get(item, "since")));
	probe->last = consul_moment_of(json_number_value(json_object_get(item, "last_contact")));
	probe->told_away = !strcmp(consul_json_string(item, "state"), "away");
	json_decref(item);
	free(text);
}

struct consul_probe *consul_probe_new(struct consul_client *client, struct uwsgi_cache *cache, long patience_ms)
{
	struct consul_probe *probe = consul_allocate(1, sizeof(*probe));
	probe->client = client;
	probe->cache = cache;
	probe->patience_ms = patience_ms;
	probe->doubted = true;
	probe->trouble = consul_format("%s", "");
	remember(probe);
	return probe;
}

void consul_probe_free(struct consul_probe *probe)
{
	if (probe->call)
		consul_call_cancel(probe->call);
	free(probe->trouble);
	free(probe);
}

void consul_probe_doubt(struct consul_probe *probe)
{
	probe->doubted = true;
}

const char *consul_probe_trouble(const struct consul_probe *probe)
{
	return probe->trouble;
}

static void answered(void *context, const struct consul_answer *answer)
{
	struct consul_probe *probe = context;
	probe->call = NULL;
	probe->doubted = false;
	free(probe->trouble);
	probe->trouble = answer->status ? consul_format("%s", "") : consul_answer_describe(answer);
	probe->failures = answer->status ? 0 : probe->failures + 1;
	probe->due = probe->failures ? consul_now() + consul_retry_delay(probe->failures, SILENCE_MS) : 0;
}

static int64_t next(const struct consul_probe *probe)
{
	const struct consul_contact *contact = consul_client_contact(probe->client);
	if (contact->away)
		return probe->due;
	return probe->doubted ? 0 : contact->at + SILENCE_MS;
}

static void ask(struct consul_probe *probe)
{
	struct consul_request request = {.method = "GET", .path = "/v1/status/leader", .timeout_ms = probe->patience_ms};
	probe->call = consul_call_start(probe->client, &request, answered, probe);
	if (!probe->call)
		probe->due = consul_now() + SILENCE_MS;
}

static bool write_item(const struct consul_probe *probe)
{
	struct consul_text text = {0};
	const struct consul_connection *connection = consul_client_connection(probe->client);
	consul_text_add_format(&text, "{\"state\":\"%s\",", probe->told_away ? "away" : "connected");
	consul_text_add_field(&text, "agent", json_string(connection->agents[consul_client_agent(probe->client)].name));
	consul_text_add_format(&text, ",\"since\":");
	consul_moment_write(&text, probe->since);
	consul_text_add_format(&text, ",\"last_contact\":");
	if (probe->last > 0)
		consul_moment_write(&text, probe->last);
	else
		consul_text_add_format(&text, "null");
	consul_text_add(&text, "}", 1);
	bool told = consul_cache_set(probe->cache, CONSUL_KEY_OF_AGENT, text.bytes, text.length) != CONSUL_CACHE_LOCKED;
	consul_text_clear(&text);
	return told;
}

static void publish(struct consul_probe *probe)
{
	const struct consul_contact *contact = consul_client_contact(probe->client);
	size_t agent = consul_client_agent(probe->client);
	int64_t last = consul_moment_of(contact->last);
	bool known = contact->away || last > 0;
	bool turned = probe->told_away != contact->away;
	if (!known || (probe->told && !turned && probe->told_agent == agent && last < probe->last + BETWEEN_CONTACTS_MS))
		return;
	if (turned || !(probe->since > 0))
		probe->since = consul_moment_now();
	if (last > 0)
		probe->last = last;
	probe->told_away = contact->away;
	probe->told_agent = agent;
	probe->told = write_item(probe);
}

/* Any answer ends it, not only that to our own question: the next time it may be another. */
static void end_trouble(struct consul_probe *probe)
{
	if (*probe->trouble && !consul_client_contact(probe->client)->away)
		*probe->trouble = 0;
}

void consul_probe_tick(struct consul_probe *probe, int64_t now)
{
	end_trouble(probe);
	publish(probe);
	if (!probe->call && now >= next(probe))
		ask(probe);
}

int64_t consul_probe_due(const struct consul_probe *probe)
{
	return probe->call ? INT64_MAX : next(probe);
}
