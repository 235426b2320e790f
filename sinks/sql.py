"""The few expressions that SQLite and PostgreSQL spell differently, each under one name."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Double, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class SecondsBetween(FunctionElement[float]):
    """`SecondsBetween(start, end)`: seconds from one stored UTC time to another, to the millisecond."""

    type = Double()
    name = "seconds_between"
    inherit_cache = True


class JsonText(FunctionElement[str]):
    """`JsonText(column, key)`: the text under a top-level key of JSON stored as text; NULL where there is none."""

    type = String()
    name = "json_text"
    inherit_cache = True


@compiles(SecondsBetween, "sqlite")
def _sqlite_seconds(element: Any, compiler: Any, **options: Any) -> str:
    start, end = (compiler.process(each, **options) for each in element.clauses)
    return f"((julianday({end}) - julianday({start})) * 86400.0)"


@compiles(SecondsBetween, "postgresql")
def _postgresql_seconds(element: Any, compiler: Any, **options: Any) -> str:
    start, end = (compiler.process(each, **options) for each in element.clauses)
    return f"CAST(EXTRACT(EPOCH FROM (CAST({end} AS TIMESTAMPTZ) - CAST({start} AS TIMESTAMPTZ))) AS DOUBLE PRECISION)"


@compiles(JsonText, "sqlite")
def _sqlite_json(element: Any, compiler: Any, **options: Any) -> str:
    column, key = (compiler.process(each, **options) for each in element.clauses)
    return f"json_extract({column}, '$.' || {key})"


@compiles(JsonText, "postgresql")
def _postgresql_json(element: Any, compiler: Any, **options: Any) -> str:
    column, key = (compiler.process(each, **options) for each in element.clauses)
    return f"(CAST({column} AS JSON) ->> {key})"
