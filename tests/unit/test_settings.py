"""Settings: flags before variables before the file before what the project thinks best."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from streams.settings import QINGLAN, SETTINGS_FILE, Settings
from streams.topics import PARTITIONS


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the developer's variables nor the developer's folder count."""
    for name in [each for each in os.environ if each.upper().startswith("YIWANG_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / SETTINGS_FILE).write_text(text)
    return folder


def test_without_a_word_it_is_one_machine_and_qinglan(tmp_path: Path) -> None:
    settings = Settings()
    assert settings.data == Path("yiwang-data")
    assert settings.city == QINGLAN
    assert (settings.kafka, settings.partitions, settings.replication) == (None, PARTITIONS, 1)
    assert settings.ledger_url == f"sqlite:///{tmp_path}/yiwang-data/ledger.db"
    assert settings.vault_url == f"sqlite:///{tmp_path}/yiwang-data/vault.db"
    assert (settings.keys, settings.run) == (Path("yiwang-data/keys"), Path("yiwang-data/run"))


def test_the_keys_of_the_vault_lie_apart_from_what_they_open(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    assert settings.vault_keys_url == f"sqlite:///{tmp_path}/vault-keys.db"
    assert settings.master_key_file == tmp_path / "vault.key"
    server = "postgresql+psycopg://vault@db/vault"
    with pytest.raises(ValidationError, match="vault_keys must be another database than vault"):
        Settings(vault=server, vault_keys=server)
    with pytest.raises(ValidationError, match="vault_keys must name a database, or a schema, of its own"):
        Settings(vault=server)
    apart = Settings(vault=server, vault_keys=f"{server}?options=-csearch_path%3Dkeys", master_key=tmp_path / "m.key")
    assert (apart.vault_url, apart.master_key_file) == (server, tmp_path / "m.key")


def test_flag_beats_variable_beats_file_beats_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "town", 'partitions = 2\nheap = "1g"\ntriage_workers = 2\n')
    monkeypatch.setenv("YIWANG_PARTITIONS", "3")
    monkeypatch.setenv("YIWANG_HEAP", "2g")
    settings = Settings(data=folder, partitions=5)
    assert (settings.partitions, settings.heap, settings.triage_workers) == (5, "2g", 2)
    assert settings.casework_workers == 1


def test_the_file_is_that_of_the_folder_the_variable_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "yiwang-data", "partitions = 2\n")
    assert Settings().partitions == 2
    folder = write(tmp_path / "town", "partitions = 6\n")
    monkeypatch.setenv("YIWANG_DATA", str(folder))
    assert Settings().partitions == 6
    other = write(tmp_path / "village", "partitions = 7\n")
    assert Settings(data=other).partitions == 7


def test_a_file_that_says_more_than_we_know_is_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "town", 'mood = "good"\npartitions = 2\n')
    assert Settings(data=folder).partitions == 2


def test_a_file_that_is_no_toml_is_an_error_and_not_a_default(tmp_path: Path) -> None:
    folder = write(tmp_path / "town", "partitions: 2\n")
    with pytest.raises(ValueError, match=r"key|line"):
        Settings(data=folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("partitions", "0"),
        ("partitions", "many"),
        ("replication", "10"),
        ("casework_workers", "0"),
        ("triage_workers", "65"),
        ("metrics_port", "65536"),
        ("metrics_port", "-1"),
        ("kafka_security_protocol", "TLS"),
        ("kafka_sasl_mechanism", "NONE"),
    ],
)
def test_what_cannot_be_is_refused_with_its_name(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"YIWANG_{name.upper()}", value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert [each["loc"] for each in caught.value.errors()] == [(name,)]


def test_settings_do_not_change_once_read() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.partitions = 9  # type: ignore[misc]  # the point


SECURE = {
    "kafka": "broker.qinglan.example:9093",
    "kafka_security_protocol": "SASL_SSL",
    "kafka_sasl_mechanism": "SCRAM-SHA-512",
    "kafka_sasl_username": "yiwang",
    "kafka_sasl_password": "not-told",
    "kafka_ssl_cafile": "/etc/yiwang/ca.pem",
}


def test_a_child_process_reads_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.model_validate({"data": tmp_path, "partitions": 3, "metrics_port": 9100, **SECURE})
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings
    assert Settings().environment() == settings.environment()


def test_a_password_is_passed_on_and_never_shown() -> None:
    settings = Settings.model_validate(SECURE)
    assert "not-told" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert settings.environment()["YIWANG_KAFKA_SASL_PASSWORD"] == "not-told"
    access = settings.access()
    assert "not-told" not in repr(access)
    assert access.librdkafka()["sasl.password"] == "not-told"
    assert access.kafka_python()["sasl_plain_password"] == "not-told"


def test_each_client_library_is_told_address_and_security_in_its_own_words() -> None:
    access = Settings.model_validate(SECURE).access()
    assert access.librdkafka(**{"group.id": "g"}) == {
        "bootstrap.servers": "broker.qinglan.example:9093",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "yiwang",
        "sasl.password": "not-told",
        "ssl.ca.location": "/etc/yiwang/ca.pem",
        "group.id": "g",
    }
    assert access.kafka_python(client_id="c") == {
        "bootstrap_servers": ["broker.qinglan.example:9093"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "yiwang",
        "sasl_plain_password": "not-told",
        "ssl_cafile": "/etc/yiwang/ca.pem",
        "client_id": "c",
    }


def test_a_plain_cluster_needs_its_address_alone() -> None:
    access = Settings(kafka="a:9092,b:9092").access()
    assert access.librdkafka() == {"bootstrap.servers": "a:9092,b:9092", "security.protocol": "PLAINTEXT"}
    assert access.faust() == {"broker": ["kafka://a:9092", "kafka://b:9092"]}
    assert Settings(kafka="a:9092").access("127.0.0.1:29092").bootstrap == "127.0.0.1:29092"


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"kafka_security_protocol": "SASL_SSL", "kafka": "a:9093"}, "kafka_sasl_mechanism"),
        ({"kafka_security_protocol": "SASL_SSL", "kafka": "a:9093", "kafka_sasl_mechanism": "PLAIN"}, "username"),
        ({"kafka_sasl_mechanism": "PLAIN", "kafka": "a:9093"}, "kafka_security_protocol"),
        ({"kafka_ssl_keyfile": "k.pem", "kafka_security_protocol": "SSL", "kafka": "a:9093"}, "kafka_ssl_certfile"),
    ],
)
def test_half_a_login_is_refused_with_what_is_missing(given: dict[str, object], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        Settings.model_validate(given)


def test_many_casework_workers_share_a_postgresql() -> None:
    settings = Settings(casework_workers=4, ledger="postgresql+psycopg://yiwang@db/ledger")
    assert settings.ledger_url == "postgresql+psycopg://yiwang@db/ledger"
