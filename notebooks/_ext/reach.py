"""What a page reaches by import: the modules of the package, and their data, whose change may change what it
shows.

Nothing is imported or run: the code is read. A name goes through the `__init__` that offers it to the module
that defines it, so `il.fit` reaches bc.py and what bc.py imports, not the whole package. A package used
without naming anything in it (`vars(il)`, `import *`) reaches all of it, and so does a module named in a
string, for registries. JavaScript is not reached by anything: the site takes it in afterwards
(instruments.py).
"""
from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

DATA = (".csv", ".json", ".npz", ".safetensors")


class Package:
    """The package in `folder`, whose name is the folder's."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, folder.name
        self.modules = {self._named(path): path for path in sorted(folder.rglob("*.py"))}
        self.data = [path for path in sorted(folder.rglob("*")) if path.suffix in DATA]
        self.tree = cache(lambda module: ast.parse(self.modules[module].read_text(encoding="utf-8")))
        self.strings = cache(lambda module: frozenset(strings(self.tree(module))))
        self.used = cache(lambda module: self.uses(self.tree(module), self._home(module)))

    def _named(self, path: Path) -> str:
        parts = (self.name, *path.relative_to(self.folder).with_suffix("").parts)
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def is_package(self, module: str) -> bool:
        return module in self.modules and self.modules[module].name == "__init__.py"

    def _home(self, module: str) -> str:
        """The package that relative imports in this module start from."""
        return module if self.is_package(module) else module.rpartition(".")[0]

    def inside(self, module: str) -> set[str]:
        return {name for name in self.modules if f"{name}.".startswith(f"{module}.")}

    def define(self, module: str, name: str) -> str:
        """Where `module.name` comes from: a module, or the package of that name."""
        if not self.is_package(module):
            return module
        for node in self.tree(module).body:
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if name == (alias.asname or alias.name):
                        source = self._source(node, module)
                        if source in self.modules and source != module:
                            return self.define(source, alias.name)
        return f"{module}.{name}" if f"{module}.{name}" in self.modules else module

    @staticmethod
    def _source(node: ast.ImportFrom, home: str) -> str:
        parents = home.split(".")[:len(home.split(".")) - node.level + 1] if node.level else []
        return ".".join([*parents, *filter(None, [node.module])])

    def _bindings(self, tree: ast.AST, home: str) -> Iterator[tuple[str, str]]:
        """What each imported name stands for; '' is a module only imported, * one taken whole."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.split(".")[0]
                    yield (alias.asname, alias.name) if alias.asname else (top, top)
                    yield "", alias.name
            elif isinstance(node, ast.ImportFrom) and (source := self._source(node, home)) in self.modules:
                for alias in node.names:
                    if alias.name == "*":
                        yield from (("*", module) for module in self.inside(source))
                    else:
                        yield alias.asname or alias.name, self.define(source, alias.name)

    def uses(self, tree: ast.AST, home: str = "") -> set[str]:
        """The modules that this code uses itself."""
        bound, found = {}, set()
        for name, module in self._bindings(tree, home):
            if module in self.modules:
                bound[name] = module if name else ""
                if name == "*" or not self.is_package(module):
                    found.add(module)
        for base, attributes in chains(tree):
            module = bound.get(base)
            if module and self.is_package(module):
                found |= self._follow(module, attributes)
        for text in strings(tree):
            if re.match(rf"{self.name}\.\w", text):
                parts = text.split(":")[0].split(".")
                named = [".".join(parts[:n]) for n in range(2, len(parts) + 1)]
                found |= set([module for module in named if module in self.modules][-1:])
            elif text.startswith(f"{self.name}/"):  # an id that some module registers
                found |= {name for name in self.modules
                          if any(known.startswith(f"{self.name}/") for known in self.strings(name))}
        return found

    def _follow(self, package: str, attributes: list[str]) -> set[str]:
        """Where `package.a.b` leads: to one module, or to all of a package of which nothing is named."""
        for attribute in attributes:
            before, package = package, self.define(package, attribute)
            if package == before or not self.is_package(package):
                return {package}
        return self.inside(package)

    def reached(self, code: str) -> set[Path]:
        """The modules and data files of the package that this code reaches, directly or not."""
        tree = ast.parse(code)
        modules, ahead = set(), self.uses(tree)
        while ahead:
            module = ahead.pop()
            if module not in modules:
                modules.add(module)
                ahead |= self.used(module)
        named = set(strings(tree)).union(*map(self.strings, modules))
        endings = tuple(text for text in named if text.endswith(DATA) and not text.startswith("*"))
        data = {path for path in self.data if str(path).endswith(endings)}
        return data | {self.modules[module] for module in modules}

    def effects(self) -> str:
        """What the package's `__init__` files do beside offering names, as code: they run before any page."""
        kept = []
        for module in filter(self.is_package, self.modules):
            kept += [node for node in self.tree(module).body
                     if not isinstance(node, (ast.Import, ast.ImportFrom))
                     and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
                     and not (isinstance(node, ast.Assign) and "__" in ast.unparse(node.targets[0]))]
        return "\n".join(map(ast.unparse, kept))


def chains(tree: ast.AST) -> Iterator[tuple[str, list[str]]]:
    """Every name that is read, with the attributes asked of it: `il.envs.Fork` gives il, [envs, Fork]."""
    ahead: list[ast.AST] = [tree]
    while ahead:
        node, attributes = ahead.pop(), []
        base = node
        while isinstance(base, ast.Attribute):
            attributes.insert(0, base.attr)
            base = base.value
        if isinstance(base, ast.Name) and isinstance(base.ctx, ast.Load):
            yield base.id, attributes
        elif base is not node:
            ahead.append(base)
        else:
            ahead += ast.iter_child_nodes(node)


def strings(tree: ast.AST) -> Iterator[str]:
    """Every string in the code that is not a docstring."""
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return (node.value for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs)


def key(code: str, package: Package, *more: str) -> str:
    """Changes when the code changes, or anything that it reaches, or one of the texts in `more`."""
    found = hashlib.sha256("\0".join([code, package.effects(), *more]).encode())
    for path in sorted(package.reached(code)):
        found.update(f"\0{path.relative_to(package.folder).as_posix()}\0".encode() + path.read_bytes())
    return found.hexdigest()


def tables(code: str, folder: Path) -> dict[str, str]:
    """The committed tables of results that this code names, with a digest of each."""
    named = set(strings(ast.parse(code)))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*"))
            if any(text.endswith(path.name) for text in named)}


def pins(constraints: str) -> str:
    """The versions in the text of constraints.txt, without its comments."""
    return "\n".join(sorted(filter(None, (line.split("#")[0].strip() for line in constraints.splitlines()))))
