"""``--scheduler``: the workers of a dask cluster evaluate coalitions."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
from collections.abc import Iterator

import joblib

from unshap_plugin.errors import InvalidValueError, JobError

__all__ = ["SECONDS", "add_scheduler", "on_cluster"]

#: How long a scheduler has to answer.
SECONDS = 10


def add_scheduler(method: argparse._ArgumentGroup) -> None:
    """Add the option to a group."""
    method.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="evaluate on the workers of this dask scheduler, such as tcp://10.0.0.1:8786, instead of here",
    )


@contextlib.contextmanager
def on_cluster(options: argparse.Namespace) -> Iterator[None]:
    """Let the workers of the scheduler that the options name, if they do, do the work of the block.

    Raises
    ------
    InvalidValueError
        If a number of jobs is given too.
    JobError
        If dask is not installed, or nobody answers.
    """
    address = getattr(options, "scheduler", None)
    if address is None:
        yield
        return
    if options.jobs is not None:
        raise InvalidValueError("--scheduler uses all workers of a cluster, but --jobs was given too: leave one out.")
    try:
        from distributed import Client, Security
        from distributed.comm import connect
    except ImportError as error:
        raise JobError(
            "--scheduler needs dask.distributed, which is not installed: install unshap-plugin[dask]."
        ) from error
    # It logs each attempt to connect, and each connection that ends.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)

    async def answers() -> None:
        comm = await connect(address, timeout=SECONDS, **Security().get_connection_args("client"))
        await comm.close()

    try:
        # A client that finds nobody is closed when it is collected: in a client that just begins that waits for ever.
        asyncio.run(answers())
        client = Client(address, timeout=SECONDS)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise JobError(
            f"no dask scheduler answers at {address!r} within {SECONDS} seconds: give the address that 'dask "
            f"scheduler' prints when it starts, such as tcp://10.0.0.1:8786."
        ) from error
    with client, joblib.parallel_config("dask", client=client):
        yield
