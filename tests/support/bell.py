"""A queue that only writes down who rang."""

from preference_center.jobs import Job


class WrittenBell:
    def __init__(self) -> None:
        self.rung: list[tuple[str, tuple[int | str, ...]]] = []

    def ring(self, job: Job, args: tuple[int | str, ...]) -> None:
        self.rung.append((job.path, args))

    def is_heard(self, job: Job) -> bool:
        return job.path not in [path for path, _ in self.rung]

    def rings_only_for(self, job: Job, args: tuple[int | str, ...]) -> bool:
        return all(rung == args for path, rung in self.rung if path == job.path)
