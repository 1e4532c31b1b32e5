// Bob's site: a page that talks with other pages, through the one node that its visitor runs for all of them.

import { connectHere } from "../shared/connect.js";
import { showFiles } from "../shared/files.js";
import { showPicture } from "../shared/picture.js";
import { showRoom } from "../shared/room.js";
import { showConnected, showFailed, showNeighbour } from "../shared/status.js";

showNeighbour("alice");
try {
  // Connect to the person's node. It is the same one on every site, or the first one if there is none yet.
  const node = await connectHere();
  showConnected(node);

  // A topic is a place where sites of all nodes meet.
  const lobby = await node.join("bitters-demo-lobby");

  // A stream carries any amount of bytes from here to one peer.
  showFiles(node, lobby);

  // Both go on for as long as the node does.
  await Promise.all([showRoom(node, lobby, "Bob"), showPicture(node)]);
} catch (error) {
  showFailed(error);
}
