"""Live figures: driven by Python in JupyterLab, and alive in the built page with no kernel and no network.

Nothing else in the package imports this module, so that `import ilsupport` needs no widget library.
"""
from ilsupport.widgets.bounds_explorer import BoundsExplorer
from ilsupport.widgets.drive import Drive
from ilsupport.widgets.film import Film
from ilsupport.widgets.live import Frames

__all__ = ["BoundsExplorer", "Drive", "Film", "Frames"]
