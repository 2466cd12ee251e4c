/* SPDX-License-Identifier: BSD-2-Clause
 * The workers as they really are: the core's table in shared memory, and the kernel's word on who is dead. */
#ifndef CONSUL_WORKERS_H
#define CONSUL_WORKERS_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

struct consul_board;
struct consul_workers;

struct consul_count {
	int expected; /* that should accept requests */
	int ready; /* that do */
	int busy; /* ready, with a request in hand */
	int full; /* ready, with no core free for another one */
	int restarting; /* not ready, but told to end and start again a short while ago */
	bool failing; /* none is ready, and one died before it was, again and again */
	int apps; /* loaded in the ready ones, all together */
};

struct consul_workers *consul_workers_new(struct consul_board *board);
void consul_workers_free(struct consul_workers *workers);
struct consul_count consul_workers_count(struct consul_workers *workers, int64_t now);

/* Descriptors that become readable when a worker dies: at most `most` are written, the number is returned. */
unsigned consul_workers_descriptors(const struct consul_workers *workers, struct curl_waitfd *descriptors, unsigned most);

#endif
