"""The README's ten lines do what it says."""
import re
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_ten_lines_run_and_learn(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    exec(compile(code, "README.md", "exec"), {})
    returns = [float(line.split("return ")[1].split()[0]) for line in capsys.readouterr().out.splitlines()]
    assert len(returns) == 3 and max(returns[1:]) > 450


def test_every_file_the_readme_points_at_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (Path(__file__).parent.parent / target).exists(), target
