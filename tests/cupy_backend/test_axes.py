"""Axes of members, rows and numbers, joined and parted: what a thread sees, and what is refused."""

import numpy as np
import pytest

from portable_bp_cupy.threads.axes import Part, Unfit, combined, cut, met, new, of, read, reshaped, stretched, turned

K, B = of(4, "members"), of(3, "rows")


def test_axes_meet_in_the_parts_that_they_have_in_common():
    assert met([of(12), (*K, *of(3))]) == (Part(4, "members"), Part(3))
    assert met([of(12), (*of(2), *of(6)), ()]) == (Part(2), Part(6))
    assert met([of(3), B]) == B
    assert met([(), ()]) == ()


@pytest.mark.parametrize(
    "axes", [[K, of(4, "rows")], [(*K, *of(3)), (*of(3), *K)], [of(12), (*of(8), Part(3, "rows"))]]
)
def test_parts_of_different_owners_or_lengths_do_not_meet(axes):
    with pytest.raises(Unfit):
        met(axes)


def test_a_reshape_joins_and_parts_axes_and_cuts_no_members_and_no_rows():
    value = new([K, B, of(10)], "stored")
    joined = reshaped(value, (120,))
    assert joined.axes == ((Part(4, "members"), Part(3, "rows"), Part(10)),)
    parted = reshaped(joined, (4, 3, 2, 5))
    assert parted.axes == (K, B, of(2), of(5))
    np.testing.assert_array_equal(parted.index, np.arange(10).reshape(1, 1, 2, 5))
    with pytest.raises(Unfit, match="cuts the axis"):
        reshaped(value, (2, 60))


def test_views_move_the_numbers_that_a_thread_sees():
    value = new([K, of(2), of(5)], "stored")
    turned_value = turned(value, np.swapaxes, (-1, -2), {})
    assert turned_value.axes == (K, of(5), of(2))
    np.testing.assert_array_equal(turned_value.index[0], np.arange(10).reshape(2, 5).T)
    np.testing.assert_array_equal(cut(value, (..., slice(1, 4))).index[0], np.arange(10).reshape(2, 5)[:, 1:4])
    assert cut(value, (slice(None), -1)).axes == (K, of(5))
    with pytest.raises(Unfit, match="a part of the members"):
        cut(value, slice(1, None))
    with pytest.raises(Unfit, match="no whole number"):
        cut(value, (..., np.asarray([1])))


def test_a_new_first_axis_of_so_many_is_the_members():
    value = stretched(new([B, of(5)], "stored"), (4, 3, 5), 4)
    assert value.axes == (K, B, of(5))
    assert stretched(new([of(5)], "stored"), (6, 5), 4).axes == (of(6), of(5))


def test_what_lies_row_by_row_is_read_at_the_row():
    whole, of_a_row = new([of(3), of(5)], "stored"), new([B, of(5)], "other")
    found = read(whole, combined([whole, of_a_row]))
    assert (found.row, found.member) == (5, 0)
    np.testing.assert_array_equal(found.index, np.arange(5).reshape(1, 5))
    across = reshaped(turned(new([of(2), of(3)], "stored"), np.transpose, (), {}), (6,))
    with pytest.raises(Unfit, match="equal distances"):
        read(across, [of(6, "rows")])
