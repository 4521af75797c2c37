"""Conditions on values as text: a small part of Python's expressions, checked before a line of it is compiled.

Another process may send one, so nothing of what may be written calls a method, makes something large of something
small, or reaches from a value into the interpreter.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from ..exceptions import ConditionError
from ..streams.text import cut, type_name

LONGEST = 500
"""Characters of a condition."""
_MOST_DIGITS = 20
_HIDDEN = frozenset({"gi_frame", "gi_code", "cr_frame", "cr_code", "ag_frame", "ag_code", "f_back", "f_globals", "mro"})
MAY = (
    "a condition may have value, position, numbers, texts, lists, comparisons, and, or, not, in, value[...], "
    "value.name, + - / // %, len, abs, min, max, round, str, int, float and type_name"
)


class Condition:
    """A condition that was understood; call `test` with a value, and its position where `needs_position`."""

    __slots__ = ("needs_position", "test", "text")

    def __init__(self, text: str) -> None:
        """Raises ConditionError: what is wrong, where, and what may be written."""
        self.text = text.strip() if isinstance(text, str) else ""
        checked = _Checker(self.text)
        try:
            tree = checked.visit(_parsed(text))
            self.needs_position = "position" in checked.names
            self.test: Callable[..., Any] = _compiled(tree.body, needs_position=self.needs_position)
        except RecursionError:
            raise ConditionError(f"the condition {cut(self.text, 200)!r} is nested too deeply") from None

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"


def _parsed(text: Any) -> ast.Expression:
    if not isinstance(text, str):
        raise ConditionError(f"a condition is a text, such as 'value > 100'; got a {type(text).__name__}")
    if not text.strip():
        raise ConditionError(f"the condition is empty: {MAY}")
    if len(text) > LONGEST:
        raise ConditionError(f"a condition has at most {LONGEST} characters; got {len(text)}")
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        where = f", character {error.offset}" if error.offset else ""
        raise ConditionError(f"the condition {cut(text.strip(), 200)!r}{where}: {error.msg}; {MAY}") from None
    except (ValueError, MemoryError, RecursionError) as error:
        raise ConditionError(f"the condition {cut(text, 200)!r} cannot be read: {error}") from None


def _compiled(checked: ast.expr, *, needs_position: bool) -> Callable[..., Any]:
    names = [ast.arg(name) for name in ("value", "position")[: 1 + needs_position]]
    arguments = ast.arguments(posonlyargs=[], args=names, kwonlyargs=[], kw_defaults=[], defaults=[])
    whole = ast.fix_missing_locations(ast.Expression(ast.Lambda(arguments, checked)))
    with warnings.catch_warnings(action="ignore"):
        code = compile(whole, "<condition>", "eval")
    # Nothing is in the tree that was not checked, and nothing in the world but what is listed.
    return eval(code, dict(_WORLD))  # type: ignore[no-any-return]  # noqa: S307


def _remainder(left: Any, right: Any) -> Any:
    if isinstance(left, str | bytes | bytearray):
        raise TypeError("% is for numbers in a condition; a text is not formatted")
    return left % right


def _rounded(number: Any, digits: int | None = None) -> Any:
    if digits is not None and not (isinstance(digits, int) and -_MOST_DIGITS <= digits <= _MOST_DIGITS):
        raise ValueError(f"round takes -{_MOST_DIGITS} to {_MOST_DIGITS} digits in a condition")
    return round(number, digits)


_FUNCTIONS: Mapping[str, tuple[Callable[..., Any], int, int]] = {
    "len": (len, 1, 1),
    "abs": (abs, 1, 1),
    "min": (min, 1, LONGEST),
    "max": (max, 1, LONGEST),
    "round": (_rounded, 1, 2),
    "str": (str, 1, 1),
    "int": (int, 1, 1),
    "float": (float, 1, 1),
    "type_name": (type_name, 1, 1),
}
"""What may be called, and with how many arguments, from least to most."""
_WORLD: Mapping[str, Any] = {
    "__builtins__": {},
    "_remainder": _remainder,
    **{name: function for name, (function, _, _) in _FUNCTIONS.items()},
}
_PLAIN = (
    *(ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.Not, ast.USub, ast.UAdd, ast.UnaryOp),
    *(ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot, ast.In, ast.NotIn),
    *(ast.Subscript, ast.Slice, ast.List, ast.Tuple, ast.Set, ast.Load),
    *(ast.Add, ast.Sub, ast.Div, ast.FloorDiv),
)
_SIGNS: Mapping[type[ast.AST], str] = {
    ast.Mult: "*",
    ast.Pow: "**",
    ast.MatMult: "@",
    ast.Invert: "~",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.BitOr: "|",
    ast.BitAnd: "&",
    ast.BitXor: "^",
}


class _Checker(ast.NodeTransformer):
    """Lets through what is known, and nothing else."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.names: set[str] = set()

    def visit(self, node: ast.AST) -> Any:
        self._at = getattr(node, "col_offset", self._at)
        return super().visit(node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if not isinstance(node, _PLAIN):
            shown = _SIGNS.get(type(node)) or (ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__)
            self._refuse(f"{cut(shown)!r} cannot be used")
        return super().generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if node.value is not None and not isinstance(node.value, bool | int | float | str | bytes):
            self._refuse(f"{node.value!r} cannot be used")
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id not in ("value", "position"):
            self._refuse(f"{node.id!r} {'needs brackets' if node.id in _FUNCTIONS else 'is not known'}")
        self.names.add(node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if node.attr.startswith("_") or node.attr in _HIDDEN:
            self._refuse(f"the attribute {node.attr!r} cannot be used")
        return super().generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if not isinstance(node.op, ast.Mod):
            return super().generic_visit(node)
        left, right = self.visit(node.left), self.visit(node.right)
        return ast.Call(ast.Name("_remainder", ast.Load()), [left, right], [])

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in _FUNCTIONS:
            self._refuse(f"{ast.unparse(node.func)!r} cannot be called")
        _, least, most = _FUNCTIONS[name]
        if node.keywords or not least <= len(node.args) <= most:
            self._refuse(f"{name!r} takes {'one argument' if most == 1 else 'other arguments'} here, and no keywords")
        node.args = [self.visit(argument) for argument in node.args]
        return node

    def _refuse(self, what: str) -> NoReturn:
        where = f"{cut(self._text, 200)!r}, character {self._at + 1}"
        raise ConditionError(f"the condition {where}: {cut(what, 100)}; {MAY}")
