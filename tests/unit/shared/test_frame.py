"""The container of binary messages: what goes in comes out, and nothing damaged comes out as anything but its error."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epaas_shared.digest import canonical_json
from epaas_shared.errors import InvalidCiphertext, InvalidEvaluationKeys, InvalidInput
from epaas_shared.frame import (
    MAGIC,
    MAX_HEADER_BYTES,
    PREFIX_BYTES,
    EvaluationKeysHeader,
    FrameHeader,
    RecordHeader,
    ResultHeader,
    decode_frame,
    decode_frame_start,
    encode_frame,
    encode_frame_start,
)
from epaas_shared.protocol import Problem
from epaas_shared.scores import ScoreScale

KINDS: list[type[FrameHeader]] = [EvaluationKeysHeader, RecordHeader, ResultHeader]
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
SIGNED = st.integers(-(2**20), 2**20)
SIZES = st.integers(min_value=1, max_value=2**64)
PAYLOADS = st.binary(max_size=64)


VALUES: dict[str, st.SearchStrategy[object]] = {
    **dict.fromkeys(("profile", "input_schema", "evaluation_keys", "model"), DIGESTS),
    "scores": st.none() | st.builds(ScoreScale, bits=st.integers(1, 6), minimum=SIGNED, step=st.integers(1, 2**20)),
}


@st.composite
def headers(draw: st.DrawFn) -> FrameHeader:
    """A header of any kind whose payload length is still to be set."""
    kind = draw(st.sampled_from(KINDS))
    values: dict[str, object] = {"payload_bytes": 0}
    for name in kind.model_fields.keys() - {"kind", "payload_bytes"}:
        values[name] = draw(VALUES.get(name, SIZES))
    return kind(**values)


@st.composite
def frames(draw: st.DrawFn) -> tuple[FrameHeader, bytes]:
    payload = draw(PAYLOADS)
    return draw(headers()).model_copy(update={"payload_bytes": len(payload)}), payload


def raw_frame(header: bytes, payload: bytes = b"") -> bytes:
    return MAGIC + len(header).to_bytes(4, "little") + header + payload


def refused_or_decoded(data: bytes, kind: type[FrameHeader]) -> bool:
    """Whether ``data`` is refused; any other exception than the kind's own escapes and fails the test."""
    refusal: InvalidInput | None = None
    try:
        decode_frame(data, kind)
    except InvalidInput as error:
        refusal = error
    if refusal is None:
        return False
    assert type(refusal) is kind.error
    assert (refusal.field or "").startswith("body")
    Problem.of(refusal).model_dump_json()  # it can be sent
    return True


@given(frames())
def test_a_frame_comes_out_as_it_went_in(frame: tuple[FrameHeader, bytes]) -> None:
    header, payload = frame
    data = encode_frame(header, payload)
    assert decode_frame(data, type(header)) == (header, payload)


@given(frames())
def test_the_start_of_a_frame_tells_where_the_rest_is(frame: tuple[FrameHeader, bytes]) -> None:
    header, payload = frame
    data = encode_frame(header, payload)
    start = decode_frame_start(data, type(header))
    assert start.header == header
    assert data[start.payload_offset :] == payload
    assert start.total_bytes == len(data)
    assert decode_frame_start(encode_frame_start(header), type(header)) == start


@given(frames(), st.data())
def test_a_truncated_frame_is_refused(frame: tuple[FrameHeader, bytes], data: st.DataObject) -> None:
    header, payload = frame
    whole = encode_frame(header, payload)
    length = data.draw(st.integers(0, len(whole) - 1))
    assert refused_or_decoded(whole[:length], type(header))


@given(frames(), st.binary(min_size=1, max_size=4))
def test_a_frame_with_something_behind_it_is_refused(frame: tuple[FrameHeader, bytes], more: bytes) -> None:
    header, payload = frame
    assert refused_or_decoded(encode_frame(header, payload) + more, type(header))


