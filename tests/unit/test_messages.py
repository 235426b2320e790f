"""The words on the wire: what is written can be read, what cannot be read has a code, and the schemas are true."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from routers.demand import DEMAND_LIMIT, TEXT_LIMIT, CoordinateSystem, Demand
from streams import decoding, envelope, schemas, signatures
from streams import messages as wire
from streams.clock import PEOPLE
from streams.topics import REGISTRY

MESSAGES = list(wire.CE_NOUNS)
ADAPTERS: Mapping[str, TypeAdapter[Any]] = {kind.pattern: kind.messages for kind in REGISTRY}
NINE = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
CASE = "01KJPVVJ7G8W3ZQ4N5T6Y7R8XA"
DEMAND = {
    "schema": 1,
    "type": "demand",
    "demand_id": CASE,
    "channel": "app",
    "created_at": "2026-03-02T09:00:00+08:00",
    "received_at": "2026-03-02T01:00:00Z",
    "text": "路灯不亮",
}
ACCEPT = {
    "schema": 1,
    "action": "accept",
    "reply_id": "r1",
    "unit": "U-LIGHT",
    "case_id": CASE,
    "at": "2026-03-02T01:00Z",
}


def name(message: type[wire.Message]) -> str:
    return wire.CE_NOUNS[message]


def adapter_of(message: type[wire.Message]) -> TypeAdapter[Any]:
    """The adapter that reads this message from its topic."""
    if issubclass(message, wire.ReplyBase):
        return wire.REPLY
    if issubclass(message, wire.FollowUpBase | Demand):
        return wire.INTAKE
    if message in {wire.TriagedDemand, wire.TriagedFollowUp}:
        return wire.TRIAGED
    return TypeAdapter(message)


def example(message: type[wire.Message]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((schemas.EXAMPLES / schemas.file_name(message)).read_text())
    return read


def problem(adapter: TypeAdapter[Any], value: bytes | None) -> decoding.UndecodableError:
    with pytest.raises(decoding.UndecodableError) as caught:
        decoding.decode(adapter, value)
    return caught.value


def demand(**changes: Any) -> bytes:
    """A demand as a foreign client may write it: every character escaped, surrogates too."""
    return json.dumps({**DEMAND, **changes}).encode()


# -- schemas and examples -----------------------------------------------------------------------


@pytest.mark.parametrize("message", MESSAGES, ids=name)
def test_the_schema_is_what_the_model_says_today(message: type[wire.Message]) -> None:
    written = (schemas.FOLDER / schemas.file_name(message)).read_text()
    assert written == schemas.schema_texts()[schemas.file_name(message)], "run: python -m streams.schemas"


def test_there_is_a_schema_and_an_example_for_every_message_and_no_other() -> None:
    wanted = sorted(schemas.file_name(message) for message in MESSAGES)
    assert sorted(file.name for file in schemas.FOLDER.glob("*.json")) == wanted
    assert sorted(file.name for file in schemas.EXAMPLES.glob("*.json")) == wanted


def test_every_message_that_a_topic_reads_has_a_noun() -> None:
    read = {model["$ref"] for adapter in ADAPTERS.values() for model in [*_members(adapter)]}
    assert read == {f"#/$defs/{message.__name__}" for message in MESSAGES}


def _members(adapter: TypeAdapter[Any]) -> list[dict[str, str]]:
    schema = adapter.json_schema(by_alias=True)
    return schema["oneOf"] if "oneOf" in schema else [{"$ref": f"#/$defs/{schema['title']}"}]


@pytest.mark.parametrize("message", MESSAGES, ids=name)
def test_an_example_is_read_and_written_again_byte_by_byte(message: type[wire.Message]) -> None:
    text = (schemas.EXAMPLES / schemas.file_name(message)).read_text()
    sent = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":")).encode()
    read = decoding.decode(adapter_of(message), text.encode())
    assert type(read) is message
    assert read.encode() == sent
    assert decoding.decode(adapter_of(message), sent) == read
    assert schemas.example_text(read) == text


@pytest.mark.parametrize("message", MESSAGES, ids=name)
def test_an_example_has_no_field_that_its_schema_does_not_know(message: type[wire.Message]) -> None:
    schema, given_example = schemas.schema_of(message), example(message)
    assert given_example.keys() <= schema["properties"].keys()
    assert set(schema["required"]) <= given_example.keys()


def test_each_field_of_a_demand_is_in_its_example_or_excluded_by_another() -> None:
    """Who reads the example should see what a demand can carry; only machines and other agents fill the rest."""
    left_out = {"answered_by", "answer", "self_handled", "device"}
    assert set(schemas.schema_of(wire.NewDemand)["properties"]) - set(example(wire.NewDemand)) == left_out


@pytest.mark.parametrize("message", MESSAGES, ids=name)
def test_what_a_later_version_adds_is_ignored(message: type[wire.Message]) -> None:
    older = example(message)
    newer = {**older, "mood": {"angry": True}, "zz": [1, 2]}
    adapter = adapter_of(message)
    assert decoding.decode(adapter, json.dumps(newer).encode()) == decoding.decode(adapter, json.dumps(older).encode())


@pytest.mark.parametrize("message", MESSAGES, ids=name)
@pytest.mark.parametrize("number", [0, 2, "1", None])
def test_an_unknown_schema_is_named_whatever_else_is_wrong(message: type[wire.Message], number: object) -> None:
    adapter = adapter_of(message)
    later = {**example(message), "schema": number}
    assert problem(adapter, json.dumps(later).encode()).code == "unknown_schema"
    tags = {"schema": number, "type": later.get("type"), "action": later.get("action")}
    renamed = {f"new_{key}": value for key, value in later.items() if key not in tags} | tags
    assert problem(adapter, json.dumps(renamed).encode()).code == "unknown_schema"


def test_schemas_are_exported_where_they_changed_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "schemas"
    names = sorted(schemas.schema_texts())
    assert schemas.main(["--check", "--folder", str(folder)]) == 1
    assert schemas.export_schemas(folder) == names
    assert schemas.export_schemas(folder) == []
    (folder / names[0]).write_text("{}")
    (folder / "demand.sung.v1.json").write_text("{}")
    capsys.readouterr()
    assert schemas.main(["--check", "--folder", str(folder)]) == 1
    told = capsys.readouterr()
    assert told.out.split() == sorted([names[0], "demand.sung.v1.json"])
    assert "python -m streams.schemas" in told.err
    assert schemas.main(["--folder", str(folder)]) == 0
    assert schemas.main(["--check", "--folder", str(folder)]) == 0
    assert sorted(file.name for file in folder.iterdir()) == names


# -- headers --------------------------------------------------------------------------------------


def test_headers_are_cloudevents_in_binary_mode_to_the_byte() -> None:
    headers = envelope.ce_headers(
        wire.WorkItem, "demands/2/877/0", subject=CASE, at=NINE.replace(microsecond=250), sequence="7"
    )
    assert headers == [
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_type", b"cn.yiwang.work.item.v1"),
        ("ce_id", b"demands/2/877/0"),
        ("ce_source", b"/yiwang"),
        ("ce_subject", b"01KJPVVJ7G8W3ZQ4N5T6Y7R8XA"),
        ("ce_time", b"2026-03-02T01:00:00.000250Z"),
        ("ce_sequence", b"7"),
    ]
    assert headers[-1][0] == envelope.SEQUENCE_HEADER


def test_a_sender_names_itself_and_leaves_out_what_it_does_not_know() -> None:
    headers = dict(envelope.ce_headers(wire.Urge, "u1", source="/channels/app"))
    assert headers["ce_source"] == b"/channels/app"
    assert headers["ce_type"] == b"cn.yiwang.demand.urged.v1"
    assert not headers.keys() & {"ce_subject", "ce_time"}


def test_types_are_unique_and_fit_the_header() -> None:
    types = [message.ce_type() for message in MESSAGES]
    assert len(set(types)) == len(types)
    assert all(each.isascii() and each.startswith("cn.yiwang.") and each.endswith(".v1") for each in types)


def test_times_are_told_in_utc_whatever_the_zone() -> None:
    assert envelope.rfc3339(NINE.astimezone(PEOPLE)) == envelope.rfc3339(NINE) == "2026-03-02T01:00:00Z"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (None, None),
        ([], None),
        ([("a", b"1")], None),
        ([("ce_id", b"1"), ("ce_id", b"2")], "2"),
        ([("ce_id", b"1"), ("ce_id", None)], "1"),
        ([("ce_id", b"\xff")], None),
        ([("ce_id", bytearray("灯".encode()))], "灯"),
    ],
)
def test_the_last_header_of_a_name_counts(headers: Any, found: str | None) -> None:
    assert envelope.header(headers, "ce_id") == found


def test_bytes_that_are_no_text_are_none() -> None:
    assert decoding.text_of(None) is None
    assert decoding.text_of(b"\xff") is None
    assert decoding.text_of("诉求".encode()) == "诉求"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (CASE, True),
        (CASE.lower(), False),
        (f"{CASE}\n", False),
        (CASE[:-1], False),
        ("8" + CASE[1:], False),
        ("", False),
    ],
)
def test_a_demand_id_is_a_ulid(text: str, is_one: bool) -> None:  # noqa: FBT001 - what the table expects
    assert decoding.is_demand_id(text) is is_one


# -- signatures -----------------------------------------------------------------------------------


def test_a_signature_is_hmac_sha256_over_id_line_feed_and_bytes() -> None:
    # printf 'light-0001\n{"action":"accept"}' | openssl dgst -sha256 -hmac secret
    signature = "af0fa68fc61110ca749d622d512dc66280a7d878a3e535008a73228d767b3514"
    value = b'{"action":"accept"}'
    assert signatures.sign(b"secret", "light-0001", value) == signature
    assert signatures.signature_holds(b"secret", "light-0001", value, signature)


@pytest.mark.parametrize(
    ("secret", "reply_id", "value"),
    [(b"Secret", "r1", b"{}"), (b"secret", "r2", b"{}"), (b"secret", "r1", b"{ }"), (b"secret", "r", b"1\n{}")],
)
def test_a_signature_holds_for_nothing_else(secret: bytes, reply_id: str, value: bytes) -> None:
    assert not signatures.signature_holds(secret, reply_id, value, signatures.sign(b"secret", "r1", b"{}"))


@pytest.mark.parametrize("forged", ["", "签名", "0" * 64, "\udc80"[:0] + "é"])
def test_a_signature_that_is_none_does_not_hold(forged: str) -> None:
    assert not signatures.signature_holds(b"secret", "r1", b"{}", forged)


# -- what cannot be read --------------------------------------------------------------------------

POINT = {"lon": 104.09, "lat": 30.36}
TOO_LONG = "灯" * (TEXT_LIMIT + 1)
A_BOOK = "灯" * (DEMAND_LIMIT + 1)

BROKEN: Mapping[str, tuple[bytes | None, str]] = {
    "no value": (None, "empty"),
    "no bytes": (b"", "not_json"),
    "words": ("路灯不亮".encode(), "not_json"),
    "cut off": (demand()[:-1], "not_json"),
    "another encoding": (json.dumps(DEMAND, ensure_ascii=False).encode("gb18030"), "not_json"),
    "nested without end": (b"[" * 100_000, "not_json"),
    "nested in a field nobody reads": (demand()[:-1] + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}", "not_json"),
    "a number without end": (demand()[:-1] + b',"client_seq":' + b"9" * 5000 + b"}", "not_json"),
    "a list": (b"[]", "invalid"),
    "null": (b"null", "invalid"),
    "no type": (demand(type=None).replace(b'"type": null, ', b""), "invalid"),
    "another type": (demand(type="poem"), "unknown_type"),
    "a long text": (demand(text=A_BOOK), "text_too_long"),
    "a long answer": (demand(answer=TOO_LONG, answered_by="坐席07"), "text_too_long"),
    "a record that unfolds": (b'{"x":[' + b"0," * 1_100_000 + b"0]}", "text_too_long"),
    "thousands of mistakes": (demand(attachments=[0] * 5000), "invalid"),
    "no text": (demand(text=None), "invalid"),
    "a NUL byte": (demand(text="路灯\x00不亮"), "nul_byte"),
    "a NUL byte in the address": (demand(place={"address": "\x00"}), "nul_byte"),
    "a high surrogate alone": (demand(text="路灯\ud83d不亮"), "lone_surrogate"),
    "a low surrogate alone": (demand(text="\udca1"), "lone_surrogate"),
    "a surrogate at the end": (demand(title="\ud83d"), "lone_surrogate"),
    "surrogates the wrong way round": (demand(text="\udca1\ud83d"), "lone_surrogate"),
    "year 9999": (demand(created_at="9999-12-31T23:59:59Z"), "time_out_of_range"),
    "year 9999 west of Greenwich": (demand(received_at="9999-12-31T23:59:59-12:00"), "time_out_of_range"),
    "year 1": (demand(created_at="0001-01-01T00:00:00+14:00"), "time_out_of_range"),
    "a time as a huge number": (demand(created_at=1e30), "time_out_of_range"),
    "the 30th of February": (demand(created_at="2026-02-30T09:00:00Z"), "time_out_of_range"),
    "a time without a zone": (demand(created_at="2026-03-02T09:00:00"), "invalid"),
    "no time": (demand(created_at="昨天晚上"), "invalid"),
    "a point without a system": (demand(place={"coordinates": POINT}), "coordinates_without_system"),
    "a point in an unknown system": (demand(place={"coordinates": {**POINT, "crs": "BJ-54"}}), "invalid"),
    "a point beyond the pole": (demand(place={"coordinates": {**POINT, "lat": 91, "crs": "WGS-84"}}), "invalid"),
    "a point that is no number": (
        demand(place={"coordinates": {"lon": float("nan"), "lat": 30.36, "crs": "WGS-84"}}),
        "invalid",
    ),
    "an id that is no ULID": (demand(demand_id="2026-0001"), "invalid"),
    "an answer of nobody": (demand(answer="已告知"), "invalid"),
    "a file without a sum": (demand(attachments=[{"uri": "s3://x", "media_type": "image/png", "size": 1}]), "invalid"),
    "a number as text": (demand(text=5), "invalid"),
    "another schema": (demand(schema=2), "unknown_schema"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_read_has_a_code(case: str) -> None:
    value, code = BROKEN[case]
    found = problem(wire.INTAKE, value)
    assert (found.code, str(found)) == (code, found.reason)
    assert 0 < len(found.reason) <= 500


def test_a_reason_tells_nothing_of_what_the_citizen_wrote() -> None:
    secret = "张三 13800138000"
    for value in (
        demand(text=5, title=secret, channel=secret),
        demand(contact={"phone": secret * 10}),
        demand(created_at=secret),
        demand(place={"coordinates": {"lon": secret, "lat": secret}}),
    ):
        assert secret not in problem(wire.INTAKE, value).reason


def test_a_unit_that_answers_nonsense_is_told_what_kind() -> None:
    def told(**changes: Any) -> str:
        return problem(wire.REPLY, json.dumps({**ACCEPT, **changes}).encode()).code

    assert told(action="sing") == "unknown_type"
    assert told(action="note", text="") == "invalid"
    assert told(action="note", text=TOO_LONG) == "text_too_long"
    assert told(action="call_back", text=TOO_LONG) == "text_too_long"
    assert told(action="return", reason="R10") == "invalid"
    assert told(action="decline", code="\x00", text="不予受理") == "nul_byte"
    assert told(action="dispatch", to="U-LIGHT", category="\x00") == "nul_byte"
    assert told(reply_id="r 1") == "invalid"
    assert told(schema=3) == "unknown_schema"


def test_a_text_of_the_longest_length_fits_whatever_its_characters() -> None:
    astral = "😀" * DEMAND_LIMIT
    read = decoding.decode(wire.INTAKE, demand(text=astral))
    assert isinstance(read, wire.NewDemand)
    assert read.text == astral
    assert len(read.encode()) < decoding.LARGEST


def test_times_of_any_zone_are_held_in_utc() -> None:
    read = decoding.decode(wire.INTAKE, demand())
    assert read.created_at == NINE
    assert b'"created_at":"2026-03-02T01:00:00Z"' in read.encode()


def test_every_declared_system_of_coordinates_is_read() -> None:
    for system in CoordinateSystem:
        read = decoding.decode(wire.INTAKE, demand(place={"coordinates": {**POINT, "crs": system}}))
        assert isinstance(read, wire.NewDemand)
        assert read.place is not None
        assert read.place.coordinates is not None
        assert read.place.coordinates.crs is system


# -- nothing but one error --------------------------------------------------------------------------


def read_or_refused(value: bytes) -> None:
    for adapter in ADAPTERS.values():
        try:
            message = decoding.decode(adapter, value)
        except decoding.UndecodableError as error:
            refusal = error
        else:
            assert decoding.decode(adapter, message.encode()) == message
            continue
        assert refusal.code.replace("_", "").isalpha()
        assert refusal.reason.encode()  # it goes into a header


@given(st.binary(max_size=200))
@settings(max_examples=40, deadline=None)
def test_any_bytes_are_read_or_refused(value: bytes) -> None:
    read_or_refused(value)


_ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        2**63,
        10**400,
        0.0,
        float("nan"),
        float("inf"),
        "",
        "\x00",
        "\ud800",
        "\udfff",
        "9999-12-31T23:59:59-23:59",
        "0000-00-00T00:00:00Z",
        "2026-03-02T01:00:00+99:99",
        "x" * 40,
        [],
        [[]],
        {},
        {"schema": 2},
    ]
)


@given(data=st.data(), message=st.sampled_from(MESSAGES))
@settings(max_examples=60, deadline=None)
def test_a_message_with_anything_in_any_field_is_read_or_refused(
    data: st.DataObject, message: type[wire.Message]
) -> None:
    given_example = example(message)
    fields = data.draw(st.lists(st.sampled_from(sorted(given_example)), min_size=1, max_size=3, unique=True))
    broken = given_example | {each: data.draw(_ODD) for each in fields}
    read_or_refused(json.dumps(broken).encode())


@given(data=st.data(), message=st.sampled_from(MESSAGES))
@settings(max_examples=60, deadline=None)
def test_a_message_with_wrong_bytes_anywhere_is_read_or_refused(
    data: st.DataObject, message: type[wire.Message]
) -> None:
    value = json.dumps(example(message), ensure_ascii=False).encode()
    at = data.draw(st.integers(0, len(value) - 1))
    read_or_refused(value[:at] + data.draw(st.binary(max_size=4)) + value[at + data.draw(st.integers(0, 3)) :])


@given(depth=st.integers(1, 4000), opening=st.sampled_from([(b"[", b"]"), (b'{"a":', b"}"), (b'[{"text":', b"}]")]))
@settings(max_examples=15, deadline=None)
def test_nesting_of_any_depth_is_read_or_refused(depth: int, opening: tuple[bytes, bytes]) -> None:
    nested = opening[0] * depth + b"1" + opening[1] * depth
    read_or_refused(nested)
    read_or_refused(demand()[:-1] + b',"place":' + nested + b"}")


@pytest.mark.parametrize("promise", ["1e999", "-1e999"])
def test_a_number_that_json_cannot_say_is_refused(promise: str) -> None:
    told = json.dumps(example(wire.DeskNotice))
    broken = re.sub(r'"promise": ?[^,}]+', f'"promise":{promise}', told)
    with pytest.raises(decoding.UndecodableError, match="promise"):
        decoding.decode(wire.WORK, broken.encode())
