"""No property is a timed test: a busy machine must not fail one."""

from hypothesis import settings

settings.register_profile("without-deadline", deadline=None)
settings.load_profile("without-deadline")
