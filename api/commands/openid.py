"""``cdx openid``: this exchange as a relying party of the OpenID provider."""

import json
from pathlib import Path

import click

from api.commands.registering import write_key_file
from api.commands.terminal import out
from crypto.ids import random_bytes
from crypto.jose import SigningKey


@click.group("openid")
def openid_group() -> None:
    """How people sign in with a browser."""


@openid_group.command("key")
@click.argument("file", type=click.Path(path_type=Path))
def openid_key(file: Path) -> None:
    """Make the key that we authenticate with at the OpenID provider, in FILE, and print what to register there."""
    key = SigningKey.generate(f"cdx-{random_bytes(4).hex()}")
    write_key_file(file, key.to_private_jwk())
    out.print(f"The key is in {file}: only you can read it. Set CDX_OPENID_CLIENT_KEY_FILE to it.")
    out.print("Register this key set at the provider, with private_key_jwt and ES256:")
    click.echo(json.dumps({"keys": [key.public_jwk()]}))


COMMANDS = (openid_group,)
