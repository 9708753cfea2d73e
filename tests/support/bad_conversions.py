"""Conversions that a worker process does not survive or end; without imports that take time."""

import os
import signal
import time


def ends_by_a_signal(file, *arguments):
    os.kill(os.getpid(), signal.SIGFPE)


def hangs(file, *arguments):
    time.sleep(600)


def fails(file, *arguments):
    return {"failure": "it lacks aten::svd"}
