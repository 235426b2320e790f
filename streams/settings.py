"""Settings: flags first, then `YIWANG_*` variables, then `yiwang.toml` in the data folder, then defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from sinks.ledger import sqlite_url
from streams.kafka_access import KafkaAccess
from streams.topics import PARTITIONS

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
QINGLAN = DEPLOY / "cities" / "qinglan"
SETTINGS_FILE = "yiwang.toml"


class Settings(BaseSettings):
    """One installation, as its operator wants it."""

    model_config = SettingsConfigDict(env_prefix="YIWANG_", frozen=True, extra="ignore")

    data: Path = Field(Path("yiwang-data"), description="Folder of the installation: broker, ledger, vault, keys.")
    city: Path = Field(QINGLAN, description="Folder of the city.")
    kafka: str | None = Field(None, description="HOST:PORT of an existing cluster; none: the embedded broker.")
    ledger: str | None = Field(
        None, description="SQLAlchemy URL of the ledger; none: a SQLite file in the data folder."
    )
    vault: str | None = Field(None, description="SQLAlchemy URL of the vault; none: a SQLite file in the data folder.")
    vault_keys: str | None = Field(
        None, description="SQLAlchemy URL of the vault's key database, never the vault's own; none: a SQLite file."
    )
    master_key: Path | None = Field(None, description="File of the vault's master key; none: in the data folder.")
    partitions: int = Field(PARTITIONS, ge=1, le=1000, description="Of the keyed topics; fixed at installation.")
    replication: int = Field(1, ge=1, le=9, description="Copies of each topic on an existing cluster.")
    casework_workers: int = Field(1, ge=1, le=64, description="Casework processes that `up` runs (one with SQLite).")
    triage_workers: int = Field(1, ge=1, le=64, description="Triage processes that `up` runs.")
    metrics_port: int = Field(0, ge=0, le=65535, description="First metrics port; 0: free ones.")
    heap: str = Field("512m", description="Java heap of the embedded broker.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_cafile: Path | None = None
    kafka_ssl_certfile: Path | None = None
    kafka_ssl_keyfile: Path | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - no .env file is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: flags, environment, file."""
        data = Path(init_settings().get("data") or env_settings().get("data") or cls.model_fields["data"].default)
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, data / SETTINGS_FILE))

    @model_validator(mode="after")
    def _security_is_whole(self) -> Self:
        """Refuse half a login: a client library would connect without it, or fail with a riddle.

        Raises:
            ValueError: settings that contradict each other.
        """
        login = ("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password")
        given = [name for name in login if getattr(self, name) is not None]
        if self.kafka_security_protocol.startswith("SASL"):
            missing = [name for name in login if name not in given]
            if missing:
                raise ValueError(f"{self.kafka_security_protocol} needs {' and '.join(missing)}")
        elif given:
            raise ValueError(f"{given[0]} means nothing unless kafka_security_protocol is SASL_PLAINTEXT or SASL_SSL")
        if (self.kafka_ssl_certfile is None) != (self.kafka_ssl_keyfile is None):
            raise ValueError("kafka_ssl_certfile and kafka_ssl_keyfile belong together")
        return self

    @model_validator(mode="after")
    def _keys_are_apart(self) -> Self:
        """Refuse keys beside what they open, and keys on one machine for a vault that many share.

        Raises:
            ValueError: the vault's key database is not a place of its own.
        """
        if self.vault is not None and self.vault == self.vault_keys:
            raise ValueError("vault_keys must be another database than vault: keys lie apart from what they open")
        if self.vault is not None and not self.vault.startswith("sqlite") and self.vault_keys is None:
            raise ValueError("vault_keys must name a database, or a schema, of its own where vault names a server")
        return self

    @property
    def ledger_url(self) -> str:
        """Return the URL of the ledger."""
        return self.ledger or sqlite_url(self.data / "ledger.db")

    @property
    def vault_url(self) -> str:
        """Return the URL of the vault."""
        return self.vault or sqlite_url(self.data / "vault.db")

    @property
    def vault_keys_url(self) -> str:
        """Return the URL of the vault's key database."""
        return self.vault_keys or sqlite_url(self.data / "vault-keys.db")

    @property
    def master_key_file(self) -> Path:
        """Return the file of the vault's master key."""
        return self.master_key or self.data / "vault.key"

    @property
    def keys(self) -> Path:
        """Return the folder of the units' signing keys."""
        return self.data / "keys"

    @property
    def run(self) -> Path:
        """Return the folder of what is true only while it runs."""
        return self.data / "run"

    def access(self, bootstrap: str | None = None) -> KafkaAccess:
        """Return how to reach the cluster.

        Args:
            bootstrap: address to use instead of the configured one (the embedded broker's).
        """
        return KafkaAccess(
            bootstrap=bootstrap or self.kafka or "",
            security_protocol=self.kafka_security_protocol,
            sasl_mechanism=self.kafka_sasl_mechanism,
            sasl_username=self.kafka_sasl_username,
            sasl_password=self.kafka_sasl_password,
            ssl_cafile=self.kafka_ssl_cafile,
            ssl_certfile=self.kafka_ssl_certfile,
            ssl_keyfile=self.kafka_ssl_keyfile,
        )

    def environment(self) -> dict[str, str]:
        """Return the variables that give a child process these settings."""
        values: dict[str, Any] = self.model_dump(mode="python", exclude_none=True)
        return {
            f"YIWANG_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            for name, value in values.items()
        }
