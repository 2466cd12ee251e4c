# Copyright (c) 2026 the uwsgi.consul authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Values with types, from the texts of keys: what `Config` makes of a folder.

What a key holds, by the type of its field:

str: any text. bytes: as it stands. int, float: a number in decimal digits. bool: true, false, yes, no, on, off, 1 or 0.
timedelta: a duration as Consul writes it, such as `1m30s`. An Enum: the value or the name of a member. Literal: one of
its values. Optional: as the type in it, or nothing at all (but for str, for which an empty key is an empty text); a key
that is missing is `None`, too. list, tuple, set, frozenset, dict with texts as keys: JSON. Any: any text.

A dataclass in a dataclass is a folder with a key for each field, or one key with a JSON object. In JSON, numbers, booleans
and null stand as JSON has them, everything else as a text as above.

What is not right is reported by a sentence that does not hold the value, for that may be a secret.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import enum
import json
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Union

from . import arguments, keys, protocol
from .errors import InvalidValueError

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
# Texts of values from this length on are left out of the words of others' exceptions.
_SECRET_LENGTH = 4
_MISSING = object()


class BadValueError(Exception):
    """A value that is not of its type, in words that follow the key's name and do not hold the value."""


class _Kind:
    """How values of a type are read. Both methods raise `BadValueError`."""

    # Whether a field of this type may be missing, and then is `None`.
    optional = False

    def of_text(self, text: str) -> Any:
        raise NotImplementedError

    def of_json(self, data: Any) -> Any:
        """From what stands in JSON."""
        if not isinstance(data, str):
            raise BadValueError("is no text")
        return self.of_text(data)

    def of_bytes(self, content: bytes) -> Any:
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise BadValueError("is not UTF-8 text") from None
        return self.of_text(text)


class _Text(_Kind):
    def of_text(self, text: str) -> Any:
        return text


class _Bytes(_Kind):
    def of_text(self, text: str) -> Any:
        return text.encode()

    def of_bytes(self, content: bytes) -> Any:
        return content


class _Any(_Text):
    def of_json(self, data: Any) -> Any:
        return data


class _Integer(_Kind):
    def of_text(self, text: str) -> Any:
        if not re.fullmatch(r"[+-]?\d{1,1000}", text.strip(), re.ASCII):
            raise BadValueError("is no whole number")
        return int(text)

    def of_json(self, data: Any) -> Any:
        if not isinstance(data, int) or isinstance(data, bool):
            raise BadValueError("is no whole number")
        return data


class _Float(_Kind):
    def of_text(self, text: str) -> Any:
        if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text.strip(), re.ASCII) or not math.isfinite(float(text)):
            raise BadValueError("is no number")
        return float(text)

    def of_json(self, data: Any) -> Any:
        # Comparing does not fail for whole numbers that are too large, as converting does.
        if not isinstance(data, (int, float)) or isinstance(data, bool) or not abs(data) < 1e308:
            raise BadValueError("is no number")
        return float(data)


class _Boolean(_Kind):
    def of_text(self, text: str) -> Any:
        said = text.strip().lower()
        if said not in _TRUE + _FALSE:
            raise BadValueError("is neither true nor false")
        return said in _TRUE

    def of_json(self, data: Any) -> Any:
        if not isinstance(data, bool):
            raise BadValueError("is neither true nor false")
        return data


class _Duration(_Kind):
    def of_text(self, text: str) -> Any:
        try:
            return datetime.timedelta(seconds=protocol.seconds(text.strip()))
        except (InvalidValueError, OverflowError, ValueError):
            raise BadValueError("is no duration such as 10s or 1m30s") from None


class _Choice(_Kind):
    """Members of an Enum, or the values of a Literal, by the texts that stand for them."""

    def __init__(self, choices: list[tuple[Any, Any]], names: Mapping[str, Any]) -> None:
        # choices: what stands in Consul, and what it becomes.
        self._choices, self._names = choices, dict(names)

    def of_text(self, text: str) -> Any:
        said = text.strip()
        for raw, value in self._choices:
            if said == (str(raw).lower() if isinstance(raw, bool) else str(raw)):
                return value
        return self._named(said)

    def of_json(self, data: Any) -> Any:
        for raw, value in self._choices:
            if type(data) is type(raw) and data == raw:
                return value
        return self._named(data)

    def _named(self, said: Any) -> Any:
        if isinstance(said, str) and said in self._names:
            return self._names[said]
        raise BadValueError(f"is none of {', '.join(str(raw) for raw, _value in self._choices)}")


