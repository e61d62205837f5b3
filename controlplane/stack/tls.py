"""A self-signed certificate for an embedded listener: encryption on the first day; a deployment brings its own."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controlplane.stack.postgres import write_private

VALID = datetime.timedelta(days=365)
RENEW_BEFORE = datetime.timedelta(days=30)


def self_signed(directory: Path) -> tuple[Path, Path]:
    """Paths of a certificate and its key (PEM, P-256) for `localhost` and loopback; made anew when it is about to expire."""
    certificate, key = directory / "cert.pem", directory / "key.pem"
    if not (certificate.exists() and key.exists() and _still_valid(certificate)):
        directory.mkdir(parents=True, exist_ok=True)
        _make(certificate, key)
    return certificate, key


def _still_valid(certificate: Path) -> bool:
    ends = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    return datetime.datetime.now(datetime.UTC) + RENEW_BEFORE < ends


def _make(certificate: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.IPAddress(ipaddress.ip_address("::1"))]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    write_private(key, private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode())
    certificate.write_bytes(signed.public_bytes(pem))
