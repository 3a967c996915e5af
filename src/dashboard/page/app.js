// The first line: one word for the mesh, as this node sees it.
const answer = await fetch("api/v1/mesh");
const mesh = await answer.json();
document.getElementById("word").textContent = `${mesh.view.node} sees: ${mesh.word} (${mesh.evidence.join("; ")})`;
