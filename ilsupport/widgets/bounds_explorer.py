"""The figure of page 3: what an error rate costs over a horizon, bounded, exact and simulated."""
import traitlets

from ilsupport._checks import check_between
from ilsupport.widgets.static import StaticWidget

LONGEST = 10_000


class BoundsExplorer(StaticWidget):
    """Sliders for eps, T and rho and a switch of the assumption: the cost of a learner on the tightrope.

    S: the learner errs with chance eps at every step on the rope. Drawn are the textbook bound, the sharp
    bound, and the exact and simulated cost with recovery rho (`bounds.textbook`, `sharp`, `recovery`;
    `tabular.simulate`). A: only the mean of its errors is eps, and it makes them as early as it can, eps_t =
    min(1, max(0, eps T - t)): the exactly tight example of thm-average. Drawn are eps T^2, the best bound T
    min(1, eps T), and the same two costs.

    The traits eps, T, rho and assumption follow the sliders, and the figure follows them. Everything is
    computed in the browser. Raises ValueError for eps or rho outside [0, 1] and T outside 1 .. 10,000,
    TraitError for other types.
    """

    scripts = ("bounds_explorer.js",)

    eps = traitlets.Float(0.01).tag(sync=True)
    T = traitlets.Int(100).tag(sync=True)
    rho = traitlets.Float(0.0).tag(sync=True)
    assumption = traitlets.Enum(["S", "A"], "S").tag(sync=True)

    @traitlets.validate("eps", "rho", "T")
    def _in_range(self, proposal: dict) -> float:
        name = proposal["trait"].name
        return check_between(name, proposal["value"], *((1, LONGEST) if name == "T" else (0, 1)))
