"""The embedded queue server: a real Valkey in DATA_DIR on a Unix socket, used when no REDIS_URL is set."""

from pathlib import Path

from preference_center.config import Settings


def redis_url(settings: Settings) -> str:
    """Where the queue is: the one of the settings, or the embedded server's socket."""
    return settings.redis_url or f"unix://{socket_path(settings)}"


def socket_path(settings: Settings) -> Path:
    return settings.data_dir / "queue.sock"
