"""The composed parts of the application at hand, for views."""

from typing import cast

from flask import current_app

from api.wiring import Services


def services() -> Services:
    """What ``create_api_app`` was given."""
    return cast(Services, current_app.extensions["cdx"])
