"""What an access token can allow. A client is registered for some of these; a token carries only those it asked for."""

from enum import StrEnum


class Scope(StrEnum):
    """Scopes (RFC 6749 §3.3) of this service."""

    ATTRIBUTES_REQUEST = "attributes:request"
    ATTRIBUTES_WRITE = "attributes:write"
    REQUESTS_READ = "requests:read"
    CATALOGUE_READ = "catalogue:read"
    AUDIT_READ = "audit:read"
    AUDIT_OPEN = "audit:open"
    ME = "me"
    """A person's own token. No client is ever given it."""
