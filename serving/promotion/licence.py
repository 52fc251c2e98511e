"""Under which licence a package of the champion goes out, and in whose name. Text only; imports nothing heavy.

Weights are nobody's but their maker's, and what the images allow. The default is this project's own licence.
"""

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

LICENCE, AUTHOR = "Apache-2.0", "A user of unet-studies"


def check_licence(licence: str) -> None:
    """Raises ValueError for what is not one identifier of SPDX's."""
    try:
        known = " " not in licence and canonicalize_license_expression(licence) == licence
    except InvalidLicenseExpression:
        known = False
    if not known or licence.startswith("LicenseRef-"):
        raise ValueError(
            f"licence={licence!r} is no identifier of https://spdx.org/licenses; give one as it is written there, such "
            f"as {LICENCE}, CC-BY-4.0 or CC0-1.0"
        )


def check_author(author: str) -> None:
    """Raises ValueError for what bioimage.io takes for no name."""
    if not author.strip() or "/" in author:
        raise ValueError(f"author={author!r} is no name; give one without a slash, such as 'Ada Lovelace'")
