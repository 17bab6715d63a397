"""imsctl route."""

from __future__ import annotations

import click

from imsd.ctl.command import Administrator, imsctl, json_option
from imsd.ctl.output import show_json, show_table


@imsctl.group()
def route() -> None:
    """Where mail goes, why, and who may send it there."""


@route.command("show")
@json_option
@click.pass_obj
def show(admin: Administrator) -> None:
    """Show the routing table, the connectors and the list of domains as they hold now."""
    answer = admin.ask("route.show")
    if admin.as_json:
        show_json(answer)
        return
    click.echo(f"mode: {answer['mode']}")
    if answer["plugin"]:
        problem = answer["plugin_problem"]
        click.echo(f"plug-in: {answer['plugin']}" + (f" (not used: {problem})" if problem else ""))
    rows = [
        (row["domain"], row["action"], "yes" if row["override"] else "", row["from"])
        for row in answer["table"]
    ]
    show_table(("DOMAIN", "ACTION", "OVERRIDE", "FROM"), rows)
    spaces = []
    for connector in answer["connectors"]:
        way = connector["delivery"]
        how = ", ".join(way["smart_hosts"]) if way["mode"] == "smarthost" else "dns"
        mode = connector["transfer_mode"]
        for space in connector["address_space"]:
            what = f"{space['type']}:{space['pattern']}"
            spaces.append((connector["name"], what, space["cost"], space["scope"], space["via"], how, mode))
        for site in connector["connected_sites"]:
            what = f"site {site['organization']}/{site['site']}".replace(" /", " ")
            spaces.append((connector["name"], what, site["cost"], "", site["address"], how, mode))
    click.echo()
    show_table(("CONNECTOR", "ADDRESSES", "COST", "SCOPE", "VIA", "DELIVERY", "MODE"), spaces)
    if answer["domains"]:
        click.echo()
        show_table(
            ("DOMAIN", "DELIVERY", "PORT"),
            [(row["domain"], row["route"], row["port"] or "") for row in answer["domains"]],
        )
    for title in ("shared", "catch_all"):
        for domain, target in answer[title].items():
            click.echo(f"{title.replace('_', '-')} {domain}: {target}")


@route.command("explain")
@click.argument("address")
@click.option("--from", "sender", default="", help="The sender; one of ours counts as logged in.")
@click.option("--client", default="", help="The IP address it comes from, not logged in.")
@click.option("--auth", is_flag=True, help="Logged in, in spite of --client.")
@json_option
@click.pass_obj
def explain(admin: Administrator, address: str, sender: str, client: str, auth: bool) -> None:
    """Tell every rule that is considered for ADDRESS, and where mail for it goes."""
    answer = admin.ask("route.explain", address=address, sender=sender, client=client, auth=auth)
    if admin.as_json:
        show_json(answer)
        return
    for rule in answer["rules"]:
        click.echo(f"  {rule}")
    click.echo(f"{answer['result']}: {answer['text']}")
    for target in answer["targets"]:
        click.echo(f"  {target}  ({answer['tls']})")


@route.command("test-relay")
@click.option("--client", required=True, help="The client's IP address.")
@click.option("--local", default="", help="The address of ours that it connects to.")
@click.option("--auth", is_flag=True, help="It has logged in.")
@json_option
@click.pass_obj
def test_relay(admin: Administrator, client: str, local: str, auth: bool) -> None:
    """Tell whether a client may have mail for other domains sent on."""
    answer = admin.ask("route.test-relay", client=client, local=local, auth=auth)
    if admin.as_json:
        show_json(answer)
    else:
        click.echo(f"{'allowed' if answer['allowed'] else 'refused'}: {answer['rule']}")
