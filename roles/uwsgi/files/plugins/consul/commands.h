/* SPDX-License-Identifier: BSD-2-Clause
 * Commands of the user, run one after the other in the order in which they were asked for. */
#ifndef CONSUL_COMMANDS_H
#define CONSUL_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

struct consul_commands;
struct consul_list;

/* `subject` is what lines of the log begin with; `election` is told to the commands. Both must outlive them. */
struct consul_commands *consul_commands_new(const char *subject, const char *election);

/* Those that were not run yet never will be, which the log says. One that runs goes on. */
void consul_commands_free(struct consul_commands *commands);

void consul_commands_add(struct consul_commands *commands, const struct consul_list *list, uint64_t token);

/* Looks whether the one that runs has ended, and starts the next. */
void consul_commands_tick(struct consul_commands *commands);

/* Nothing runs and nothing waits. */
bool consul_commands_idle(const struct consul_commands *commands);

#endif
