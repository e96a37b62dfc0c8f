"""Generates a source of the kind `people`; `generate.py people` calls it.

A person has 5 experiences, about 40 rows in all tables together, and 9.5 KB of JSON, much of it
keys with nothing in them, as in real pages. With `--experiences 1` these are 13 rows and 3.6 KB,
so that `--items 1 --people 100000` makes a file of 360 MB.
The companies are the same 2,000 in every file, a few of them much more often than the others, and
a company or office is always the same wherever it stands.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

COMPANIES = 2_000
FILES_IN_A_FOLDER = 1_000

FIRST_NAMES = ("Ada", "Bo", "Cy", "Dilek", "Eirik", "Fátima", "Gwen", "Hana", "Ivo", "Jūratė")
LAST_NAMES = ("Rowe", "Lind", "Tan", "Öztürk", "Berg", "Nunes", "Price", "Novák", "Kim", "Moss")
GENDERS = ("female", "male", None)
PLACES = (
    ("London", "United Kingdom", "GB", "Europe", 51.5, -0.12),
    ("Leeds", "United Kingdom", "GB", "Europe", 53.8, -1.55),
    ("İzmir", "Türkiye", "TR", "Asia", 38.42, 27.14),
    ("Malmö", "Sweden", "SE", "Europe", 55.6, 13.0),
    ("Porto", "Portugal", "PT", "Europe", 41.15, -8.61),
    ("Boston", "United States", "US", "North America", 42.36, -71.05),
)
JOBS = (
    ("Founder", 77, "MGT", "Management", "Director"),
    ("Software Engineer", 120, "ENG", "Engineering", "Senior"),
    ("Product Designer", 310, "DES", "Design", "Senior"),
    ("Sales Manager", 415, "SAL", "Sales", "Manager"),
    ("Accountant", 502, "FIN", "Finance", "Entry"),
    ("Field Technician", 640, "OPS", "Operations", "Entry"),
)
INDUSTRIES = (
    ("5112", "Information", "Publishing", "Software"),
    ("5413", "Professional Services", "Professional Services", "Engineering"),
    ("3345", "Manufacturing", "Electronic Products", "Instruments"),
    ("4885", "Transportation", "Support of Transportation", "Freight"),
)
SIZES = (("A", 1, 10), ("B", 11, 50), ("C", 51, 200), ("D", 201, 1_000))
SKILLS = ("3d printing", "cad", "python", "negotiation", "bookkeeping", "welding", "teaching")

NETWORKS = ("linkedin", "twitter", "facebook", "instagram", "youtube", "crunchbase", "yelp")
NO_ADDRESS = dict.fromkeys(
    (
        *("continent", "country", "street_address", "formatted_address", "city", "county"),
        *("accuracy", "last_modified_date", "score", "premise", "street", "state", "lat"),
        *("place_id", "postal_town", "lng", "locality", "sublocality", "establishment"),
        *("subpremise", "quality", "country_code"),
        *(f"administrative_area_level_{level}" for level in range(1, 6)),
        *("confidence_score", "street_number", "postal_code", "region"),
    )
)
NO_OFFICE: dict[str, Any] = {
    "office_id": None,
    "office_type": None,
    "office_address": None,
    "office_industries": [],
    "office_phones": [],
}
NO_CONTACT: dict[str, Any] = {
    f"contact_{name}": [] for name in ("emails", "tags", "current_experiences", "phones")
}
NO_LEVEL = {"code": None, "name": None, "confidence_score": None}
NO_WEB_ADDRESS = {"url": None, "rank": None}


class Company(NamedTuple):
    """The values of the company, and of its only office, in an experience."""

    values: dict[str, Any]
    office: dict[str, Any]


def generate_people(
    folder: Path, files: int, *, people: int = 10, experiences: int = 5, seed: int = 1
) -> None:
    """Writes `files` pages of a search below `folder`, each with `people` persons."""
    chance = random.Random(seed)
    companies = [company(chance, number) for number in range(COMPANIES)]
    for number in range(files):
        place = folder / f"part-{number // FILES_IN_A_FOLDER:03}"
        if number % FILES_IN_A_FOLDER == 0:
            place.mkdir(parents=True, exist_ok=True)
        with open(place / f"page-{number:06}.json", "wb") as file:
            write_page(file, chance, companies, number, people, experiences)


def write_page(
    file: BinaryIO,
    chance: random.Random,
    companies: list[Company],
    number: int,
    people: int,
    experiences: int,
) -> None:
    """Writes a page person by person, since it may be larger than memory."""
    head = {
        "query": {"page_size": people, "page_number": number + 1, "parameters": {}},
        "counts": {"profiles_total_results": None, "profiles_total_returned": people},
    }
    file.write(compact(head)[:-1] + b',"results":[')
    for index in range(people):
        found = person(chance, companies, number * people + index, index + 1, experiences)
        file.write(compact(found) if index == 0 else b"," + compact(found))
    file.write(b"]}")


def compact(value: object) -> bytes:
    """The value as JSON, without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def person(
    chance: random.Random, companies: list[Company], number: int, position: int, experiences: int
) -> dict[str, Any]:
    """One record of a page."""
    id_ = f"n360-{number:08}"
    first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
    place = chance.choice(PLACES)
    modified = moment(chance)
    jobs = [chance.choice(JOBS) for _ in range(experiences)]
    link = {"name": "linkedin", "url": f"https://social.example/in/{id_}"}
    email = {"email": f"{id_}@mail.example", "type": "personal", "priority": 1}
    return {
        "position": position,
        "profile_metrics": {"completion_score": chance.randrange(40, 100) / 100},
        "profile_data": {
            "profile_id": id_,
            "profile_first_name": first,
            "profile_last_name": last,
            "profile_full_name": f"{first} {last}",
            "profile_headline": f"{jobs[0][0]} in {place[0]}" if jobs else None,
            "profile_summary": chance.choice((None, "Builder of things.\nHas seen many of them.")),
            "profile_picture": {"url": None},
            "profile_last_seen_date": moment(chance),
            "profile_last_modified_date": modified,
            "profile_languages": ["English"],
            "profile_expertises": chance.sample(SKILLS, 2),
            "profile_tags": [],
            "profile_prior_industries": [],
            "profile_gender": {"gender": chance.choice(GENDERS), "confidence_score": None},
            "profile_social_links": some(chance, 0.7, link),
            "profile_status": {"status": chance.choice((None, None, None, "active"))},
            "profile_emails": some(chance, 0.6, email),
            "profile_phones": some(chance, 0.1, phone(chance, "mobile")),
            "profile_address": address(chance, place),
            "raw_location": f"{place[0]}, {place[1]}",
        },
        "contact_data": NO_CONTACT,
        "resume_data": {
            "resume_last_modified_date": modified,
            "resume_tags": [],
            "experiences": [
                experience(chance, employer(chance, companies), job, index)
                for index, job in enumerate(jobs)
            ],
            **achievements(chance),
        },
    }


