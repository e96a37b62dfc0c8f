-- people: persons from people searches, with their résumés and companies.

create schema if not exists organisation;
create schema if not exists people;

create table organisation.identities (
  id uuid primary key,
  dataset_id bigint not null references public.datasets (id) on delete cascade,
  batch_id text not null, inserted_by text,
  neuron360_company_id text,
  name text, domain text,
  logo_url text, industry text,
  last_modified_date timestamptz,
  source text not null,
  content_signature text not null,
  created_at timestamptz not null default now(), updated_at timestamptz not null default now()
);
comment on table organisation.identities is
  'Companies that people worked for. `id` is a UUIDv5 of the company''s id, else domain, or name.';
comment on column organisation.identities.last_modified_date is
  'The later of the dates of the profile and of the résumé that the row comes from.';
comment on column organisation.identities.source is 'Path of the file, and index of the record in it.';
comment on column organisation.identities.content_signature is
  'A hash over this row and its owned rows, which shows a change of any of them.';
create index identities_batch_id on organisation.identities (batch_id, id);
-- Not unique, like the following indexes: `id` is unique already. If two transactions insert the same
-- row at once, ON CONFLICT (id) would not prevent that the second one fails on another unique index.
create index identities_neuron360_company_id on organisation.identities (neuron360_company_id)
  where neuron360_company_id is not null;

create table organisation.offices (
  id uuid primary key,
  dataset_id bigint not null references public.datasets (id) on delete cascade,
  batch_id text not null, inserted_by text,
  organisation_id uuid not null references organisation.identities (id) on delete cascade,
  neuron360_office_id text not null,
  type text,
  phones jsonb,
  last_modified_date timestamptz,
  source text not null,
  content_signature text not null,
  created_at timestamptz not null default now(), updated_at timestamptz not null default now()
);
comment on table organisation.offices is
  'Offices of companies. `id` is a UUIDv5 of the organisation and the office''s id.';
comment on column organisation.offices.phones is 'The array of the input, unchanged.';
comment on column organisation.offices.source is 'Path of the file, and index of the record in it.';
comment on column organisation.offices.content_signature is
  'A hash over this row and its owned rows, which shows a change of any of them.';
create index offices_batch_id on organisation.offices (batch_id, id);
create index offices_organisation_id on organisation.offices (organisation_id);

create table organisation.web_addresses (
  organisation_id uuid primary key references organisation.identities (id) on delete cascade,
  url text, rank bigint
);

create table organisation.employees (
  organisation_id uuid primary key references organisation.identities (id) on delete cascade,
  number_of_employees bigint, number_of_employees_code text,
  number_of_employees_min bigint, number_of_employees_max bigint
);

create table organisation.social_links (
  organisation_id uuid not null references organisation.identities (id) on delete cascade,
  position integer not null,
  name text, url text,
  primary key (organisation_id, position)
);
comment on column organisation.social_links.position is 'The position among the company''s links, from 0.';

create table organisation.industries (
  organisation_id uuid not null references organisation.identities (id) on delete cascade,
  position integer not null,
  industry_id text, standard text,
  code2 text, name2 text,
  code3 text, name3 text,
  code4 text, name4 text,
  code5 text, name5 text,
  code6 text, name6 text,
  activity_priority integer, priority integer,
  primary key (organisation_id, position)
);

create table organisation.phones (
  organisation_id uuid not null references organisation.identities (id) on delete cascade,
  position integer not null,
  phone text, ddi boolean, dnc boolean, type text, carrier text, priority integer,
  primary key (organisation_id, position)
);

create table organisation.office_addresses (
  office_id uuid primary key references organisation.offices (id) on delete cascade,
  formatted_address text,
  street_address text, street_number text, street text,
  premise text, subpremise text, establishment text,
  sublocality text, locality text, city text, postal_code text, postal_town text,
  county text, state text, region text,
  administrative_area_level_1 text, administrative_area_level_2 text,
  administrative_area_level_3 text, administrative_area_level_4 text,
  administrative_area_level_5 text,
  country text, country_code text, continent text,
  lat double precision, lng double precision,
  place_id text, accuracy text, quality text,
  score double precision, confidence_score double precision,
  last_modified_date timestamptz
);

create table organisation.office_industries (
  office_id uuid not null references organisation.offices (id) on delete cascade,
  position integer not null,
  industry_id text, standard text,
  code2 text, name2 text,
  code3 text, name3 text,
  code4 text, name4 text,
  code5 text, name5 text,
  code6 text, name6 text,
  activity_priority integer, priority integer,
  primary key (office_id, position)
);

create table people.identities (
  id uuid primary key,
  dataset_id bigint not null references public.datasets (id) on delete cascade,
  batch_id text not null, inserted_by text,
  neuron360_profile_id text not null,
  first_name text, last_name text, full_name text,
  picture_url text,
  last_seen_date timestamptz,
  last_modified_date timestamptz,
  resume_last_modified_date timestamptz,
  rest jsonb,
  latest_modified_date timestamptz,
  source text not null,
  content_signature text not null,
  created_at timestamptz not null default now(), updated_at timestamptz not null default now()
);
comment on table people.identities is 'Persons. `id` is a UUIDv5 of neuron360_profile_id.';
comment on column people.identities.rest is
  'Values of the record without a column, unchanged; array elements by their positions.';
comment on column people.identities.latest_modified_date is
  'The later of the dates of the profile and of the résumé; it decides which person is newer.';
comment on column people.identities.source is 'Path of the file, and index of the record in it.';
comment on column people.identities.content_signature is
  'A hash over this row and its owned rows, which shows a change of any of them.';
create index identities_batch_id on people.identities (batch_id, id);
create index identities_neuron360_profile_id on people.identities (neuron360_profile_id);

