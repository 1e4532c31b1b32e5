// Alice's site: a page that talks with other pages, through the one node that its visitor runs for all of them.

import { showCalls } from "../shared/calls.js";
import { connectHere } from "../shared/connect.js";
import { showFiles } from "../shared/files.js";
import { showPicture } from "../shared/picture.js";
import { showRoom } from "../shared/room.js";
import { showConnected, showFailed, showNeighbour } from "../shared/status.js";

showNeighbour("bob");
try {
  // The person's node: the same one on every site that asks for it.
  const node = await connectHere();
  showConnected(node);

  // A topic: where sites of all nodes meet.
  const lobby = await node.join("bitters-demo-lobby");

  // All of it goes on for as long as the node does.
  await Promise.all([showRoom(node, lobby, "Alice"), showCalls(node, "Alice"), showFiles(node, lobby), showPicture(node)]);
} catch (error) {
  showFailed(error);
}
