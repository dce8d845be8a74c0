"""The samples shared by all who build against these providers lie beside the repository; a clone elsewhere has none of them."""

from tests.providers.shared import FOLDER

collect_ignore = [] if FOLDER.is_dir() else ["test_shared_samples.py"]
