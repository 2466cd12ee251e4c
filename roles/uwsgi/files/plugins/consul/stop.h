/* SPDX-License-Identifier: BSD-2-Clause
 * Deregistration before the workers are told to stop, on each way that an instance can be stopped. */
#ifndef CONSUL_STOP_H
#define CONSUL_STOP_H

/* When options are known: the Emperor's order to stop, and its loss. */
void consul_stop_hook_emperor(void);

/* In the master, once the core has set its handlers: signals and commands of the fifo. */
void consul_stop_wrap(void);

#endif
