"""What a check says to a student: what was expected, what came back, and where to reread.

The build pastes these functions into every check (docstrings left out), so a check brings along all it needs.
They trust nothing that an answer could have changed: the student's function has returned before a wanted
value exists, what came back is of a plain type, and `same` first sees whether it can still tell 0 from 1.
"""
from __future__ import annotations

kind, real = ().__class__.__class__, (0.0).__class__  # type and float, whatever an answer made of the names
NOTHING = "nothing (None): is there a return?"


def wrong(what, expected, got, reread):
    """Fail, and say why."""
    raise AssertionError(f"{what}:\n  expected  {expected}\n  got       {str(got)[:300]}\n  Reread {reread}.")


def number(got, what, reread):
    """What came back as a float, if it is a plain number: of Python, numpy, or a tensor with one value."""
    import torch
    if kind(got) is torch.Tensor and got.numel() == 1:
        return numbers(got.reshape(1), (1,), what, reread)[0]
    if kind(got).__module__ == "numpy" and getattr(got, "shape", None) == ():
        return real(got)
    if kind(got) not in (int, real):
        wrong(what, "a number", NOTHING if got is None else f"{kind(got).__name__} {got!r}", reread)
    return real(got)


def numbers(got, shape, what, reread):
    """What came back as a flat list of floats, if it is a tensor of this shape."""
    import torch
    if kind(got) is not torch.Tensor:
        wrong(what, f"a tensor of shape {tuple(shape)}",
              NOTHING if got is None else f"{kind(got).__name__} {got!r}", reread)
    if tuple(got.shape) != tuple(shape):
        wrong(what, f"a tensor of shape {tuple(shape)}", f"shape {tuple(got.shape)}", reread)
    known = [torch.tensor([0.5, 2]).detach().double().flatten().tolist(), real(torch.tensor(0.5))]
    if known != [[0.5, 2.0], 0.5]:
        raise RuntimeError("the tools that read tensors were changed")
    return got.detach().double().flatten().tolist()


def same(got, want, what, reread, rtol=1e-4, atol=1e-6):
    """Two numbers, or two flat lists of them, agree. Uses no name that an answer could have changed."""
    def off(a, b):
        room = atol + rtol * (b if b > 0 else -b)
        return not (a == b or -room <= a - b <= room)
    if not off(0.0, 1.0) or not off(1e999 - 1e999, 0.0) or off(1.0, 1.0):
        raise RuntimeError('the tools that compare numbers were changed')
    many = kind(want) is kind([])
    left, wanted = ([*got], [*want]) if many else ([got], [want])
    given, i = [*left], 0
    for b in wanted:
        a, b = real(left.pop(0) if left else 1e999 - 1e999), real(b)
        if off(a, b):
            place = f" (entry {i} of {len(wanted)})" if many and len(wanted) > 1 else ""
            wrong(what + place, f"{b:.6g}", f"{a:.6g}", reread)
        i += 1
    if left:
        wrong(what, f"{len(wanted)} numbers", f"{len(given)}", reread)


def expect(holds, what, expected, got, reread):
    """A law that is not an equation holds."""
    import numpy
    import torch
    if holds is not True and not (kind(holds) in (numpy.bool_, torch.Tensor) and bool(holds)):
        wrong(what, expected, got, reread)


def run_this(check):
    """Run a check; an answer that never ends, exits or stops with an error has failed, and is told how.

    The limit is of processor time, so that a busy machine costs nobody points; of the clock only for whoever
    sleeps: has had less than a hundredth of it.
    """
    import signal
    import sys
    import warnings
    from contextlib import suppress
    from time import monotonic, process_time

    def stop(number, _):
        if number == signal.SIGALRM and process_time() - busy > (monotonic() - begun) / 100:
            return
        raise TimeoutError("no answer within 20 seconds; is there a loop that never ends?")

    sys.settrace(None)  # a tracer could skip lines of the check
    before, busy, begun = [], process_time(), monotonic()
    with suppress(AttributeError, ValueError):  # not on this system, not in this thread
        for timer, number, seconds in (("ITIMER_PROF", "SIGPROF", 20), ("ITIMER_REAL", "SIGALRM", 100)):
            timer, number = getattr(signal, timer), getattr(signal, number)
            before.append((timer, number, signal.signal(number, stop)))
            signal.setitimer(timer, seconds, 1)
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
        for timer, number, handler in before:
            signal.setitimer(timer, 0)
            signal.signal(number, handler)
