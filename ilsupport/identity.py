"""Who somebody is: a description of policies, environments, experts and functions that tells one run from
another.

It is how a checkpoint knows its run, and how a saved policy is made again.
"""
from __future__ import annotations

import functools
import hashlib
import inspect
import types
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

PLAIN = (type(None), bool, int, float, complex, str, bytes, range, np.dtype, torch.dtype, torch.device,
         torch.Size)


LIBRARIES = ("ilsupport", "torch", "gymnasium", "builtins")  # known by the names of their classes


class Configured:
    """A base class that keeps the arguments of its own construction.

    `settings()` gives them by name, defaults included and generators left out, with the values that
    attributes of the same name have now.
    """

    def __new__(cls, *args, **kwargs):
        self = super().__new__(cls)
        try:
            bound = inspect.signature(cls.__init__).bind(self, *args, **kwargs)
        except TypeError:
            return self  # copied, without arguments; or wrong ones, of which `__init__` will complain
        bound.apply_defaults()
        given = dict(list(bound.arguments.items())[1:])
        given |= given.pop("options", None) or {}
        self.__dict__["_made_with"] = {name: value for name, value in given.items() if not _draws(value)}
        return self

    def settings(self) -> dict[str, object]:
        """The arguments that would make this again, generators aside."""
        now, parts = vars(self), vars(self).get("_modules", {})
        return {name: now.get(name, parts.get(name, value) if isinstance(value, nn.Module) else value)
                for name, value in now.get("_made_with", {}).items()}


def named(name: str, thing):
    """`thing`, a function or an object that can be called, under a name that tells it from others in a
    checkpoint.

    For what cannot be told by looking: a closure over a simulator, a client of a remote expert, a person.
    """
    return _Named(name, thing)


class _Named:
    def __init__(self, name: str, thing) -> None:
        self.name, self.thing = name, thing

    def __call__(self, *args, **kwargs):
        return self.thing(*args, **kwargs)


# What a function may find in its module and answer by, besides plain values, and functions
# and objects of its own module.
HELD = (Tensor, np.ndarray, np.generic, list, tuple, set, frozenset, dict, nn.Module,
        Configured, functools.partial, types.MethodType, _Named)


def describe(thing: object, _inside: tuple[int, ...] = ()) -> object:
    """What JSON can hold and tells this thing from others: types, settings, code, and hashes of numbers.

    A `Configured` thing (policies, environments, cameras) is its type and settings, a torch module also its
    weights, a function its code, defaults, and what it closes over. Raises ValueError for what cannot be
    told; `named` names it.
    """
    if id(thing) in _inside:
        return "itself"
    inside = (*_inside, id(thing))
    if isinstance(thing, PLAIN):
        return thing if isinstance(thing, (type(None), bool, int, float, str)) else repr(thing)
    if isinstance(thing, (Tensor, np.ndarray, np.generic)):
        return fingerprint([torch.as_tensor(thing)])
    if isinstance(thing, (list, tuple, set, frozenset)):
        parts = sorted(thing, key=repr) if isinstance(thing, (set, frozenset)) else thing
        return [describe(part, inside) for part in parts]
    if isinstance(thing, dict):
        return {str(key): describe(value, inside) for key, value in thing.items()}
    if isinstance(thing, _Named):
        return {"named": thing.name}
    if isinstance(thing, type):
        return f"{thing.__module__}.{thing.__qualname__}"
    if isinstance(thing, functools.partial):
        return {"partial": describe(thing.func, inside),
                "with": describe([thing.args, thing.keywords], inside)}
    if isinstance(thing, types.MethodType):
        return {"method": thing.__func__.__qualname__, "of": describe(thing.__self__, inside)}
    if isinstance(thing, types.FunctionType):
        return _function(thing, inside)
    if isinstance(thing, (types.BuiltinFunctionType, types.ModuleType)):
        name, owner = getattr(thing, "__qualname__", thing.__name__), getattr(thing, "__self__", None)
        alone = owner is None or isinstance(owner, (type, types.ModuleType))
        return name if alone else {"method": name, "of": describe(owner, inside)}
    return _object(thing, inside)


