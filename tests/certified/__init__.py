"""The book's labelled results in a form that a program reads, changes and puts to the test.

forms     the statements, from NN.toml: assumptions and claims, each a Python expression, by label
derive    the variants of a statement: one symbol, constant, index, assumption or quantifier changed
worlds_*  the cases: every name that a statement uses, computed exactly
judge     which variants a case refutes, which say less than the statement, which are true
report    all of it in one table (`make certify`)

`forms` and `derive` need nothing but Python: the book shows each statement's form under it.
"""
