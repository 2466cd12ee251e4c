/* SPDX-License-Identifier: BSD-2-Clause */
#include "config_parts.h"

#include <stdlib.h>
#include <string.h>

#include "../base/memory.h"
#include "../base/values.h"
#include "../watch/watch_key.h"
#include "judge.h"

#define DEFAULT_INTERVAL_MS (10L * 1000)

static char *take_name(const char *option, const char *text, void *watch)
{
	return consul_judge_name(option, text, &((struct consul_watch_config *) watch)->name);
}

static char *take_datacenter(const char *option, const char *text, void *watch)
{
	return consul_judge_text(option, text, &((struct consul_watch_config *) watch)->datacenter);
}

static char *take_filter(const char *option, const char *text, void *watch)
{
	return consul_judge_text(option, text, &((struct consul_watch_config *) watch)->filter);
}

static char *take_tag(const char *option, const char *text, void *target)
{
	struct consul_watch_config *watch = target;
	if (!consul_is_clean(text))
		return consul_wrong(option, text, "a tag must be UTF-8 text, not empty and without control characters");
	consul_list_add(&watch->tags, text);
	return NULL;
}

static char *take_status(const char *option, const char *text, void *target)
{
	static const char *const choices[] = {[CONSUL_PASSING] = "passing", [CONSUL_WARNING] = "warning", [CONSUL_CRITICAL] = "any", NULL};
	struct consul_watch_config *watch = target;
	int worst = 0;
	char *problem = consul_judge_choice(option, text, choices, "it must be passing, warning (passing or warning) or any", &worst);
	watch->worst = (enum consul_state) worst;
	return problem;
}

static char *take_interval(const char *option, const char *text, void *watch)
{
	static const struct consul_range range = {1000, 3600L * 1000, false, "a time from 1s to 1h is right, such as 10s"};
	return consul_judge_duration(option, text, &range, &((struct consul_watch_config *) watch)->interval_ms);
}

static char *take_signal(const char *option, const char *text, struct consul_watch_config *watch)
{
	static const struct consul_range range = {0, 255, true, "a signal of uWSGI is a number from 0 to 255"};
	long number = 0;
	char *problem = consul_judge_number(option, text, &range, &number);
	watch->signum = (int) number;
	return problem;
}

static char *take_action(const char *option, const char *text, void *target)
{
	struct consul_watch_config *watch = target;
	if (!strcmp(text, "reload")) {
		watch->action = CONSUL_CHANGE_RELOAD;
		return NULL;
	}
	if (!strncmp(text, "touch:", 6)) {
		watch->action = CONSUL_CHANGE_TOUCH;
		return consul_judge_path(option, text + 6, &watch->touched);
	}
	if (!strncmp(text, "signal:", 7)) {
		watch->action = CONSUL_CHANGE_SIGNAL;
		return take_signal(option, text + 7, watch);
	}
	return consul_wrong(option, text, "it must be reload, touch:FILE or signal:NUMBER");
}

static const struct consul_rule service_rules[] = {
	{"", take_name, false}, {"tag", take_tag, true}, {"dc", take_datacenter, false}, {"status", take_status, false}, {"filter", take_filter, false}, {"on-change", take_action, false}, {NULL, NULL, false},
};
static const struct consul_rule kv_rules[] = {{"", take_name, false}, {"dc", take_datacenter, false}, {"on-change", take_action, false}, {NULL, NULL, false}};
static const struct consul_rule query_rules[] = {
	{"", take_name, false}, {"dc", take_datacenter, false}, {"interval", take_interval, false}, {"on-change", take_action, false}, {NULL, NULL, false},
};

static char *read_one(const char *option, const char *text, enum consul_watch_kind kind, struct consul_watch_config *watch)
{
	memset(watch, 0, sizeof(*watch));
	watch->kind = kind;
	watch->interval_ms = DEFAULT_INTERVAL_MS;
	char *problem = kind == CONSUL_WATCH_SERVICE
				? consul_take_fields(option, text, service_rules,
						     "it must be name[,tag=...,dc=...,status=...,filter=...,on-change=...], with quotes around what holds a comma", watch)
			: kind == CONSUL_WATCH_KV ? consul_take_fields(option, text, kv_rules, "it must be prefix[,dc=...,on-change=...]", watch)
						  : consul_take_fields(option, text, query_rules, "it must be name[,interval=...,dc=...,on-change=...]", watch);
	if (!problem && !watch->name)
		problem = consul_wrong(option, text, "what to watch comes first, as in consul-watch-service = web,tag=blue");
	return problem;
}

