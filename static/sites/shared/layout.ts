// Where things stand in the picture: the leader in the middle, frames around it, peers outside, near the frames that hold
// their links. Pure: the same status gives the same places.

/** A place in the picture, from its centre. */
export interface Place {
  x: number;
  y: number;
}

/**
 * What the picture needs of a status. A peer comes once for each persona of this node that is linked to it. Its frames there: the one whose link is
 * used, then the standby's.
 */
export interface Shape {
  frames: readonly { id: string }[];
  peers: readonly { id: string; persona?: string | undefined; links: number; frames: readonly string[] }[];
}

/** One line from the frame that holds a link to its peer; from the leader where the site isn't told the frame. */
export interface Line {
  key: string;
  from: string;
  to: string;
  /** The persona whose link it is, where the site is told that. */
  persona: string | undefined;
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
  const linking = new Map<string, number[]>();
  for (const { id, frames } of shape.peers) linking.set(id, [...(linking.get(id) ?? []), ...frames.flatMap((frame) => angles.get(frame) ?? [])]);
  // Of peers whose frames have no middle, as two that face each other, half are below and half above.
  let aside = Math.PI / 2;
  const order = [...linking]
    .map(([id, angles]) => ({ id, angle: middle(angles) ?? (aside = -aside) }))
    .sort((a, b) => a.angle - b.angle);
  // Turned so that they are as near to their frames as can be; if that's the same for all turns, no line goes through the leader.
  const turned = middle(order.map(({ angle }, at) => angle - turn(at, order.length)));
  const first = turned ?? (order[0]?.angle ?? 0) + (order.length % 2 === 0 ? turn(1, order.length) / 2 : 0);
  order.forEach(({ id }, at) => found.set(id, around(PEER_RADIUS, first + turn(at, order.length))));
  return found;
}

/** The lines to peers: one, and not dashed, where a frame holds both the link that is used and its standby. */
export function lines(shape: Shape): Line[] {
  const known = new Set(shape.frames.map(({ id }) => id));
  const found = new Map<string, Line>();
  for (const { id, persona, links, frames } of shape.peers) {
    const holders = frames.some((frame) => known.has(frame)) ? frames : [LEADER];
    holders.forEach((from, at) => {
      const key = `${from} ${id}`;
      if (found.has(key) || (from !== LEADER && !known.has(from))) return;
      found.set(key, { key, from, to: id, persona, linked: links > 0, standby: at > 0 });
    });
  }
  return [...found.values()];
}

/** An even share of the circle. */
function turn(at: number, of: number): number {
  return (2 * Math.PI * at) / of;
}

function around(radius: number, angle: number): Place {
  return { x: Math.cos(angle) * radius * WIDER, y: Math.sin(angle) * radius };
}

/** The mean of some angles, from -π to π; none where they cancel out. To the right where there are no angles. */
function middle(angles: readonly number[]): number | undefined {
  if (angles.length === 0) return 0;
  const x = angles.reduce((sum, angle) => sum + Math.cos(angle), 0);
  const y = angles.reduce((sum, angle) => sum + Math.sin(angle), 0);
  return Math.hypot(x, y) < 0.001 ? undefined : Math.atan2(y, x);
}