def experience(
    chance: random.Random, company: Company, job: tuple[Any, ...], index: int
) -> dict[str, Any]:
    """A current or former job of a person."""
    title, title_id, code, function, level = job
    start = 2022 - 4 * index
    done = {
        "level1": {"code": code, "name": function, "confidence_score": 0.9},
        "level2": NO_LEVEL,
        "level3": NO_LEVEL,
        "priority": 1,
    }
    details = {
        "raw_job_title": {
            "job_title": title,
            "language_code": "en",
            "language_detection_confidence_score": 1,
        },
        "raw_translated_job_title": {"job_title": title},
        "normalized_job_title": {"id": title_id, "job_title": title},
    }
    return {
        "job_title": title,
        "start_date": f"{start}-{chance.randrange(1, 13):02}-01",
        "end_date": f"{start + 3}-{chance.randrange(1, 13):02}-28" if index else None,
        "summary": None,
        "current": index == 0,
        "priority": index + 1,
        "raw_location": None,
        **company.values,
        **(company.office if chance.random() < 0.5 else NO_OFFICE),
        "job_functions": some(chance, 0.4, done),
        "job_seniority": {"job_level": level if chance.random() < 0.5 else None},
        "job_title_details": details if chance.random() < 0.5 else None,
    }


def achievements(chance: random.Random) -> dict[str, Any]:
    """The parts of a résumé other than the experiences."""
    years = {"start_date": "2001-09-01", "end_date": "2005-06-30", "priority": 1}
    once = {"description": None, "date": f"20{chance.randrange(10, 25)}-05-01", "priority": 1}
    education = {
        "educational_establishment": f"University {chance.randrange(500)}",
        "educational_establishment_web_address": {"url": "https://uni.example", "rank": None},
        "diploma": chance.choice(("BSc", "MSc", "PhD")),
        "specialization": chance.choice(SKILLS),
        **years,
    }
    award = {"name": f"No {chance.randrange(10_000)}", "issue": "4", **once}
    named = {"name": award["name"], "reference": None, "web_address": NO_WEB_ADDRESS}
    membership = {**named, "title": None, "description": None, "location": None, **years}
    return {
        "educations": some(chance, 0.8, education),
        "certifications": some(chance, 0.2, {**named, "authority": "Board", **once, **years}),
        "memberships": some(chance, 0.1, membership),
        "publications": some(chance, 0.1, {**named, **award}),
        "patents": some(chance, 0.05, {**named, **award, "number": "1", **years}),
        "awards": some(chance, 0.1, award),
    }