static char *read_all(const char *option, const struct consul_list *values, enum consul_watch_kind kind, struct consul_config *config)
{
	char *problem = NULL;
	for (size_t i = 0; i < values->count && !problem; i++) {
		config->watches = consul_grow(config->watches, config->watches_count + 1, sizeof(*config->watches));
		problem = read_one(option, values->items[i], kind, &config->watches[config->watches_count++]);
	}
	return problem;
}

static char *take_cache(const char *option, const char *text, void *cache)
{
	/* It becomes part of an option of uWSGI, where these separate. */
	if (!consul_is_clean(text) || strpbrk(text, ",= \""))
		return consul_wrong(option, text, "the name of a cache has no blanks, commas, quotes and equals signs");
	return consul_judge_text(option, text, cache);
}

char *consul_watch_read(const struct consul_options *options, struct consul_config *config)
{
	config->cache = consul_format("consul");
	const struct consul_reading cache[] = {{"consul-cache", &options->cache, take_cache, &config->cache}};
	char *problem = CONSUL_TAKE_OPTIONS(cache);
	if (!problem)
		problem = read_all("consul-watch-service", &options->watch_service, CONSUL_WATCH_SERVICE, config);
	if (!problem)
		problem = read_all("consul-watch-kv", &options->watch_kv, CONSUL_WATCH_KV, config);
	if (!problem)
		problem = read_all("consul-watch-query", &options->watch_query, CONSUL_WATCH_QUERY, config);
	return problem;
}

static const char *option_of(const struct consul_watch_config *watch)
{
	return watch->kind == CONSUL_WATCH_SERVICE ? "consul-watch-service" : watch->kind == CONSUL_WATCH_KV ? "consul-watch-kv" : "consul-watch-query";
}

static bool same_text(const char *one, const char *other)
{
	return one == other || (one && other && !strcmp(one, other));
}

static bool begins_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

/* Entries have no datacenter in their keys of the cache. */
static bool share_entries(const struct consul_watch_config *one, const struct consul_watch_config *other)
{
	return one->kind == CONSUL_WATCH_KV && other->kind == CONSUL_WATCH_KV &&
	       (begins_with(one->name, other->name) || begins_with(other->name, one->name)) && !same_text(one->datacenter, other->datacenter);
}

/* One would write over the other. */
static char *check_pair(const struct consul_watch_config *one, const struct consul_watch_config *other)
{
	char *key = consul_watch_key(one), *other_key = consul_watch_key(other);
	char *problem = NULL;
	if (!strcmp(key, other_key)) {
		char *right = consul_format("another watch has the same key in the cache, %s: one of both is enough, and needs no other dc or interval", key);
		problem = consul_wrong(option_of(one), one->name, right);
		free(right);
	} else if (share_entries(one, other)) {
		problem = consul_wrong(option_of(one), one->name, "another watch has the same keys in another datacenter, and the cache has one item for "
								  "each key: watch one of both here");
	}
	free(key);
	free(other_key);
	return problem;
}

char *consul_watch_check(const struct consul_config *config)
{
	char *problem = NULL;
	for (size_t i = 0; i < config->watches_count && !problem; i++) {
		const struct consul_watch_config *watch = &config->watches[i];
		for (size_t j = 0; j < i && !problem; j++)
			problem = check_pair(watch, &config->watches[j]);
		/* A reload may change the leader, and a new leader changes the key. */
		if (!problem && watch->kind == CONSUL_WATCH_KV && watch->action == CONSUL_CHANGE_RELOAD && config->election.key &&
		    begins_with(config->election.key, watch->name))
			problem = consul_wrong("consul-watch-kv", watch->name, "the key of consul-election lies under it, and on-change=reload would reload at each "
										"change of the leader: take another prefix, or key= for the election");
	}
	return problem;
}

void consul_watch_config_clear(struct consul_watch_config *watch)
{
	consul_list_clear(&watch->tags);
	free(watch->name);
	free(watch->datacenter);
	free(watch->filter);
	free(watch->touched);
}
