"""A kind whose rows are guarded, have parents, lie in two tables, and have others derived of them.

A file has orders: `{"orders": [{"number": 1, "customer": 5, "total": 10, "note": "…"}]}`. An order
refers to a customer, whom no file brings. It goes into two tables, if it has a note. The orders of
a customer are summed up in a table that is derived.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imports.items.images import Image
from imports.items.source import Signature, Source
from imports.kinds.kind import ItemPlan, Kind, KindAggregate, KindRecord
from imports.kinds.states import items_in, sign
from imports.kinds.wording import WORDINGS
from imports.source.cleaning import Tally
from imports.source.image_finder import ImageFinder
from imports.source.json_file import read_object
from imports.tables.table import Column, Derivation, Parent, Replace, Table, TableGroup

ORDERS = Table(
    name="small_orders",
    columns=(
        Column("number", "bigint", nullable=False),
        Column("customer", "bigint"),
        Column("total", "integer"),
    ),
    key=("dataset_id", "number"),
    on_conflict=Replace(),
    guard="stored.edited is not null and stored.edited not like '%  by a robot'",
    parents=(Parent(("dataset_id", "customer"), "public.small_customers", ("dataset_id", "id")),),
)
NOTES = Table(
    name="small_notes",
    columns=(Column("number", "bigint", nullable=False), Column("note", "text")),
    key=("number",),
    on_conflict=Replace(),
    run_columns=(),
    id_type=None,
    stamped=False,
    parents=(Parent(("number",), "public.small_orders", ("number",)),),
)
GROUP = TableGroup(
    "small_orders",
    (ORDERS, NOTES),
    (Derivation("public.importer_derive_small_totals", "public.small_orders"),),
)

DDL = """
create table public.small_customers (dataset_id bigint, id bigint, primary key (dataset_id, id));
create table public.small_orders (
  id bigint generated always as identity primary key,
  dataset_id bigint not null,
  number bigint not null,
  customer bigint,
  total integer not null,
  edited text,
  batch_id text not null,
  inserted_by text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (dataset_id, number),
  foreign key (dataset_id, customer) references public.small_customers
);
create table public.small_notes (number bigint primary key, note text);
create table public.small_totals (customer bigint primary key, total integer not null);
create table public.small_calls (batch_id text not null, numbers bigint[] not null);

-- Sums up the orders of the customers whose orders were written; refuses more than 1,000.
create function public.importer_derive_small_totals(run jsonb, keys jsonb) returns jsonb
language plpgsql volatile security invoker set search_path = '' as $function$
declare
  numbers constant bigint[] := array(
    select number from jsonb_to_recordset(keys) as touched(number bigint));
  customers constant bigint[] := array(
    select distinct customer from public.small_orders where number = any (numbers)
    order by customer);
  derived integer;
begin
  perform pg_advisory_xact_lock(42, touched::integer) from unnest(customers) as touched;
  insert into public.small_calls values (run ->> 'batch_id', numbers);
  insert into public.small_totals
    select customer, sum(total) from public.small_orders
    where customer = any (customers) group by customer
    on conflict (customer) do update set total = excluded.total;
  get diagnostics derived = row_count;
  if exists (select from public.small_totals where total > 1000) then
    raise 'a customer owes more than 1,000';
  end if;
  return jsonb_build_object('small_totals', derived);
end
$function$;

select public.importer_close('public.small_customers', 'public.small_orders', 'public.small_notes',
  'public.small_totals', 'public.small_calls');
"""
DROP = """
drop table public.small_notes, public.small_orders, public.small_customers, public.small_totals,
  public.small_calls;
drop function public.importer_derive_small_totals, public.importer_merge_small_orders;
"""


def read(source: Source, path: str, signature: Signature, tally: Tally) -> dict[str, Any]:
    """What a file holds."""
    return read_object(source.absolute(path), signature, tally, opener=source.open)


def plan(source: Source, path: str, content: dict[str, Any], finder: ImageFinder) -> ItemPlan:
    """It has no images."""
    return ItemPlan()


def records(
    content: dict[str, Any], images: Sequence[Image | None], tally: Tally
) -> list[KindRecord]:
    """A record for each order."""
    found = []
    for order in content["orders"]:
        number = order["number"]
        rows: tuple[tuple[int, tuple[object, ...]], ...] = (
            (0, (number, order.get("customer"), order["total"])),
        )
        if "note" in order:
            rows = (*rows, (1, (number, order["note"])))
        found.append(KindRecord(f"order {number}", (KindAggregate(rows),)))
    return found


SMALL_ORDERS = Kind(
    # By the name of a real one, whose place it takes: a work state knows no others.
    name="states",
    wording=WORDINGS["states"],
    patterns=("*_parse.json",),
    group=GROUP,
    items_in=items_in,
    sign=sign,
    read=read,
    plan=plan,
    records=records,
)
