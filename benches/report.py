#!/usr/bin/env python3
"""Turns the figures of the last bench run into docs/benchmarks.md, docs/verify-costs.svg and the
table in README.md.

    cargo bench --all-features
    python3 benches/report.py ["# NOTE"]

NOTE tells how the run differed from criterion's defaults; it is put beside the command. Reads criterion's estimates under the target directory (CARGO_TARGET_DIR, or target/). The same
figures give the same files. What was not measured is left out.
"""

import json
import math
import os
import platform
import subprocess
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CRITERION = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "criterion"

# The command that gave the figures.
RUN = " ".join(["cargo bench --all-features", *sys.argv[1:]])

# Title, row, what it is compared with, and the bound and goal of its ratio to that.
ROWS = [
    ("Parse a good text", "parse/good/hallpass", "parse/good/floor", None),
    ("Refuse a bad checksum", "parse/bad checksum/hallpass", "parse/bad checksum/floor", (2.0, 1.2)),
    ("Refuse a foreign prefix", "parse/foreign prefix/hallpass", "parse/foreign prefix/floor", (2.0, 1.2)),
    ("Verify, hot", "verify hot/hallpass", "verify hot/floor", (1.6, 1.25)),
    ("Verify, hot, reading the clock", "verify hot/hallpass and system clock", "verify hot/floor", None),
    ("Verify any of 1,000", "verify random 1000/hallpass", "verify random 1000/floor", None),
    ("Verify any of 100,000", "verify random 100000/hallpass", "verify random 100000/floor", None),
    ("Verify any of 1,000,000", "verify random 1000000/hallpass", "verify random 1000000/floor", (1.9, 1.0)),
    ("Verify any of 10,000,000", "verify random 10000000/hallpass", "verify random 10000000/floor", None),
    ("Growth from 1,000 to 10,000,000", "verify random 10000000/hallpass", "verify random 1000/hallpass", (7.0, 4.5)),
    ("Two threads on one hot token", "verify threads/hallpass 2", "verify threads/hallpass 1", (1.25, 1.11)),
    ("Issue", "issue/hallpass", "issue/floor", None),
    ("Issue, beside prefixed-api-key", "peers issue/hallpass", "peers issue/prefixed-api-key and a map", (0.67, 0.45)),
    ("List an owner's page among 10,000", "list 10000/hallpass", "list 10000/floor", (1.5, 1.3)),
    ("List an owner's page among 1,000,000", "list 1000000/hallpass", "list 1000000/floor", (1.5, 1.3)),
    ("SQLite: find any of 10,000", "sqlite find 10000/store", "sqlite find 10000/bare, needed columns", None),
    ("SQLite: find any of 1,000,000", "sqlite find 1000000/store", "sqlite find 1000000/bare, needed columns", (2.5, 1.3)),
    ("The same, beside reading every column", "sqlite find 1000000/store", "sqlite find 1000000/bare, all columns", None),
    ("SQLite: verify any of 10,000", "sqlite find 10000/verify", "sqlite find 10000/bare, needed columns", None),
    ("SQLite: verify any of 1,000,000", "sqlite find 1000000/verify", "sqlite find 1000000/bare, needed columns", (2.5, 1.3)),
    ("SQLite: list an owner's page among 10,000", "sqlite list 10000/hallpass", "sqlite list 10000/bare, kept", (1.5, 1.3)),
    ("SQLite: list an owner's page among 1,000,000", "sqlite list 1000000/hallpass", "sqlite list 1000000/bare, kept", (1.5, 1.3)),
    ("The same, beside reading the values and keeping none", "sqlite list 1000000/hallpass", "sqlite list 1000000/bare, only read", None),
    ("SQLite: insert, on disk", "sqlite insert/store", "sqlite insert/bare", None),
    ("Exchange for a JWT, EdDSA, beside the bare signature", "oauth exchange/JWT EdDSA", "oauth sign EdDSA/bare", None),
    ("The same, less what an exchange for an opaque token takes", "oauth exchange/signing EdDSA", "oauth sign EdDSA/bare", (1.3, 1.1)),
    ("Exchange for a JWT, ES256, beside the bare signature", "oauth exchange/JWT ES256", "oauth sign ES256/bare", None),
    ("Verify a JWT, EdDSA, beside jsonwebtoken", "oauth verify EdDSA/hallpass", "oauth verify EdDSA/jsonwebtoken", None),
    ("Verify a JWT, ES256, beside jsonwebtoken", "oauth verify ES256/hallpass", "oauth verify ES256/jsonwebtoken", None),
    ("Verify a JWT, EdDSA, and its record", "oauth verify EdDSA/hallpass, and its record", "oauth verify EdDSA/jsonwebtoken", None),
    ("A request through the tower layer", "tower/guarded", "tower/bare", None),
    ("A request through a guarded axum router", "axum/guarded", "axum/bare", None),
    ("An HTTP request over loopback, hot token", "http hot/guarded", "http hot/bare", (1 / 0.95, 1 / 0.95)),
    ("An HTTP request over loopback, any of 1,000,000", "http random/guarded", "http random/bare", (1 / 0.88, 1 / 0.88)),
    ("The same on tokio's default runtime, hot token", "http hot shared/guarded", "http hot shared/bare", None),
    ("The same on tokio's default runtime, any of 1,000,000", "http random shared/guarded", "http random shared/bare", None),
    ("The same beside a layer that checks nothing, hot token", "http hot/guarded", "http hot/least", None),
]

