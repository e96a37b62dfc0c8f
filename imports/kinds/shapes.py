"""Shapes: converting JSON objects into rows, with nothing lost. Any kind may use them.

Values without a column are returned as the rest of the object, in their original structure; the
rest of an array is an object with positions as names. Only empty values are left out: null, and
arrays and objects without content.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from imports.errors import RecordError
from imports.source.cleaning import (
    Tally,
    clean_date,
    clean_text,
    clean_timestamp,
    is_blank,
    json_type,
)
from imports.tables.table import Table, TableGroup

Convert = Callable[[Any, Tally], object]
Slots = dict[str, "tuple[int, Convert | None, Slots | None]"]
"""The slots of an object: for each name, an index in the row and a conversion of the value.

Without a conversion, the value is taken unchanged, or it is an object with slots of its own.
"""

Rows = list[tuple[int, tuple[object, ...]]]
"""Rows as (index of the table, values)."""

Rest = dict[str, Any]


class Shape(NamedTuple):
    """How to convert an object into a row of a table; the key columns precede these columns."""

    table: int
    slots: Slots
    blank: list[Any]


Add = Callable[[Shape, tuple[object, ...], Any, str, Rows, Tally], "Rest | None"]
"""`single`, `listed` or `named`: adds the rows of a value and returns its rest.

