"""Amounts of money, counted in whole cents."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal, InvalidOperation

import numpy as np

from unshap_plugin.errors import InvalidTypeError, InvalidValueError, in_short

__all__ = ["Amount", "amount_of", "cents_of", "divide"]

#: What people write an amount as.
Amount = int | float | str | Decimal

#: Decimals within these bounds are computed with exactly, whatever the precision that somebody has set.
_MOST, _EXACT = Decimal(10) ** 18, Context(prec=60)


def cents_of(name: str, amount: Amount, *, zero: bool) -> int:
    """Return an amount in cents.

    Parameters
    ----------
    name, amount
        What the message calls it, and what was given: a number, or its digits as text.
    zero
        Whether 0 itself is allowed.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If it is no such amount, or not of whole cents.

    Examples
    --------
    >>> cents_of("total", "10000.50", zero=False), cents_of("total", 0.1, zero=False)
    (1000050, 10)
    """
    expected = f"an amount of money {'of at least' if zero else 'above'} 0, such as 10000 or '10000.50', is needed"
    if isinstance(amount, bool) or not isinstance(amount, int | float | str | Decimal | np.integer | np.floating):
        raise InvalidTypeError(f"{name} is {in_short(amount)}, but {expected}.")
    try:
        # By the digits that are shown: 0.1 is ten cents.
        exact = amount if isinstance(amount, Decimal) else Decimal(str(amount))
    except InvalidOperation:
        raise InvalidValueError(f"{name} is {in_short(amount)}, but {expected}.") from None
    if not exact.is_finite() or exact < 0 or (exact == 0 and not zero):
        raise InvalidValueError(f"{name} is {in_short(amount)}, but {expected}.")
    if exact >= _MOST or _EXACT.remainder(exact, Decimal("0.01")) != 0:
        raise InvalidValueError(
            f"{name} is {in_short(amount)}, but whole cents, and less than 10**18 in all, are needed: give it with "
            f"two decimal places."
        )
    cents = int(_EXACT.multiply(exact, Decimal(100)))
    if cents == 0 and not zero:  # so little that arithmetic loses it
        raise InvalidValueError(f"{name} is {in_short(amount)}, but {expected}.")
    return cents


def amount_of(cents: int) -> Decimal:
    """Return so many cents as an amount with two decimal places.

    Examples
    --------
    >>> amount_of(1000050)
    Decimal('10000.50')
    """
    return _EXACT.scaleb(Decimal(cents), -2)


def divide(cents: int, weights: Sequence[float], names: Sequence[str]) -> list[int]:
    """Return what each gets of so many cents by its weight, all cents together (the method of largest remainders).

    What is left over after everybody got the whole cents of its share goes, a cent each, to those whose shares lack
    most; among equals to the heavier ones, and then by name, so that it does not matter in which order they come.

    Parameters
    ----------
    cents
        What there is, of at least 0.
    weights
        Finite numbers of at least 0, of which some are above 0.
    names
        A text for each.

    Examples
    --------
    >>> divide(100, [1.0, 1.0, 1.0], ["cairn", "acme", "bolt"])
    [33, 34, 33]
    """
    # Every double is a whole multiple of the smallest one, so that whole numbers hold the shares exactly.
    exact = [top * (2**1074 // bottom) for top, bottom in (float(one).as_integer_ratio() for one in weights)]
    whole = sum(exact)
    paid = [cents * one // whole for one in exact]
    lacking = [cents * one % whole for one in exact]
    order = sorted(range(len(exact)), key=lambda i: (-lacking[i], -exact[i], names[i]))
    for i in order[: cents - sum(paid)]:
        paid[i] += 1
    return paid
