/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"
#include "board.h"

#include <sys/random.h>

struct consul_board *consul_board_new(const char *nonce, int workers, int services)
{
	size_t flags = (size_t) services + (size_t) workers + 1;
	struct consul_board *board = mmap(NULL, sizeof(*board) + flags * sizeof(_Atomic bool), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED)
		return NULL;
	memcpy(board->nonce, nonce, CONSUL_NONCE_LENGTH);
	board->services = services;
	board->present = (_Atomic bool *) (board + 1);
	board->workers = workers;
	board->restarting = board->present + services;
	return board;
}

bool consul_nonce_make(char nonce[CONSUL_NONCE_LENGTH + 1])
{
	unsigned char bytes[CONSUL_NONCE_LENGTH / 2];
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t) sizeof(bytes))
		return false;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(nonce + 2 * i, 3, "%02x", bytes[i]);
	return true;
}

void consul_board_publish(struct consul_board *board, bool stopping)
{
	if (stopping)
		atomic_store(&board->stopping, true);
	atomic_store(&board->mode, uwsgi_instance_is_reloading ? CONSUL_RELOADING : CONSUL_RUNNING);
	for (int i = 1; i <= board->workers; i++)
		if (uwsgi.workers[i].cursed_at && !uwsgi.workers[i].cheaped)
			atomic_store(&board->restarting[i], true);
}
