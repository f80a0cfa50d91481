from hypothesis import given
from hypothesis import strategies as st

from unshap_plugin.support.printing import lines_of, one_line


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), min_size=1), st.integers(0, 3))
def test_every_row_is_one_line_with_its_cells_in_place(rows, left):
    lines = list(lines_of(rows, left=left))
    assert len(lines) == len(rows)
    assert all(line.isprintable() for line in lines)
    widths = [max(len(one_line(row[column])) for row in rows) for column in range(3)]
    for line, row in zip(lines, rows, strict=True):
        line, start = line.ljust(sum(widths) + 4), 0
        for column, width in enumerate(widths):
            cell = line[start : start + width]
            shown = one_line(row[column])
            assert cell == (shown.ljust(width) if column < left else shown.rjust(width))
            start += width + 2


@given(st.text())
def test_what_can_be_printed_stays_and_the_rest_can_be_read(text):
    assert one_line(text).isprintable()
    if text.isprintable():
        assert one_line(text) == text
    elif text.replace("\\", "").isascii() and "\\" not in text:
        assert one_line(text).encode().decode("unicode_escape") == text
