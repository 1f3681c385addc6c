"""The JSON resources, one a file. A handler checks who calls, calls one use case, and writes what came out.

Handlers hold neither statements nor primitives (import contracts in setup.cfg). Each module here has a ``blueprint``.
"""

from importlib import import_module

from api.body import Blueprint

# In the order in which the documentation tells of them.
RESOURCES = (
    "attribute_requests",
    "me",
    "own_log",
    "catalogue",
    "subjects",
    "audit_entries",
    "audit",
    "health",
)


def blueprints() -> list[Blueprint]:
    """The blueprints of all resources."""
    return [import_module(f"{__name__}.{name}").blueprint for name in RESOURCES]
