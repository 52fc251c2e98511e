"""Every file of a set looked at once, before any is decoded: its header, the hash of its content, what is wrong."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from training.data.decisions.set_of_pairs import in_parallel
from training.data.images import Header, read_header
from training.data.layouts.pairs import Layout, mask_files


@dataclass(frozen=True, kw_only=True)
class Survey:
    headers: dict[Path, Header]  # of the files that can be used, as far as their headers tell
    contents: dict[Path, str]  # hashes
    problems: list[str]  # of the others


def survey(layout: Layout) -> Survey:
    """The header and the hash of every file."""

    def look(path: Path) -> tuple[str, Header | str]:
        try:
            content = path.read_bytes()
            return hashlib.sha256(content).hexdigest(), read_header(content, str(path))
        except (ValueError, OSError) as error:
            return "", reason(path, error)

    uses = Counter(path for pair in layout.pairs for path in (pair.image, *mask_files(pair.mask)))
    files = list(uses)
    seen = dict(zip(files, in_parallel(look, files), strict=True))
    problems = [found for _, found in seen.values() if isinstance(found, str)]
    headers = {path: found for path, (_, found) in seen.items() if isinstance(found, Header)}
    for path in [path for path, header in headers.items() if header.pages > 1 and uses[path] == 1]:
        pages = headers.pop(path).pages
        problems.append(f"{path}: the file holds {pages} pages or frames where one is meant; give one page per file")
    return Survey(headers=headers, contents={path: content for path, (content, _) in seen.items()}, problems=problems)


def reason(path: Path, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{path}: the file cannot be read ({error.strerror or error}); check its permissions, or remove it"
    return str(error)