@settings(max_examples=400)
@given(frames(), st.data())
def test_a_corrupted_header_byte_gives_the_error_of_the_kind_or_another_header(
    frame: tuple[FrameHeader, bytes], data: st.DataObject
) -> None:
    header, payload = frame
    whole = bytearray(encode_frame(header, payload))
    position = data.draw(st.integers(0, len(whole) - len(payload) - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    refused = refused_or_decoded(bytes(whole), type(header))
    if position < PREFIX_BYTES:
        assert refused
    if not refused:
        decoded, rest = decode_frame(bytes(whole), type(header))
        assert decoded != header
        assert rest == payload


@settings(max_examples=300)
@given(st.sampled_from(KINDS), st.binary(max_size=80), st.sampled_from([b"", MAGIC, raw_frame(b"{}")]))
def test_random_bytes_are_refused(kind: type[FrameHeader], noise: bytes, beginning: bytes) -> None:
    assert refused_or_decoded(beginning + noise, kind)


@settings(max_examples=300)
@given(st.sampled_from(KINDS), st.binary(max_size=80))
def test_a_header_of_random_bytes_is_refused(kind: type[FrameHeader], noise: bytes) -> None:
    assert refused_or_decoded(raw_frame(noise), kind)


@given(
    st.sampled_from(KINDS),
    st.dictionaries(
        st.sampled_from(sorted({name for kind in KINDS for name in kind.model_fields})),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("0aé"),
    ),
)
def test_a_header_of_wrong_values_is_refused(kind: type[FrameHeader], fields: dict[str, object]) -> None:
    fields["kind"] = kind.model_fields["kind"].default
    fields["profile"] = "0" * 63
    assert refused_or_decoded(raw_frame(canonical_json(fields)), kind)


@given(frames(), st.sampled_from(KINDS))
def test_a_frame_of_another_kind_is_refused(frame: tuple[FrameHeader, bytes], expected: type[FrameHeader]) -> None:
    header, payload = frame
    if type(header) is not expected:
        with pytest.raises(expected.error) as caught:
            decode_frame(encode_frame(header, payload), expected)
        assert caught.value.field == "body.kind"
        assert repr(header.kind) in caught.value.detail


@pytest.mark.parametrize("kind", KINDS)
def test_a_header_may_be_as_long_as_the_limit_and_no_longer(kind: type[FrameHeader]) -> None:
    due = {name: field for name, field in kind.model_fields.items() if field.is_required()}
    values = {name: "0" * 64 if field.annotation is str else 1 for name, field in due.items()}
    header = kind.model_validate({**values, "kind": kind.model_fields["kind"].default, "payload_bytes": 0})
    body = canonical_json(header.model_dump(mode="json", exclude_none=True))
    longest = body + b" " * (MAX_HEADER_BYTES - len(body))
    assert decode_frame(raw_frame(longest), kind) == (header, b"")
    assert refused_or_decoded(raw_frame(longest + b" "), kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [MAX_HEADER_BYTES + 1, 2**31, 2**32 - 1])
def test_an_announced_header_over_the_limit_is_refused_unread(kind: type[FrameHeader], length: int) -> None:
    assert refused_or_decoded(MAGIC + length.to_bytes(4, "little") + b" " * (MAX_HEADER_BYTES + 10), kind)


STRANGE_HEADERS = {
    "deep list": b"[" * 4000,
    "deep list, closed": b"[" * 2000 + b"]" * 2000,
    "deep kind": b'{"kind":' + b"[" * 2000 + b"]" * 2000 + b"}",
    "deep object": b'{"kind":' * 500,
    "NaN": b"NaN",
    "NaN in a field": b'{"kind":"record","payload_bytes":NaN}',
    "infinite": b'{"kind":"record","payload_bytes":1e999}',
    "huge number": b'{"kind":"record","payload_bytes":' + b"9" * 4000 + b"}",
    "fraction": b'{"kind":"record","payload_bytes":0.5}',
    "text for a number": b'{"kind":"record","payload_bytes":"0"}',
    "boolean for a number": b'{"kind":"record","payload_bytes":true}',
    "lone surrogate as kind": rb'{"kind":"\ud800"}',
    "lone surrogate as name": rb'{"kind":"record","\ud800":1}',
    "not UTF-8": b'{"kind":"\xff"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "list": b"[]",
    "null": b"null",
    "empty": b"",
    "long name": b'{"kind":"record","' + b"x" * 4000 + b'":1}',
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", STRANGE_HEADERS)
def test_a_strange_header_is_refused(kind: type[FrameHeader], name: str) -> None:
    assert refused_or_decoded(raw_frame(STRANGE_HEADERS[name]), kind)


@pytest.mark.parametrize("depth", range(900, 1001, 4))
def test_nesting_near_the_recursion_limit_is_refused(depth: int) -> None:
    assert refused_or_decoded(raw_frame(b'{"kind":' + b"[" * depth + b"]" * depth + b"}"), RecordHeader)


def test_a_missing_or_unknown_field_is_named() -> None:
    header = RecordHeader(
        payload_bytes=0, profile="0" * 64, input_schema="1" * 64, evaluation_keys="2" * 64, records=1, bits=1
    )
    fields = header.model_dump(mode="json")
    for name in fields.keys() - {"kind"}:
        with pytest.raises(InvalidCiphertext) as caught:
            decode_frame(raw_frame(canonical_json({key: fields[key] for key in fields if key != name})), RecordHeader)
        assert caught.value.field == f"body.{name}"
    with pytest.raises(InvalidCiphertext) as caught:
        decode_frame(raw_frame(canonical_json({**fields, "secret": 1})), RecordHeader)
    assert caught.value.field == "body.secret"


def test_a_header_of_a_label_says_nothing_of_scores() -> None:
    header = ResultHeader(
        payload_bytes=0, profile="0" * 64, evaluation_keys="1" * 64, model="2" * 64, records=1, values=1
    )
    assert b"scores" not in encode_frame(header, b"")
    scored = header.model_copy(update={"scores": ScoreScale(bits=2, minimum=-3, step=4)})
    assert b'"scores":{"bits":2,"minimum":-3,"step":4}' in encode_frame(scored, b"")


@pytest.mark.parametrize(
    "scale", [1, [], {}, {"bits": 2.0, "minimum": 0, "step": 1}, {"bits": 7, "minimum": 0, "step": 1}]
)
def test_a_header_with_an_impossible_scale_is_refused(scale: object) -> None:
    header = ResultHeader(
        payload_bytes=0, profile="0" * 64, evaluation_keys="1" * 64, model="2" * 64, records=1, values=1
    )
    fields = {**header.model_dump(mode="json"), "scores": scale}
    with pytest.raises(InvalidCiphertext) as caught:
        decode_frame(raw_frame(canonical_json(fields)), ResultHeader)
    assert caught.value.field is not None
    assert caught.value.field.startswith("body.scores")


def test_the_errors_of_keys_and_of_ciphertexts_differ() -> None:
    with pytest.raises(InvalidEvaluationKeys):
        decode_frame(b"", EvaluationKeysHeader)
    for kind in (RecordHeader, ResultHeader):
        with pytest.raises(InvalidCiphertext):
            decode_frame(b"", kind)


@given(headers(), PAYLOADS)
def test_a_payload_of_another_length_than_announced_is_not_framed(header: FrameHeader, payload: bytes) -> None:
    header = header.model_copy(update={"payload_bytes": len(payload) + 1})
    with pytest.raises(ValueError, match="header says"):
        encode_frame(header, payload)
