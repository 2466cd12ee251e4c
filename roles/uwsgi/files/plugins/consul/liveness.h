/* SPDX-License-Identifier: BSD-2-Clause
 * From the workers' real state, and the app's own verdict, to passing, warning or critical, without flapping. */
#ifndef CONSUL_LIVENESS_H
#define CONSUL_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

#include "verdict.h"

struct consul_board;
struct consul_config;
struct consul_liveness;
struct consul_workers;

/* All must outlive it. */
struct consul_liveness *consul_liveness_new(const struct consul_config *config, struct consul_board *board, struct consul_workers *workers);
void consul_liveness_free(struct consul_liveness *liveness);

/* Looks at the instance and returns the verdict, which lives as long as `liveness`. */
const struct consul_verdict *consul_liveness_look(struct consul_liveness *liveness, int64_t now);

#endif