class _Optional(_Kind):
    optional = True

    def __init__(self, inner: _Kind) -> None:
        self.inner = inner

    def of_text(self, text: str) -> Any:
        return None if not text and not isinstance(self.inner, (_Text, _Bytes)) else self.inner.of_text(text)

    def of_json(self, data: Any) -> Any:
        return None if data is None else self.inner.of_json(data)

    def of_bytes(self, content: bytes) -> Any:
        return None if not content and not isinstance(self.inner, (_Text, _Bytes)) else self.inner.of_bytes(content)


class _Structured(_Kind):
    """What stands in JSON only."""

    def of_text(self, text: str) -> Any:
        try:
            data = json.loads(text, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            raise BadValueError(f"is no JSON (line {error.lineno}, column {error.colno})") from None
        except (ValueError, RecursionError):
            raise BadValueError("is no JSON") from None
        return self.of_json(data)


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


class _Sequence(_Structured):
    """items: a kind for each element, or one for all."""

    def __init__(self, make: Callable[[list[Any]], Any], items: list[_Kind], any_length: bool) -> None:
        self._make, self._items, self._any_length = make, items, any_length

    def of_json(self, data: Any) -> Any:
        if not isinstance(data, list):
            raise BadValueError("is no list")
        if not self._any_length and len(data) != len(self._items):
            raise BadValueError(f"has {len(data)} elements instead of {len(self._items)}")
        kinds = self._items * len(data) if self._any_length else self._items
        made = [_inside(f"[{position}]", kind, one) for position, (kind, one) in enumerate(zip(kinds, data))]
        try:
            return self._make(made)
        except TypeError:
            raise BadValueError("has an element that can't be in a set") from None


class _Mapping(_Structured):
    def __init__(self, kind: _Kind) -> None:
        self._kind = kind

    def of_json(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise BadValueError("is no JSON object")
        # The names may be secrets as the values are, so that only the place is told.
        return {name: _inside(f"(value {number})", self._kind, one) for number, (name, one) in enumerate(data.items(), 1)}


class _Dataclass(_Structured):
    """A dataclass, from a JSON object, or from the keys of a folder."""

    def __init__(self, cls: type[Any], kinds: Mapping[str, _Kind]) -> None:
        self._cls, self.kinds = cls, kinds
        self._fields = [one for one in dataclasses.fields(cls) if one.init]

    def of_json(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise BadValueError("is no JSON object")
        values: dict[str, Any] = {}
        for one in self._fields:
            if one.name in data:
                values[one.name] = _inside(f".{one.name}", self.kinds[one.name], data[one.name])
            elif _is_required(one):
                if not self.kinds[one.name].optional:
                    raise BadValueError(f".{one.name} is missing")
                values[one.name] = None
        return self._made(values, [text for text in data.values() if isinstance(text, str)])

    def of_folder(self, folder: _Folder, prefix: str) -> Any:
        """The value from the keys of a folder; `_MISSING` when one is not right, which the folder then knows."""
        values: dict[str, Any] = {}
        for one in self._fields:
            found = self._field(folder, f"{prefix}{one.name}", one)
            if found is not _MISSING:
                values[one.name] = found
        if folder.is_bad(prefix):
            return _MISSING
        try:
            return self._made(values, folder.texts())
        except BadValueError as error:
            folder.report(prefix.rstrip("/"), str(error))
            return _MISSING

    def _field(self, folder: _Folder, key: str, one: dataclasses.Field[Any]) -> Any:
        """The value of a field; `_MISSING` where it has its default, or is not right."""
        kind = self.kinds[one.name]
        inner = kind.inner if isinstance(kind, _Optional) else kind
        content = folder.take(key)
        if isinstance(inner, _Dataclass) and folder.has_below(f"{key}/"):
            if content is None:
                return inner.of_folder(folder, f"{key}/")
            folder.report(key, "is a key and a folder at the same time")
            return _MISSING
        if content is not None:
            return folder.read(key, kind, content)
        if not _is_required(one):
            return _MISSING
        if kind.optional:
            return None
        if isinstance(inner, _Dataclass):
            # All of its fields may have defaults; if not, they are what is missing.
            return inner.of_folder(folder, f"{key}/")
        folder.report(key, "is missing")
        return _MISSING

    def _made(self, values: Mapping[str, Any], texts: list[str]) -> Any:
        """The dataclass's own judgement: by making it, and by its `validate`."""
        try:
            made = self._cls(**values)
            judge = getattr(made, "validate", None)
            if callable(judge):
                judge()
        except Exception as error:
            raise BadValueError(_words(error, texts)) from None
        return made


class _Own(_Kind):
    """A converter of the app's own."""

    def __init__(self, convert: Callable[[str], Any]) -> None:
        self._convert = convert

    def of_text(self, text: str) -> Any:
        try:
            return self._convert(text)
        except Exception as error:
            raise BadValueError(_words(error, [text])) from None


class _Folder:
    """The keys below a folder while they are read: which were used, and what is wrong with them."""

    def __init__(self, found: Mapping[str, bytes]) -> None:
        # A folder that somebody made as such is a key without a value that ends with a slash.
        self._found = {name: content for name, content in found.items() if not (name == "" or name.endswith("/")) or content}
        self._used: set[str] = set()
        self.problems: dict[str, str] = {}

    def take(self, key: str) -> bytes | None:
        self._used.add(key)
        return self._found.get(key)

    def has_below(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for name in self._found)

    def read(self, key: str, kind: _Kind, content: bytes) -> Any:
        try:
            return kind.of_bytes(content)
        except BadValueError as error:
            self.report(key, str(error))
            return _MISSING

    def report(self, key: str, problem: str) -> None:
        self.problems[key] = problem

    def is_bad(self, prefix: str) -> bool:
        return any(name.startswith(prefix) or name == prefix.rstrip("/") for name in self.problems)

    def report_unused(self) -> None:
        for name in sorted(set(self._found) - self._used):
            self.report(name, "is none of the settings")

    def texts(self) -> list[str]:
        return [content.decode("utf-8", "replace") for content in self._found.values()]


class Reader:
    """Reads values of one shape. name: of the shape, for a person."""

    name = "mapping"

    def read(self, found: Mapping[str, bytes], strict: bool) -> tuple[Any, dict[str, str]]:
        """The value of the keys *found* (names in the folder, and contents), and what is wrong, by name.

        Nothing counts of a value with which something is wrong. strict: a key that belongs to no field is wrong.
        """
        folder = _Folder(found)
        value = self._read(folder)
        if strict:
            folder.report_unused()
        return value, folder.problems

    def _read(self, folder: _Folder) -> Any:
        raise NotImplementedError


class _DataclassReader(Reader):
    def __init__(self, kind: _Dataclass, name: str) -> None:
        self._kind, self.name = kind, name

    def _read(self, folder: _Folder) -> Any:
        return self._kind.of_folder(folder, "")


class _MappingReader(Reader):
    """names: for each key its kind and its default, which may be `_MISSING`."""

    def __init__(self, names: Mapping[str, tuple[_Kind, Any]]) -> None:
        self._names = names

    def _read(self, folder: _Folder) -> Any:
        values: dict[str, Any] = {}
        for key, (kind, default) in self._names.items():
            content = folder.take(key)
            if content is not None:
                values[key] = folder.read(key, kind, content)
            elif default is not _MISSING or kind.optional:
                values[key] = None if default is _MISSING else default
            else:
                folder.report(key, "is missing")
        return types.MappingProxyType(values)


def reader(shape: Any) -> Reader:
    """The reader for a dataclass, or for a mapping of names to types, converters, or pairs of one and a default.

    Raises `InvalidValueError`, which names what can't be read.
    """
    if isinstance(shape, type) and dataclasses.is_dataclass(shape):
        kind = _dataclass(shape, shape.__name__, ())
        return _DataclassReader(kind, shape.__name__)
    if not isinstance(shape, Mapping) or not shape:
        raise InvalidValueError(f"shape: {arguments.shown(shape)} is neither a dataclass nor a mapping of names to converters")
    names: dict[str, tuple[_Kind, Any]] = {}
    for name, given in shape.items():
        keys.path(name, "shape")
        if isinstance(given, tuple) and len(given) != 2:
            raise InvalidValueError(f"shape: {name!r} has a tuple that is no pair of a converter and a default")
        convert, default = given if isinstance(given, tuple) else (given, _MISSING)
        names[name] = (_kind_or_own(convert, repr(name)), default)
    return _MappingReader(names)


def _kind_or_own(given: Any, where: str) -> _Kind:
    try:
        return _kind(given, where, ())
    except InvalidValueError:
        if callable(given) and typing.get_origin(given) is None:
            return _Own(given)
        raise


_SIMPLE: dict[Any, Callable[[], _Kind]] = {
    str: _Text,
    bytes: _Bytes,
    int: _Integer,
    float: _Float,
    bool: _Boolean,
    datetime.timedelta: _Duration,
    Any: _Any,
}
_SEQUENCES: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: tuple,
    collections.abc.Iterable: tuple,
    collections.abc.Collection: tuple,
}
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_NONE = type(None)
# `X | None`, from Python 3.10 on.
_UNIONS: tuple[Any, ...] = (Union, getattr(types, "UnionType", Union))


def _kind(annotation: Any, where: str, above: tuple[type[Any], ...]) -> _Kind:
    """The kind of a type. where: what has that type, for messages. above: the dataclasses around it."""
    if isinstance(annotation, collections.abc.Hashable) and annotation in _SIMPLE:
        return _SIMPLE[annotation]()
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _Choice([(member.value, member) for member in annotation], annotation.__members__)
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return _dataclass(annotation, where, above)
    origin, given = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    # Python 3.8 shows the type variables of a bare `List`.
    given = () if any(isinstance(one, typing.TypeVar) for one in given) else given
    if origin in _UNIONS and _NONE in given and len(given) == 2:
        return _Optional(_kind(next(one for one in given if one is not _NONE), where, above))
    if origin is typing.Literal:
        return _Choice([(value, value) for value in given], {})
    if origin is tuple:
        any_length = not given or (len(given) == 2 and given[1] is Ellipsis)
        items = given[:1] if any_length else given
        return _Sequence(tuple, [_kind(one, where, above) for one in items or (Any,)], any_length)
    if isinstance(origin, collections.abc.Hashable) and origin in _SEQUENCES:
        return _Sequence(_SEQUENCES[origin], [_kind(given[0] if given else Any, where, above)], True)
    if origin in _MAPPINGS and (not given or given[0] is str):
        return _Mapping(_kind(given[1] if given else Any, where, above))
    raise InvalidValueError(f"shape: {where} has the type {arguments.shown(annotation)}, which can't be read from keys")


def _dataclass(cls: type[Any], where: str, above: tuple[type[Any], ...]) -> _Dataclass:
    if cls in above:
        raise InvalidValueError(f"shape: {where} has the type {cls.__name__}, which holds itself")
    try:
        hints = typing.get_type_hints(cls)
    except Exception as error:
        raise InvalidValueError(
            f"shape: the types of {cls.__name__}'s fields can't be understood: {protocol.excerpt(str(error), 200)}",
            advice="Before Python 3.10 write Optional[X] for X | None, before 3.9 List[X] for list[X]",
        ) from None
    kinds = {}
    for one in dataclasses.fields(cls):
        if one.init:
            keys.path(one.name, "shape")
            kinds[one.name] = _kind(hints[one.name], f"{cls.__name__}.{one.name}", (*above, cls))
    return _Dataclass(cls, kinds)


def _is_required(one: dataclasses.Field[Any]) -> bool:
    return one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING


def _inside(place: str, kind: _Kind, data: Any) -> Any:
    try:
        return kind.of_json(data)
    except BadValueError as error:
        said = str(error)
        raise BadValueError(f"{place}{said}" if said.startswith((".", "[", "(")) else f"{place} {said}") from None


def _words(error: Exception, texts: list[str]) -> str:
    """What an exception of the app says, on one line, without the values."""
    said = str(error) or type(error).__name__
    for text in sorted((text for text in texts if len(text) >= _SECRET_LENGTH), key=len, reverse=True):
        said = said.replace(text, "(value)")
    return protocol.excerpt(said, 200)
