"""Parents: a kind whose rows all refer to others needs some of these, before its source is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imports.backends.reading import page
from imports.errors import NoParentsError

if TYPE_CHECKING:
    from imports.run.session import RunSession


def check_parents(session: RunSession) -> None:
    """Checks that the tables that rows refer to have rows, if the kind cannot do without.

    Raises:
        NoParentsError: if one is empty: every record would be left out.
    """
    needs = session.kind.wording.needs
    if needs is None:
        return
    for table in session.kind.group.tables:
        for parent in table.parents:
            if not session.ask(page, session.target.database, table.of_parent(parent), limit=1):
                raise NoParentsError(
                    f"The table {parent.table} of the target is empty, so that nothing can be"
                    f" imported: each row refers to one of its rows. {needs}"
                )
