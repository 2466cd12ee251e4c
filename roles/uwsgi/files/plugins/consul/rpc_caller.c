/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"
#include "rpc_caller.h"

#include "rpc.h"

#define RPC_MODIFIER 173

static bool turning;

void consul_rpc_master_turns(void)
{
	turning = true;
}

bool consul_rpc_caller_is_master(void)
{
	return uwsgi.master_process && getpid() == uwsgi.workers[0].pid;
}

/* A request's header stays in the buffer until the next one comes; its size does not. */
static bool is_rpc(const struct uwsgi_header *header)
{
	return header && header->modifier1 == RPC_MODIFIER && header->pktsize;
}

/* A loop engine may have its own way to tell which request runs, which is safe only where its language is: then one that could be it will do. */
static bool some_request_is_rpc(void)
{
	const struct uwsgi_worker *worker = &uwsgi.workers[uwsgi.mywid];
	for (int i = 0; i < uwsgi.cores; i++)
		if (worker->cores[i].in_request && is_rpc(worker->cores[i].req.uh))
			return true;
	return false;
}

/* Threads of the app serve no request, but without threads of its own the core has only one idea of which request runs. */
static bool is_thread_of_app(void)
{
	return uwsgi.threads <= 1 && gettid() != getpid();
}

static bool comes_from_socket(void)
{
	const struct wsgi_request *request;
	if (uwsgi.mywid < 1)
		return false;
	if (uwsgi.current_wsgi_req != simple_current_wsgi_req && uwsgi.current_wsgi_req != threaded_current_wsgi_req)
		return some_request_is_rpc();
	request = is_thread_of_app() ? NULL : current_wsgi_req();
	return request && is_rpc(request->uh);
}

const char *consul_rpc_caller_refusal(void)
{
	if (comes_from_socket())
		return "this function is for the app itself: a call that came through a socket is refused";
	if (turning && consul_rpc_caller_is_master())
		return "this function is for workers, mules and spoolers: the master can't wait for an answer";
	return NULL;
}
