"""The error tree and the problem documents that carry it over the wire."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epaas_shared import errors
from epaas_shared.errors import EpaasError, InvalidRecord, ModelNotFound, error_class
from epaas_shared.protocol import PROBLEM_TYPE_PREFIX, Problem

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, EpaasError)]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def drawn_tree() -> Iterator[tuple[str, str | None]]:
    """(class, parent) of each line of the tree in the docstring of ``errors``."""
    assert errors.__doc__ is not None
    path: list[tuple[int, str]] = []
    for line in errors.__doc__.splitlines():
        if found := re.match(r"^    ([│├└─ ]*)([A-Z]\w+)(\s|$)", line):
            depth = len(found[1])
            while path and path[-1][0] >= depth:
                path.pop()
            yield found[2], path[-1][1] if path else None
            path.append((depth, found[2]))


def test_the_docstring_draws_every_class_below_its_parent() -> None:
    drawn = dict(drawn_tree())
    real = {cls.__name__: None if cls is EpaasError else cls.__base__.__name__ for cls in CLASSES}
    assert drawn == real


def test_every_class_has_a_code_and_a_title_of_its_own() -> None:
    assert len(CLASSES) > 20
    for attribute in ("code", "title"):
        values = [getattr(cls, attribute) for cls in CLASSES]
        assert len(set(values)) == len(values)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_class_is_found_again_by_its_code(cls: type[EpaasError]) -> None:
    assert error_class(cls.code) is cls


@pytest.mark.parametrize("cls", CLASSES)
def test_a_class_fits_http_and_the_shell(cls: type[EpaasError]) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", cls.code)
    assert 400 <= cls.status <= 599
    assert 1 <= cls.exit_code <= 7


def test_a_code_that_this_release_does_not_know_is_the_root() -> None:
    assert error_class("invented-later") is EpaasError


@given(cls=st.sampled_from(CLASSES), detail=TEXT, field=st.none() | TEXT, hint=st.none() | TEXT)
def test_a_problem_document_rebuilds_the_error(
    cls: type[EpaasError], detail: str, field: str | None, hint: str | None
) -> None:
    error = cls(detail, field=field, hint=hint)
    problem = Problem.of(error, instance="/v1/models")
    assert problem.type == PROBLEM_TYPE_PREFIX + cls.code
    assert (problem.status, problem.title, problem.instance) == (cls.status, cls.title, "/v1/models")
    rebuilt = Problem.model_validate_json(problem.model_dump_json()).error()
    assert type(rebuilt) is cls
    assert (rebuilt.detail, rebuilt.field, rebuilt.hint) == (error.detail, error.field, error.hint)


def test_a_hint_of_the_caller_replaces_the_default_one() -> None:
    assert ModelNotFound("x").hint == ModelNotFound.default_hint
    assert ModelNotFound("x", hint="look again").hint == "look again"


def test_the_text_of_an_error_begins_with_its_field() -> None:
    assert str(InvalidRecord("is missing", field="age")) == "age: is missing"
    assert str(InvalidRecord("is missing")) == "is missing"