def _object(thing: object, inside: tuple[int, ...]) -> dict:
    about: dict = {"type": describe(type(thing)), **_own_code(type(thing))}
    known = len(about)
    if isinstance(thing, Configured):
        about["settings"] = describe(thing.settings(), inside)
    if isinstance(thing, nn.Module):
        about["modules"] = repr(thing).split("\n")
        tensors = dict(thing.state_dict()) | dict(thing.named_buffers())
        about["weights"] = fingerprint([x for item in tensors.items() for x in item])
        about |= {"attributes": own} if (own := _own_values(thing)) else {}
    if len(about) == known:
        public = {k: v for k, v in getattr(thing, "__dict__", {}).items() if not k.startswith("_")}
        if not public:
            raise ValueError(f"cannot tell this {type(thing).__qualname__} from another one; give it a name "
                             "of its own: il.named('...', it).")
        about["attributes"] = describe(public, inside)
    return about


def _own_code(kind: type) -> dict:
    """A hash of the methods of a class that its user wrote, and may have edited since."""
    own = [base for base in kind.__mro__ if base.__module__.split(".")[0] not in LIBRARIES]
    held = [(name, getattr(x, "fget", getattr(x, "__func__", x)))
            for base in own for name, x in vars(base).items()]
    code = [_code(x.__code__) if isinstance(x, types.FunctionType) else repr((name, x)).encode()
            for name, x in held if isinstance(x, types.FunctionType)
            or isinstance(x, PLAIN) and not name.startswith("__")]
    return {"code": hashlib.sha256(b"\0".join(code)).hexdigest()[:16]} if code else {}


def _own_values(module: nn.Module) -> dict:
    """The plain values that modules of a user's classes, this one or within it, keep beside weights."""
    return {f"{where}.{name}".lstrip("."): describe(value) for where, part in module.named_modules()
            if type(part).__module__.split(".")[0] not in LIBRARIES and not isinstance(part, Configured)
            for name, value in vars(part).items() if not name.startswith("_") and name != "training"
            and isinstance(value, (*PLAIN, Tensor, np.ndarray, np.generic))}


def _function(f: types.FunctionType, inside: tuple[int, ...]) -> dict:
    code = f.__code__
    cells = [cell.cell_contents for cell in f.__closure__ or ()]
    used = {name: f.__globals__[name] for name in _names(code) if name in f.__globals__}
    local = {name: value for name, value in used.items()  # libraries are known by their names
             if isinstance(value, (*PLAIN, *HELD))
             or getattr(value, "__module__", None) == f.__module__ and not isinstance(value, type)}
    return {"function": f"{f.__module__}.{f.__qualname__}",
            "code": hashlib.sha256(_code(code)).hexdigest()[:16],
            "defaults": describe([f.__defaults__, f.__kwdefaults__], inside),
            "closure": describe(dict(zip(code.co_freevars, cells)), inside), "uses": describe(local, inside)}


def _names(code: types.CodeType) -> set[str]:
    return set(code.co_names).union(*(_names(c) for c in code.co_consts if isinstance(c, types.CodeType)))


def _code(code: types.CodeType) -> bytes:
    # Sets come in another order in every process.
    constants = [sorted(c, key=repr) if isinstance(c, frozenset) else c for c in code.co_consts]
    constants = [_code(c) if isinstance(c, types.CodeType) else repr(c).encode() for c in constants]
    return b"\0".join([code.co_code, repr(code.co_names).encode(), repr(code.co_varnames).encode(),
                       *constants])


def fingerprint(parts: Sequence) -> str:
    """A hash of tensors (their shapes and bits) and of anything else with a faithful `repr`."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(repr((tuple(part.shape), part.dtype)).encode())
            row = part.detach().cpu().contiguous().as_strided((part.numel(),), (1,))
            digest.update(row.view(torch.uint8).numpy() if part.numel() else b"")
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()


def differences(there: object, here: object, where: str = "") -> list[str]:
    """Where two descriptions differ, in words: "policy.settings.std: 0.1 there, 0.5 here"."""
    if isinstance(there, dict) and isinstance(here, dict):
        keys = [*there, *(key for key in here if key not in there)]
        return [line for key in keys
                for line in differences(there.get(key), here.get(key), f"{where}.{key}" if where else key)]
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        return [line for k,
                pair in enumerate(zip(there, here)) for line in differences(*pair, f"{where}[{k}]")]
    return [] if there == here else [f"{where}: {_short(there)} there, {_short(here)} here"]


def _short(x: object) -> str:
    text = repr(x)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _draws(value: object) -> bool:
    return isinstance(value, torch.Generator) or (
        isinstance(value, (list, tuple)) and len(value) > 0
        and all(isinstance(x, torch.Generator) for x in value))