def company(chance: random.Random, number: int) -> Company:
    """A company of the pool."""
    domain = f"company-{number:04}.example"
    url = f"https://{domain}"
    trade = industry(chance)
    code, least, most = chance.choice(SIZES)
    employees = {
        "number_of_employees": chance.randint(least, most),
        "number_of_employees_code": code,
        "number_of_employees_min": least,
        "number_of_employees_max": most,
    }
    links: dict[str, Any] = {name: {"url": None} for name in NETWORKS}
    links["linkedin"] = {"url": f"https://social.example/company-{number:04}"}
    return Company(
        {
            "company_id": f"c-{number:06}",
            "company_name": f"Company {number}",
            "company_domain": domain,
            "company_logo_url": None,
            "company_industry": trade["name4"],
            "company_web_address": {**NO_WEB_ADDRESS, "url": chance.choice((None, url))},
            "company_employees": employees if chance.random() < 0.5 else None,
            "company_social_links": links if chance.random() < 0.5 else None,
            "company_industries": some(chance, 0.4, trade),
            "company_phones": some(chance, 0.3, phone(chance, "landline")),
        },
        {
            "office_id": f"o-{number:06}",
            "office_type": "hq",
            "office_address": address(chance, chance.choice(PLACES)),
            "office_industries": some(chance, 0.3, trade),
            "office_phones": [],
        },
    )


def employer(chance: random.Random, companies: list[Company]) -> Company:
    """A company of the pool; the first ones have by far the most people."""
    return companies[int(len(companies) * chance.random() ** 2)]


def industry(chance: random.Random) -> dict[str, Any]:
    """An industry, down to the fourth digit of its code."""
    code, *names = chance.choice(INDUSTRIES)
    found: dict[str, Any] = {"id": code, "standard": "NAICS"}
    for digits in range(2, 7):
        named = digits <= len(code)
        found[f"code{digits}"] = code[:digits] if named else None
        found[f"name{digits}"] = names[digits - 2] if named else None
    return {**found, "activity_priority": 1, "priority": 1}


def phone(chance: random.Random, type_: str) -> dict[str, Any]:
    """A phone with a number that nobody has."""
    number = f"+44 20 7946 0{chance.randrange(1_000):03}"
    flags = {"ddi": False, "dnc": False}
    return {"phone": number, **flags, "type": type_, "carrier": None, "priority": 1}


def address(chance: random.Random, place: tuple[Any, ...]) -> dict[str, Any]:
    """An address with all its keys; most of them have no value."""
    city, country, code, continent, latitude, longitude = place
    return {
        **NO_ADDRESS,
        "continent": continent,
        "country": country,
        "formatted_address": f"{city}, {country}",
        "city": city,
        "last_modified_date": moment(chance),
        "score": chance.randrange(50, 100) / 100,
        "lat": latitude,
        "lng": longitude,
        "country_code": code,
    }


def moment(chance: random.Random) -> str:
    """A timestamp in the first half of a year."""
    day = f"2025-{chance.randrange(1, 7):02}-{chance.randrange(1, 29):02}"
    return f"{day} {chance.randrange(24):02}:{chance.randrange(60):02}:00"


def some(chance: random.Random, share: float, value: dict[str, Any]) -> list[dict[str, Any]]:
    """A list with the value in it, or an empty one."""
    return [value] if chance.random() < share else []
