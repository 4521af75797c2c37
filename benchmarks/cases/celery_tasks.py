"""Celery with a Redis broker: two tasks, the first sends to the second; one solo worker in a process of its own.

The worker's part of the work is not in this process's CPU time, so none is reported.
"""

from __future__ import annotations

import os
import subprocess
import sys

import redis
from celery import Celery

from benchmarks import work
from benchmarks.measure import Measured, Stopwatch
from benchmarks.server import private_server

_URL = os.environ.get("DATAGRAPH_BENCH_URL", "")
_DONE = "benchmark:done"

app = Celery("benchmark", broker=_URL)
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=100,
    broker_connection_retry_on_startup=True,
    broker_pool_limit=4,
    worker_hijack_root_logger=False,
)
_seen = {"values": 0, "total": 0}


@app.task(name="sink")
def sink(value: int, count: int) -> None:
    _seen["values"] += 1
    _seen["total"] += value
    if _seen["values"] == count:
        with redis.Redis.from_url(_URL) as client:
            client.rpush(_DONE, _seen["total"])
        _seen.update(values=0, total=0)


@app.task(name="double")
def double(value: int, count: int) -> None:
    sink.delay(work.double(value), count)


def ints(count: int) -> Measured:
    worker = [sys.executable, "-m", "celery", "-A", "benchmarks.cases.celery_tasks", "worker", "--pool=solo"]
    worker += ["--loglevel=ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    with private_server() as server, redis.Redis.from_url(server.url) as client:
        app.conf.broker_url = server.url
        process = subprocess.Popen(
            worker,
            env=os.environ | {"DATAGRAPH_BENCH_URL": server.url},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _once(client, 1)  # the worker is up when a first value has come through
            with Stopwatch() as watch:
                total = _once(client, count)
        finally:
            process.terminate()
            process.wait()
    work.check(count, total)
    return watch.throughput(count, whole=False)


def _once(client: redis.Redis, count: int) -> int:
    for value in work.ints(count):
        double.delay(value, count)
    answer = client.blpop([_DONE], timeout=120)
    if not isinstance(answer, tuple):
        raise TimeoutError("the Celery worker has not finished after 120 s")
    return int(answer[1])
