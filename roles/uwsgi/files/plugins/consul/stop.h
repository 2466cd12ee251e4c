/* SPDX-License-Identifier: BSD-2-Clause
 * Deregistration before the workers are told to stop, on each way that an instance can be stopped. */
#ifndef CONSUL_STOP_H
#define CONSUL_STOP_H

/* When options are known: the Emperor's order to stop, and its loss. */
void consul_stop_hook_emperor(void);

/* In the master, once the core has set its handlers: signals, commands of the fifo, touched files. */
void consul_stop_wrap(void);

/* At each turn of the master's loop, which does not turn while it waits for the workers to end. */
void consul_stop_check_touches(void);

#endif
