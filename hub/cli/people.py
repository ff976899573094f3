"""`tresse login ...`, `tresse token ...`, `tresse agent ...`: who may come in, and who answers."""

from __future__ import annotations

import secrets
import sys
from typing import Annotated

import typer

from hub.cli.ground import (
    DEFAULT,
    PROBLEMS,
    AsJson,
    ConfigPath,
    complain,
    local,
    now,
    reading,
    say,
    show_json,
    show_table,
    writing,
)
from hub.store import access
from hub.store.agents import add_agent, agents

login_group = typer.Typer(help="People who use the admin pages.", no_args_is_help=True)
token_group = typer.Typer(help="Programs that use the API.", no_args_is_help=True)
agent_group = typer.Typer(help="People who answer customers.", no_args_is_help=True)

BY = "command line"
"""Who acted, in the audit log."""


@login_group.command("add")
def add_login(
    name: Annotated[str, typer.Argument(help="The name to log in with.")],
    role: Annotated[str, typer.Option(help=f"One of {', '.join(access.ROLES)}.")] = "admin",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input instead of making one.")
    ] = False,
    config: ConfigPath = DEFAULT,
    json_output: AsJson = False,
) -> None:
    """Add a login, or give an existing one a new password and end its sessions. Prints the password once."""
    password = sys.stdin.readline().rstrip("\n") if password_stdin else secrets.token_urlsafe(15)
    hashed = access.hash_password(password)
    with writing(config) as (loaded, store), store.write() as connection:
        access.add_login(connection, name, hashed, role, now())
        access.write_audit(connection, BY, "login added", name, now())
    if json_output:
        show_json({"login": name, "role": role} | ({} if password_stdin else {"password": password}))
        return
    say(f"{name} may log in at {loaded.hub.address}/login as {role}.")
    if not password_stdin:
        say(f"Password (shown once): {password}", "bold")


@login_group.command("list")
def list_logins(config: ConfigPath = DEFAULT, json_output: AsJson = False) -> None:
    """List who may log in."""
    with reading(config) as (_, store), store.read() as connection:
        rows = access.logins(connection)
    if json_output:
        show_json({"logins": [{"name": r.name, "role": r.role} for r in rows]})
    else:
        show_table(("name", "role"), [(r.name, r.role) for r in rows], 'Nobody yet: "tresse login add NAME".')


@login_group.command("remove")
def remove_login(name: Annotated[str, typer.Argument(help="The login.")], config: ConfigPath = DEFAULT) -> None:
    """Remove a login; its sessions end at once."""
    with reading(config) as (_, store), store.write() as connection:
        gone = access.remove_login(connection, name)
        if gone:
            access.write_audit(connection, BY, "login removed", name, now())
    _said(gone, f"{name} may not log in any more.", f'There is no login "{name}".')


@token_group.command("add")
def add_token(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(access.SCOPES)}; each includes those before.")
    ] = None,
    config: ConfigPath = DEFAULT,
    json_output: AsJson = False,
) -> None:
    """Make a token for the API. It is printed once; the hub keeps only its hash."""
    with writing(config) as (_, store), store.write() as connection:
        plain = access.add_token(connection, name, scope or ["read"], now())
        access.write_audit(connection, BY, "token added", name, now())
    if json_output:
        show_json({"token": plain, "name": name, "scopes": scope or ["read"]})
        return
    say(f"Token (shown once): {plain}", "bold")


@token_group.command("list")
def list_tokens(config: ConfigPath = DEFAULT, json_output: AsJson = False) -> None:
    """List the tokens, newest first."""
    with reading(config) as (loaded, store), store.read() as connection:
        rows = access.tokens(connection)
    if json_output:
        show_json({"tokens": rows})
        return
    cells = [(r.id, r.name, r.scopes, local(r.used_at, loaded) or "never", local(r.revoked_at, loaded)) for r in rows]
    show_table(("id", "name", "scopes", "used", "revoked"), cells, 'No tokens yet: "tresse token add NAME".')


@token_group.command("revoke")
def revoke_token(
    number: Annotated[int, typer.Argument(metavar="ID", help="The token's id.")], config: ConfigPath = DEFAULT
) -> None:
    """End a token at once."""
    with reading(config) as (_, store), store.write() as connection:
        gone = access.revoke_token(connection, number, now())
        if gone:
            access.write_audit(connection, BY, "token revoked", str(number), now())
    _said(gone, f"Token {number} is revoked.", f"There is no token {number} that could be revoked.")


@agent_group.command("add")
def add_one(
    name: Annotated[str, typer.Argument(help="The agent's name.")],
    email: Annotated[str, typer.Option(help="The agent's own address; desks that tell it join the accounts.")] = "",
    account: Annotated[
        list[str] | None, typer.Option(metavar="INSTANCE:LOGIN", help="A login in a tool; repeat it.")
    ] = None,
    config: ConfigPath = DEFAULT,
    json_output: AsJson = False,
) -> None:
    """Add an agent, or more accounts to the one with this e-mail address."""
    parts = [a.partition(":") for a in account or []]
    if not all(instance and login for instance, _, login in parts):
        raise typer.BadParameter("write INSTANCE:LOGIN, such as rt:nadia", param_hint="--account")
    with writing(config) as (_, store), store.write() as connection:
        number = add_agent(connection, name, email, {i: who for i, _, who in parts}, now())
    if json_output:
        show_json({"id": number})
    else:
        say(f"{name} is agent {number}.")


@agent_group.command("list")
def list_agents(config: ConfigPath = DEFAULT, json_output: AsJson = False) -> None:
    """List the agents with their accounts."""
    with reading(config) as (_, store), store.read() as connection:
        rows = agents(connection)
    if json_output:
        show_json({"agents": rows})
        return
    cells = [(r.id, r.name, r.email, ", ".join(r.accounts)) for r in rows]
    show_table(
        ("id", "name", "e-mail", "accounts"), cells, "Nobody yet: agents are added when they first answer in a tool."
    )


def _said(done: bool, yes: str, no: str) -> None:
    if not done:
        complain(no)
        raise typer.Exit(PROBLEMS)
    say(yes)


def add_to(app: typer.Typer) -> None:
    app.add_typer(login_group, name="login")
    app.add_typer(token_group, name="token")
    app.add_typer(agent_group, name="agent")
