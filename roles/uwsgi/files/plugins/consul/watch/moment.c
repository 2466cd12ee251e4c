/* SPDX-License-Identifier: BSD-2-Clause */
#include "moment.h"

#include <stddef.h>

#include "../base/clock.h"

/* Of seconds, so that no sum grows too large. */
#define MOST_DIGITS 11
#define MOST_SECONDS 1e11
#define DECIMALS 3

int64_t consul_moment_now(void)
{
	return consul_moment_of(consul_unix_time());
}

int64_t consul_moment_of(double seconds)
{
	return seconds > 0 && seconds < MOST_SECONDS ? (int64_t) (seconds * 1000 + 0.5) : 0;
}

void consul_moment_write(struct consul_text *text, int64_t moment)
{
	consul_text_add_format(text, "%lld.%03lld", (long long) moment / 1000, (long long) moment % 1000);
}

static size_t read_digits(const char *word, size_t most, int64_t *number)
{
	size_t count = 0;
	for (; count < most && word[count] >= '0' && word[count] <= '9'; count++)
		*number = 10 * *number + (word[count] - '0');
	return count;
}

bool consul_moment_read(const char *word, int64_t *moment)
{
	int64_t number = 0;
	size_t seconds = read_digits(word, MOST_DIGITS, &number);
	if (!seconds || word[seconds] != '.' || read_digits(word + seconds + 1, DECIMALS, &number) != DECIMALS || word[seconds + 1 + DECIMALS])
		return false;
	*moment = number;
	return true;
}
