"""Warnings about values of menus and receipts that are imported.

The function `importer_derive_recognitions` in the migration derives the rows. These warnings say
which values it leaves out or assumes, by the same rules.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from imports.source.cleaning import Tally, json_type, shortened
from imports.source.json_text import as_json

_PRICE = re.compile(r"[+-]?\d{1,20}(?:[.,]\d{1,20})?", re.ASCII)
_COUNT = re.compile(r"\s*\d{1,9}\s*", re.ASCII)
_LARGEST_PRICE = 99_999_999.995
_MOST_TOLD = 20


def entries_of(document: Any) -> list[Any]:
    """The dishes of a menu, or the lines of a receipt: a list, or one under the name `Dishes`."""
    if isinstance(document, dict):
        document = document.get("Dishes")
    return document if isinstance(document, list) else []


def warnings_of(menu: Any, receipt: Any, tally: Tally) -> list[str]:
    """The warnings about a menu and a receipt; invalid prices are counted in `tally`."""
    codes: Counter[str] = Counter()
    found = [*_menu_warnings(menu, codes, tally), *_receipt_warnings(receipt, set(codes))]
    if len(found) > _MOST_TOLD:
        left = len(found) - _MOST_TOLD
        found = [*found[:_MOST_TOLD], f"{left:,} more values of menu and receipt are off"]
    return found


def _menu_warnings(menu: Any, codes: Counter[str], tally: Tally) -> Iterator[str]:
    for number, entry in enumerate(entries_of(menu), 1):
        if not isinstance(entry, dict):
            yield f"entry {number} of the menu is left out: it is {json_type(entry)}"
            continue
        code, name = _code(entry.get("ExternalId")), entry.get("Name")
        if code is None or not isinstance(name, str) or not name:
            lacking = "ExternalId" if code is None else "Name"
            yield f"entry {number} of the menu is left out: it has no {lacking}"
            continue
        codes[code] += 1
        price = entry.get("Price")
        if price is not None and not _is_price(price):
            tally[shortened(_text(price))] += 1
    for code, times in codes.items():
        if times > 1:
            yield f"{shortened(code)} is {times} times in the menu: the last one counts"


def _receipt_warnings(receipt: Any, codes: set[str]) -> Iterator[str]:
    each_is_a_dish = isinstance(receipt, dict)
    for number, line in enumerate(entries_of(receipt), 1):
        if not isinstance(line, dict):
            yield f"line {number} of the receipt is {json_type(line)}: it has no dish"
            continue
        if not _COUNT.fullmatch(_text(line.get("Count"))):
            yield f"line {number} of the receipt has no Count that is a whole number: 1 is taken"
        dishes = [line] if each_is_a_dish else entries_of(line)
        dishes = [dish for dish in dishes if isinstance(dish, dict)]
        if not dishes:
            yield f"line {number} of the receipt has no dish"
        for dish in dishes:
            code = _code(dish.get("ExternalId"))
            if code is None:
                yield f"a dish in line {number} of the receipt has no ExternalId"
            elif code not in codes:
                yield f"{shortened(code)} in line {number} of the receipt is not in the menu"


def _code(value: Any) -> str | None:
    """A code as text; None if there is none."""
    if isinstance(value, str):
        return value or None
    if value is None or isinstance(value, (bool, list, dict)):
        return None
    return _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else as_json(value).decode()


def _is_price(value: Any) -> bool:
    return not isinstance(value, (bool, list, dict)) and _says_price(_text(value))


@lru_cache(maxsize=1_000)
def _says_price(text: str) -> bool:
    # Cached: the menus of a day have the same prices.
    text = text.strip(" \t\r\n")
    if not _PRICE.fullmatch(text):
        return False
    return abs(float(text.replace(",", "."))) < _LARGEST_PRICE
