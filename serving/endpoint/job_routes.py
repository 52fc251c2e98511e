"""The endpoints for long jobs: POST /jobs, then GET, GET result, DELETE. The work is that of the other endpoints."""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, HTTPException, Response

from serving.endpoint.answers import Request, ServerTiming, Serving, stream
from serving.endpoint.fields import ERRORS, JOB, RESULT, Asked, Image, JobKind, errors
from serving.endpoint.jobs import KEPT_SECONDS, MAX_JOBS, ImageJob, JobFailed, Jobs, OnProgress, TableFullError
from serving.endpoint.uploads import check_header


def make_routes(current: Callable[[], Serving], gate: asyncio.Semaphore) -> APIRouter:
    """`gate`: how many images may be held in memory at once."""
    router, jobs = APIRouter(), Jobs()

    def find(name: str) -> ImageJob:
        job = jobs.find(name)
        if job is None:
            kept = f"results are kept for {KEPT_SECONDS / 60:.0f} minutes, or until {MAX_JOBS} newer jobs came"
            raise HTTPException(404, f"no job of this name; {kept}")
        return job

    @router.post("/jobs", status_code=202, responses={202: shown("the job"), **ERRORS})
    async def submit(image: Image, options: Asked, response: Response, output: JobKind = "mask") -> dict[str, Any]:
        """Hand in a large image; the answer comes at once and says where to look."""
        request = Request(current(), output, options)

        def work(data: bytes, progress: OnProgress) -> tuple[bytes, str]:
            try:
                answer = request.answer(data, "image", "jobs", ServerTiming(), progress)
                return answer.content, answer.media_type
            except HTTPException as error:
                raise JobFailed(error.detail) from None

        def hand_in(data: bytes) -> ImageJob:
            check_header(data, "image", options)
            return jobs.submit(data, work)

        try:
            async with gate:
                job = await asyncio.to_thread(hand_in, await image.read())
        except TableFullError as error:
            raise HTTPException(429, str(error)) from None
        response.headers["location"] = f"jobs/{job.id}"  # from here: a reverse proxy's prefix is not known
        return view(job)

    @router.get("/jobs/{name}", responses={200: shown("how far it is"), **errors(400, 401, 404, 429)})
    async def look(name: str) -> dict[str, Any]:
        """waiting, running, done or failed; how many tiles of how many; what was wrong."""
        return view(find(name))

    @router.get(
        "/jobs/{name}/result", response_class=Response, responses={200: RESULT, **errors(400, 401, 404, 409, 429)}
    )
    async def result(name: str) -> Response:
        """The PNG or JSON, once the job is done."""
        job = find(name)
        if job.state != "done":
            why = f": {job.detail}" if job.detail else "; ask again when its state is done"
            raise HTTPException(409, f"the job is {job.state}{why}")
        try:
            return stream(job.path.open("rb"), job.media_type)
        except FileNotFoundError:  # forgotten a moment ago
            find(name)
            raise

    @router.delete("/jobs/{name}", status_code=204, responses=errors(400, 401, 404, 429))
    async def cancel(name: str) -> None:
        """Stop it, or throw its result away."""
        jobs.cancel(find(name))

    return router


def view(job: ImageJob) -> dict[str, Any]:
    return {"id": job.id, "state": job.state, "tiles_done": job.done, "tiles": job.total, "detail": job.detail}


def shown(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"example": JOB}}}
