/* SPDX-License-Identifier: BSD-2-Clause */
#include "health.h"

#include <string.h>

#include "clock.h"
#include "values.h"

/* No lock: a worker that is killed while it holds one would silence all the others. Each verdict gets a number and a place of its own. */
void consul_health_give(struct consul_health *health, enum consul_state state, const char *note, int64_t for_ms)
{
	uint64_t number = atomic_fetch_add(&health->given, 1) + 1;
	struct consul_health_place *place = &health->places[number % CONSUL_HEALTH_PLACES];
	atomic_store(&place->written, 0);
	place->state = state;
	place->until = for_ms ? consul_now() + for_ms : 0;
	consul_cut(place->note, sizeof(place->note), note);
	atomic_store(&place->written, number);
}

static bool read_place(struct consul_health_place *place, uint64_t number, enum consul_state *state, int64_t *until, char note[CONSUL_NOTE_LENGTH])
{
	if (atomic_load(&place->written) != number)
		return false;
	*state = place->state;
	*until = place->until;
	memcpy(note, place->note, CONSUL_NOTE_LENGTH);
	note[CONSUL_NOTE_LENGTH - 1] = 0;
	return atomic_load(&place->written) == number;
}

bool consul_health_read(struct consul_health *health, int64_t now, enum consul_state *state, char note[CONSUL_NOTE_LENGTH])
{
	uint64_t number = atomic_load(&health->given);
	/* One that is being written, perhaps by a worker that was killed, is not given yet: the one before it counts. */
	for (uint64_t i = 0; i < CONSUL_HEALTH_PLACES && number > i; i++) {
		int64_t until;
		if (read_place(&health->places[(number - i) % CONSUL_HEALTH_PLACES], number - i, state, &until, note))
			return !until || now < until;
	}
	return false;
}
