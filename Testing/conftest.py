"""Boot the harness once per process; the fixtures for tests of the modules are in fixtures/."""

import harness

slicer = harness.boot()

pytest_plugins = [
    "fixtures.clean_slate",
    "fixtures.modules",
    "fixtures.workspaces",
    "fixtures.phantoms",
    "fixtures.engine_world",
]
