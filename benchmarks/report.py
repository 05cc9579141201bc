"""The results as a table and a figure that the repository keeps."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

from ilsupport import plots


def number(value: float, unit: str) -> str:
    if unit == "steps/s":
        return f"{value / 1e6:.2f}M" if value >= 1e5 else f"{value / 1e3:.1f}k"
    return f"{value:.3g}"


def write_report(path: Path, rows: dict) -> None:
    """Write `<name>.md` and `<name>.svg` next to `<name>.json`."""
    data = json.loads(path.read_text())
    lines, bars = table(data, rows)
    path.with_suffix(".md").write_text("\n".join(lines) + "\n")
    path.with_suffix(".svg").write_text(figure(bars).replace("currentColor", "#6e7781"))


def table(data: dict, rows: dict) -> tuple[list[str], list[tuple[str, dict]]]:
    """Medians, spread (min to max), ratios against their bars; and what of it the figure shows."""
    lines = [
        "# How fast, side by side",
        "",
        "Made by `make bench`; do not edit. Medians [min, max] of runs that alternate "
        "between the contenders, on " + ", ".join(f"{k} {v}" for k, v in data["machine"].items()) + "."
        + (" A ratio of ours on a GPU is to ours on the processor." if "GPU" in data["machine"] else ""),
        "",
        "| what | contender | median [min, max] | ratio | bar | |",
        "|---|---|---|---|---|---|",
    ]
    bars = []
    for key, result in data["rows"].items():
        row = rows[key]
        if "error" in result:
            lines.append(f"| {row.title} | – | {result['error']} | | | **failed** |")
            continue
        verdicts = {v["peer"]: v for v in result["verdicts"]}
        for name, samples in result["samples"].items():
            middle, low, high = (number(f(samples), row.unit) for f in (statistics.median, min, max))
            shown = f"{middle} [{low}, {high}] {row.unit}"
            verdict = verdicts.pop(name, None)
            lines.append(f"| {row.title if name == 'ours' else ''} | {name} | {shown} |" + _cells(verdict))
            if verdict and verdict["bar"] > 0:
                bars.append((f"{row.title}\nagainst {name}", verdict))
        for name, verdict in verdicts.items():
            counts = [result["extra"].get(who, {}).get("labels_to_475") for who in ("ours", "imitation")]
            lines.append(f"| | {name} | {counts[0]:,} against {counts[1]:,} |" + _cells(verdict))
    lines += ["", "| what | median [min, max] | ceiling | |", "|---|---|---|---|"]
    for title, found in (item for group in data.get("limits", {}).values() for item in group.items()):
        met = "met" if found["met"] else "**missed**"
        lines.append(f"| {title} | {found['median']:.3g} [{found['min']:.3g}, {found['max']:.3g}] | < "
                     f"{found['bar']} | {met} |")
    return lines, bars


def figure(bars: list[tuple[str, dict]]) -> str:
    """An SVG of the measured ratios over the bars that they must reach."""
    fig, ax = plots.figure(8.5, 0.42 * len(bars) + 1)
    for k, (_, verdict) in enumerate(reversed(bars)):
        relative = verdict["ratio"] / verdict["bar"]
        ax.barh(k, relative, color=plots.COLOURS["green" if verdict["met"] else "vermilion"], height=0.6)
        ax.text(relative, k, f" {verdict['ratio']:,.3g}×{'' if verdict['met'] else ' missed'}", va="center",
                fontsize=8, color=plots.INK)
    ax.axvline(1, color=plots.INK, linewidth=1)
    ax.set_yticks(range(len(bars)), [label for label, _ in reversed(bars)], fontsize=7)
    ax.set(xscale="log", xlabel="measured ratio over the bar it must reach (1 = just met)")
    ax.set_xticks([0.25, 0.5, 1, 2, 4], ["¼", "½", "1", "2", "4"])
    ax.minorticks_off()
    return plots.show(fig, alt="Bars of measured speed ratios over the bars they must reach; "
                      "green where met, red where missed.").svg


def _cells(verdict: dict | None) -> str:
    if verdict is None:
        return " | | |"
    if verdict["bar"] == 0:
        return f" {verdict['ratio']:.2f}× | report | |"
    met = "met" if verdict["met"] else "**missed**"
    return f" {verdict['ratio']:.2f}× | ≥ {verdict['bar']:.2f}× | {met} |"
