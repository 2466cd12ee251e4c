/* SPDX-License-Identifier: BSD-2-Clause
 * How long to wait before the next try: longer each time, and not all at once. */
#ifndef CONSUL_RETRY_H
#define CONSUL_RETRY_H

#include <stdint.h>
#include <stdlib.h>

#define CONSUL_FIRST_RETRY_MS 250
#define CONSUL_LONGEST_RETRY_MS 10000

/* After so many failures in a row, at most `most` ms. */
static inline int64_t consul_retry_delay(unsigned failures, int64_t most)
{
	int64_t delay = CONSUL_FIRST_RETRY_MS;
	for (unsigned i = 1; i < failures && delay < most; i++)
		delay *= 2;
	if (delay > most)
		delay = most;
	/* Many instances lose the same agent at once, and should not come back to it at once. */
	return delay / 2 + random() % (delay / 2 + 1);
}

#endif
