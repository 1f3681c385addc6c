"""Where attribute values come from: the vault (sealed in our database) or a provider's live endpoint."""
