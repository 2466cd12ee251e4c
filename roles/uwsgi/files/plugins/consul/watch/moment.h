/* SPDX-License-Identifier: BSD-2-Clause
 * Moments as they stand in the cache: unix time in seconds, with milliseconds behind a point. Not by printf() and strtod(): those write and expect a
 * comma once the app has set such a locale, and what is forked from its process has it too. */
#ifndef CONSUL_MOMENT_H
#define CONSUL_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/text.h"

/* All in milliseconds. */
int64_t consul_moment_now(void);

/* 0 for what can't be one. */
int64_t consul_moment_of(double seconds);

void consul_moment_write(struct consul_text *text, int64_t moment);

/* Takes what consul_moment_write() has made, and nothing else. */
bool consul_moment_read(const char *word, int64_t *moment);

#endif
