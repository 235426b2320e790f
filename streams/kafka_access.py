"""How to reach a Kafka cluster: address and security, in the words of each client library."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SecretStr


class KafkaAccess(BaseModel):
    """Address and security of a cluster; SASL and TLS are passed through as they are given."""

    model_config = ConfigDict(frozen=True)

    bootstrap: str
    """`HOST:PORT`, or several divided by commas."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None

    def librdkafka(self, **settings: Any) -> dict[str, Any]:
        """Return the settings of a confluent-kafka client."""
        known = {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": self.security_protocol,
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.sasl_username,
            "sasl.password": self._password(),
            "ssl.ca.location": _text(self.ssl_cafile),
            "ssl.certificate.location": _text(self.ssl_certfile),
            "ssl.key.location": _text(self.ssl_keyfile),
        }
        return {name: value for name, value in known.items() if value is not None} | settings

    def kafka_python(self, **settings: Any) -> dict[str, Any]:
        """Return the settings of a kafka-python client."""
        known = {
            "bootstrap_servers": self.bootstrap.split(","),
            "security_protocol": self.security_protocol,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_username,
            "sasl_plain_password": self._password(),
            "ssl_cafile": _text(self.ssl_cafile),
            "ssl_certfile": _text(self.ssl_certfile),
            "ssl_keyfile": _text(self.ssl_keyfile),
        }
        return {name: value for name, value in known.items() if value is not None} | settings

    def faust(self) -> dict[str, Any]:
        """Return the settings of a Faust app."""
        import faust  # noqa: PLC0415 - takes a second, and clients and commands do without it

        settings: dict[str, Any] = {"broker": [f"kafka://{address}" for address in self.bootstrap.split(",")]}
        context = self._tls() if self.security_protocol in ("SSL", "SASL_SSL") else None
        if self.security_protocol.startswith("SASL"):
            settings["broker_credentials"] = faust.SASLCredentials(
                username=self.sasl_username,
                password=self._password(),
                mechanism=self.sasl_mechanism,
                ssl_context=context,
            )
        elif context is not None:
            settings["broker_credentials"] = faust.SSLCredentials(context=context)
        return settings

    def _password(self) -> str | None:
        return self.sasl_password.get_secret_value() if self.sasl_password else None

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=_text(self.ssl_cafile))
        if self.ssl_certfile is not None:
            context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile)
        return context


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
