"""The groups of the command line, one a file. Each module lists its ``COMMANDS``."""
