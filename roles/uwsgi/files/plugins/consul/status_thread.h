/* SPDX-License-Identifier: BSD-2-Clause
 * Since uWSGI 2.0.28 the master's loop stands still while the workers end: on the ways to stop that nothing announces (an idle instance, a worker that
 * says so) only a thread can see it. It reads a word and writes another one: no locks that a worker forked at that moment could inherit. */
#ifndef CONSUL_STATUS_THREAD_H
#define CONSUL_STATUS_THREAD_H

/* In the master, once. */
void consul_status_thread_start(void);

#endif
