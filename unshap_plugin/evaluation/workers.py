"""Workers: the processes that joblib's active backend has, on this machine or on a cluster.

joblib's own bridges to clusters are asked who is at work and how many, but are not used to send anything: that of dask
waits for ever for a task that the cluster gave up, and that of ray starts all processes anew for each call.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar

import joblib
from joblib.parallel import get_active_backend

from unshap_plugin.errors import JobError
from unshap_plugin.evaluation.remote import Outcome, Parcel, Share, work

__all__ = ["Workers", "workers_now"]


@dataclass(frozen=True)
class Workers(ABC):
    """Processes that evaluate coalitions; two of these are equal where they are the same processes.

    Attributes
    ----------
    least
        How many shares each should get at least.
    """

    least: ClassVar[int] = 1

    @abstractmethod
    def count(self) -> int:
        """Return how many there are now."""

    @abstractmethod
    def lend(self, parcel: Parcel) -> Any:
        """Return what stands for the content of a parcel in any number of tasks, for as long as it is held."""

    @abstractmethod
    def outcomes(self, parcel: Parcel, lent: Any, shares: Sequence[Share]) -> Iterator[Outcome]:
        """Yield what became of each share, in their order, whatever the order in which they are done."""


def workers_now(n_jobs: int | None) -> Workers | None:
    """Return the workers that joblib says are to be used now; ``None``: this process works alone.

    ``n_jobs`` is as in joblib, but that on a cluster all workers are used, unless it is 1. Threads of this process take
    turns (``alone``), so that several of them are no faster than one.

    Examples
    --------
    >>> workers_now(1) is None, workers_now(2)
    (True, _Local(n_jobs=2))
    """
    backend = get_active_backend()[0]
    if n_jobs == 1 or getattr(backend, "supports_sharedmem", False):
        return None
    client = getattr(backend, "client", None)
    if client is not None:
        return _Dask(client, backend)
    if type(backend).__name__ == "RayBackend":
        return _Ray()
    local = _Local(n_jobs)
    return local if local.count() > 1 else None


@dataclass(frozen=True)
class _Local(Workers):
    """Processes of any other backend, which are given the content only where they say that they lack it."""

    n_jobs: int | None

    def count(self) -> int:
        return int(joblib.effective_n_jobs(self.n_jobs))

    def lend(self, parcel: Parcel) -> Any:
        return parcel.content

    def outcomes(self, parcel: Parcel, lent: Any, shares: Sequence[Share]) -> Iterator[Outcome]:
        def done(content: Any, shares: Sequence[Share]) -> list[Outcome]:
            task = joblib.delayed(work)
            tasks = (task(parcel.name, parcel.software, content, share) for share in shares)
            try:
                return list(joblib.Parallel(n_jobs=self.n_jobs)(tasks))
            except KeyboardInterrupt as error:
                if error.__cause__ is None:  # it is this process that was interrupted
                    raise
                raise BrokenExecutor("it was interrupted") from error

        first = done(None, shares)
        lacking = [share for share, outcome in zip(shares, first, strict=True) if outcome is None]
        again = iter(done(lent, lacking) if lacking else ())
        yield from (next(again) if outcome is None else outcome for outcome in first)


class _Cluster(Workers):
    """Workers of a cluster, which gives to another worker what one had in hand when it died."""

    name: ClassVar[str]
    #: The scheduler of dask gives tasks that are fewer than two for each worker to those that have the problem already.
    least = 3

    def outcomes(self, parcel: Parcel, lent: Any, shares: Sequence[Share]) -> Iterator[Outcome]:
        with self._in_words():
            yield from self._outcomes(parcel, lent, shares)

    @contextlib.contextmanager
    def _in_words(self) -> Iterator[None]:
        """Say what became of the cluster: what becomes of a task is an outcome."""
        try:
            yield
        except JobError:
            raise
        except Exception as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise JobError(
                f"the {self.name} cluster could not go on ({why}): see the logs of its workers, or use n_jobs=1."
            ) from error

    @abstractmethod
    def _outcomes(self, parcel: Parcel, lent: Any, shares: Sequence[Share]) -> Iterator[Outcome]: ...


@dataclass(frozen=True)
class _Dask(_Cluster):
    """Workers of a dask cluster."""

    client: Any
    backend: Any = field(compare=False)
    name = "dask"

    def count(self) -> int:
        with self._in_words():
            try:
                count = int(self.backend.effective_n_jobs(-1))
            except (TimeoutError, OSError) as error:
                raise JobError(
                    f"the dask cluster has no workers ({' '.join(str(error).split())[:200]}): start some, or use "
                    f"n_jobs=1."
                ) from error
        return count

    def lend(self, parcel: Parcel) -> Any:
        # A result, and not data that is scattered: that is gone with the workers that hold it.
        with _any_size():
            return self.client.submit(_same, parcel.content, key=f"unshap-{parcel.name}")

    def _outcomes(self, parcel: Parcel, lent: Any, shares: Sequence[Share]) -> Iterator[Outcome]:
        with _any_size():
            futures = self.client.map(
                _on_dask, shares, name=parcel.name, software=parcel.software, content=lent, pure=False
            )
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.release()  # where something failed, the others need not be done


@dataclass(frozen=True)
class _Ray(_Cluster):
    """Workers of a ray cluster."""

    name = "ray"

    def count(self) -> int:
        import ray

        if not ray.is_initialized():
            ray.init()
        return int(ray.cluster_resources().get("CPU", 1))

    def lend(self, parcel: Parcel) -> Any:
        import ray

        return ray.put(parcel.content)

    def _outcomes(self, parcel: Parcel, lent: Any, shares: Sequence[Share]) -> Iterator[Outcome]:
        import ray

        task = ray.remote(work)
        waiting = [task.remote(parcel.name, parcel.software, lent, share) for share in shares]
        try:
            while waiting:
                outcome = ray.get(waiting[0])
                del waiting[0]  # before anybody can leave: ray ends this process where what is done is cancelled
                yield outcome
        finally:
            for one in waiting:
                ray.cancel(one)


def _same(content: Any) -> Any:
    return content


def _on_dask(share: Share, **given: Any) -> Outcome:
    return work(share=share, **given)


def _any_size() -> Any:
    """Send what is large without a warning: it is sent once."""
    import dask

    return dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"})
