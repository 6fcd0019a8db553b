"""Certificates of a farm: a private authority, and a folder with a certificate for each who takes part.

Whoever has a certificate of the authority can run code on every other's computer: Dask sends functions. Whoever has
none is refused before a byte of a message is read.
"""

from __future__ import annotations

import os
import re
import ssl
import stat
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from distributed.security import Security

from bench.errors import UsageError
from bench.farm.address import Address

AUTHORITY = "authority"
"""The folder with the authority's key: it signs new certificates, and no host needs it."""
FILES = ("ca.pem", "cert.pem", "key.pem")
DAYS = 730
_LEEWAY = timedelta(hours=1)
"""Clocks of hosts differ."""


def make(folder: Path, names: Sequence[str]) -> list[Path]:
    """A folder with ca.pem, cert.pem and key.pem in `folder` for each name; the authority is made the first time.

    Returns the new folders. Raises UsageError for a name that is none or is taken.
    """
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name) or name == AUTHORITY:
            raise UsageError(f"{name!r} cannot name a certificate", "Use letters, digits, dots and dashes.")
        if (folder / name).exists():
            raise UsageError(f"{folder / name} is there already", "Name another, or remove that folder first.")
    key, certificate = _authority(folder / AUTHORITY)
    return [_member(folder / name, name, key, certificate) for name in dict.fromkeys(names)]


def security(folder: Path | None, address: Address) -> Security:
    """What Dask needs for that address: for tls the three files of `folder`, and encryption required both ways. Raises
    UsageError for files that are missing, or for a key that others may read."""
    if address.scheme == "tcp":
        return Security(require_encryption=False)
    if folder is None:
        raise UsageError(f"{address} needs a certificate", "Give its folder by --credentials (`bench farm init`).")
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise UsageError(
            f"{folder} has no {missing[0]}", f"Give the folder of one who takes part: {', '.join(FILES)} are in it."
        )
    authority, certificate, key = (str(folder / name) for name in FILES)
    if Path(key).stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"{key} may be read by others", f"chmod 600 {key}")
    roles = {
        f"tls_{role}_{part}": path
        for role in ("scheduler", "worker", "client")
        for part, path in (("cert", certificate), ("key", key))
    }
    return Security(require_encryption=True, tls_ca_file=authority, tls_min_version=ssl.TLSVersion.TLSv1_3, **roles)


def _authority(folder: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    if not (folder / "key.pem").exists():
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench farm")])
        signed = (
            _begun(name, name, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        _write(folder, signed, signed, key)
    try:
        loaded = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
        certificate = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} holds no authority: {error}", "Name a new folder.") from None
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    return loaded, certificate


def _member(folder: Path, name: str, signer: ec.EllipticCurvePrivateKey, authority: x509.Certificate) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    signed = (
        _begun(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), authority.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    _write(folder, authority, signed, key)
    return folder


def _begun(name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LEEWAY)
        .not_valid_after(now + timedelta(days=DAYS))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _write(
    folder: Path, authority: x509.Certificate, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    """The key last: a folder with a key is whole."""
    folder.mkdir(parents=True, mode=0o700)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = serialization.Encoding.PEM
    for name, content in zip(FILES, (authority.public_bytes(pem), certificate.public_bytes(pem), private), strict=True):
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
