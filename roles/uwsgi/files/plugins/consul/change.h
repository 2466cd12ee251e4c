/* SPDX-License-Identifier: BSD-2-Clause
 * What is done when something that is watched has changed: the agent process finds out, the master acts. */
#ifndef CONSUL_CHANGE_H
#define CONSUL_CHANGE_H

#include <stdbool.h>

struct consul_board;
struct consul_watch_config;

/* In the agent process. `key`: of the watch, for the log. */
void consul_change_happened(const struct consul_watch_config *config, const char *key, struct consul_board *board);

/* In the master, at each turn of its loop. `reloaded`: this program began by a reload, and the next one must not follow at once. */
void consul_change_act(struct consul_board *board, bool reloaded);

#endif
