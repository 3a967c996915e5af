//! Services that embed a node, as processes: what their users feel when one of them is cut, killed or stopped.

mod shutdown;
mod web_processes;
