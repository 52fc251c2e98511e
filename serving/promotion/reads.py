"""How often the same test images were read: a score that was looked at before choosing again flatters the next choice.

Test images are known by their pixels, at their own size, so that other image sizes and names of the folder count, too.
"""

import hashlib
from typing import TYPE_CHECKING

from serving.promotion.candidate import Candidate
from training.tracking.store import search_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient

TAG = "test_digest"  # of a promotion that read its test images


def count_read(client: "MlflowClient", run_id: str, candidate: Candidate) -> int:
    """Write down that this run reads the candidate's test images now; how often it was done, this time counted.

    Every promotion in the store counts that came so far, finished or not. Earlier ones did not say which images they
    read: those on the same images (data_digest) that have test scores are counted.
    """
    digest = digest_of(candidate)
    earlier = 0
    for run in search_runs(client, "tags.role = 'promote'"):
        tags = run.data.tags
        old = "test_dice" in run.data.metrics and tags.get("data_digest") == candidate.images.digest
        if run.info.run_id != run_id and (tags[TAG] == digest if TAG in tags else old):
            earlier += 1
    client.set_tag(run_id, TAG, digest)
    return earlier + 1


def digest_of(candidate: Candidate) -> str:
    """16 hexadecimal digits that name the test images and their masks, in whatever order."""
    facts = [candidate.images.facts[index] for index in candidate.test]
    text = "\n".join(sorted(f"{one.image_hash} {one.mask_hash}" for one in facts))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
