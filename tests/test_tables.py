"""A table is read by eyes, by screen readers and as plain text: the same cells, and which are headers."""
from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
import torch

import ilsupport as il
from ilsupport import tables

COST = il.Estimate.of([1.0, 2.0, 3.0])
ROWS = [["camera <b>", COST, 64000, torch.tensor(0.12345)], ["features", "none", 7, 1234.5]]
TABLE = tables.show(ROWS, ["student", "cost", "labels", "error"], caption='What "A & B" pay')


def parsed(table: tables.Table) -> ElementTree.Element:
    return ElementTree.fromstring(table._repr_html_())  # well-formed, so nothing of a cell is taken for a tag


def test_cells_are_read_with_the_names_of_their_row_and_column():
    columns, *rows = [list(row) for row in parsed(TABLE).iter("tr")]
    assert [cell.get("scope") for cell in columns] == ["col"] * 4
    assert [[cell.tag for cell in row] for row in rows] == [["th", "td", "td", "td"]] * 2
    assert [row[0].get("scope") for row in rows] == ["row"] * 2
    assert [cell.text for cell in rows[0]] == ["camera <b>", "2 [-0.484, 4.48]", "64,000", "0.123"]


def test_columns_with_numbers_stand_to_the_right_and_so_do_their_headers():
    sides = [[re.match(r"text-align: (\w+)", cell.get("style"))[1] for cell in row]
             for row in parsed(TABLE).iter("tr")]
    assert sides == [["left", "right", "right", "right"]] * 3


def test_a_wide_table_scrolls_and_a_keyboard_reaches_it():
    around = parsed(TABLE)
    assert around.find("table/caption").text == around.get("aria-label") == 'What "A & B" pay'
    assert around.get("role") == "region" and around.get("tabindex") == "0"
    assert "overflow-x: auto" in around.get("style")
    nameless = parsed(tables.show([["x", 1]], ["what", "cost"]))
    assert nameless.get("aria-label") == "what, cost" and nameless.find("table/caption") is None


def test_plain_text_has_the_same_cells_in_columns():
    assert repr(TABLE).splitlines() == [
        'What "A & B" pay',
        "student                 cost  labels  error",
        "camera <b>  2 [-0.484, 4.48]  64,000  0.123",
        "features                none       7  1,234"]


@pytest.mark.parametrize("rows", [[], [["x"]], [["x", 1], ["y", 1, 2]]])
def test_rows_of_another_length_than_the_header_are_refused(rows):
    with pytest.raises(ValueError, match="expected some, of 2 each"):
        tables.show(rows, ["what", "cost"])
