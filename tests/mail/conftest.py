"""A relay for each test, and a throw-away certificate authority for the TLS tests."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.relay import FakeRelay

Key = ec.EllipticCurvePrivateKey
KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


class Authority:
    """Issues certificates for an hour, or for last year."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Throw-away authority")])
        # Newer Pythons verify strictly: an authority must say that it may sign.
        usage = {"key_cert_sign": True, "crl_sign": True}
        may_sign = x509.KeyUsage(**{name: usage.get(name, False) for name in KEY_USAGES})
        certificate = self._sign(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None), may_sign)
        self.file = str(self._write("authority.pem", certificate.public_bytes(serialization.Encoding.PEM)))

    def issue(self, host: str = "localhost", *, expired: bool = False, self_signed: bool = False) -> tuple[str, str]:
        """Certificate and key as two files, for the relay."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        days = -400 if expired else 0
        certificate = self._sign(
            name,
            key,
            x509.BasicConstraints(ca=False, path_length=None),
            x509.SubjectAlternativeName([x509.DNSName(host)]),
            days=days,
            signer=key if self_signed else None,
        )
        label = f"{host}-{expired}-{self_signed}"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        chain = self._write(f"{label}.pem", certificate.public_bytes(serialization.Encoding.PEM))
        return str(chain), str(self._write(f"{label}.key", private))

    def _sign(
        self,
        name: x509.Name,
        key: Key,
        *extensions: x509.ExtensionType,
        days: int = 0,
        signer: Key | None = None,
    ) -> x509.Certificate:
        now = datetime.now(UTC) + timedelta(days=days)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name if signer else self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key((signer or self._key).public_key()), critical=False
            )
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(signer or self._key, hashes.SHA256())

    def _write(self, name: str, data: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(data)
        return path


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def relay() -> Iterator[FakeRelay]:
    """A relay that offers PIPELINING and takes everything its recipients do not script otherwise."""
    with FakeRelay() as running:
        yield running
