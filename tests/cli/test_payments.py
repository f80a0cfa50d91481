"""``unshap value --pay``: what is printed and written, and what is refused before any work."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_results import made

from unshap_plugin import ValuationResult
from unshap_plugin.cli._summary import table_lines
from unshap_plugin.cli.main import main
from unshap_plugin.cli.value import _paid, _pay


def test_payments_are_printed_and_written_to_the_cent(providers, capsys):
    assert main([*providers, "--estimator", "stratified", "--budget", "60", "--pay", "10000.50"]) == 0
    out = capsys.readouterr().out
    table = out.split("\n\n")[0].splitlines()
    assert table[0].split()[-5:] == ["95%", "ranks", "payment", "95%", "payment"]
    assert "payments     10,000.50 in all, by value" in out
    assert "wrote        values/values.csv, values/result.json, values/values.png, values/payments.csv\n" in out
    frame = pd.read_csv("values/payments.csv", dtype=str)
    assert list(frame) == ["player", "value", "payment", "low", "high"]
    assert sum(map(Decimal, frame["payment"])) == Decimal("10000.50")
    result = ValuationResult.from_json(Path("values/result.json").read_text())
    assert [*map(Decimal, frame["payment"])] == list(result.payouts("10000.50").payments)
    for line in table[1:]:
        player, payment = line.split()[0], line.split()[-3].replace(",", "")
        assert frame.set_index("player")["payment"][player] == payment


def test_an_earlier_file_of_payments_does_not_stay_beside_new_values(providers, capsys):
    assert main([*providers, "--pay", "100"]) == 0
    assert main(providers) == 0
    assert not Path("values/payments.csv").exists()
    out = capsys.readouterr().out
    assert "removed      values/payments.csv of an earlier run\n" in out
    assert "95% ranks" not in out, "exact values have no open ranks"


@pytest.mark.parametrize("amount", ["ten", "10,000", "0", "-5", "nan", "inf", ""])
def test_what_is_no_amount_is_refused_before_anything_is_read(amount, refused):
    message = refused(["value", "missing.csv", "--label", "y", f"--pay={amount}"])
    assert f"--pay is {amount!r}, but an amount of money above 0, such as 10000 or '10000.50', is needed." in message


def test_half_cents_are_refused_and_what_is_advised_helps(providers, refused):
    message = refused([*providers, "--pay", "100.005"])
    assert "--pay is '100.005', but whole cents, and less than 10**18 in all, are needed: give it with" in message
    assert main([*providers, "--pay", "100.01"]) == 0


def test_values_that_pay_nobody_are_shown_all_the_same():
    paid = _pay(made([-1.0, -2.0]), "100")
    assert _paid(paid) == "none: no player has a positive value, so that nobody can be paid by value."
    assert next(table_lines(made([-1.0, -2.0]), paid)).split()[-1] == "rank"


def test_payments_that_may_be_nothing_are_counted():
    assert _paid(_pay(made([1.0, 0.1, -5.0], 0.1, 9.0), "1000")) == (
        "1,000.00 in all, by value; that of 1 of 3 players may be nothing, by its interval"
    )
    assert _paid(_pay(made([1.0, -0.1]), "1000")) == "1,000.00 in all, by value"


def test_a_table_without_standard_errors_has_dashes():
    result = made([0.5, 0.25], [np.nan, 0.01], 9.0)
    lines = list(table_lines(result, _pay(result, "100")))
    assert lines[0].split("  ")[-1].strip() == "95% payment"
    assert lines[1].split() == ["0", "0.5000", "-", "[-,", "-]", "1", "[1,", "2]", "66.67", "[-,", "-]"]
