//! Bounds, in one place. Everything from another origin, peer or the network is held against one of these.

use std::time::Duration;

/// Characters in a topic's, protocol's, method's or service's name (the SDK's contract).
pub const MAX_NAME_CHARS: usize = 128;

/// Bytes of a topic's message or a call's argument or result (the SDK's contract).
pub const MAX_MESSAGE: usize = 256 * 1024;

/// Bytes of a message between frame and leader, and of one on a link: the largest topic message, sealed and wrapped.
pub const MAX_LOCAL: usize = MAX_MESSAGE + 4096;

/// Bytes of a message on a link. Chromium and Firefox announce `max-message-size` 262144 and 1073741823; larger topic
/// messages travel in parts (see `peercon`).
pub const MAX_LINK: usize = MAX_LOCAL;

/// Bytes that have gone into a link before its leader is told: one large packet, or a hundred small ones.
pub const DRAIN_REPORT: u32 = 64 * 1024;

/// Stream bytes in one packet: few packets for bulk, yet no long wait for the packets of another session behind it. Whole in one
/// part of a link message, and below the 64 KiB from which Chromium's ports go through shared memory.
pub const MAX_CHUNK: usize = 60 * 1024;

/// Bytes that a stream's writer may be ahead of its reader: 10 MiB/s (a data channel on loopback) for 200 ms, as a round trip
/// through two busy browsers takes.
pub const STREAM_WINDOW: u64 = 2 * 1024 * 1024;

/// Streams open at once in one session, counted for each side that opened them.
pub const MAX_STREAMS: usize = 128;

/// Streams and calls open at once in all sessions of one frame, counted for each side that opened them: eight sessions' full. Of peers a few
/// more, so that some of them leave others their part (`session::shares`).
pub const MAX_STREAMS_PER_FRAME: usize = 8 * MAX_STREAMS;

/// Sessions of one frame.
pub const MAX_SESSIONS: usize = 256;

/// Bytes of one announcement over BroadcastChannel.
pub const MAX_ANNOUNCEMENT: usize = 1024;

/// Bytes of a message between a node and the rendezvous.
pub const MAX_RENDEZVOUS: usize = 4096;

/// Bytes of a compact signal: flags, 21, 32, count and eight candidates with mDNS names of 41 bytes.
pub const MAX_SIGNAL: usize = 512;

/// Bytes of session packets that one signal carries, before there is a link.
pub const MAX_EARLY: usize = 2048;

/// Bytes of a signal that is signed and sealed: besides what it carries two keys (64), a signature (64), its name and the cipher's tag (32), the
/// keys for members of eight topics (264) and the tag of what they seal (16), and some numbers.
pub const MAX_SEALED_SIGNAL: usize = MAX_EARLY + 512;

/// Topics that one frame may be in.
pub const MAX_TOPICS_PER_FRAME: usize = 64;

/// Messages of topics that a frame tells a new leader to have heard, and their authors at most: some 100 KB.
pub const MAX_HEARD: usize = 4096;

/// Authors of them.
pub const MAX_HEARD_AUTHORS: usize = 1024;

/// Peers that the person may block for one site.
pub const MAX_BLOCKED: usize = 256;

/// Protocols and methods that one frame may serve.
pub const MAX_SERVED_PER_FRAME: usize = 128;

/// Requests of one page that wait for an answer, and streams of its own that are open.
pub const MAX_PENDING_REQUESTS: usize = 1024;

/// Linked nodes that a topic aims for; the rendezvous names at most as many at a time.
pub const TOPIC_NEIGHBOURS: usize = 8;

/// Members of a topic that a site is told (the SDK's contract).
pub const MAX_PEERS_TOLD: usize = 256;

/// Bytes of what a site shows of itself in a topic, as JSON text (the SDK's contract).
pub const MAX_PRESENCE: usize = 4096;

/// Characters of a service call's arguments or result as JSON text.
pub const MAX_SERVICE_JSON: usize = MAX_MESSAGE;

/// How long a call waits for its answer unless told otherwise (the SDK's contract).
pub const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// Two rounds of ICE gathering over a slow uplink.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(15);
