/* SPDX-License-Identifier: BSD-2-Clause
 * The app's own verdict on itself, which any worker gives and the agent process reads. It is the instance's: the last one counts. */
#ifndef CONSUL_HEALTH_H
#define CONSUL_HEALTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "verdict.h"

/* So many verdicts can be given while one is read. */
#define CONSUL_HEALTH_PLACES 64

struct consul_health_place {
	_Atomic uint64_t written; /* the number of the verdict that stands here; 0: none, or one is being written */
	enum consul_state state;
	int64_t until; /* when it ends; 0: never */
	char note[CONSUL_NOTE_LENGTH];
};

/* In shared memory, zeroed. */
struct consul_health {
	_Atomic uint64_t given; /* the number of the last verdict */
	struct consul_health_place places[CONSUL_HEALTH_PLACES];
};

/* `note` is UTF-8 text or "", and is cut when it is too long; `for_ms` 0 is until the next one. Safe in every process and thread. */
void consul_health_give(struct consul_health *health, enum consul_state state, const char *note, int64_t for_ms);

/* False when none was given, or when it is over. */
bool consul_health_read(struct consul_health *health, int64_t now, enum consul_state *state, char note[CONSUL_NOTE_LENGTH]);

#endif
