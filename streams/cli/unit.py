"""`yiwang unit key`: the keys with which units sign their replies."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from streams import contact_keys, keys
from streams.cityfile import load_city
from streams.cli.common import Data, Installation, Json, find, settings_of, show
from streams.cli.errors import NO, WRONG, Stop
from streams.keys import UnitKey

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Keys with which units sign their replies.")
key = typer.Typer(no_args_is_help=True, help="Issue, rotate and revoke a unit's signing key.")
app.add_typer(key, name="key")

Unit = Annotated[str, typer.Argument(help="Code of the unit.")]


@app.callback()
def unit() -> None:
    """Keys with which units sign their replies."""


@key.command(epilog="Example: yiwang unit key issue D-URBAN")
def issue(unit: Unit, data: Data = None, as_json: Json = False) -> None:
    """Make a unit's first key, and the pair to which contacts are sealed."""
    installation = _installation(unit, data)
    made = keys.issue(installation.settings.keys, unit)
    contact_keys.ensure(installation.settings.keys, [unit])
    _tell(made, installation, as_json)


@key.command(epilog="Example: yiwang unit key rotate D-URBAN")
def rotate(unit: Unit, data: Data = None, as_json: Json = False) -> None:
    """Make a new key, and a new pair for contacts; the old ones hold until `revoke`."""
    installation = _installation(unit, data)
    made = keys.rotate(installation.settings.keys, unit)
    contact_keys.rotate(installation.settings.keys, unit)
    _tell(made, installation, as_json)


@key.command(epilog="Example: yiwang unit key revoke D-URBAN")
def revoke(unit: Unit, data: Data = None, as_json: Json = False) -> None:
    """Remove every key but the current one; where there is only one, that one."""
    folder = _installation(unit, data).settings.keys
    gone = keys.revoke(folder, unit)
    if not gone:
        raise Stop(NO, f"{unit} has no key; make one with: yiwang unit key issue {unit}")
    contact_keys.revoke(folder, unit)
    left = keys.keys_of(folder, unit)
    document = {"unit": unit, "revoked": gone, "key_id": left[-1].key_id if left else None}
    show(document, as_json, lambda console: console.print(f"{unit}: {gone} revoked, {len(left)} left"))


def _installation(unit: str, data: Any) -> Installation:
    """Return the installation whose city has this unit.

    Raises:
        Stop: its city does not.
    """
    installation = find(settings_of(data=data))
    city = load_city(installation.city)
    known = city.units.get(unit)
    if known is None or known.virtual:
        raise Stop(WRONG, f"{city.zh} has no unit {unit}; its units are in {installation.city / 'units.yaml'}")
    return installation


def _tell(made: UnitKey, installation: Installation, as_json: bool) -> None:
    file = installation.settings.keys / f"{made.unit}.json"
    private = file.with_name(f"{made.unit}.private.json")
    document = {"unit": made.unit, "key_id": made.key_id, "issued_at": made.issued_at, "file": str(file)} | {
        "private_file": str(private)
    }
    told = f"{made.key_id} in {file}; give that file and {private} to the unit alone"
    show(document, as_json, lambda console: console.print(told))
