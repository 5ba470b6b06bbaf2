"""Boot the harness once per process; the fixtures for tests of the modules are in fixtures/."""

import signal

import harness

# a shell starts what runs in its background with interrupts switched off, and so would all that the tests start
signal.signal(signal.SIGINT, signal.default_int_handler)

slicer = harness.boot()

pytest_plugins = [
    "fixtures.clean_slate",
    "fixtures.modules",
    "fixtures.workspaces",
    "fixtures.phantoms",
    "fixtures.engine_world",
]
