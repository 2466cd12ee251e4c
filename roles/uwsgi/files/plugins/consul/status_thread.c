/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"
#include "status_thread.h"

#include "supervisor.h"

#define LOOK_MS 100
#define STACK_SIZE (64 * 1024)

static void *watch(void *nothing)
{
	static const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
	for (;;) {
		consul_supervisor_watch_status();
		nanosleep(&pause, NULL);
	}
	return nothing;
}

void consul_status_thread_start(void)
{
	pthread_t thread;
	pthread_attr_t attributes;
	sigset_t all, before;
	/* The master's handlers run in its own thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_attr_init(&attributes) || pthread_attr_setstacksize(&attributes, STACK_SIZE) ||
	    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) || pthread_create(&thread, &attributes, watch, NULL))
		consul_log("no thread could be started: some ways to stop tell the workers before the service is deregistered");
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}