# The rows that README.md shows too.
SHOWN = [
    "Refuse a bad checksum",
    "Verify, hot",
    "Verify any of 1,000,000",
    "Issue",
    "List an owner's page among 1,000,000",
    "SQLite: verify any of 10,000",
    "An HTTP request over loopback, hot token",
    "An HTTP request over loopback, any of 1,000,000",
]

START, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"

PEERS = "peers verify"


def figures():
    """Median nanoseconds by the full name of each bench."""
    found = {}
    for file in sorted(CRITERION.glob("**/new/benchmark.json")):
        name = json.loads(file.read_text())["full_id"]
        estimates = json.loads((file.parent / "estimates.json").read_text())
        found[name] = estimates["median"]["point_estimate"]
    return found | http_figures() | oauth_figures()


def http_figures():
    """Nanoseconds that a request takes of a busy server."""
    found = {}
    for group, figure in kept("http.json").items():
        if isinstance(figure, dict):
            bare = 1e9 / figure["bare_per_second"]
            # Rounds were compared one by one, which is steadier than comparing their medians.
            ratios = {"bare": 1, "least": figure["least_ratio"], "guarded": figure["ratio"]}
            found |= {f"http {group}/{row}": bare / ratio for row, ratio in ratios.items()}
    return found


def oauth_figures():
    """Nanoseconds of exchanges, signatures and introspections, all measured in turns."""
    found = kept("oauth.json")
    if found:
        signing = found["oauth exchange/JWT EdDSA"] - found["oauth exchange/opaque"]
        found["oauth exchange/signing EdDSA"] = signing
    return found


def kept(name):
    """Figures that are not criterion's."""
    file = CRITERION / name
    return json.loads(file.read_text()) if file.exists() else {}


def measured(found):
    """Title, time, time of what it is compared with, ratio, and bounds of each row."""
    for title, row, other, bounds in ROWS:
        if row in found and other in found:
            yield title, spell(found[row]), spell(found[other]), found[row] / found[other], bounds


