/* SPDX-License-Identifier: BSD-2-Clause
 * Judges of single values. Each gives NULL when the value is good, else what is wrong in words for the user, which the caller frees. */
#ifndef CONSUL_JUDGE_H
#define CONSUL_JUDGE_H

#include <stdbool.h>
#include <stddef.h>

#include "../base/list.h"

/* Takes one value of `option` into `target`. The last one counts, except where values add up. */
typedef char *(*consul_take)(const char *option, const char *text, void *target);

struct consul_rule {
	const char *key; /* "": the part without a key */
	consul_take take;
	bool repeatable;
};

struct consul_range {
	long least, most;
	bool or_zero;
	const char *right; /* what the user is told */
};

char *consul_wrong(const char *option, const char *value, const char *right);

/* One option, and where its values go. */
struct consul_reading {
	const char *option;
	const struct consul_list *values;
	consul_take take;
	void *target;
};

/* Takes every value of each option, up to the first one that is wrong. */
char *consul_take_options(const struct consul_reading *readings, size_t count);
#define CONSUL_TAKE_OPTIONS(readings) consul_take_options(readings, sizeof(readings) / sizeof((readings)[0]))

/* Takes each part of a list separated by commas. */
char *consul_take_parts(const char *option, const char *text, consul_take take, void *target);

/* Takes `word,key=value,...` by rules, whose last one has no key. `right` says what the option is like. */
char *consul_take_fields(const char *option, const char *text, const struct consul_rule *rules, const char *right, void *target);

char *consul_judge_duration(const char *option, const char *text, const struct consul_range *range, long *milliseconds);
char *consul_judge_number(const char *option, const char *text, const struct consul_range *range, long *number);
char *consul_judge_text(const char *option, const char *text, char **field); /* in place of what `field` held */
char *consul_judge_name(const char *option, const char *text, char **field); /* of what Consul can be asked for */
char *consul_judge_path(const char *option, const char *text, char **field); /* made absolute: apps change their folder */
char *consul_judge_file(const char *option, const char *text, char **field); /* one that can be read */
char *consul_judge_choice(const char *option, const char *text, const char *const *choices, const char *right, int *index);

#endif
