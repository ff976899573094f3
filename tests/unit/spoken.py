"""The sentences in our sources that may be shown to people, found by reading the sources.

A sentence is what is given to one of the errors, to a column or argument that holds a reason, what
certain functions return, or a component's summary. Blanks of f-strings whose value stands in the
same file are filled in; the others become a figure, which every kind of blank takes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

BLANK = "7"
ERRORS = {
    "ConfigError": 0,
    "AuthError": 0,
    "Unavailable": 0,
    "NoTurn": 0,
    "NotRequestTracker": 0,
    "Rejected": 0,
    "Unreadable": 0,
    "BadPush": 0,
}
REASONS = {
    "Culprit": 1,
    "Unread": 1,
    "set_state": 3,
    "_set_aside": 3,
    "_sick": 1,
    "unsure": 2,
    "mark_unsure": 2,
    "raise_alert": 2,
    "withdraw_acknowledgement": 2,
}
"""Functions of the pipeline and the place of their reason."""
COLUMNS = {"reason", "proof_reason", "acknowledge_reason", "automatic", "evidence", "summary"}
RETURNS = {
    "hub/pipeline/acknowledge.py": {"why_not", "_over_cap"},
    "hub/pipeline/room.py": {"_words"},
    "hub/pipeline/read.py": {"_words"},
    "hub/pipeline/voices.py": {"who_speaks"},
    "hub/config/problems.py": {"did_you_mean"},
    "hub/registry.py": {"_sentence"},
    "plugins/crm/request_tracker/voices.py": {"speaks"},
    "plugins/crm/request_tracker/reading.py": {"_automatic"},
    "plugins/crm/request_tracker/fields.py": {"meant"},
    "hub/config/validate.py": {"_text"},
}
REFUSALS = {"hub/registry.py": {"offer", "refusal", "_settings_refusal", "_sdk_refusal"}}
"""What stands behind a class's name."""
NOT_SENTENCES = {
    "hub/web/instances.py": "reads what is stored",
    "hub/web/operations.py": "describes the API to programs",
    "hub/web/api.py": "describes the API to programs",
    "hub/mail/read.py": "quotes header lines, which read the same in every language",
}


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence and the place it stands at (``hub/pipeline/settle.py:30``)."""

    place: str
    text: str


def spoken(root: Path) -> list[Spoken]:
    """Every sentence of the hub and the bundled plugins."""
    found: list[Spoken] = []
    for folder in ("hub", "plugins"):
        for file in sorted((root / folder).rglob("*.py")):
            name = file.relative_to(root).as_posix()
            if "migrations/" not in name and name not in NOT_SENTENCES:
                found += _File(name, ast.parse(file.read_text("utf-8"))).spoken()
    return found


class _File:
    def __init__(self, name: str, tree: ast.Module) -> None:
        self.name, self.tree = name, tree
        self.functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}

    def spoken(self) -> Iterator[Spoken]:
        yield from self._in(self.tree)
        for function in self.functions.values():
            yield from self._returned(function)

    def _assigned(self, name: ast.Name) -> ast.expr | None:
        """What was last written into a name: above it in its function, else in the module."""
        around = [f for f in self.functions.values() if f.lineno <= name.lineno <= (f.end_lineno or 0)]
        for scope in (*sorted(around, key=lambda f: -f.lineno), self.tree):
            before = [
                n
                for n in ast.walk(scope)
                if isinstance(n, ast.Assign) and n.lineno < name.lineno and name.id in _names(n.targets[0])
            ]
            if before:
                last = max(before, key=lambda n: n.lineno)
                return last.value if isinstance(last.targets[0], ast.Name) else None
        return None

    def _in(self, tree: ast.AST) -> Iterator[Spoken]:
        for node in ast.walk(tree):
            for expression in self._expressions(node):
                yield from self._told(expression)
            if isinstance(node, ast.Call) and _called(node) == "Problem" and self.name.startswith("hub/config/"):
                yield from self._problem(node)
            if isinstance(node, ast.Call) and _called(node) == "Bug" and node.args:
                yield from self._told(node.args[0], "a bug: ")
            if isinstance(node, ast.Call) and _called(node) == "ValueError" and node.args and self._is_settings():
                yield from self._told(node.args[0])

    def _is_settings(self) -> bool:
        return self.name.endswith(("settings.py", "signing.py")) and not self.name.startswith("hub/config")

    def _expressions(self, node: ast.AST) -> Iterator[ast.expr]:
        if isinstance(node, ast.Call):
            at = {**ERRORS, **REASONS}.get(_called(node))
            if at is not None and len(node.args) > at:
                yield node.args[at]
            if _called(node) not in ("warning", "error", "info", "debug"):  # those go to the log
                yield from (k.value for k in node.keywords if k.arg in COLUMNS)
            if self.name == "hub/registry.py":
                yield from (k.value for k in node.keywords if k.arg == "error")
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            words = {"summary", *(["_WORDS"] if self.name == "hub/config/validate.py" else [])}
            if isinstance(target, ast.Name) and target.id in words:
                yield node.value
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value in COLUMNS:
                    yield value

    def _told(self, expression: ast.expr, prefix: str = "") -> Iterator[Spoken]:
        for text in sorted(self.texts(expression)):
            if any(c.isalpha() for c in text):
                yield Spoken(f"{self.name}:{expression.lineno}", prefix + text)

    def _problem(self, node: ast.Call) -> Iterator[Spoken]:
        """A problem as it prints: where, what, and its hint."""
        whats = self.texts(node.args[1])
        hints = (self.texts(node.args[2]) or {BLANK, ""}) if len(node.args) > 2 else {""}
        for what, hint in product(sorted(whats), sorted(hints)):
            text = f"{BLANK}.{BLANK}: {what}" + (f"; {hint}" if hint else "")
            yield Spoken(f"{self.name}:{node.lineno}", text)

    def _returned(self, function: ast.FunctionDef) -> Iterator[Spoken]:
        wanted, refused = RETURNS.get(self.name, ()), REFUSALS.get(self.name, ())
        if function.name not in wanted and function.name not in refused:
            return
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and node.value is not None:
                yield from self._told(node.value, f"{BLANK}: " if function.name in refused else "")

    def texts(self, node: ast.expr, depth: int = 3) -> set[str]:
        """What `node` may say; empty where the source does not tell."""
        if isinstance(node, ast.Constant):
            return {node.value} if isinstance(node.value, str) and node.value else set()
        if isinstance(node, ast.JoinedStr):
            return self._joined(node, depth)
        if isinstance(node, ast.IfExp):
            return self.texts(node.body, depth) | self.texts(node.orelse, depth)
        if isinstance(node, ast.BoolOp):
            return {t for one in node.values for t in self.texts(one, depth)}
        if isinstance(node, ast.Dict):
            return {t for one in node.values for t in self.texts(one, depth)}
        if isinstance(node, ast.Name) and depth:
            value = self._assigned(node)
            return self.texts(value, depth - 1) if value is not None else set()
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            pair = product(*(sorted(self.texts(side, depth) or {BLANK}) for side in (node.left, node.right)))
            return {"".join(both) for both in pair}
        return self._of_call(node, depth) if isinstance(node, ast.Call) else set()

    def _of_call(self, node: ast.Call, depth: int) -> set[str]:
        if isinstance(node.func, ast.Attribute):
            if node.func.attr == "hide":
                return self.texts(node.args[0], depth)
            if node.func.attr == "get" and len(node.args) == 2:
                return self.texts(node.func.value, depth) | self.texts(node.args[1], depth)
        function = self.functions.get(_called(node))
        if function is None or not depth:
            return set()
        returned = [n.value for n in ast.walk(function) if isinstance(n, ast.Return) and n.value is not None]
        return {t for one in returned for t in self.texts(one, depth - 1)}

    def _joined(self, node: ast.JoinedStr, depth: int) -> set[str]:
        parts: list[set[str]] = []
        for one in node.values:
            if isinstance(one, ast.FormattedValue):
                parts.append(self.texts(one.value, depth) or {BLANK})
            else:
                parts.append(self.texts(one, depth) or {""})
        return {"".join(chosen) for chosen in product(*parts)}


def _names(target: ast.expr) -> set[str]:
    return {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}


def _called(node: ast.Call) -> str:
    function = node.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
