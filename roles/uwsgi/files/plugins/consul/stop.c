/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"
#include "stop.h"

#include "memory.h"
#include "supervisor.h"

#define HOOK "consul-deregister"

static const int stop_signals[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP};
#define STOP_SIGNALS (sizeof(stop_signals) / sizeof(stop_signals[0]))

static void (*core_handlers[STOP_SIGNALS])(int);

/* The core's, by command; its header does not show it. */
extern void (*uwsgi_fifo_table[256])(int);
static void (*core_commands[256])(int);

/* Files of touch-stop. The core no longer looks at them: it would tell the workers first. */
static struct uwsgi_string_list *touched_to_stop;

static void stop_signal(int signum)
{
	consul_supervisor_stop();
	for (size_t i = 0; i < STOP_SIGNALS; i++)
		if (stop_signals[i] == signum && core_handlers[i])
			core_handlers[i](signum);
}

static void stop_command(int command)
{
	consul_supervisor_stop();
	core_commands[command & 0xff](command);
}

/* Which signal stops depends on die-on-term: the core's handler tells. Others may have put theirs, and know what they do. */
static bool is_a_stop(void (*handler)(int))
{
	return handler == kill_them_all || handler == gracefully_kill_them_all || (uwsgi.exit_on_reload && (handler == reap_them_all || handler == grace_them_all));
}

static void wrap_signals(void)
{
	for (size_t i = 0; i < STOP_SIGNALS; i++) {
		struct sigaction action;
		if (sigaction(stop_signals[i], NULL, &action) || (action.sa_flags & SA_SIGINFO) || !is_a_stop(action.sa_handler))
			continue;
		core_handlers[i] = action.sa_handler;
		action.sa_handler = stop_signal;
		if (sigaction(stop_signals[i], &action, NULL))
			uwsgi_error("[consul] sigaction()");
	}
}

static void wrap_commands(void)
{
	for (int i = 0; i < 256; i++) {
		if (!uwsgi_fifo_table[i] || !is_a_stop(uwsgi_fifo_table[i]))
			continue;
		core_commands[i] = uwsgi_fifo_table[i];
		uwsgi_fifo_table[i] = stop_command;
	}
}

void consul_stop_wrap(void)
{
	wrap_signals();
	wrap_commands();
	touched_to_stop = uwsgi.touch_gracefully_stop;
	uwsgi.touch_gracefully_stop = NULL;
}

void consul_stop_check_touches(void)
{
	char *touched = uwsgi_check_touches(touched_to_stop);
	if (!touched || uwsgi_instance_is_reloading || uwsgi_instance_is_dying)
		return;
	uwsgi_log_verbose("*** %s has been touched... gracefully stop them all !!! ***\n", touched);
	consul_supervisor_stop();
	gracefully_kill_them_all(0);
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
