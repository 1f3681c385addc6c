"""The audit log: every event of the house as an entry of one append-only Merkle tree (RFC 6962, C2SP formats)."""
