"""Serves a site by granian in this process until it is told to stop."""

import logging


def serve(target: str, host: str, port: int, threads: int, processes: int = 1) -> None:
    """`target` is `module:factory`. A worker process that crashes is replaced."""
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    # It warns of more threads than processors can use; ours wait for the database most of the time, so that is meant.
    logging.getLogger("_granian").addFilter(lambda record: "Python threads" not in record.getMessage())
    Server(
        target,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        factory=True,
        workers=processes,
        websockets=False,
        blocking_threads=threads,
        log_level=LogLevels.warning,
        workers_kill_timeout=5,
        respawn_failed_workers=True,
    ).serve()
