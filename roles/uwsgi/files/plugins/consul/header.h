/* SPDX-License-Identifier: BSD-2-Clause
 * The headers of Consul's answers that matter here. */
#ifndef CONSUL_HEADER_H
#define CONSUL_HEADER_H

#include <stddef.h>
#include <stdint.h>

/* Sets the index when the line is `X-Consul-Index: N`, and leaves it alone when it is anything else. The line is not ended by 0. */
void consul_header_index(const char *line, size_t length, uint64_t *index);

#endif
