"""Reading and writing JSON with all digits of its numbers.

`orjson` keeps whole numbers of 64 bits, and doubles. Any other number is a `Decimal` in our values.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from imports.errors import RecordError

if TYPE_CHECKING:
    from decimal import Decimal

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

MAX_DEPTH = 250
"""The most levels of nested arrays and objects in a document.

orjson writes at most 254, and a row adds a few levels around a value.
"""

_LEAST_INTEGER, _INTEGER_END = -(2**63), 2**64
_LONGEST_INTEGER = 20

# A double keeps any number of 15 digits, unless its exponent is far from zero.
_SHAPES = bytes.maketrans(b"123456789.E+", b"0000000000e-")
_MANY_DIGITS = b"0" * 16
_LONG_NUMBER = re.compile(rb"(?<=[:,\[\s])-?0{16,}(?:e-?0+)?(?=[,\]}\s])")
_LONG_EXPONENT = re.compile(rb"0e-?0{3,}[,\]}\s]")


def as_json(value: object, option: int = 0) -> bytes:
    """A value as JSON; a Decimal is written with all its digits.

    Raises:
        RecordError: if it cannot be written.
    """
    # On demand: the command line loads the kinds, and `--help` writes nothing.
    import orjson

    try:
        return orjson.dumps(value, _written, option)
    except orjson.JSONEncodeError as error:
        raise RecordError(f"cannot be written as JSON again: {error}") from error


def _written(value: object) -> object:
    from decimal import Decimal

    import orjson

    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(f"Type is not JSON serializable: {type(value).__name__}")


def may_be_rounded(content: bytes, *, by_doubles: bool) -> bool:
    """Whether a JSON text may contain a number that orjson (or a double, `by_doubles`) rounds.

    May be true without need: for a number inside a string, and for any long exponent.
    """
    shape = content.translate(_SHAPES)
    for exponent in (b"0e000", b"0e-000"):
        place = shape.find(exponent)
        while place >= 0:
            if _LONG_EXPONENT.match(shape, place):
                return True
            place = shape.find(exponent, place + len(exponent))
    place = shape.find(_MANY_DIGITS)
    while place >= 0:
        start = place - (shape[place - 1 : place] == b"-")
        number = _LONG_NUMBER.match(shape, start)
        if number and _is_rounded(content[slice(*number.span())].decode(), by_doubles):
            return True
        place = shape.find(_MANY_DIGITS, place + len(_MANY_DIGITS))
    return False


def _is_rounded(number: str, by_doubles: bool) -> bool:
    from decimal import Decimal, InvalidOperation

    if not by_doubles and len(number) <= _LONGEST_INTEGER and number.lstrip("-").isdigit():
        return not _LEAST_INTEGER <= int(number) < _INTEGER_END
    try:
        return isinstance(exact_number(Decimal(number)), Decimal)
    except InvalidOperation:  # not a number: digits and points inside a string
        return False


def exact_number(number: int | Decimal) -> int | float | Decimal:
    """The number as orjson represents it if that is exact, else a Decimal."""
    from decimal import Decimal

    if type(number) is int:
        if _LEAST_INTEGER <= number < _INTEGER_END:
            return number
        number = Decimal(number)
    nearest = float(number)
    return nearest if Decimal(repr(nearest)) == number else Decimal(number)


def parse_answer(content: str | bytes) -> Any:
    """The JSON answer of a database as a value, with all digits of its numbers.

    Raises:
        ValueError: if it is not JSON.
    """
    import orjson

    encoded = content.encode() if isinstance(content, str) else content
    if not may_be_rounded(encoded, by_doubles=False):
        return orjson.loads(encoded)
    import json
    from decimal import Decimal

    def parsed(text: str) -> int | float | Decimal:
        return exact_number(Decimal(text))

    # jsonb writes whole numbers of any length, and Python reads only so many digits as an int.
    return json.loads(
        encoded,
        parse_int=lambda text: int(text) if len(text) < 19 else parsed(text),
        parse_float=parsed,
    )
