/* SPDX-License-Identifier: BSD-2-Clause */
#include "judge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/fields.h"
#include "../base/memory.h"
#include "../base/path.h"
#include "../base/values.h"

/* What stands behind it is for nobody's eyes, whatever it was written into by mistake. */
#define SECRET "token="

char *consul_wrong(const char *option, const char *value, const char *right)
{
	char *shown = consul_printable(value);
	const char *secret = strstr(shown, SECRET);
	size_t length = secret ? (size_t) (secret - shown) + sizeof(SECRET) - 1 : strlen(shown);
	char *problem = consul_format("%s = %.*s%s: %s", option, (int) length, shown, secret ? "..." : "", right);
	free(shown);
	return problem;
}

static char *take_values(const struct consul_reading *reading)
{
	char *problem = NULL;
	for (size_t i = 0; i < reading->values->count && !problem; i++)
		problem = reading->take(reading->option, reading->values->items[i], reading->target);
	return problem;
}

char *consul_take_options(const struct consul_reading *readings, size_t count)
{
	char *problem = NULL;
	for (size_t i = 0; i < count && !problem; i++)
		problem = take_values(&readings[i]);
	return problem;
}

char *consul_take_parts(const char *option, const char *text, consul_take take, void *target)
{
	for (;;) {
		size_t length = strcspn(text, ",");
		char *part = consul_trim(text, length);
		char *problem = take(option, part, target);
		free(part);
		if (problem || !text[length])
			return problem;
		text += length + 1;
	}
}

static char *take_field(const char *option, const struct consul_field *field, const struct consul_rule *rule, void *target)
{
	char *place = *field->key ? consul_format("%s, %s", option, field->key) : consul_format("%s", option);
	char *problem = rule->take(place, field->value, target);
	free(place);
	return problem;
}

static const struct consul_rule *rule_for(const struct consul_rule *rules, const char *key)
{
	for (; rules->key; rules++)
		if (!strcmp(rules->key, key))
			return rules;
	return NULL;
}

/* Is there a field with the same key before this one? */
static bool is_repeated(const struct consul_fields *fields, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (!strcmp(fields->items[i].key, fields->items[index].key))
			return true;
	return false;
}

static char *check_field(const char *option, const struct consul_fields *fields, size_t index, const struct consul_rule *rule, const char *right)
{
	const struct consul_field *field = &fields->items[index];
	if (!rule)
		return consul_wrong(option, *field->key ? field->key : field->value, right);
	if (rule->repeatable || !is_repeated(fields, index))
		return NULL;
	if (*field->key)
		return consul_wrong(option, field->key, "this key is given twice");
	return consul_wrong(option, field->value, "there is a name already: for another one give the option again, and put quotes around what holds a comma");
}

char *consul_take_fields(const char *option, const char *text, const struct consul_rule *rules, const char *right, void *target)
{
	struct consul_fields fields;
	const char *fault = consul_fields_parse(text, &fields);
	/* Without the value: there may be a token in it. */
	char *problem = fault ? consul_wrong(option, "...", fault) : NULL;
	for (size_t i = 0; i < fields.count && !problem; i++) {
		const struct consul_rule *rule = rule_for(rules, fields.items[i].key);
		problem = check_field(option, &fields, i, rule, right);
		if (!problem)
			problem = take_field(option, &fields.items[i], rule, target);
	}
	consul_fields_clear(&fields);
	return problem;
}

static bool is_within(long value, const struct consul_range *range)
{
	return (value >= range->least && value <= range->most) || (range->or_zero && !value);
}

char *consul_judge_duration(const char *option, const char *text, const struct consul_range *range, long *milliseconds)
{
	long value;
	if (!consul_parse_duration(text, &value) || !is_within(value, range))
		return consul_wrong(option, text, range->right);
	*milliseconds = value;
	return NULL;
}

char *consul_judge_number(const char *option, const char *text, const struct consul_range *range, long *number)
{
	long value;
	if (!consul_parse_number(text, &value) || !is_within(value, range))
		return consul_wrong(option, text, range->right);
	*number = value;
	return NULL;
}

char *consul_judge_text(const char *option, const char *text, char **field)
{
	if (!consul_is_clean(text))
		return consul_wrong(option, text, "it must be UTF-8 text, not empty and without control characters");
	free(*field);
	*field = consul_format("%s", text);
	return NULL;
}

char *consul_judge_name(const char *option, const char *text, char **field)
{
	char *problem = consul_judge_text(option, text, field);
	if (problem || consul_path_is_taken(text))
		return problem;
	return consul_wrong(option, text, "Consul can't be asked for it: no part between slashes may be empty, . or ..");
}

char *consul_judge_path(const char *option, const char *text, char **field)
{
	char *problem = consul_judge_text(option, text, field);
	char *folder = problem || *text == '/' ? NULL : getcwd(NULL, 0);
	if (folder) {
		free(*field);
		*field = consul_format("%s/%s", folder, text);
		free(folder);
	}
	return problem;
}

char *consul_judge_file(const char *option, const char *text, char **field)
{
	if (!access(text, R_OK))
		return consul_judge_path(option, text, field);
	char *right = consul_format("a file that this instance can read is right (%s)", strerror(errno));
	char *problem = consul_wrong(option, text, right);
	free(right);
	return problem;
}

char *consul_judge_choice(const char *option, const char *text, const char *const *choices, const char *right, int *index)
{
	for (int i = 0; choices[i]; i++) {
		if (strcmp(choices[i], text))
			continue;
		*index = i;
		return NULL;
	}
	return consul_wrong(option, text, right);
}
