//! What goes into a [`Site`](super::Site) and what comes out.

use bitters_wire::{
    VersionRange,
    address::Owner,
    announce::Announcement,
    id::{Boot, Epoch, FrameId, LinkId},
    local::{Certificate, Envelope, LinkCommand, LinkEvent, ToFrame, ToLeader},
    permission::{Answer, Permission, SiteStatus},
    rpc::{Event, Identity, Request},
    status::{Scope, Status},
};

/// What a frame is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// This incarnation.
    pub frame: FrameId,
    /// The embedding page's origin, from the browser; for the node's own page its own.
    pub origin: String,
    /// What the frame got from the browser.
    pub scope: Scope,
    /// What may lead out of an island of one site.
    pub means: Means,
    /// The frame's build.
    pub build: String,
    /// The URL of the build's SharedWorker; `None` where the browser has none.
    pub worker: Option<String>,
    /// Whether the page is visible.
    pub visible: bool,
    /// Whether the frame itself shows the whole status: the node's own page.
    pub watching: bool,
    /// Random, for sessions and seals.
    pub seed: [u8; 32],
}

/// The ways from an island of one site to that of all sites that this browser has. A frame that is nested in another site's page has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Means {
    /// A page of the node's own, opened by the person, that hands over ports.
    pub bridge: bool,
    /// The StorageAccessHandle.
    pub handle: bool,
}

/// A fact, in the order of names.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Whether the browser granted what [`Output::RequestAccess`] asked for.
    Access(bool),
    /// Another context of the island announced something.
    Announced(Announcement),
    /// Another context of the site's own island announced something, which this frame left over a bridge.
    AnnouncedAtHome(Announcement),
    /// The site asks.
    Ask(Request),
    /// The page at the bridge's other end is closed. The leader beyond it may live on.
    BridgeClosed,
    /// The certificate that [`Output::Certify`] asked for, or for people why there is none.
    Certified(Owner, Result<Certificate, String>),
    /// The person clicked on a button of the badge's, or of the own page's card.
    Clicked(Click),
    /// The way that [`Output::Connect`] asked for is there: what was said on an earlier one may be lost.
    Connected,
    /// Whether [`Output::Follow`] found a way.
    Followed(bool),
    /// The page was frozen or thawed.
    Frozen(bool),
    /// The site introduced itself.
    Host {
        /// Versions that its SDK speaks.
        versions: VersionRange,
        /// Which id it wants.
        identity: Identity,
    },
    /// The frame is in another island: that which [`Output::Enter`] or [`Output::Return`] led to.
    Island {
        /// How much that covers.
        scope: Scope,
        /// Whether it is reached over a bridge.
        remote: bool,
    },
    /// There is no way into the island any longer: its worker can't be loaded, or the bridge to it is over.
    IslandLost,
    /// The leader says this.
    Leader(Envelope<ToFrame>),
    /// What [`Output::WatchLeader`] waited for: this leader is dead, or handed over.
    LeaderGone(Boot),
    /// The same lock was free as soon as it was asked for. That proves nothing: the leader is asked.
    LeaderUnseen(Boot),
    /// The page goes away.
    Leaving,
    /// A link in this frame reports.
    Link(LinkId, LinkEvent),
    /// The site said something that is no request; with the number it bore, or 0.
    Nonsense(u32),
    /// The person blocked a peer for a site on the node's own page, or no longer does.
    Block {
        /// For which site.
        origin: String,
        /// Whom, as text.
        peer: String,
        /// Whether it is blocked from now on.
        blocked: bool,
    },
    /// The person decided on the node's own page whether peers may know the network addresses of this browser.
    Hide(bool),
    /// The network came back.
    Online,
    /// The person changed a permission on the node's own page.
    Permit {
        /// Of which site.
        origin: String,
        /// What it may do or not.
        permission: Permission,
        /// What the person chose.
        answer: Answer,
    },
    /// To the node's own page: a frame of this node's, in the page that opened this one, asks for its site.
    Petition {
        /// The site.
        site: String,
        /// What it asks for.
        permission: Permission,
    },
    /// What came of [`Output::OpenPage`].
    PetitionOver(Outcome),
    /// To the node's own page: whoever asked is gone.
    PetitionerGone,
    /// The frame has its lock: it may be seen.
    Started,
    /// It is as late as [`poll_timeout`](super::Site::poll_timeout) said.
    Timeout,
    /// The site said more at once than anything it may say has: it wasn't read.
    TooLarge {
        /// The number it bore, or 0.
        id: u32,
        /// How much it was.
        bytes: usize,
    },
    /// The page was shown or hidden.
    Visible(bool),
    /// A worker of this build can't be loaded: the browser told so.
    WorkerFailed,
    /// A worker that this frame waits for is being loaded.
    WorkerLoads,
}

