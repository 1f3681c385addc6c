"""The only package that knows HTTP: OAuth, the JSON API, and the command line that composes the house."""
