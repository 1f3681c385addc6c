"""The citizen consent ledger: who allowed what, to whom, under which words, and whether it still holds.

Reading order: ``model`` and ``scope`` (pure records), ``lifecycle`` (transitions, the fold), ``events`` (what is
stored), ``ledger`` (append one event under a lock), ``store`` (rows to records), ``rebuild`` (the projection against
its events), ``receipt`` (what the citizen takes home). May import ``crypto`` only.
"""
