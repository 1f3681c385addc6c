"""What ``make bench`` runs: the speed of the hot path, beside yardsticks that are measured in the same session."""
