/* SPDX-License-Identifier: BSD-2-Clause
 * Time that only goes forward, in milliseconds, and what the calendar says. */
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

/* Seconds since 1970: what others are told. */
static inline double consul_unix_time(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

#endif
