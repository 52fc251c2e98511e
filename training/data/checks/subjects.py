"""Who may belong together, told by names: a rule for `group` that fits every image, and the subject of each.

Names in, a rule out; it is proposed, and never applied unasked.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from training.data.layouts.groups import is_subject, match_names

MIN_SUBJECTS = 3
MAX_SUBJECTS = 0.7  # subjects an image; above it names say little about who belongs together
FOLDER_LEVELS = 3  # above the image
NO_SUBJECT = re.compile(r"(.*[\W_])?(fold|part|batch|set|split|class)[\W_]*\d*", re.IGNORECASE)  # parts of the set
NAME_RULES = (  # each fits every name, so that it can be given as group
    r"^(\D*\d+|.+?)(?:[\W_].*)?$",  # up to the first number: patient01_slice2, sub-01_ses-02, slide3_x192_y0
    r"^(.+?)(?:[\W_][A-Za-z]*\d+)?$",  # without the last one: A_2, 2020-01-05_mouse3_1
    r"^(.+?)(?:(?<=\d)[A-Za-z])?$",  # without a letter after a number: the eyes 12L and 12R
)
SIDES = "od|os|ou|left|right|l|r|pre|post|before|after"  # of a pair, or before and after
SIDE_RULES = (
    rf"(?i)^(?:{SIDES})[\W_]*(\d.*)$",
    rf"(?i)^(.*\d.*?)[\W_]*(?:{SIDES})$",
)  # OD_001 and L003; 12OD and p3left
NUMBERED = re.compile(r"([^\W\d_]{2,})[\W_]?\d+")  # a word and its number
PERSONS = re.compile(r"pat(ient)?|subj?(ect)?|case|animal|mouse|rat|donor|person|participant|child", re.IGNORECASE)
PICTURES = re.compile(
    r"ima?ge?s?|pic(ture)?|photo|fra?me?|tile|crop|patch|slice|page|row|col(umn)?|pos|time|aug|copy", re.I
)
MIN_PEOPLE, MAX_OF_ONE = 6, 4  # names without a number, and images of each: fewer names, or more images, are kinds


@dataclass(frozen=True, kw_only=True)
class Subjects:
    rule: str  # for `group`
    subjects: list[str]  # of each image


def find_subjects(stems: Sequence[str], paths: Sequence[str]) -> Subjects | None:
    """By the folders of the images first, the nearest before others, then by their names.

    A word such as patient, with its number, goes before any of these; others, as slide, go before bare numbers, which
    may as well be places of tiles.
    """
    folders = [f"([^/]+){'/[^/]+' * level}$" for level in range(1, FOLDER_LEVELS + 1)]
    found = _first_that_fits([*folders, *NAME_RULES, *SIDE_RULES], stems, paths)
    words = [word for word in NUMBERED.findall(stems[0]) if not PICTURES.fullmatch(word)]
    called = [word for word in words if PERSONS.fullmatch(word)]
    if not found or all(map(str.isdecimal, found.subjects)):
        called += [word for word in words if found or is_subject(word.lower())]
    named = _first_that_fits([rf"({word}[\W_]?\d+)" for word in called], stems, paths)
    if named and (not found or _partition(named) != _partition(found)):
        return named
    return found


def _first_that_fits(rules: Sequence[str], stems: Sequence[str], paths: Sequence[str]) -> Subjects | None:
    found = (Subjects(rule=rule, subjects=match_names(rule, stems, paths)) for rule in rules)
    return next((one for one in found if _are_subjects(one.subjects)), None)


def _partition(found: Subjects) -> list[int]:
    """Of each image the first one of its subject."""
    first: dict[str, int] = {}
    return [first.setdefault(subject, k) for k, subject in enumerate(found.subjects)]


def _are_subjects(subjects: Sequence[str]) -> bool:
    """Whether there are several, each with a name, and most with several images."""
    members = Counter(subjects)
    if not MIN_SUBJECTS <= len(members) <= MAX_SUBJECTS * len(subjects) or any(map(NO_SUBJECT.fullmatch, members)):
        return False
    people = len(members) >= MIN_PEOPLE and len(subjects) <= MAX_OF_ONE * len(members)
    return "" not in members and (people or all(map(_is_id, members)))


def _is_id(subject: str) -> bool:
    """Whether it may name a patient or slide; words such as benign or train name kinds of images."""
    return any(map(str.isdigit, subject)) or len(subject) <= 2
