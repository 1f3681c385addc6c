"""Errors of this package. Imports nothing: commands that run without an installation know them too."""


class ConfigError(Exception):
    """The configuration cannot be used. ``faults`` lists everything that is wrong with it."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults
