/* SPDX-License-Identifier: BSD-2-Clause */
#include "rpc_call.h"

#include <stdlib.h>
#include <string.h>

#include "../base/memory.h"
#include "../base/path.h"
#include "../base/values.h"
#include "../client/http.h"
#include "../config/config.h"

/* Takes over `problem`. The first one is what the user reads. */
static void add_problem(struct consul_rpc_call *call, const char *argument, char *problem)
{
	if (!problem)
		return;
	if (call->problem) {
		free(problem);
		return;
	}
	call->problem = problem;
	call->wrong = argument;
}

static char *place_of(const struct consul_rpc_call *call, size_t index)
{
	return consul_format("%s, %s", call->function->name, call->function->arguments[index]);
}

void consul_rpc_wrong(struct consul_rpc_call *call, size_t index, const char *right)
{
	char *place = place_of(call, index);
	add_problem(call, call->function->arguments[index], consul_wrong(place, consul_rpc_value(call, index), right));
	free(place);
}

const char *consul_rpc_value(const struct consul_rpc_call *call, size_t index)
{
	return index < call->count ? call->values[index] : "";
}

size_t consul_rpc_length(const struct consul_rpc_call *call, size_t index)
{
	return index < call->count ? call->lengths[index] : 0;
}

static void check_count(struct consul_rpc_call *call)
{
	const struct consul_rpc_function *function = call->function;
	size_t most = 0;
	char *names = consul_format("%s", "");
	for (; function->arguments[most]; most++) {
		char *longer = consul_format("%s%s%s", names, most ? ", " : "", function->arguments[most]);
		free(names);
		names = longer;
	}
	if (call->count > most || call->count < function->needed) {
		char *range = function->needed == most ? consul_format("%zu", most) : consul_format("%zu to %zu", function->needed, most);
		add_problem(call, NULL, consul_format("%s takes %s arguments%s%s%s, not %zu", function->name, range, most ? " (" : "", names, most ? ")" : "", call->count));
		free(range);
	}
	free(names);
}

/* Lengths have 16 bits: of a longer value uWSGI gives only the rest of a division. But languages end their strings by 0, and the core those that
 * come from its own routes. */
static void check_length(struct consul_rpc_call *call, size_t index)
{
	const char *name = call->function->arguments[index];
	if (call->values[index][call->lengths[index]])
		add_problem(call, name, consul_format("%s is longer than 65535 bytes, the most that an RPC argument can have", name));
}

static void check_text(struct consul_rpc_call *call, size_t index)
{
	const char *value = call->values[index];
	if (call->function->bytes == index + 1 || !call->lengths[index])
		return;
	if (strlen(value) != call->lengths[index] || !consul_is_clean(value))
		consul_rpc_wrong(call, index, "it must be UTF-8 text without control characters");
}

bool consul_rpc_accept(struct consul_rpc_call *call)
{
	check_count(call);
	for (size_t i = 0; i < call->count && !call->problem; i++) {
		check_length(call, i);
		check_text(call, i);
	}
	return !call->problem;
}

const char *consul_rpc_name(struct consul_rpc_call *call, size_t index)
{
	const char *name = consul_rpc_value(call, index);
	if (!consul_path_is_taken(name))
		consul_rpc_wrong(call, index, "it must not be empty, nor have a part between slashes that is empty, . or ..");
	return name;
}

bool consul_rpc_flag(struct consul_rpc_call *call, size_t index)
{
	static const char *const words[] = {"", "false", "0", "true", "1", NULL};
	return consul_rpc_choice(call, index, words, "true (or 1) and false (or 0) are right") > 2;
}

long consul_rpc_number(struct consul_rpc_call *call, size_t index, const struct consul_range *range)
{
	long number = 0;
	char *place = place_of(call, index);
	add_problem(call, call->function->arguments[index], consul_judge_number(place, consul_rpc_value(call, index), range, &number));
	free(place);
	return number;
}

long consul_rpc_duration(struct consul_rpc_call *call, size_t index, const struct consul_range *range)
{
	long milliseconds = 0;
	char *place = place_of(call, index);
	add_problem(call, call->function->arguments[index], consul_judge_duration(place, consul_rpc_value(call, index), range, &milliseconds));
	free(place);
	return milliseconds;
}

int consul_rpc_choice(struct consul_rpc_call *call, size_t index, const char *const *choices, const char *right)
{
	int choice = 0;
	char *place = place_of(call, index);
	add_problem(call, call->function->arguments[index], consul_judge_choice(place, consul_rpc_value(call, index), choices, right, &choice));
	free(place);
	return choice;
}

char *consul_rpc_where(const struct consul_rpc_call *call, char *path, int index, bool reads)
{
	const char *given = index < 0 ? "" : consul_rpc_value(call, (size_t) index);
	const char *datacenter = *given ? given : call->connection->datacenter;
	if (datacenter)
		path = consul_path_add(path, "dc", datacenter);
	if (reads && call->connection->consistency != CONSUL_DEFAULT)
		path = consul_path_add(path, call->connection->consistency == CONSUL_STALE ? "stale" : "consistent", NULL);
	return path;
}

json_t *consul_rpc_json(const struct consul_answer *answer)
{
	return json_loadb(answer->body, answer->length, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
}

static json_t *only(json_t *json, bool good)
{
	if (good)
		return json;
	json_decref(json);
	return NULL;
}

json_t *consul_rpc_read_bool(const struct consul_answer *answer)
{
	json_t *json = consul_rpc_json(answer);
	return only(json, json_is_boolean(json));
}

json_t *consul_rpc_read_list(const struct consul_answer *answer)
{
	json_t *json = consul_rpc_json(answer);
	return only(json, json_is_array(json));
}
