"""``POST /oauth/token``."""

from flask import Response, request

from api.oauth.authlib_parts import OAuth2Error
from api.oauth.request import read_token_request
from api.oauth.state import oauth_state

PATH = "/oauth/token"


def token() -> Response:
    """Give a token, or an error of RFC 6749 §5.2."""
    state = oauth_state()
    try:
        checked = read_token_request(request, url=state.url(PATH), now=state.now())
    except OAuth2Error as error:
        return state.server.handle_response(*error())
    response: Response = state.server.create_token_response(checked)
    return response
