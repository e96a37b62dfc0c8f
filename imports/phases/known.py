"""Known items: those whose rows the target has are skipped, whoever imported them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imports.backends.database import indivisible
from imports.backends.reading import page

if TYPE_CHECKING:
    from imports.run.session import RunSession

_PAGE = 1_000


def skip_known(session: RunSession) -> None:
    """Skips the listed items whose rows the target has, if the kind knows the key of an item.

    Their files are not read. With `--force`, or for a single item, nothing is skipped.

    Raises:
        BackendUnavailableError: if the target does not answer.
    """
    key_of = session.kind.key_of
    if key_of is None or session.settings.force or session.single_item is not None:
        return
    table = session.kind.group.tables[0]
    (column,) = table.row_key
    run = session.run_values()
    of_run = {each.name: [run[each.name]] for each in table.run_key}
    for items in session.known.candidates(_PAGE):
        keys = {item_id: key_of(path) for item_id, path in items}
        wanted = {key for key in keys.values() if key is not None}
        with indivisible():
            rows = session.ask(
                page,
                session.target.database,
                table,
                limit=len(wanted),
                where={**of_run, column.name: [*wanted]},
                columns=(column.name,),
            )
        stored = {row[column.name] for row in rows}
        session.known.record(
            [item_id for item_id, key in keys.items() if key in stored],
            [item_id for item_id, key in keys.items() if key not in stored],
        )
        session.raise_if_stopping()
