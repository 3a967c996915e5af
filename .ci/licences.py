"""Checks every dependency of the product against the licences deny.toml allows, and that all come from one registry."""

import json
import re
import subprocess
import sys

allowed = set(re.findall(r'"([^"]+)"', re.search(r"allow = \[(.*?)\]", open("deny.toml").read(), re.S).group(1)))
# The simulator compares the product with these; they are in nothing that is shipped.
compared = {"foca": "MPL-2.0"}
product = subprocess.run(
    ["cargo", "tree", "-e", "normal,build", "-p", "sessionmesh", "--prefix", "none", "--format", "{p}"],
    check=True, capture_output=True, text=True,
).stdout
tree = subprocess.run(
    ["cargo", "tree", "-e", "normal,build", "--workspace", "--prefix", "none", "--format", "{p}|{l}"],
    check=True, capture_output=True, text=True,
).stdout
bad, seen = [], set()
for line in sorted(set(tree.splitlines())):
    if "|" not in line:
        continue
    package, licence = line.replace(" (*)", "").rsplit("|", 1)
    seen.add(package)
    # "A OR B" needs one, "A AND B" needs all; parentheses do not nest in practice.
    groups = [g.strip(" ()") for g in re.split(r"\s+AND\s+", licence.replace("/", " OR "))]
    ok = licence and all(any(o.strip(" ()") in allowed for o in re.split(r"\s+OR\s+", g)) for g in groups)
    name = package.split()[0]
    if compared.get(name) == licence and not any(p.startswith(f"{name} ") for p in product.splitlines()):
        continue
    if not ok:
        bad.append(f"{package}: {licence or 'no licence named'}")
metadata = json.loads(
    subprocess.run(["cargo", "metadata", "--format-version", "1"], check=True, capture_output=True, text=True).stdout
)
bad += [
    f"{p['name']}: from {p['source']}"
    for p in metadata["packages"]
    if p["source"] and not p["source"].startswith("registry+")
]
print(f"{len(seen)} packages, {len(bad)} refused")
sys.exit("\n".join(bad) if bad else 0)