def spell(nanoseconds):
    for unit, size in (("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.3g} ns"


def machine():
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = models[0].split(":", 1)[1].strip() if models else model
    rustc = subprocess.run(["rustc", "-V"], capture_output=True, text=True, check=True)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}; {rustc.stdout.strip()}"


def page(found):
    lines = [
        "# Benchmarks",
        "",
        f"Medians on: {machine()}; fat LTO, one codegen unit. What a row compares was measured in one run.",
        "",
        "```text",
        RUN,
        "python3 benches/report.py",
        "```",
        "",
        "A *floor* is the least that any implementation of the same thing has to do, written plainly and",
        "measured beside it: for a verification, hash one block, look the row up, compare. Random",
        "lookups are chained: which token is next depends on the last answer. SQLite stands beside rusqlite",
        "alone on the same file, the guard beside the same service, router or server without it. Absolute",
        "figures are of this machine; compare ratios. `HALLPASS_BENCH_LARGE=1` adds ten million tokens.",
        "",
        "| path | hallpass | beside | ratio | bound / goal |",
        "|---|---|---|---|---|",
    ]
    for title, time, beside, ratio, bounds in measured(found):
        bound = "" if bounds is None else f"{bounds[0]:.3g} / {bounds[1]:.3g}"
        lines.append(f"| {title} | {time} | {beside} | {ratio:.2f} | {bound} |")
    if memory := memory_text():
        lines += ["", memory]
    peers = verify_peers(found)
    if peers:
        lines += ["", "## Is this text good, and whose is it?", "", "![Costs](verify-costs.svg)", ""]
        lines += ["| | time | beside hallpass |", "|---|---|---|"]
        own = dict(peers).get("hallpass", math.nan)
        lines += [f"| {name} | {spell(time)} | {time / own:.3g} x |" for name, time in peers]
    if oauth := kept("oauth.json"):
        lines += ["", "## Exchanges and JWTs", "", "One thread, tokens in memory.", ""]
        lines += ["| | time | a second |", "|---|---|---|"]
        for name, time in oauth.items():
            title = name.removeprefix("oauth ").replace("/", ": ")
            lines.append(f"| {title} | {spell(time)} | {1e9 / time:,.0f} |")
    return "\n".join(lines) + "\n"


def memory_text():
    memory = kept("memory.json")
    if not memory:
        return ""
    each = memory["bytes_per_token"]
    return (
        f"Memory per token at {memory['tokens']:,}, counted at the allocator: hallpass "
        f"{each['hallpass']:.0f} bytes, a map of `Arc` records {each['map of Arc records']:.0f}, the "
        f"floor's map {each['floor']:.0f}. Allocations of a verification: {memory['allocations_per_hit']}."
    )


def extract(found):
    """What README.md shows, or nothing if nothing was measured."""
    rows = [row for row in measured(found) if row[0] in SHOWN]
    if not rows:
        return ""
    lines = [
        "| | hallpass | floor | ratio |",
        "|---|---|---|---|",
        *(f"| {title} | {time} | {floor} | {ratio:.2f} |" for title, time, floor, ratio, _ in rows),
        "",
        "A floor is the least that any implementation has to do, measured in the same run: for a",
        "verification, hash one block, look the row up, compare; for SQLite, the bare prepared read; for",
        "HTTP, the same axum server without the guard.",
    ]
    if memory := memory_text():
        lines += ["", memory]
    if verify_peers(found):
        lines += ["", "![One verification beside other ways to do it](docs/verify-costs.svg)"]
    lines += [
        "",
        f"Medians of `{RUN}`, then `python3 benches/report.py`, on: {machine()}. More",
        "in [benchmarks](docs/benchmarks.md).",
    ]
    return "\n".join(lines) + "\n"


def inject(text, block):
    """The text with the block between its markers; as it was if it has none."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not end or not block:
        return text
    return f"{before}{start}\n{block}{end}{after}"


def verify_peers(found):
    prefix = PEERS + "/"
    rows = [(name.removeprefix(prefix), time) for name, time in found.items() if name.startswith(prefix)]
    return sorted(rows, key=lambda row: row[1])


def chart(rows):
    """Horizontal bars on a log scale."""
    left, width, step, top = 220, 460, 30, 48
    low = 10 ** math.floor(math.log10(min(time for _, time in rows)))
    high = max(low * 10, 10 ** math.ceil(math.log10(max(time for _, time in rows))))
    across = lambda time: width * math.log(time / low) / math.log(high / low)
    bottom = top + step * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 90} {bottom + 34}" '
        'role="img" aria-label="Time of one verification, log scale">',
        "<style>",
        "text { font: 13px system-ui, sans-serif; fill: #24292f }",
        ".title { font-weight: 600 } .axis { fill: #57606a; font-size: 11px }",
        ".grid { stroke: #d0d7de } .bar { fill: #8c959f } .own { fill: #1f6feb }",
        "@media (prefers-color-scheme: dark) {",
        "text { fill: #e6edf3 } .axis { fill: #9198a1 } .grid { stroke: #3d444d }",
        ".bar { fill: #6e7681 } .own { fill: #4493f8 } }",
        "</style>",
        f'<text class="title" x="{left}" y="24">One verification, log scale</text>',
    ]
    tick = low
    while tick <= high:
        x = left + across(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 8}" y2="{bottom}"/>')
        parts.append(
            f'<text class="axis" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{spell(tick)}</text>'
        )
        tick *= 10
    for place, (name, time) in enumerate(rows):
        y = top + step * place
        kind = "own" if name == "hallpass" else "bar"
        parts.append(f'<text x="{left - 10}" y="{y + 15}" text-anchor="end">{escape(name)}</text>')
        parts.append(
            f'<rect class="{kind}" x="{left}" y="{y}" width="{across(time):.1f}" height="20" rx="3"/>'
        )
        parts.append(f'<text x="{left + across(time) + 6:.1f}" y="{y + 15}">{spell(time)}</text>')
    return "\n".join(parts + ["</svg>"]) + "\n"


def main():
    found = figures()
    if not found:
        sys.exit(f"no figures in {CRITERION}")
    docs = ROOT / "docs"
    docs.mkdir(exist_ok=True)
    (docs / "benchmarks.md").write_text(page(found))
    peers = verify_peers(found)
    if peers:
        (docs / "verify-costs.svg").write_text(chart(peers))
    readme = ROOT / "README.md"
    readme.write_text(inject(readme.read_text(), extract(found)))


if __name__ == "__main__":
    main()
