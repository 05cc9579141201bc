"""The book's tables: numbers with their intervals, as HTML that a screen reader reads and a phone scrolls."""
import html
from collections.abc import Sequence

from torch import Tensor

from ilsupport.estimate import Estimate


class Table:
    """A finished table as HTML, and as text in columns where nothing shows HTML.

    lines   texts of the cells, the header's first
    sides   of each column, "left" or "right"
    """

    def __init__(self, lines: list[list[str]], sides: list[str], caption: str) -> None:
        self.lines, self.sides, self.caption = lines, sides, caption

    def _repr_html_(self) -> str:
        name = html.escape(self.caption or ", ".join(filter(None, self.lines[0])))
        head, *body = (f"<tr>{''.join(self._cells(i, line))}</tr>" for i, line in enumerate(self.lines))
        return (f'<div role="region" aria-label="{name}" tabindex="0" style="overflow-x: auto"><table>'
                + f"<caption>{name}</caption>" * bool(self.caption)
                + f"<thead>{head}</thead><tbody>{''.join(body)}</tbody></table></div>")

    def _cells(self, i: int, line: list[str]):
        for j, (cell, side) in enumerate(zip(line, self.sides)):
            tag, scope = ("td", "") if i and j else ("th", f' scope="{"row" if i else "col"}"')
            yield f'<{tag}{scope} style="text-align: {side}; padding: .2em .8em">{html.escape(cell)}</{tag}>'

    def __repr__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self.lines)]
        text = ["  ".join(f"{cell:{'>' if side == 'right' else '<'}{width}}" for cell, side, width
                          in zip(line, self.sides, widths)).rstrip() for line in self.lines]
        return "\n".join([self.caption] * bool(self.caption) + text)


def show(rows: Sequence[Sequence[object]], header: Sequence[str], *, caption: str = "") -> Table:
    """A table for display: each row begins with what it is about, and `header` names the columns.

    Numbers are shown to three digits, whole ones in full, an `Estimate` as "mean [low, high]", and a column
    with numbers in it stands to the right. Texts stay as they are (f"{x:.1%}", say). `caption` says in a few
    words what the table shows. Raises ValueError for no rows, and rows of another length than the header.
    """
    if not rows or {len(row) for row in rows} != {len(header)}:
        raise ValueError(f"rows of {[len(row) for row in rows]} cells, expected some, of {len(header)} each.")
    sides = ["left" if all(isinstance(cell, str) for cell in column) else "right" for column in zip(*rows)]
    return Table([list(header), *(list(map(_text, row)) for row in rows)], sides, caption)


def _text(cell: object) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Estimate):
        return str(cell).partition(" (n")[0]
    x = cell.item() if isinstance(cell, Tensor) else cell
    return f"{x:,.0f}" if isinstance(x, int) or abs(x) >= 999.5 else f"{x:.3g}"
