"""`tresse check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from hub.cli.ground import DEFAULT, PROBLEMS, AsJson, ConfigPath, clean, out, say, show_json
from hub.registry import load_plugins

if TYPE_CHECKING:
    from hub.check import Result


def check_configuration(
    config: ConfigPath = DEFAULT,
    live: Annotated[bool, typer.Option("--live", help="Ask every system, too: log in, look, change nothing.")] = False,
    fix_renamed: Annotated[bool, typer.Option("--fix", help="Rewrite settings that have a new name.")] = False,
    json_output: AsJson = False,
) -> None:
    """Check the configuration: every setting, every mistake at once. Ends with 1 when something is wrong."""
    from hub.check import check, fix  # brings the whole hub along, which no other command needs

    registry = load_plugins()
    changes = fix(config, registry) if fix_renamed else []
    if not json_output:
        for change in changes:
            say(f"rewritten: {change}")
    report = check(config, live=live, registry=registry, tell=(lambda _: None) if json_output else _tell)
    if json_output:
        show_json({"ok": not report.problems, "changes": changes, "results": [_as_json(r) for r in report.results]})
    elif report.problems:
        say(f"{len(report.problems)} to mend, {len(report.notices)} to look at.", "bold red")
    else:
        say(f"All is well; {len(report.notices)} to look at." if report.notices else "All is well.", "bold green")
    if report.problems:
        raise typer.Exit(PROBLEMS)


def _tell(result: Result) -> None:
    """One line per thing, then what is wrong with it."""
    mark, style = ("ok", "green") if result.ok else ("wrong", "red")
    out.print(Text.assemble((f"{mark:6}", style), clean(result.path), (" (live)" if result.live else "", "dim")))
    for problem in result.problems:
        say(f"       {problem}", "red")
    for notice in result.notices:
        say(f"       {notice}", "yellow")


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "path": result.path,
        "ok": result.ok,
        "live": result.live,
        "problems": result.problems,
        "notices": result.notices,
    }


def add_to(app: typer.Typer) -> None:
    app.command("check")(check_configuration)
