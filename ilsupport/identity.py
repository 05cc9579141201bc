"""Who somebody is: a description of policies, environments, experts and functions that tells one run from
another.

It is how a checkpoint knows its run, and how a saved policy is made again.
"""
import functools
import hashlib
import inspect
import textwrap
import types
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

PLAIN = (type(None), bool, int, float, complex, str, bytes, range, np.dtype, torch.dtype, torch.device,
         torch.Size)
NUMBERS = (Tensor, np.ndarray, np.generic)


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


class named:
    """`thing`, a function or an object that can be called, under a name that tells it from others in a
    checkpoint.

    For what cannot be told by looking: a closure over a simulator, a client of a remote expert, a person.
    """

    def __init__(self, name: str, thing: Callable) -> None:
        self.name, self.thing = name, thing

    def __call__(self, *args, **kwargs):
        return self.thing(*args, **kwargs)


# What a function may find in its module and answer by: plain values, numbers, what holds such, and things.
HELD = (*PLAIN, *NUMBERS, list, tuple, set, frozenset, dict, nn.Module, Configured, functools.partial,
        types.MethodType, named)


def describe(thing: object, _inside: tuple[int, ...] = ()) -> object:
    """What JSON can hold and tells this thing from others: types, settings, code, and hashes of numbers.

    A `Configured` thing (policies, environments, cameras) is its type and settings, a torch module also its
    weights, a function its code, defaults, and what it closes over. Raises ValueError for what cannot be
    told; `named` names it.
    """
    if id(thing) in _inside:
        return "itself"
    if isinstance(thing, PLAIN):
        return thing if isinstance(thing, (type(None), bool, int, float, str)) else repr(thing)
    if isinstance(thing, NUMBERS):
        return fingerprint([torch.as_tensor(thing)])
    if isinstance(thing, type):
        return f"{thing.__module__}.{thing.__qualname__}"
    inside = (*_inside, id(thing))
    if isinstance(thing, (list, tuple, set, frozenset)):
        parts = sorted(thing, key=repr) if isinstance(thing, (set, frozenset)) else thing
        return [describe(part, inside) for part in parts]
    parts = thing if isinstance(thing, dict) else _parts(thing)
    return {str(key): describe(part, inside) for key, part in parts.items()}


def _parts(thing: object) -> dict:
    """What a thing is made of, to be described in turn."""
    if isinstance(thing, named):
        return {"named": thing.name}
    if isinstance(thing, functools.partial):
        return {"partial": thing.func, "with": [thing.args, thing.keywords]}
    if isinstance(thing, types.ModuleType):
        return {"module": thing.__name__}
    if isinstance(thing, (types.MethodType, types.BuiltinFunctionType)):
        return {"method": thing.__qualname__, "of": thing.__self__}
    if isinstance(thing, types.FunctionType):
        return _function(thing)
    parts = {"type": type(thing), **_own_code(type(thing))}
    if isinstance(thing, Configured):
        parts["settings"] = thing.settings()
    if isinstance(thing, nn.Module):
        tensors = dict(thing.state_dict()) | dict(thing.named_buffers())
        return parts | {"modules": repr(thing).split("\n"), "attributes": _own_values(thing),
                        "weights": fingerprint([x for item in tensors.items() for x in item])}
    if not isinstance(thing, Configured):
        parts["attributes"] = {k: v for k, v in getattr(thing, "__dict__", {}).items() if k[0] != "_"}
        if not parts["attributes"]:
            raise ValueError(f"cannot tell this {type(thing).__qualname__} from another one; give it a name "
                             "of its own: il.named('...', it).")
    return parts


def _own_code(kind: type) -> dict:
    """A hash of the methods of a class that its user wrote, and may have edited since."""
    held = [(name, getattr(x, "fget", getattr(x, "__func__", x)))
            for base in kind.__mro__ if not _known(base) for name, x in vars(base).items()]
    code = [_code(x.__code__) if isinstance(x, types.FunctionType) else (name, x) for name, x in held
            if isinstance(x, types.FunctionType) or isinstance(x, PLAIN) and not name.startswith("__")]
    return {"code": fingerprint(code)} if code else {}


def _own_values(module: nn.Module) -> dict:
    """The plain values that modules of a user's classes, this one or within it, keep beside weights."""
    return {f"{where}.{name}".lstrip("."): value for where, part in module.named_modules()
            if not _known(type(part)) and not isinstance(part, Configured)
            for name, value in vars(part).items() if name[0] != "_" and name != "training"
            and isinstance(value, (*PLAIN, *NUMBERS))}


def _known(kind: type) -> bool:
    """Whether the name of a class says all: it is a library's."""
    return kind.__module__.split(".")[0] in ("ilsupport", "torch", "gymnasium", "builtins")


def _function(f: types.FunctionType) -> dict:
    code = f.__code__
    # Of what it finds in its module: what it may answer by, and functions and objects of that module.
    local = {name: value for name in _names(code) if (value := f.__globals__.get(name)) is not None
             and (isinstance(value, HELD)
                  or getattr(value, "__module__", None) == f.__module__ and not isinstance(value, type))}
    return {"function": f"{f.__module__}.{f.__qualname__}", "code": fingerprint([_code(code)]),
            "defaults": [f.__defaults__, f.__kwdefaults__],
            "closure": inspect.getclosurevars(f).nonlocals, "uses": local}


def _names(code: types.CodeType) -> set[str]:
    return set(code.co_names).union(*(_names(c) for c in code.co_consts if isinstance(c, types.CodeType)))


def _code(code: types.CodeType) -> list:
    # Sets come in another order in every process.
    constants = [sorted(c, key=repr) if isinstance(c, frozenset) else c for c in code.co_consts]
    constants = [_code(c) if isinstance(c, types.CodeType) else c for c in constants]
    return [code.co_code, code.co_names, code.co_varnames, constants]


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
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        there, here = dict(enumerate(there)), dict(enumerate(here))
    if isinstance(there, dict) and isinstance(here, dict):
        return [line for key in there | here
                for line in differences(there.get(key), here.get(key), f"{where}.{key}".lstrip("."))]
    said = [textwrap.shorten(repr(x), 60) for x in (there, here)]
    return [] if there == here else [f"{where}: {said[0]} there, {said[1]} here"]


def _draws(value: object) -> bool:
    values = value if isinstance(value, list | tuple) else [value]
    return len(values) > 0 and all(isinstance(x, torch.Generator) for x in values)
