# Copyright (c) 2026 the uwsgi.consul authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process that holds a lock, a place of a semaphore or an office again and again, and writes down what it knows of it.

holder.py KIND KEY AGENT FILE STOP LIMIT TTL LOCK_DELAY

It writes one JSON object a line to FILE, each at once, until the file STOP exists:
`look` (token, from, to: it was held at a moment between these two), `leave` (it is about to be released), `told` (token: the
loss was reported; proved: when the last request that proved the session was sent), `end` (token, outcome: released, unknown or lost).
Times are of a clock that all processes share.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import signal
import sys
import threading
import time

from uwsgi_consul import Api
from uwsgi_consul.election import Election
from uwsgi_consul.errors import ConsulError, LostError
from uwsgi_consul.lease import now
from uwsgi_consul.lock import Lock
from uwsgi_consul.semaphore import Semaphore

KIND, KEY, AGENT, FILE, STOP = sys.argv[1:6]
LIMIT, TTL, LOCK_DELAY = int(sys.argv[6]), float(sys.argv[7]), float(sys.argv[8])
ME = str(os.getpid())
LOG = os.open(FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
api = Api(agents=[AGENT])
told = threading.Event()


def note(what, **fields):
    os.write(LOG, (json.dumps({"what": what, "pid": os.getpid(), **fields}) + "\n").encode())


def stay(token, held):
    """Looks whether it is held until it is not, or for a while: mostly short, now and then so long that a fault hits it."""
    until = now() + (0.15 * random.random() if random.random() < 0.2 else 0)  # noqa: S311
    while True:
        before = now()
        if not held():
            break
        note("look", token=token, **{"from": before, "to": now()})
        if now() >= until:
            break
        time.sleep(0.004)
    note("leave", token=token)


def hold(holding):
    told.clear()
    if not holding.acquire(5):
        return
    token, lease = holding.token, holding._claim.session.lease
    current.update(token=token, lease=lease)
    stay(token, lambda: holding.held)
    try:
        outcome = "released" if holding.release() else "unknown"
    except LostError as error:
        if error.token != token:
            raise AssertionError("the error has another token") from error
        if lease.lost:
            # The report must come by itself; the section ends when it has.
            told.wait(60)
        else:
            # Consul gave it to another just before, and this error is the report.
            note("told", token=token, at=now(), proved=lease._until - lease.seconds)
        outcome = "lost"
    note("end", token=token, outcome=outcome, at=now())


current = {}


def on_lost(_reason):
    note("told", token=current["token"], at=now(), proved=current["lease"]._until - current["lease"].seconds)
    told.set()


def lead(election):
    told.clear()
    election.stand()
    if not election.wait(5):
        return
    token, campaign = election.token, election._campaign
    if not token:
        return
    lease = campaign._lease
    current.update(token=token, lease=lease)
    stay(token, lambda: election.token == token)
    lost = lease.lost
    election.resign()
    if lost or lease.lost:
        told.wait(60)
    note("end", token=token, outcome="lost" if lost or lease.lost else "released", at=now())


def on_loss(token):
    if current.get("token") == token and current["lease"].lost:
        note("told", token=token, at=now(), proved=current["lease"]._until - current["lease"].seconds)
    told.set()


def main():
    # For whoever wants to know why one does not end.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    if KIND == "lock":
        one = Lock(KEY, client=api, value=ME, ttl=TTL, lock_delay=LOCK_DELAY, on_lost=on_lost)
    elif KIND == "semaphore":
        one = Semaphore(KEY, LIMIT, client=api, value=ME, ttl=TTL, on_lost=on_lost)
    else:
        one = Election(KEY, key=KEY, client=api, value=ME, ttl=TTL, lock_delay=LOCK_DELAY, on_loss=on_loss)
    while not os.path.exists(STOP):
        try:
            lead(one) if KIND == "election" else hold(one)
        except ConsulError:
            # The agent is being started again.
            time.sleep(0.1)
    if KIND == "election":
        one.resign()


main()
