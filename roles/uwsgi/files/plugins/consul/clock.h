/* SPDX-License-Identifier: BSD-2-Clause
 * Time that only goes forward, in milliseconds. */
#ifndef CONSUL_CLOCK_H
#define CONSUL_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t consul_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now); /* fails only for a clock that does not exist */
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
