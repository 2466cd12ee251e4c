/* SPDX-License-Identifier: BSD-2-Clause
 * What does not work is tried again, less and less often, and said once. */
#ifndef CONSUL_TROUBLE_H
#define CONSUL_TROUBLE_H

#include <stdint.h>

struct consul_answer;

/* Zeroed where there is none. */
struct consul_trouble {
	unsigned silent; /* so many failures in a row are nobody's business */
	unsigned failures; /* in a row */
	char *said; /* or NULL */
};

/* Counts a failure, and tells the log what it is if it has lasted, unless that was the last thing told. `subject`: what the line begins with. */
void consul_trouble_add(struct consul_trouble *trouble, const char *subject, const struct consul_answer *answer);

/* It works again. */
void consul_trouble_end(struct consul_trouble *trouble, const char *subject);

/* The pause before the next try, with jitter; at most `most` ms. */
int64_t consul_trouble_pause(const struct consul_trouble *trouble, int64_t most);
void consul_trouble_clear(struct consul_trouble *trouble);

#endif
