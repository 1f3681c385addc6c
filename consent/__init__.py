"""The citizen consent ledger: who allowed what, to whom, under which words, and whether it still holds.

Reading order: ``model`` (pure records and transitions), ``events`` (what the ledger stores), ``ledger``
(append one event under a lock), ``store`` (rows to records), ``receipt`` (what the citizen takes home).
May import ``crypto`` only.
"""
