"""`pshead plugins list | show NAME | check [NAME | --all]`: what is installed, what it is, and whether it is sound."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import attrs

from pshead_core.cli.output import columns, paint, print_error, print_warnings
from pshead_core.cli.parser import Parser
from pshead_core.errors import ConfigError, PluginError
from pshead_core.registry.host import PluginHost
from pshead_core.registry.listing import PluginListing, core_version, list_plugins, scan_plugins
from pshead_core.registry.nearest import did_you_mean
from pshead_core.registry.selection import Wanted, find, not_found
from pshead_core.specs import API_VERSION, KINDS

PROG = "pshead plugins"


def main(argv: Sequence[str]) -> int:
    """Run the verb and return the exit code."""
    actions: dict[str, Callable[[Sequence[str]], int]] = {"list": _list, "show": _show, "check": _check}
    if not argv or argv[0] in ("-h", "--help"):
        print(f"usage: {PROG} list [--json]\n       {PROG} show NAME\n       {PROG} check [NAME | --all]\n")
        print("A NAME may be written kind.name or name@distribution if it is not unique.")
        return 0
    if argv[0] not in actions:
        raise ConfigError(f"{PROG} does not know {argv[0]!r}{did_you_mean(argv[0], actions)}", fix=f"{PROG} --help")
    return actions[argv[0]](argv[1:])


def named(text: str, listings: Sequence[PluginListing]) -> tuple[PluginListing, ...]:
    """Return the plugins that `name`, `kind.name` or either with `@distribution` stands for, of any kind.

    Raises:
        PluginNotFound: nothing of that name is installed.
        PluginConflict: two distributions offer it.
    """
    first, _, rest = text.partition(".")
    kind = next((kind for kind in KINDS if kind == first and rest), None)
    name = (rest if kind else text).partition("@")[0]
    kinds = [item.kind for item in listings if item.name == name and kind in (None, item.kind)]
    if not kinds:
        raise not_found(kind, name, {(item.kind, item.name) for item in listings})
    wanted = [Wanted.parse(kind, rest if first == kind else text) for kind in dict.fromkeys(kinds)]
    return tuple(find(item, listings) for item in wanted)


def _list(argv: Sequence[str]) -> int:
    parser = Parser(f"{PROG} list", "List all installed plugins. None is imported.")
    parser.add_argument("--json", action="store_true", help="as JSON")
    known = parser.parse(argv)
    scan = scan_plugins()
    if known.json:
        print(json.dumps([attrs.asdict(item) for item in scan.listings], indent=2))
        print_warnings(scan.problems)
        return 0
    print(f"pshead-core {core_version()} (plugin API {API_VERSION})")
    for kind in KINDS:
        items = [item for item in scan.listings if item.kind == kind]
        print(f"\n{paint(kind, 'bold')}" + ("" if items else f"  {paint('none installed', 'dim')}"))
        names = [item.name for item in items]
        rows = [
            (
                f"{item.name}@{item.distribution}" if names.count(item.name) > 1 else item.name,
                item.version,
                item.distribution,
                item.licence or "no licence stated",
                item.summary,
            )
            for item in items
        ]
        print("\n".join(columns(rows)), end="\n" if rows else "")
    print_warnings(scan.problems)
    return 0


def _show(argv: Sequence[str]) -> int:
    parser = Parser(f"{PROG} show", "Import a plugin and show its settings, needs, sources and licences.")
    parser.add_argument("name", metavar="NAME")
    name = parser.parse(argv).name

    from pshead_core.cli.plugin_page import page  # noqa: PLC0415 - only for this verb

    for listing in named(name, list_plugins()):
        host = PluginHost.load([listing])
        print(page(listing, host.specs(listing.kind)[listing.name]))
    return 0


def _check(argv: Sequence[str]) -> int:
    parser = Parser(
        f"{PROG} check",
        "Import plugins and run the conformance checks on them, on a CPU with their tiny configuration.\n"
        "Exit code 1 if a check fails.",
    )
    parser.add_argument("name", metavar="NAME", nargs="?")
    parser.add_argument("--all", action="store_true", help="every installed plugin (the default without a NAME)")
    known = parser.parse(argv)
    if known.name and known.all:
        raise ConfigError(f"{PROG} check takes a NAME or --all, not both", fix=f"{PROG} check --help")
    listings = list_plugins()
    chosen = named(known.name, listings) if known.name else listings
    if not chosen:
        print("no plugins are installed")
    failed = [listing for listing in chosen if not _check_one(listing)]
    if failed:
        print(f"\n{len(failed)} of {len(chosen)} plugins failed: {', '.join(item.name for item in failed)}")
    return 1 if failed else 0


def _check_one(listing: PluginListing) -> bool:
    """Check one plugin, print the findings, and tell whether all is well."""
    print(f"\n{paint(listing.title, 'bold')}")
    try:
        host = PluginHost.load([listing])
        remarks = host.diagnose()
    except PluginError as error:
        print_error(error)
        return False
    from pshead_core.testing.conformance import run_checks  # noqa: PLC0415 - imports torch

    results = run_checks(host.specs(listing.kind)[listing.name], plugin=host.module_of(listing))
    rows = [(_mark(result.passed), result.name, f"{result.seconds:.2f} s", result.message) for result in results]
    for mark, name, seconds, message in rows:
        print(f"  {mark} {name}  {paint(seconds, 'dim')}")
        if message:
            print("      " + message.replace("\n", "\n      "))
    for remark in remarks:
        print(f"  {paint('note', 'yellow')} {remark}")
    passed = sum(result.passed for result in results)
    print(f"  {passed} of {len(results)} checks passed")
    return passed == len(results)


def _mark(passed: bool) -> str:
    return paint("ok  ", "green") if passed else paint("FAIL", "red")
