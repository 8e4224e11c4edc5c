"""`pshead doctor`: one line for each thing that a run needs on this machine, and what to do where it is missing."""

from __future__ import annotations

from collections.abc import Sequence

from pshead_core.cli.findings import Finding, machine_findings
from pshead_core.cli.output import paint
from pshead_core.cli.parser import Parser
from pshead_core.errors import PluginError
from pshead_core.registry.host import PluginHost
from pshead_core.registry.listing import CORE, PluginListing, Scan, scan_plugins
from pshead_core.registry.selection import check_core
from pshead_core.specs import API_VERSION

PROG = "pshead doctor"
_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


def main(argv: Sequence[str]) -> int:
    """Run the verb and return the exit code: 1 if something fails, else 0."""
    parser = Parser(PROG, "Look for what is missing on this machine. Exit code 1 if a run could not work.")
    parser.add_argument("--all", action="store_true", help="also import every installed plugin and ask it")
    known = parser.parse(argv)
    scan = scan_plugins()
    findings = [*machine_findings(), *plugin_findings(scan)]
    if known.all:
        findings += [finding for listing in scan.listings for finding in imported_findings(listing)]
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark = paint(finding.status.ljust(4), _STYLES[finding.status])
        print(f"{mark}  {finding.name.ljust(width)}  {finding.text}")
        if finding.fix:
            print(f"{' ' * (width + 8)}fix: {finding.fix}")
    return 1 if any(finding.status == "fail" for finding in findings) else 0


def plugin_findings(scan: Scan) -> list[Finding]:
    """Return what can be said about the installed plugins without importing one."""
    listings = scan.listings
    count = f"{len(listings)} installed (plugin API {API_VERSION})"
    findings = [Finding("ok", "plugins", count)]
    findings += [Finding("warn", "plugins", problem, "reinstall that distribution") for problem in scan.problems]
    if not any(item.kind == "analyzers" for item in listings):
        text = "no analyzer is installed: nothing can find the face of a photo"
        findings.append(Finding("fail", "plugins", text, "pip install pshead-analyzers-mediapipe-face"))
    for listing in listings:
        others = [item for item in listings if (item.kind, item.name) == (listing.kind, listing.name)]
        if len(others) > 1 and listing is others[0]:
            both = " and ".join(item.distribution for item in others)
            fix = f"write '{listing.name}@{listing.distribution}' where you use it, or uninstall one"
            findings.append(Finding("warn", listing.name, f"offered by {both}", fix))
        try:
            check_core(listing)
        except PluginError as error:
            findings.append(Finding("warn", listing.name, f"{error.what}: {error.why}", error.fix))
    return findings


def imported_findings(listing: PluginListing) -> list[Finding]:
    """Import one plugin and return what it says about this machine."""
    try:
        remarks = PluginHost.load([listing]).diagnose()
    except PluginError as error:
        return [Finding("warn", listing.name, f"{error.what}: {error.why}", error.fix)]
    remarked = [Finding("warn", listing.name, remark) for remark in remarks]
    return remarked or [Finding("ok", listing.name, f"{listing.distribution} {listing.version} fits {CORE}")]
