"""What a check says to a student: what was expected, what came back, and where to reread.

The build pastes these functions into every check (docstrings left out), so a check brings along all it needs. They trust
nothing that an answer could have changed: the student's function has returned before a wanted value exists, what came back
must be of a plain type, and `same` first sees whether it can still tell 0 from 1.
"""
from __future__ import annotations


def wrong(what, expected, got, reread):
    """Fail, and say why."""
    raise AssertionError(f"{what}:\n  expected  {expected}\n  got       {str(got)[:300]}\n  Reread {reread}.")


def number(got, what, reread):
    """What came back as a float, if it is a plain number: of Python, numpy, or a tensor with a single value."""
    import torch
    if type(got) is torch.Tensor and got.numel() == 1:
        return float(got.detach())
    if type(got).__module__ == "numpy" and getattr(got, "shape", None) == ():
        return float(got)
    if type(got) not in (int, float):
        back = "nothing (None): is there a return?" if got is None else f"{type(got).__name__} {got!r}"
        wrong(what, "a number", back, reread)
    return float(got)


def numbers(got, shape, what, reread):
    """What came back as a flat list of floats, if it is a tensor of this shape."""
    import torch
    if type(got) is not torch.Tensor:
        wrong(what, f"a tensor of shape {tuple(shape)}",
              "nothing (None): is there a return?" if got is None else f"{type(got).__name__} {got!r}", reread)
    if tuple(got.shape) != tuple(shape):
        wrong(what, f"a tensor of shape {tuple(shape)}", f"shape {tuple(got.shape)}", reread)
    return got.detach().double().flatten().tolist()


def same(got, want, what, reread, rtol=1e-4, atol=1e-6):
    """Two numbers, or two flat lists of numbers, agree."""
    def off(a, b):
        return not (a == b or -(atol + rtol * max(b, -b)) <= a - b <= atol + rtol * max(b, -b))
    if not off(0.0, 1.0) or not off(float('nan'), 0.0) or off(1.0, 1.0):
        raise RuntimeError('the tools that compare numbers were changed')
    if not isinstance(want, list):
        got, want = [got], [want]
    if len(got) != len(want):
        wrong(what, f"{len(want)} numbers", f"{len(got)}", reread)
    for i, (a, b) in enumerate(zip(got, want)):
        if off(a, b):
            where = "" if len(want) == 1 else f" (entry {i} of {len(want)})"
            wrong(what + where, f"{b:.6g}", f"{a:.6g}", reread)


def expect(holds, what, expected, got, reread):
    """A law that is not an equation holds."""
    if holds is not True and not (type(holds).__name__ in ("bool_", "Tensor") and bool(holds)):
        wrong(what, expected, got, reread)


def run_this(check):
    """Run a check; an answer that never ends, exits or stops with an error has failed, and is told how."""
    import signal
    import warnings

    def stop(*_):
        raise TimeoutError("no answer within 20 seconds; is there a loop that never ends?")

    alarm = hasattr(signal, "setitimer")
    try:
        if alarm:
            before = signal.signal(signal.SIGALRM, stop)
            signal.setitimer(signal.ITIMER_REAL, 20, 1)
    except ValueError:
        alarm = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check()
    except AssertionError as error:
        raise AssertionError(str(error)[:1200]) from None
    except SystemExit:
        raise AssertionError("your code calls exit(): take it out, or the rest is not looked at") from None
    except Exception as error:
        raise AssertionError(f"your code stopped with {type(error).__name__}: {str(error)[:600]}") from None
    finally:
        if alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
