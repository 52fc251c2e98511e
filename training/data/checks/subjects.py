"""Who may belong together, told by names: a rule for `group` that fits every image, and the subject of each.

Names in, a rule out; it is proposed, and never applied unasked.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from training.data.layouts.groups import match_names

MIN_SUBJECTS = 3
MAX_SUBJECTS = 0.7  # subjects an image; above it names say little about who belongs together
FOLDER_LEVELS = 3  # above the image
NO_SUBJECT = re.compile(r"(.*[\W_])?(fold|part|batch|set|split|class)[\W_]*\d*", re.IGNORECASE)  # parts of the set
NAME_RULES = (  # each fits every name, so that it can be given as group
    r"^(\D*\d+|.+?)(?:[\W_].*)?$",  # up to the first number: patient01_slice2, sub-01_ses-02, slide3_x192_y0
    r"^(.+?)(?:[\W_][A-Za-z]*\d+)?$",  # without the last one: A_2, 2020-01-05_mouse3_1
    r"^(.+?)(?:(?<=\d)[A-Za-z])?$",  # without a letter after a number: the eyes 12L and 12R
)


@dataclass(frozen=True, kw_only=True)
class Subjects:
    rule: str  # for `group`
    subjects: list[str]  # of each image


def find_subjects(stems: Sequence[str], paths: Sequence[str]) -> Subjects | None:
    """By the folders of the images first, the nearest before others, then by their names."""
    for rule in (*(f"([^/]+){'/[^/]+' * level}$" for level in range(1, FOLDER_LEVELS + 1)), *NAME_RULES):
        subjects = match_names(rule, stems, paths)
        if _are_subjects(subjects):
            return Subjects(rule=rule, subjects=subjects)
    return None


def _are_subjects(subjects: Sequence[str]) -> bool:
    """Whether there are several, each with a name, and most with several images."""
    members = Counter(subjects)
    return MIN_SUBJECTS <= len(members) <= MAX_SUBJECTS * len(subjects) and all(map(_is_id, members))


def _is_id(subject: str) -> bool:
    """Whether it may name a patient or slide; words such as benign or train name kinds of images."""
    return bool(subject) and not NO_SUBJECT.fullmatch(subject) and (any(map(str.isdigit, subject)) or len(subject) <= 2)
