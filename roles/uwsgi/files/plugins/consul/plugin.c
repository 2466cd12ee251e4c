/* SPDX-License-Identifier: BSD-2-Clause
 * The plugin `consul`: what the core calls, and when. */
#include "core.h"

#include "abi.h"
#include "cache.h"
#include "cache_handover.h"
#include "config.h"
#include "handover.h"
#include "leader_cron.h"
#include "option_table.h"
#include "options.h"
#include "port.h"
#include "prefetch.h"
#include "python.h"
#include "rpc.h"
#include "status_thread.h"
#include "stop.h"
#include "supervisor.h"

extern struct uwsgi_plugin consul_plugin;

static struct consul_config config;
static struct consul_predecessor predecessor;
static struct uwsgi_cache *cache; /* NULL: nothing is watched */
static bool turning;

/* A wrong value stops the instance: half a registration is worse than none. */
static void end_if(char *problem)
{
	if (!problem)
		return;
	consul_log("%s", problem);
	free(problem);
	exit(1);
}

static void loaded(void)
{
	consul_abi_check();
	consul_handover_take(&predecessor);
	consul_cache_handover_take();
}

static int options_known(void)
{
	end_if(consul_config_read(&consul_options, &config));
	if (consul_config_is_active(&config))
		consul_stop_hook_emperor();
	else
		consul_predecessor_dismiss(&predecessor);
	if (config.watches_count || config.election.name)
		cache = consul_cache_make(config.cache);
	consul_cache_handover_read(cache, &config);
	return 0;
}

static void sockets_bound(void)
{
	struct consul_endpoint endpoint;
	if (!consul_config_is_active(&config))
		return;
	consul_endpoint_of_sockets(&endpoint);
	end_if(consul_config_complete(&config, uwsgi.hostname, &endpoint));
	if (!uwsgi.master_process) {
		consul_log("the options consul-service..., -register, -watch-... and -election need the master process, so master = true is right");
		exit(1);
	}
	if (!consul_supervisor_prepare(&config, &predecessor)) {
		uwsgi_error("[consul] set-up");
		exit(1);
	}
	consul_prefetch(&config, cache);
	consul_leader_cron_add(&config.election);
}

/* Every app may ask Consul, also one of an instance that registers nothing. */
static void apps_next(void)
{
	sockets_bound();
	consul_rpc_register(&consul_plugin, &config.connection, config.services_count ? consul_supervisor_health() : NULL);
	consul_python_extend();
}

static void master_turns(void)
{
	consul_rpc_master_turns();
	if (!consul_config_is_active(&config))
		return;
	if (!turning) {
		consul_stop_wrap();
		consul_status_thread_start();
	}
	turning = true;
	consul_supervisor_cycle();
}

static void hand_over(void)
{
	consul_supervisor_hand_over();
	if (cache)
		consul_cache_handover_leave(cache);
}

/* The core calls this for a stop as well as for a reload. */
static void master_ends(void)
{
	if (!consul_config_is_active(&config))
		return;
	if (uwsgi_instance_is_reloading && !consul_supervisor_is_stopping())
		hand_over();
	else
		consul_supervisor_stop();
}

__attribute__((visibility("default"))) struct uwsgi_plugin consul_plugin = {
	.name = "consul",
	.options = consul_option_table,
	.on_load = loaded,
	.init = options_known,
	.preinit_apps = apps_next,
	.rpc = consul_rpc_run,
	.post_fork = consul_supervisor_forget,
	.master_cycle = master_turns,
	.master_cleanup = master_ends,
};