/// An act for the shell, in the order of names.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Tell all contexts of the island.
    Announce(Announcement),
    /// Tell all contexts of the site's own island, which this frame left over a bridge.
    AnnounceAtHome(Announcement),
    /// Show this.
    Badge(Badge),
    /// Show this on the node's own page.
    Card(Card),
    /// Make a certificate for this owner's addresses, and keep it for all frames of the island; answered with
    /// [`Input::Certified`].
    Certify(Owner),
    /// Close the site's port: it was refused, floods, or says nothing but nonsense.
    CloseHost,
    /// Close the page that [`Output::OpenPage`] opened; answered with [`Input::PetitionOver`].
    ClosePage,
    /// Open this way to a leader, in place of any other; answered with [`Input::Connected`].
    Connect(Line),
    /// Take part in the election from here: there is no SharedWorker that would.
    Contend {
        /// The leadership that is to be taken over, as it doesn't answer; zero if it was never heard of. `None` to wait for
        /// one's turn.
        after: Option<Epoch>,
    },
    /// Go into the island that was granted or bridged; answered with [`Input::Island`].
    Enter,
    /// Try to follow another frame of this island into that of all sites, without asking; answered with [`Input::Followed`].
    Follow,
    /// Tell the leader.
    Leader(Envelope<ToLeader>),
    /// For a link in this frame.
    Link(LinkId, LinkCommand),
    /// Show whether peers may know the network addresses of this browser: for the node's own page.
    Hides(bool),
    /// Open the node's own page with this petition for the site; answered with [`Input::PetitionOver`].
    OpenPage(Permission),
    /// Ask the browser for the island of all sites; answered with [`Input::Access`].
    RequestAccess,
    /// Go back into the island of the site; answered with [`Input::Island`].
    Return,
    /// Answer the petition: if yes, and the site is to join, serve as its bridge.
    Settle(bool),
    /// Show all sites: for the node's own page.
    Sites(Vec<SiteStatus>),
    /// Show the node: for its own page.
    Status(Status),
    /// Tell the site.
    Tell(Event),
    /// Wait for this leader's life lock, in place of any other's, and give it back at once; answered with [`Input::LeaderGone`] or
    /// [`Input::LeaderUnseen`].
    WatchLeader(Boot),
}

/// A way to a leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The BroadcastChannel of the frame's own.
    Channel,
    /// A port of a SharedWorker.
    Port {
        /// The worker's name.
        name: String,
        /// The worker's URL.
        worker: String,
    },
}

/// A button, in the order of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Click {
    /// Of the card: yes.
    Allow,
    /// Of a question that waits for an answer elsewhere: leave it.
    Cancel,
    /// Of a question: no, and don't ask again.
    No,
    /// Of the badge: what is one node for all sites?
    Offer,
    /// Of a question: open the node's own page.
    Open,
    /// Of the card: no.
    Refuse,
    /// Of a question: yes.
    Yes,
}

/// What came of a petition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The page was closed without an answer.
    Closed,
    /// The person said no.
    No,
    /// The browser opened no page, or one that this frame can't reach.
    Unopened,
    /// The person said yes. If the site is to join, the bridge is there.
    Yes,
}

/// What the badge asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// May the site know the person by one id?
    Person,
    /// One node for all sites?
    Unify,
    /// The browser doesn't give it: one node as long as the node's own page is open?
    Visit,
}

/// Where the person is asked what the badge asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// By the browser's own prompt.
    Browser,
    /// On the node's own page.
    Page,
}

/// What the node's own page shows of a petition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Card {
    /// It is asked.
    Asking {
        /// The site.
        site: String,
        /// What it asks for.
        permission: Permission,
    },
    /// The site is gone, or loaded again.
    Lost {
        /// Which.
        site: String,
    },
    /// It is answered.
    Settled {
        /// The site.
        site: String,
        /// What it asked for.
        permission: Permission,
        /// What the person said.
        answer: Answer,
    },
}

/// What the badge shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Badge {
    /// A question.
    Asking(Question),
    /// The node doesn't run here, and why.
    Failed(String),
    /// The node runs.
    Ready {
        /// The site's persona.
        id: String,
        /// Linked nodes.
        peers: u32,
        /// How much one node covers.
        scope: Scope,
        /// Whether the person could have one node for all sites.
        offers: bool,
    },
    /// That the person is asked elsewhere.
    Waiting(Elsewhere),
}
