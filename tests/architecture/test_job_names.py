"""Strings point up: each job named in `jobs.py` is a function of `worker/`, and each function there has its name."""

import importlib
import inspect
import pkgutil

import pytest

import worker.jobs
from preference_center import jobs
from preference_center.jobs import QUEUES, Job

NAMED = {name: value for name, value in vars(jobs).items() if isinstance(value, Job)}


@pytest.mark.parametrize("job", NAMED.values(), ids=NAMED.keys())
def test_a_named_job_is_a_function_of_the_worker_and_its_queue_exists(job: Job) -> None:
    module, _, function = job.path.rpartition(".")
    assert module.startswith("worker.jobs.")
    assert inspect.isfunction(inspect.unwrap(getattr(importlib.import_module(module), function)))
    assert job.queue in QUEUES


def test_every_job_function_has_a_name() -> None:
    paths = set()
    for found in pkgutil.iter_modules(worker.jobs.__path__, "worker.jobs."):
        module = importlib.import_module(found.name)
        paths |= {
            f"{found.name}.{name}"
            for name, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", "") == found.name and not name.startswith("_")
        }
    assert paths - {job.path for job in NAMED.values()} == set()


def test_no_two_names_mean_the_same_job() -> None:
    assert len({job.path for job in NAMED.values()}) == len(NAMED)
