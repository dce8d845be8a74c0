"""The signers that the settings name: read once, and again when a key has changed."""

import os
from pathlib import Path

import pytest

from preference_center.mail import dkim, signing
from tests.conftest import make_settings


def test_a_key_is_read_again_when_its_file_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(dkim.generate_key("ed25519"))
    settings = make_settings(tmp_path, "sqlite://", dkim_selector="s", dkim_key_file=str(file))
    first = signing.signers(settings)
    assert first is not None
    assert signing.signers(settings) is first
    file.write_bytes(other := dkim.generate_key("ed25519"))
    os.utime(file, ns=(0, 1))
    second = signing.signers(settings)
    assert second is not None
    assert [record.value for record in second.dns_records()] == [
        dkim.dns_record(settings.sending_domain, "s", other).value
    ]
    file.unlink()
    with pytest.raises(FileNotFoundError):
        signing.signers(settings)
