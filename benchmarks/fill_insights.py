"""A table of insights, filled by SQL: what its clients read is measured with it."""

from __future__ import annotations

import psycopg2

WORDS_OF_TEXTS = 80
"""A section has some 500 bytes, so an insight has 3 KB."""

RARE, FREQUENT = "timberland", "harbours"
"""Words in one of 1,000 and in one of 10 insights."""

_FILL = f"""
select setseed(0.5);
create temporary table texts as
  select number, '- ' || string_agg('w' || floor(exp(random() * ln(20000)))::integer,
    case when place % 20 = 0 then E'\\n- ' else ' ' end order by place)
    || E'\\n  - [2025-07-01,ENI-' || number || ',recurroo]' as content
  from generate_series(0, 1999) as number cross join generate_series(1, {WORDS_OF_TEXTS}) as place
  group by number;
create unique index on texts (number);
insert into public.elvis__structured_insights (contact_id, eni_id, member_name, eni_source_types,
  eni_source_subtypes, record_count, total_eni_ids, insights, personal, business, investing,
  three_i, deals, introductions, generated_at, created_at, updated_at)
select contact, format('COMBINED-%s-ALL', contact), 'Member ' || n, '{{recurroo}}', '{{"null"}}', 3,
  3, jsonb_build_object('personal', personal, 'business', business.content,
    '3i', three_i.content, 'investing', investing.content, 'deals', deals.content,
    'introductions', introductions.content),
  personal, business.content, investing.content, three_i.content, deals.content,
  introductions.content, moment, moment, moment
from generate_series(1, :contacts) as n
cross join lateral (select format('CNT-%s', lpad(n::text, 9, '0')) as contact,
  '2025-01-01'::timestamptz + n * interval '1 minute' as moment) as identity
join texts as first on first.number = n * 7 % 2000
join texts as business on business.number = n * 11 % 2000
join texts as investing on investing.number = n * 13 % 2000
join texts as three_i on three_i.number = n * 17 % 2000
join texts as deals on deals.number = n * 19 % 2000
join texts as introductions on introductions.number = n * 23 % 2000
cross join lateral (select first.content
  || case when n % 1000 = 7 then ' Owns {RARE}.' else '' end
  || case when n % 10 = 3 then ' Knows {FREQUENT}.' else '' end as personal) as marked;
"""


def fill_insights(database_url: str, contacts: int) -> None:
    """Fills the table of a database with our schema, with a row of 3 KB for each contact."""
    connection = psycopg2.connect(database_url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(_FILL.replace(":contacts", str(contacts)))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("vacuum analyze public.elvis__structured_insights")
    finally:
        connection.close()