create table people.profiles (
  person_id uuid primary key references people.identities (id) on delete cascade,
  headline text, summary text,
  languages text[], expertises text[], tags text[], prior_industries text[],
  raw_location text
);

create table people.genders (
  person_id uuid primary key references people.identities (id) on delete cascade,
  gender text, confidence_score double precision
);

create table people.social_links (
  person_id uuid not null references people.identities (id) on delete cascade,
  position integer not null,
  name text, url text,
  primary key (person_id, position)
);

create table people.statuses (
  person_id uuid primary key references people.identities (id) on delete cascade,
  status text
);

create table people.emails (
  person_id uuid not null references people.identities (id) on delete cascade,
  position integer not null,
  email text, type text, priority integer,
  primary key (person_id, position)
);

create table people.phones (
  person_id uuid not null references people.identities (id) on delete cascade,
  position integer not null,
  phone text, ddi boolean, dnc boolean, type text, carrier text, priority integer,
  primary key (person_id, position)
);

create table people.addresses (
  person_id uuid primary key references people.identities (id) on delete cascade,
  formatted_address text,
  street_address text, street_number text, street text,
  premise text, subpremise text, establishment text,
  sublocality text, locality text, city text, postal_code text, postal_town text,
  county text, state text, region text,
  administrative_area_level_1 text, administrative_area_level_2 text,
  administrative_area_level_3 text, administrative_area_level_4 text,
  administrative_area_level_5 text,
  country text, country_code text, continent text,
  lat double precision, lng double precision,
  place_id text, accuracy text, quality text,
  score double precision, confidence_score double precision,
  last_modified_date timestamptz
);

create table people.experiences (
  person_id uuid not null references people.identities (id) on delete cascade,
  position integer not null,
  organisation_id uuid references organisation.identities (id) on delete set null,
  office_id uuid references organisation.offices (id) on delete set null,
  job_title text,
  start_date date, end_date date,
  summary text,
  current boolean,
  priority integer,
  raw_location text,
  rest jsonb,
  primary key (person_id, position)
);
comment on column people.experiences.rest is
  'Values of the experience, its company and its office without a column.';
create index experiences_organisation_id on people.experiences (organisation_id)
  where organisation_id is not null;
create index experiences_office_id on people.experiences (office_id) where office_id is not null;

create table people.job_title_details (
  person_id uuid not null references people.identities (id) on delete cascade,
  experience_position integer not null,
  raw_job_title text,
  raw_job_title_language_code text,
  raw_job_title_language_detection_confidence_score double precision,
  raw_translated_job_title text,
  normalized_job_title_id bigint,
  normalized_job_title text,
  primary key (person_id, experience_position)
);

create table people.job_functions (
  person_id uuid not null references people.identities (id) on delete cascade,
  experience_position integer not null,
  position integer not null,
  level1_code text, level1_name text, level1_confidence_score double precision,
  level2_code text, level2_name text, level2_confidence_score double precision,
  level3_code text, level3_name text, level3_confidence_score double precision,
  priority integer,
  primary key (person_id, experience_position, position)
);

create table people.job_seniority (
  person_id uuid not null references people.identities (id) on delete cascade,
  experience_position integer not null,
  job_level text,
  primary key (person_id, experience_position)
);

create table people.educations (
  person_id uuid not null references people.identities (id) on delete cascade,
  position integer not null,
  educational_establishment text, diploma text, specialization text,
  start_date date, end_date date,
  priority integer,
  web_address_url text, web_address_rank bigint,
  primary key (person_id, position)
);

create table people.certifications (
  person_id uuid not null references people.identities (id) on delete cascade,
  position integer not null,
  name text, authority text, reference text, description text,
  date date, start_date date, end_date date,
  priority integer,
  web_address_url text, web_address_rank bigint,
  primary key (person_id, position)
);

create table people.memberships (
  person_id uuid not null references people.identities (id) on delete cascade,
  position integer not null,
  title text, name text, description text, reference text, location text,
  start_date date, end_date date,
  priority integer,
  web_address_url text, web_address_rank bigint,
  primary key (person_id, position)
);

create table people.publications (
  person_id uuid not null references people.identities (id) on delete cascade,
  position integer not null,
  name text, description text, issue text, reference text,
  date date,
  priority integer,
  web_address_url text, web_address_rank bigint,
  primary key (person_id, position)
);

create table people.patents (
  person_id uuid not null references people.identities (id) on delete cascade,
  position integer not null,
  name text, description text, issue text, number text, reference text,
  date date, start_date date, end_date date,
  priority integer,
  web_address_url text, web_address_rank bigint,
  primary key (person_id, position)
);

create table people.awards (
  person_id uuid not null references people.identities (id) on delete cascade,
  position integer not null,
  name text, description text, issue text,
  date date,
  priority integer,
  web_address_url text, web_address_rank bigint,
  primary key (person_id, position)
);

select public.importer_close(
  'organisation.identities', 'organisation.offices', 'organisation.web_addresses',
  'organisation.employees', 'organisation.social_links', 'organisation.industries',
  'organisation.phones', 'organisation.office_addresses', 'organisation.office_industries',
  'people.identities', 'people.profiles', 'people.genders', 'people.social_links',
  'people.statuses', 'people.emails', 'people.phones', 'people.addresses', 'people.experiences',
  'people.job_title_details', 'people.job_functions', 'people.job_seniority', 'people.educations',
  'people.certifications', 'people.memberships', 'people.publications', 'people.patents',
  'people.awards'
);
do $grants$
begin
  if exists (select from pg_roles where rolname = 'service_role') then
    grant usage on schema organisation, people to service_role;
  end if;
end
$grants$;

update public.import_target set schema_version = '20261122000004';
notify pgrst, 'reload schema';
