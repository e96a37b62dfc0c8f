"""Sources of the kind `people`."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.soak.tree import Maker, exact, with_digits
from tests.support import people

_LARGE_BYTES = 8 * 1024 * 1024


class Persons(Maker):
    """Pages of persons, which are gone when they are in, unless the source is kept."""

    def good(self) -> None:
        """A page of some persons."""
        self.page(f"{self.number() % 3}/page_{self.count:04}.json")

    def page(
        self, path: str, *bad: str, reason: str = "", persons: int | None = None, headline: str = ""
    ) -> None:
        """Writes a page, and what its rows must be; `bad` are records as text, which fail."""
        records: list[object] = []
        digits = self.digits()
        rest = exact(with_digits({"profile_data": {"profile_extra": "#0"}}, digits))
        if persons is None:
            persons = self.chance.choice([0, 1, 3, 8])
        for each in range(persons):
            name = f"p-{path}-{each}"
            job = people.job(f"c-{self.chance.randint(1, 9)}", summary=self.text())
            text = headline or self.text()
            records.append(people.person(name, job, extra="#0", headline=text))
            self.tree.rows[name,] = {"rest": rest}
        parts = [with_digits(each, digits) for each in records]
        for each in bad:
            # As text, since a dict cannot have what is wrong with it.
            parts.insert(self.chance.randint(0, len(parts)), each)
        content = f'{{"query": {{}}, "counts": {{}}, "results": [{", ".join(parts)}]}}'
        self.tree.write(path, content.encode(), consumed=True)
        if bad:
            self.tree.fails[path] = reason

    def moved(self, path: str, content: bytes, reason: str) -> None:
        """Adds a file that fails as a whole, and is moved away."""
        self.tree.write(path, content, consumed=True)
        self.tree.fails[path] = reason

    def hostile(self) -> list[Callable[[], None]]:
        """Files that fail in whole or in part, files that are none of ours, and unusual ones."""

        def bad_page(record: str, reason: str) -> Callable[[], None]:
            return lambda: self.page(f"bad/page_{self.number()}.json", record, reason=reason)

        def of(profile: str) -> str:
            return f'{{"profile_data": {{"profile_id": "bad", {profile}}}}}'

        return [
            bad_page("{}", "profile_data is missing"),
            bad_page('"text"', "not an object"),
            bad_page(of('"headline": "\\ud83d"'), "surrogate"),
            bad_page(of('"x": {"a": 1, "a": 2}'), "profile_data.x.a occurs twice"),
            bad_page(of('"x": 1e200000'), "PostgreSQL cannot store"),
            bad_page(of(f'"x": {"9" * 4_301}'), "number that is too large"),
            bad_page(of(f'"x": {"[" * 300}{"]" * 300}'), "250"),
            bad_page(of('"profile_last_modified_date": "soon"'), "cannot be read as a date"),
            lambda: self.moved("bad/half.json", people.BROKEN, ""),
            lambda: self.fails("bad/package.json", b'{"name": "not a page"}', "results"),
            lambda: self.fails("bad/capital.json", b'{"Results": []}', "results"),
            lambda: self.fails("bad/\x1b[31mred\n.json", b"{}", "results"),
            lambda: self.tree.write(".hidden/page.json", people.page()) and None,
            lambda: self.tree.write("junk/._page.json", b"\0") and None,
            lambda: self.link("loop", "."),
            self.link_out,
            self.linked_folder,
            self.large,
            self.large_and_cut_off,
            self.undated_alone,
            self.undated_against_dated,
            self.older_and_newer,
        ]

    def link_out(self) -> None:
        """A link to what nobody said may be read."""
        content = people.page(people.person("OUTSIDE"))
        self.link("bad/out.json", self.outside("people.json", content), "leads out")

    def linked_folder(self) -> None:
        """Files are deleted only in the source itself."""
        people.write(self.beside(), "day/a.json", people.page(people.person("LINKED")))
        self.link("linked", "../disk2/day", "is a link")

    def large(self) -> None:
        """A file that is imported in pieces, with flawed records in it."""
        persons = self.chance.choice([400, 2_500])
        size = 1 + _LARGE_BYTES // persons
        bad = ['{"profile_data": {"profile_id": "L", "headline": "\\ud83d"}}', "{}"]
        flawed = self.chance.choice([[], bad])
        path = "large/page.json"
        self.page(path, *flawed, reason="and 1 more", persons=persons, headline="h" * size)

    def large_and_cut_off(self) -> None:
        """What stands before its end is in, and it is moved away."""
        text = json.dumps(
            [people.person(f"cut-{each}", headline="h" * 9_000) for each in range(999)]
        )
        for each in range(999):
            self.tree.rows[f"cut-{each}",] = {"rest": {}}
        self.moved("large/cut.json", f'{{"results": {text[:-1]}, {{"profile_data": {{'.encode(), "")

    def older_and_newer(self) -> None:
        """The later one stays, whatever the order, in whatever form its time is written."""
        timestamps = ["2025-02-01 10:00:00", "2025-02-01T12:00:01+02:00", "2025-02-01 10:00:02 UTC"]
        places = self.chance.sample(range(9), 3)
        for place, modified in zip(places, timestamps, strict=True):
            record = people.person("ordered", modified=modified, extra=modified)
            self.tree.write(f"order/{place}.json", people.page(record), consumed=True)
        self.tree.rows["ordered",] = {"rest": {"profile_data": {"profile_extra": timestamps[2]}}}
        self.tree.updates = True

    def undated_alone(self) -> None:
        """It goes in."""
        record = people.person("undated-alone", modified=None)
        self.tree.rows["undated-alone",] = {"rest": {}}
        self.tree.write("undated/alone.json", people.page(record), consumed=True)

    def undated_against_dated(self) -> None:
        """Nobody can say which is newer; the one with a date goes in first."""
        with_date = people.person("undated", headline="with a date")
        without = people.person("undated", modified=None, headline="without")
        self.tree.write("undated/b.json", people.page(with_date), consumed=True)
        self.moved("undated/a.json", people.page(without), "unknown which is newer")
        self.tree.rows["undated",] = {"rest": {}}
