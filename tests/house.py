"""A vault with its two databases and its master key, and what is kept in it."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import select, text

from sinks import case_keys, vault_tables
from sinks.database import open_engine
from sinks.master_key import MasterKey
from sinks.vault import Asked, Kept, Vault
from tests.filled_ledger import NINE, case_id, minutes

PHONE = "13800138000"


ORIGINAL = {"contact": {"name": "王秀英", "phone": PHONE}, "title": "路灯不亮", "text": f"请打{PHONE}，家住青桥街道3号"}


LOOKING, ERASING = ("contact", "call_back"), ("requested",)


DESK = Asked("H-DESK", "call_back", NINE)


CLERK = Asked("档案室", "requested", NINE)


TABLES = {"data": vault_tables.METADATA, "keys": case_keys._METADATA}


Backup = dict[str, list[dict[str, Any]]]


@dataclass
class House:
    """Two databases and a key file, and whoever opens them."""

    url: str
    keys_url: str
    key_file: Path
    vaults: list[Vault] = field(default_factory=list)

    def open(self, *, read_only: bool = False, key_file: Path | None = None) -> Vault:
        vault = Vault(self.url, self.keys_url, MasterKey(key_file or self.key_file), read_only=read_only)
        self.vaults.append(vault)
        return vault

    def run(self, statement: str, *, of: str = "data", **values: object) -> list[Any]:
        engine = open_engine(self.url if of == "data" else self.keys_url)
        with engine.begin() as connection:
            found = connection.execute(text(statement), values)
            rows = list(found) if found.returns_rows else []
        engine.dispose()
        return rows

    def back_up(self, of: str) -> Backup:
        engine = open_engine(self.url if of == "data" else self.keys_url)
        with engine.connect() as connection:
            found = {
                table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
                for table in TABLES[of].sorted_tables
            }
        engine.dispose()
        return found

    def restore(self, of: str, backup: Backup) -> None:
        engine = open_engine(self.url if of == "data" else self.keys_url)
        with engine.begin() as connection:
            for table in TABLES[of].sorted_tables:
                connection.execute(table.delete())
                if rows := backup[table.name]:
                    connection.execute(table.insert(), rows)
        engine.dispose()

    def keyed(self) -> set[str]:
        """Whose key there is."""
        return {row[0] for row in self.run("SELECT demand_id FROM vault_case_key", of="keys")} - {"deadletters"}

    def ciphertext(self, number: int) -> bytes:
        rows = self.run("SELECT sealed FROM vault_entry WHERE demand_id = :demand", demand=case_id(number))
        return b"".join(bytes(row[0]) for row in rows)

    def close(self) -> None:
        for vault in self.vaults:
            vault.close()


def kept(number: int, offset: int | None = None, content: object = ORIGINAL) -> Kept:
    offset = number if offset is None else offset
    return Kept("intake.app", 0, offset, case_id(number), json.dumps(content, ensure_ascii=False).encode())


def reveal(vault: Vault, number: int, at: float = 0) -> list[dict[str, object]]:
    return vault.reveal(case_id(number), replace(DESK, at=minutes(at)), LOOKING)


def erase(vault: Vault, number: int) -> int:
    return vault.erase(case_id(number), CLERK, ERASING)
