"""A PostgreSQL database to measure on: the one of the tests, but what is committed lies on the disk, as it does in a real house."""

from sqlalchemy import create_engine, text

from tests.support import databases


def create_database(name: str) -> str:
    """A fresh, empty database; its address."""
    url = databases.create_database(name)
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("ALTER SYSTEM SET fsync = on"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()
    return url
