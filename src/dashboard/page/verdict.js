// The first line: one word for the mesh, with its evidence, from what the node said and from whether it still speaks.
// Pure: tested by tests/browser/page/.

const SEVERITIES = ["ok", "info", "warning", "critical"];

/** The sizes of the islands, this side first: "2|3"; null while it is not known of some member with whom it is. */
export const shape = ({ islands }) =>
  (islands.some((island) => island.state === "unknown") ? null : islands.map((island) => island.nodes.length).join("|"));

/**
 * What the first line says.
 * @param {{mesh?: object, partitions?: object}} parts what the node said last
 * @param {{state: "connecting"|"live"|"lost"}} connection whether it still speaks
 * @returns {{word: string, key: string, severity: string, evidence: string[]}} `key` is the bare word, for scripts
 */
export function verdict(parts, connection) {
  const mesh = parts.mesh;
  if (connection.state === "lost") {
    const said = mesh ? [`its last word was "${word(parts)}"; whether that still holds is not known`] : [];
    return { word: mesh ? `lost ${mesh.view.node}` : "no answer", key: "lost", severity: "critical", evidence: said };
  }
  if (!mesh) return { word: "connecting", key: "connecting", severity: "info", evidence: [] };
  const severity = SEVERITIES.includes(mesh.severity) ? mesh.severity : "warning";
  return { word: word(parts), key: mesh.word, severity, evidence: mesh.evidence };
}

function word({ mesh, partitions }) {
  if (mesh.word !== "split" || !partitions || partitions.islands.length < 2) return mesh.word;
  return `split ${shape(partitions) ?? "(sides not known yet)"}`;
}

/**
 * The sides of a split, for the red banner; null unless the node calls it a split.
 * @returns {{title: string, sides: {here: boolean, label: string, nodes: string[]}[]} | null}
 */
export function split({ mesh, partitions }, connection) {
  if (!mesh || mesh.word !== "split" || !partitions || partitions.islands.length < 2) return null;
  const labels = { here: "this side", apart: "apart, answers", silent: "silent", unknown: "answers, side not known yet" };
  const sides = partitions.islands.map((island) => ({
    here: island.this_side,
    label: island.this_side ? labels.here : (labels[island.state] ?? island.state),
    nodes: island.nodes,
  }));
  const [node, cut] = [mesh.view.node, shape(partitions) ?? "(sides not known yet)"];
  const told = connection.state === "lost"
    ? `The mesh was split ${cut} when ${node} was last heard` : `The mesh is split ${cut}, as ${node} sees it`;
  return { title: told, sides };
}

/** The title of the tab: readable when there is room for a few letters only. */
export function title(parts, connection) {
  const said = verdict(parts, connection);
  const mark = { ok: "", info: "", warning: "! ", critical: "!! " }[said.severity];
  return parts.mesh ? `${mark}${said.word} · ${parts.mesh.view.cluster} · sessionmesh` : "sessionmesh";
}
