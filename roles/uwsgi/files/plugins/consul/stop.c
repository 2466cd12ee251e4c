/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"
#include "stop.h"

#include "memory.h"
#include "supervisor.h"

#define HOOK "consul-deregister"

typedef void (*handler)(int);

/* The core's, by command of the fifo; its header does not show it. */
extern handler uwsgi_fifo_table[256];

static void stop_at_once(int signum)
{
	consul_supervisor_stop();
	kill_them_all(signum);
}

static void stop_gracefully(int signum)
{
	consul_supervisor_stop();
	gracefully_kill_them_all(signum);
}

static void end_by_reload(int signum)
{
	consul_supervisor_stop();
	grace_them_all(signum);
}

static void end_by_brutal_reload(int signum)
{
	consul_supervisor_stop();
	reap_them_all(signum);
}

/* Which signal or command stops depends on the configuration: the core's handler tells. NULL: it does not stop, or it is somebody else's, who knows
 * what he does. */
static handler wrapped(handler found)
{
	if (found == kill_them_all)
		return stop_at_once;
	if (found == gracefully_kill_them_all)
		return stop_gracefully;
	if (found == grace_them_all && uwsgi.exit_on_reload)
		return end_by_reload;
	return found == reap_them_all && uwsgi.exit_on_reload ? end_by_brutal_reload : NULL;
}

static void wrap_signal(int signum)
{
	struct sigaction action;
	if (sigaction(signum, NULL, &action) || (action.sa_flags & SA_SIGINFO) || !wrapped(action.sa_handler))
		return;
	action.sa_handler = wrapped(action.sa_handler);
	if (sigaction(signum, &action, NULL))
		uwsgi_error("[consul] sigaction()");
}

void consul_stop_wrap(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP};
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		wrap_signal(signals[i]);
	for (size_t i = 0; i < sizeof(uwsgi_fifo_table) / sizeof(uwsgi_fifo_table[0]); i++)
		if (uwsgi_fifo_table[i] && wrapped(uwsgi_fifo_table[i]))
			uwsgi_fifo_table[i] = wrapped(uwsgi_fifo_table[i]);
}

static int run_hook(char *argument)
{
	(void) argument;
	consul_supervisor_stop();
	return 0;
}

void consul_stop_hook_emperor(void)
{
	uwsgi_register_hook(HOOK, run_hook);
	/* The lists keep the texts. */
	uwsgi_string_new_list(&uwsgi.hook_emperor_stop, consul_format("%s", HOOK ":"));
	uwsgi_string_new_list(&uwsgi.hook_emperor_lost, consul_format("%s", HOOK ":"));
}
