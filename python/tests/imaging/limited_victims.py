"""What runs in the process with limits in the tests of it."""

import os
import time
from pathlib import Path


def wait():
    time.sleep(600)


def crash():
    os.abort()


def take_memory():
    return len(bytearray(2**30))


def fail():
    return 1 // 0


def write_much(folder):
    with (Path(folder) / "much").open("wb", buffering=0) as file:
        for _ in range(8):
            file.write(bytes(2**20))


def chatter():
    print("Doe^Jane")
    os.write(1, b"Doe^Jane")
    os.write(2, b"Doe^Jane")
    return 7


def echo(name):
    return name


def me():
    return os.getpid()


def nested():
    from organincrement.imaging.limited import run_limited

    return run_limited("limited_victims:me", {}) == os.getpid()
