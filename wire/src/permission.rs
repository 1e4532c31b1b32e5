//! What a person lets a site do with their node, beyond what every site may.
//!
//! The leader keeps the answers and enforces them. Only the person gives and takes them: on the node's own page, or by a frame's
//! badge for the frame's own site.

use serde::{Deserialize, Serialize};

/// Something that needs a person's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// To be part of the one node for all sites of the browser, where the browser itself doesn't see to that.
    Join,
    /// To see the whole node.
    Observe,
    /// To know the person by an id that is the same on every site.
    Person,
}

/// What the person answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Nothing yet.
    #[default]
    Ask,
    /// No: they aren't asked again.
    No,
    /// Yes, until they take it back.
    Yes,
}

/// All answers for one site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Permissions {
    /// For [`Permission::Join`].
    #[serde(default)]
    pub join: Answer,
    /// For [`Permission::Observe`].
    #[serde(default)]
    pub observe: Answer,
    /// For [`Permission::Person`].
    #[serde(default)]
    pub person: Answer,
}

impl Permissions {
    /// The answer for one permission.
    #[must_use]
    pub const fn answer(self, permission: Permission) -> Answer {
        match permission {
            Permission::Join => self.join,
            Permission::Observe => self.observe,
            Permission::Person => self.person,
        }
    }

    /// The same with one answer changed.
    #[must_use]
    pub const fn with(self, permission: Permission, answer: Answer) -> Self {
        match permission {
            Permission::Join => Self { join: answer, ..self },
            Permission::Observe => Self { observe: answer, ..self },
            Permission::Person => Self { person: answer, ..self },
        }
    }
}

/// One site, as the node's own page shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteStatus {
    /// Its origin.
    pub origin: String,
    /// Frames that it has open in this node.
    pub frames: u32,
    /// What the person answered, or the node's operator configured.
    pub permissions: Permissions,
    /// Requests that were refused since the leader leads, because the site asked for too much.
    pub refused: u32,
    /// Peers that it is linked to.
    pub peers: Vec<String>,
    /// Peers that the person blocked for it.
    pub blocked: Vec<String>,
}
