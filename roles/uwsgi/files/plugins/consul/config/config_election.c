/* SPDX-License-Identifier: BSD-2-Clause */
#include "config_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/memory.h"
#include "../base/values.h"
#include "judge.h"

#define DEFAULT_TTL_MS (15L * 1000)
#define DEFAULT_LOCK_DELAY_MS (15L * 1000)

static char *take_name(const char *option, const char *text, void *election)
{
	return consul_judge_text(option, text, &((struct consul_election_config *) election)->name);
}

static char *take_key(const char *option, const char *text, void *target)
{
	if (*text == '/')
		return consul_wrong(option, text, "a key of Consul does not begin with a slash");
	return consul_judge_name(option, text, &((struct consul_election_config *) target)->key);
}

static char *take_ttl(const char *option, const char *text, void *election)
{
	static const struct consul_range range = {10 * 1000, 86400L * 1000, false, "a time from 10s to 24h, Consul's limits of a session, is right"};
	return consul_judge_duration(option, text, &range, &((struct consul_election_config *) election)->ttl_ms);
}

static char *take_lock_delay(const char *option, const char *text, void *election)
{
	static const struct consul_range range = {1000, 60 * 1000, true, "a time from 1s to 60s (Consul's most) is right, or 0 for none"};
	return consul_judge_duration(option, text, &range, &((struct consul_election_config *) election)->lock_delay_ms);
}

static char *take_default_key(struct consul_election_config *election)
{
	char *key = consul_format("uwsgi/election/%s", election->name);
	char *problem = take_key("consul-election, key", key, election);
	free(key);
	return problem;
}

static const struct consul_rule rules[] = {
	{"", take_name, false}, {"ttl", take_ttl, false}, {"lock-delay", take_lock_delay, false}, {"key", take_key, false}, {NULL, NULL, false},
};

static char *take_election(const char *option, const char *text, void *election)
{
	return consul_take_fields(option, text, rules, "it must be name[,ttl=...,lock-delay=...,key=...]", election);
}

static char *take_command(const char *option, const char *text, void *commands)
{
	if (!consul_is_clean(text))
		return consul_wrong(option, text, "a command is UTF-8 text, not empty and without control characters");
	consul_list_add(commands, text);
	return NULL;
}

/* As the core reads it. It takes any number, and what is too large never comes. */
static bool is_time(const int fields[5])
{
	static const int most[] = {59, 23, 31, 12, 7};
	for (size_t i = 0; i < sizeof(most) / sizeof(most[0]); i++)
		if (fields[i] < -most[i] || fields[i] > most[i])
			return false;
	return true;
}

static char *take_cron(const char *option, const char *text, void *crons)
{
	int fields[5], length = 0;
	int count = sscanf(text, "%d %d %d %d %d %n", &fields[0], &fields[1], &fields[2], &fields[3], &fields[4], &length);
	if (count != 5 || !length || !text[length] || !is_time(fields))
		return consul_wrong(option, text,
				    "it must be minute (to 59) hour (to 23) day (to 31) month (to 12) week (to 7) command, with -1 for any and -N for each N, as in "
				    "-5 -1 -1 -1 -1 /bin/true");
	return take_command(option, text, crons);
}

char *consul_election_read(const struct consul_options *options, struct consul_election_config *election)
{
	const struct consul_reading readings[] = {
		{"consul-election-gain", &options->election_gain, take_command, &election->gain},
		{"consul-election-loss", &options->election_loss, take_command, &election->loss},
		{"consul-cron", &options->cron, take_cron, &election->crons},
		{"consul-unique-cron", &options->unique_cron, take_cron, &election->unique_crons},
	};
	election->ttl_ms = DEFAULT_TTL_MS;
	election->lock_delay_ms = DEFAULT_LOCK_DELAY_MS;
	for (size_t i = 0; !options->election.count && i < sizeof(readings) / sizeof(readings[0]); i++)
		if (readings[i].values->count)
			return consul_wrong(readings[i].option, readings[i].values->items[0], "it needs a consul-election beside it");
	if (!options->election.count)
		return NULL;
	if (options->election.count > 1)
		return consul_wrong("consul-election", options->election.items[1], "an instance takes part in one election");
	char *problem = take_election("consul-election", options->election.items[0], election);
	if (!problem && !election->name)
		problem = consul_wrong("consul-election", options->election.items[0], "the name of the election comes first");
	if (!problem && !election->key)
		problem = take_default_key(election);
	return problem ? problem : CONSUL_TAKE_OPTIONS(readings);
}

void consul_election_config_clear(struct consul_election_config *election)
{
	consul_list_clear(&election->gain);
	consul_list_clear(&election->loss);
	consul_list_clear(&election->crons);
	consul_list_clear(&election->unique_crons);
	free(election->name);
	free(election->key);
}
