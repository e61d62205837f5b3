"""The limit that keeps passwords from being guessed, and the ledger from being filled by strangers.

An attempt is written down before its password is looked at, so attempts made at the same moment cannot pass the limit together;
one that is turned away leaves no trace, so that nobody is kept out for longer than the window by hammering.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from controlplane.models import SignInAttempt

WINDOW = timedelta(minutes=15)
# Failures in the window. An account is shut for the address that guesses long before it is shut for everybody.
PER_ACCOUNT_AND_ADDRESS = 10
PER_ACCOUNT = 100
PER_ADDRESS = 100


def begin(account: str, address: str) -> bool:
    """Write an attempt down. False, and no trace, where it is one too many."""
    attempt = SignInAttempt.objects.create(account=account, address=address)
    if _too_many(account, address):
        attempt.delete()
        return False
    return True


def forget(account: str, address: str) -> None:
    """The attempt was none: the password was right."""
    SignInAttempt.objects.filter(account=account, address=address).delete()


def _too_many(account: str, address: str) -> bool:
    """Whether the attempt that was just written down is one too many; what is older than the window is forgotten."""
    SignInAttempt.objects.filter(at__lt=timezone.now() - WINDOW).delete()
    of_account, of_address = SignInAttempt.objects.filter(account=account), SignInAttempt.objects.filter(address=address)
    return (
        of_account.filter(address=address).count() > PER_ACCOUNT_AND_ADDRESS
        or of_account.count() > PER_ACCOUNT
        or of_address.count() > PER_ADDRESS
    )
