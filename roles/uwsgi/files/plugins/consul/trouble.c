/* SPDX-License-Identifier: BSD-2-Clause */
#include "trouble.h"

#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "log.h"
#include "memory.h"

#define FIRST_PAUSE_MS 250
#define LONGEST_PAUSE_MS 5000

/* What is over after a try or two, such as a check that has not reached the servers yet, is nobody's business. */
#define FAILURES_SAID 3

void consul_trouble_add(struct consul_trouble *trouble, const char *subject, const struct consul_answer *answer)
{
	if (trouble->failures < 1000)
		trouble->failures++;
	if (trouble->failures < FAILURES_SAID)
		return;
	char *key = consul_format("%s %ld", answer->agent, answer->status);
	if (!trouble->said || strcmp(trouble->said, key)) {
		char *line = consul_answer_describe(answer);
		consul_log("%s: %s; trying again", subject, line);
		free(line);
	}
	free(trouble->said);
	trouble->said = key;
}

void consul_trouble_end(struct consul_trouble *trouble, const char *subject)
{
	if (trouble->said)
		consul_log("%s: Consul answers again", subject);
	consul_trouble_clear(trouble);
}

int64_t consul_trouble_pause(const struct consul_trouble *trouble)
{
	int64_t pause = FIRST_PAUSE_MS;
	for (unsigned i = 1; i < trouble->failures && pause < LONGEST_PAUSE_MS; i++)
		pause *= 2;
	if (pause > LONGEST_PAUSE_MS)
		pause = LONGEST_PAUSE_MS;
	return pause / 2 + random() % (pause / 2 + 1);
}

void consul_trouble_clear(struct consul_trouble *trouble)
{
	free(trouble->said);
	trouble->said = NULL;
	trouble->failures = 0;
}
