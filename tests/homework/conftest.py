from assignments import FOLDER
from pytest import fixture

from coursework import build


@fixture(scope="session")
def built(request, tmp_path_factory):
    """What `make homework` makes, from sources with secrets planted where students must not look.

    Only of the first assignment, unless a slow test asks.
    """
    items = request.session.items
    asks = any("built" in item.fixturenames and item.get_closest_marker("slow") for item in items)
    folder = tmp_path_factory.mktemp("homework")
    planted = folder / "notebooks" / "homework"
    planted.mkdir(parents=True)
    for path in FOLDER.glob("hw*.md" if asks else "hw1*.md"):
        (planted / path.name).write_text(plant(path.read_text(encoding="utf-8")), encoding="utf-8")
    build.main([str(folder / "notebooks"), str(folder / "built"), "https://example.com/book"])
    return folder / "built"


def plant(text: str) -> str:
    """A secret in every solution, hidden check and wrong answer, as a name and in a comment."""
    lines, count, hidden = [], 0, False
    for line in text.splitlines():
        lines.append(line)
        tagged = line.startswith(":tags:") and ("hidden" in line or "mutant" in line)
        hidden = hidden and line != "```" or tagged
        if line.strip() == "# BEGIN SOLUTION" or hidden and line.endswith(":") and line.startswith("def "):
            count += 1
            space = " " * (len(line) - len(line.lstrip()) + (0 if "SOLUTION" in line else 4))
            following = f"{space}secret_{count} = {count}  # SECRET_COMMENT_{count}"
            lines.append(following)
    return "\n".join(lines) + "\n"
