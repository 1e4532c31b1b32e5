// Where things stand in the picture: the leader in the middle, frames around it, peers outside, near the frames that hold
// their links. Pure: the same status gives the same places.

/** A place in the picture, from its centre. */
export interface Place {
  x: number;
  y: number;
}

/** What the picture needs of a status. A peer's frames: the one whose link is used, then the standby's. */
export interface Shape {
  frames: readonly { id: string }[];
  peers: readonly { id: string; links: number; frames: readonly string[] }[];
}

/** One line from the frame that holds a link to its peer; from the leader where the site isn't told the frame. */
export interface Line {
  key: string;
  from: string;
  to: string;
  /** Whether a link is there, rather than a way through other peers. */
  linked: boolean;
  /** Whether it waits to take another's place. */
  standby: boolean;
}

/** The leader's key among the places. */
export const LEADER = "leader";

const FRAME_RADIUS = 68;
const PEER_RADIUS = 124;
/** A wide picture fits a page better than a round one. */
const WIDER = 1.45;

/** The place of the leader, of each frame and of each peer. */
export function places(shape: Shape): Map<string, Place> {
  const found = new Map<string, Place>([[LEADER, { x: 0, y: 0 }]]);
  const angles = new Map<string, number>();
  shape.frames.forEach(({ id }, at) => {
    const angle = Math.PI + turn(at, shape.frames.length);
    angles.set(id, angle);
    found.set(id, around(FRAME_RADIUS, angle));
  });
  const order = shape.peers
    .map((peer) => ({ id: peer.id, angle: middle(peer.frames.flatMap((id) => angles.get(id) ?? [])) }))
    .sort((a, b) => a.angle - b.angle);
  const first = order[0]?.angle ?? 0;
  order.forEach(({ id }, at) => found.set(id, around(PEER_RADIUS, first + turn(at, order.length))));
  return found;
}

/** The lines to peers. */
export function lines(shape: Shape): Line[] {
  const known = new Set(shape.frames.map(({ id }) => id));
  return shape.peers.flatMap(({ id, links, frames }) => {
    const from = frames.some((frame) => known.has(frame)) ? frames : [LEADER];
    const all = from.map((frame, at) => ({ key: `${frame} ${id}`, from: frame, to: id, linked: links > 0, standby: at > 0 }));
    return all.filter(({ from }) => from === LEADER || known.has(from));
  });
}

/** An even share of the circle. */
function turn(at: number, of: number): number {
  return (2 * Math.PI * at) / of;
}

function around(radius: number, angle: number): Place {
  return { x: Math.cos(angle) * radius * WIDER, y: Math.sin(angle) * radius };
}

/** The mean of some angles; to the right where there are none. */
function middle(angles: readonly number[]): number {
  const x = angles.reduce((sum, angle) => sum + Math.cos(angle), 0);
  const y = angles.reduce((sum, angle) => sum + Math.sin(angle), 0);
  return Math.hypot(x, y) < 0.001 ? 0 : Math.atan2(y, x);
}
