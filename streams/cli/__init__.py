"""The command `yiwang`: every command in a module of its own, loaded when it is called."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from streams.cli.errors import EX_SOFTWARE, sentence_of

DEBUG = "YIWANG_DEBUG"
"""Set to anything, it shows where an error came from."""

COMMANDS = {
    "demo": "Start everything, play a seeded day with simulated departments, account for it, end.",
    "up": "Run and supervise an installation until Ctrl-C.",
    "status": "How an installation stands: broker, ledger, workers, lag, unaccounted.",
    "submit": "Hand in one demand, or a file of them, as a channel does.",
    "case": "Look up cases in the ledger.",
    "department": "Work as a unit: see its queue, reply to cases.",
    "unit": "Keys with which units sign their replies.",
    "audit": "Prove that every intake record is accounted for.",
    "city": "Check the files of a city.",
    "classify": "What triage would decide about a text, without a broker.",
    "train": "Make a classifier from labelled texts.",
    "eval": "Measure on files whose right answers are known.",
    "topics": "The registry of topics: list, apply, describe.",
    "deadletters": "What nobody could decide on: list, open, hand in again, put aside.",
    "vault": "The originals of what citizens said; whoever looks is written down.",
    "settings": "The settings, and where each one comes from.",
    "worker": "Run one worker process.",
    "bench": "Measure this machine.",
}
"""Name to one line of help; the module of the same name in this package has the command as `app`."""


class Commands(TyperGroup):
    """The list of commands; a module is imported when its command is called, never to list it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {name: TyperCommand(name, help=text) for name, text in COMMANDS.items()}
        self._listing = False

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the list of commands."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, imported."""
        if self._listing or cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        command = typer.main.get_command(import_module(f"streams.cli.{cmd_name}").app)
        command.name = cmd_name
        return command

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an error is one sentence on standard error and an exit status."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            known = sentence_of(error)
            if known is None and type(error).__module__.startswith("typer."):
                raise  # wrong usage, help and exit are typer's own business
            if os.environ.get(DEBUG):
                raise
            what = f"this is a mistake in the program ({type(error).__name__}: {error})"
            advice = f"set {DEBUG}=1 and run it again to see where, and report it"
            status, sentence = known or (EX_SOFTWARE, f"{what}; {advice}")
            typer.echo(sentence, err=True)
            raise typer.Exit(status) from error


app = typer.Typer(
    cls=Commands,
    name="yiwang",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 done, 1 the answer is no, 2 used wrongly, 3 a needed service is not reachable.",
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - asked for once in a while

        typer.echo(f"yiwang {version('yiwang')}")
        raise typer.Exit


@app.callback()
def yiwang(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """One net for every citizen demand."""


def main() -> None:
    """Run the command line."""
    app(args=sys.argv[1:], prog_name="yiwang")
