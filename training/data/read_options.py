"""How a folder is to be understood where looking at it does not tell: what a person may say, checked."""

from dataclasses import dataclass

from training.data.images import FROM_FILE, MEAN, parse_channels
from training.data.layouts.pairs import Layout, MaskFile, MaskSource, ObjectFiles, RunLengths
from training.data.mask_rule import AUTO, ORIENTATIONS, MaskRule
from training.data.run_lengths import RUN_ORDERS


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """As a person writes it, AUTO for: look. Raises ValueError for what cannot be used."""

    group: str = AUTO  # a column of the csv, or a regular expression on the stem, else on the path
    mask_folder: str = AUTO  # whose masks count, where several hold some; of several with commas the union
    mask_suffix: str = AUTO  # which of several masks of an image counts
    mask_threshold: str = AUTO  # foreground is above it
    mask_values: str = AUTO  # foreground is these
    ignore_value: str = AUTO  # of masks: neither foreground nor background
    image_max: str = AUTO  # the value that becomes 255; AUTO: what the files state, else the set's own range
    channels: str = AUTO  # which samples of a pixel are read, as 0,2; or mean
    orientation: str = AUTO  # apply: masks fit the pictures as seen; ignore: masks fit the stored pixels
    rle_order: str = AUTO  # run lengths go down the columns, or along the rows
    category: str = AUTO  # which class of annotations is foreground; all: any of them

    def __post_init__(self) -> None:
        self.rule  # noqa: B018 - raises
        self.max_value  # noqa: B018
        _one_of("orientation", self.orientation, ORIENTATIONS)
        _one_of("rle_order", self.rle_order, tuple(RUN_ORDERS))
        parse_channels(self.channels)

    @property
    def rule(self) -> MaskRule:
        return MaskRule(threshold=self.mask_threshold, values=self.mask_values, ignore=self.ignore_value)

    @property
    def one_channel(self) -> bool:
        """Whether a person chose so that images become grey."""
        return self.channels == MEAN or len(parse_channels(self.channels)) == 1

    @property
    def max_value(self) -> float:
        if self.image_max == AUTO:
            return FROM_FILE
        try:
            value = float(self.image_max)
        except ValueError:
            value = -1
        if not 0 < value < 2**32:
            raise ValueError(f"image_max={self.image_max!r} is out of range; give a number above 0, such as 4095")
        return value

    def refuse_unused(self, layout: Layout) -> None:
        """Raises ValueError for an option that this layout would leave unused: it was given for a reason."""
        for name, value, applies, holds in (
            ("mask_threshold", self.mask_threshold, _is_file, "files of masks"),
            ("mask_values", self.mask_values, _is_file, "files of masks"),
            ("ignore_value", self.ignore_value, _is_whole_file, "files of whole masks"),
            ("rle_order", self.rle_order, _is_runs, "run lengths"),
        ):
            if value != AUTO and layout.pairs and not any(applies(pair.mask) for pair in layout.pairs):
                cure = "; category= says which class of annotations is foreground" if name == "mask_values" else ""
                raise ValueError(
                    f"{name}={value} has no use here: it is about {holds}, and this is {layout.name}; leave it "
                    f"out{cure}"
                )


def _is_file(mask: MaskSource) -> bool:
    return isinstance(mask, MaskFile | ObjectFiles)


def _is_whole_file(mask: MaskSource) -> bool:
    return isinstance(mask, MaskFile)


def _is_runs(mask: MaskSource) -> bool:
    return isinstance(mask, RunLengths)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in (AUTO, *allowed):
        raise ValueError(f"{name}={value!r} is unknown; it must be one of {', '.join((AUTO, *allowed))}")
