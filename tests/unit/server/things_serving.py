"""A small service with nothing but what all services have: run as a program, it says on which port it listens."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import StreamingResponse

from epaas_web.logging import configure_logging
from epaas_web.problems import add_problem_handlers
from epaas_web.request_log import FRAMEWORK_TELEMETRY, Answered, add_request_log, note, note_waiting
from epaas_web.serving import listen

router = APIRouter(prefix="/things")
_log = structlog.get_logger()


@router.get("/{thing}")
def get_thing(thing: str, request: Request) -> str:
    note(request, tenant="st-mary")
    note(request, token="t-1")
    _log.info("in the route")
    if thing == "broken":
        raise RuntimeError("nobody expected this")
    if thing == "warning":
        logging.getLogger("some.library").warning("a warning of %s", "somebody")
    if thing == "thread":
        thread = threading.Thread(target=_die)
        thread.start()
        thread.join()
    return thing


@router.get("/{thing}/late")
def get_late(thing: str, request: Request) -> str:
    time.sleep(0.3)
    note_waiting(request, 0.3)
    return thing


@router.get("/{thing}/stream")
def get_stream(thing: str) -> StreamingResponse:
    def pieces() -> Iterator[str]:
        for _ in range(3):
            time.sleep(0.1)
            yield thing

    return StreamingResponse(pieces())


@router.put("/{thing}")
async def put_thing(thing: str, request: Request) -> int:
    return sum([len(chunk) async for chunk in request.stream()])


def _die() -> None:
    raise TypeError("of its own")


def observe(answered: Answered) -> None:
    _log.info("observed", route=answered.route, status=answered.status, seconds=answered.seconds)


def main() -> None:
    configure_logging()
    app = FastAPI(telemetry=FRAMEWORK_TELEMETRY)
    app.include_router(router)
    add_problem_handlers(app)
    add_request_log(app, observe)
    listener = listen("127.0.0.1", 0)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none")).run(sockets=[listener])


if __name__ == "__main__":
    main()
