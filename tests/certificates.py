"""Certificates that tests show each other."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: str
    key: str

    def encrypted_key(self) -> str:
        private = serialization.load_pem_private_key(self.key.encode(), None)
        return _pem(private, serialization.BestAvailableEncryption(b"a passphrase"))  # type: ignore[arg-type]


def issued(common_name: str, by: Pair | None = None) -> Pair:
    """A certificate for ``common_name``, signed by another one or, as an authority, by itself."""
    private = ec.generate_private_key(ec.SECP256R1())
    name, now = _name(common_name), datetime.datetime.now(datetime.UTC)
    issuer = x509.load_pem_x509_certificate(by.certificate.encode()).subject if by else name
    signer = serialization.load_pem_private_key(by.key.encode(), None) if by else private
    builder = (
        x509.CertificateBuilder(issuer, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    signed = builder.sign(signer, hashes.SHA256())  # type: ignore[arg-type]
    return Pair(signed.public_bytes(serialization.Encoding.PEM).decode(), _pem(private, serialization.NoEncryption()))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(private: ec.EllipticCurvePrivateKey, encryption: serialization.KeySerializationEncryption) -> str:
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()
