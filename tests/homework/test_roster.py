"""A class list says who is who among those that handed in."""
from __future__ import annotations

import pytest

from coursework import intake, roster

ROSTER = """\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,Homework 0 (12)
    Points Possible,,,,,10
"Miller, Ann",4711,u1,am17,"A, B",3
"Ödön, José",4712,u2,jose@uni.edu,A,
"=cmd(), ""X""\u200b",4713,u3,x1,A,
"Lee, Bo",1,a,b1,A,
"Lee, Bo",2,c,b2,A,
"Student, Test",99,,,A,
"""


@pytest.mark.parametrize(("name", "number"), [("millerann_LATE_4711_8_hw1", "4711"), ("am17", "4711"),
                                              ("Ann Miller", "4711"), ("Miller, Ann", "4711"),
                                              ("jose", "4712"), ("José Ödön", "4712"), ("x1", "4713"),
                                              ("B2", "2"), ("Bo Lee", None), ("who", None)])
def test_a_class_list_says_who_is_who(tmp_path, name, number):
    (tmp_path / "list.csv").write_text(ROSTER, encoding="utf-8")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / f"{name}.ipynb").touch()
    (one,) = intake.find(tmp_path / "in")
    found = roster.find(one.student, one.canvas, roster.read(tmp_path / "list.csv"))
    assert (found and found["ID"]) == number


def test_gradescopes_roster_is_read_and_a_list_of_something_else_refused(tmp_path):
    (tmp_path / "list.csv").write_text("First Name,Last Name,SID,Email\nAnn,Miller,007,ann@uni.edu\n",
                                       encoding="utf-8")
    rows = roster.read(tmp_path / "list.csv")
    assert [roster.find(name, "", rows) for name in ("ann", "007", "Ann Miller", "millerann")] == rows * 4
    (tmp_path / "list.csv").write_text("colour,size\nred,3\n", encoding="utf-8")
    with pytest.raises(ValueError, match="colour"):
        roster.read(tmp_path / "list.csv")