Takes a shape, the first key columns of the rows, the value, its path, the rows to extend, and the
tally.
"""


def shape_of(group: TableGroup, table: Table, names: dict[str, Any]) -> Shape:
    """The shape of a table whose columns have the same names as the values in the input.

    `names` has the exceptions: it maps a name in the input to a column, or to such a mapping for an
    inner object.
    """
    values = [column for column in table.columns if column.name not in table.key]
    own: Slots = {
        column.name: (index, _CONVERT[column.type], None) for index, column in enumerate(values)
    }

    def renamed(names: dict[str, Any]) -> Slots:
        return {
            name: own.pop(target) if isinstance(target, str) else (0, None, renamed(target))
            for name, target in names.items()
        }

    others = renamed(names)
    return Shape(group.tables.index(table), own | others, [None] * len(values))


def scratch(*fields: str) -> tuple[Slots, list[Any]]:
    """Slots, and an empty row, for values that do not go into a single table: `name type` for each.

    `object.name type` is a value in an inner object; `jsonb` is taken unchanged.
    """
    slots: Slots = {}
    for index, field in enumerate(fields):
        name, type_ = field.split(" ", 1)
        holder, _, inner = name.rpartition(".")
        inside = slots.setdefault(holder, (0, None, {}))[2] if holder else slots
        if inside is not None:
            inside[inner] = (index, _CONVERT[type_], None)
    return slots, [None] * len(fields)


def fill(row: list[Any], slots: Slots, value: Any, place: str, tally: Tally) -> Rest | None:
    """Puts the values of an object into their slots of a row. Returns its rest.

    Raises:
        RecordError: if it is not an object, or a value has the wrong type for its slot.
    """
    if type(value) is not dict:
        raise RecordError(f"{place} is {json_type(value)}, not an object")
    rest: Rest | None = None
    for name, each in value.items():
        if each is None:
            continue
        slot = slots.get(name)
        left = each
        if slot is None:
            if is_empty(each):
                continue
        else:
            index, convert, inside = slot
            if convert is not None:
                try:
                    row[index] = found = convert(each, tally)
                except ValueError as error:
                    raise RecordError(f"{place}.{name}: {error}") from error
                # If the column does not have the exact value, the rest has it: an unreadable date
                # ("2018") becomes NULL, a number with too many digits is rounded.
                if type(found) is float:
                    if type(each) is float or _keeps(found, each):
                        continue
                elif found is not None or is_blank(each):
                    continue
            elif inside is None:
                row[index] = each
                continue
            else:
                left = fill(row, inside, each, f"{place}.{name}", tally)
                if left is None:
                    continue
        if rest is None:
            rest = {}
        rest[name] = left
    return rest


def single(
    shape: Shape, key: tuple[object, ...], value: Any, place: str, rows: Rows, tally: Tally
) -> Rest | None:
    """Adds the row of an object, unless all its columns are NULL."""
    row = shape.blank.copy()
    rest = fill(row, shape.slots, value, place, tally)
    if row != shape.blank:
        rows.append((shape.table, (*key, *row)))
    return rest


def listed(
    shape: Shape, key: tuple[object, ...], value: Any, place: str, rows: Rows, tally: Tally
) -> Rest | None:
    """Adds a row for each object of an array, with its position, unless all columns are NULL."""
    if type(value) is not list:
        raise RecordError(f"{place} is {json_type(value)}, not an array")
    table, slots, blank = shape
    rest: Rest | None = None
    for position, each in enumerate(value):
        if each is None:
            continue
        row = blank.copy()
        left = fill(row, slots, each, f"{place}[{position}]", tally)
        if row != blank:
            rows.append((table, (*key, position, *row)))
        if left is not None:
            rest = rest or {}
            rest[str(position)] = left
    return rest


def named(
    shape: Shape, key: tuple[object, ...], value: Any, place: str, rows: Rows, tally: Tally
) -> Rest | None:
    """The same for an object of objects; the first column of the shape gets their names."""
    if type(value) is not dict:
        raise RecordError(f"{place} is {json_type(value)}, not an object")
    rest: Rest | None = None
    for position, (name, each) in enumerate(value.items()):
        if each is None:
            continue
        row = shape.blank.copy()
        left = fill(row, shape.slots, each, f"{place}.{name}", tally)
        if row != shape.blank:
            row[0] = clean_text(name, tally)
            rows.append((shape.table, (*key, position, *row)))
        if left is not None:
            rest = rest or {}
            rest[name] = left
    return rest


def is_empty(value: Any) -> bool:
    """Whether a value is null, or an array or object that contains only such values."""
    # Not recursive: the nesting may exceed Python's limit of calls.
    pending = [value]
    while pending:
        each = pending.pop()
        if type(each) is dict:
            pending.extend(each.values())
        elif type(each) is list:
            pending.extend(each)
        elif each is not None:
            return False
    return True


def joined(rest: Rest | None, more: Rest | None) -> Rest | None:
    """Two rests as one."""
    if more is None:
        return rest
    return {**rest, **more} if rest is not None else more


def _as_date(value: Any, tally: Tally) -> date | None:
    if isinstance(value, (dict, list, bool)):
        raise ValueError(f"expected a date, found {json_type(value)}")
    return clean_date(value, tally)


def _as_timestamp(value: Any, tally: Tally) -> datetime | None:
    if isinstance(value, (dict, list, bool)):
        raise ValueError(f"expected a date, found {json_type(value)}")
    return clean_timestamp(value, tally)


def _as_boolean(value: Any, tally: Tally) -> bool | None:
    if isinstance(value, bool):
        return value
    if _is_counted_blank(value, tally):
        return None
    raise ValueError(f"expected a boolean, found {_shown(value)}")


def _as_integer(value: Any, tally: Tally) -> int | None:
    if type(value) is int and -0x8000_0000 <= value <= 0x7FFF_FFFF:
        return value
    return _whole(value, 31, tally)


def _as_bigint(value: Any, tally: Tally) -> int | None:
    return _whole(value, 63, tally)


def _whole(value: Any, bits: int, tally: Tally) -> int | None:
    number = value
    if isinstance(value, str):
        if _is_counted_blank(value, tally):
            return None
        text = value.strip()
        if _WHOLE.fullmatch(text):
            number = int(text)
        elif _NUMBER.fullmatch(text):
            number = float(text)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    elif isinstance(number, Decimal) and number == number.to_integral_value():
        raise ValueError("the number is too large")  # an int, if it had 64 bits
    if not isinstance(number, int) or isinstance(number, bool):
        raise ValueError(f"expected a whole number, found {_shown(value)}")
    if not -(1 << bits) <= number < 1 << bits:
        raise ValueError("the number is too large")
    return number


def _as_number(value: Any, tally: Tally) -> float | None:
    number = value
    if isinstance(value, str):
        if _is_counted_blank(value, tally):
            return None
        text = value.strip()
        number = float(text) if _NUMBER.fullmatch(text) else None
    if isinstance(number, bool) or not isinstance(number, (int, float, Decimal)):
        raise ValueError(f"expected a number, found {_shown(value)}")
    try:
        found = float(number)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise ValueError("the number is too large")
    return found


def _keeps(found: float, value: Any) -> bool:
    """Whether a double has all digits of the number, or string, that it was converted from."""
    return Decimal(repr(found)) == Decimal(value.strip() if type(value) is str else value)


def _as_text_array(value: Any, tally: Tally) -> list[str | None]:
    if not isinstance(value, list):
        raise ValueError(f"expected an array, found {json_type(value)}")
    return [clean_text(each, tally) for each in value]


_WHOLE = re.compile(r"[+-]?\d{1,40}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)

_CONVERT: dict[str, Convert | None] = {
    "text": clean_text,
    "date": _as_date,
    "timestamptz": _as_timestamp,
    "boolean": _as_boolean,
    "integer": _as_integer,
    "bigint": _as_bigint,
    "double precision": _as_number,
    "text[]": _as_text_array,
    "jsonb": None,
}


def _is_counted_blank(value: Any, tally: Tally) -> bool:
    """Whether a value is a string that means "no value", such as "N/A", which is then counted."""
    if not is_blank(value):
        return False
    if text := value.strip():
        tally[text] += 1
    return True


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f"the string {value[:40]!r}"
    return repr(value) if isinstance(value, float) else json_type(value)
