/* SPDX-License-Identifier: BSD-2-Clause
 * Makes a fork of the master a process of its own. */
#ifndef CONSUL_PROCESS_SETUP_H
#define CONSUL_PROCESS_SETUP_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* Closes all that was inherited but stdout, stderr and `*kept` (which gets another number), gives up root, asks to be told of the
 * master's death. All signals must be blocked and stay so. False, with a line in the log, when this can't be done. */
bool consul_process_setup(int *kept, pid_t master);

/* A descriptor that is readable when one of the two signals has come; -1 and a line in the log otherwise. */
int consul_signal_descriptor(int one, int other);

#endif
