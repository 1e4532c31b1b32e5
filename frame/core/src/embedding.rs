//! How the browser shows a document of the node's.
//!
//! A site is the direct parent's origin. A page that is itself within another site's may tell that one all that it learns: met by the
//! persona that its origin has at top level, a tracker that is nested everywhere would know the person everywhere, and nobody would be
//! asked. So a nested frame stays in its own partition's island, which is that of the site at the top: the persona that it meets there is
//! derived from a secret that no other site's island has.

/// How a document is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embedding {
    /// In a page that is itself within another site's, or may be.
    Nested,
    /// In a site's page: whichever pages that is within are of the same origin.
    Site,
    /// By itself: the node's own page.
    TopLevel,
}

impl Embedding {
    /// `ancestors` are the windows around the document, `origins` theirs, the parent's first, where the browser tells
    /// (`Location.ancestorOrigins`; HTML, section 7.2.4). One that is hidden or opaque is `null`, and like no other.
    #[must_use]
    pub fn of(ancestors: usize, origins: &[String]) -> Self {
        match (ancestors, origins) {
            (0, _) => Self::TopLevel,
            (1, _) => Self::Site,
            (_, [parent, others @ ..]) if parent != "null" && others.iter().all(|origin| origin == parent) => {
                Self::Site
            }
            _ => Self::Nested,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_is_whoever_embeds_the_node_if_nobody_else_is_around() {
        assert_eq!(Embedding::of(0, &[]), Embedding::TopLevel);
        assert_eq!(Embedding::of(1, &[]), Embedding::Site);
        assert_eq!(Embedding::of(1, &origins([A])), Embedding::Site);
        assert_eq!(Embedding::of(1, &origins(["null"])), Embedding::Site, "a file, or a page that doesn't say");
        assert_eq!(Embedding::of(3, &origins([A, A, A])), Embedding::Site, "its own frames");
    }

    #[test]
    fn who_is_within_another_site_is_nested_and_so_is_who_may_be() {
        assert_eq!(Embedding::of(2, &origins([B, A])), Embedding::Nested);
        assert_eq!(Embedding::of(3, &origins([A, B, A])), Embedding::Nested);
        assert_eq!(Embedding::of(3, &origins([A, A, B])), Embedding::Nested);
        assert_eq!(Embedding::of(2, &origins([A, "null"])), Embedding::Nested);
        assert_eq!(
            Embedding::of(2, &origins(["null", "null"])),
            Embedding::Nested,
            "no two of them are known to be one"
        );
        assert_eq!(Embedding::of(2, &[]), Embedding::Nested, "the browser doesn't tell");
    }

    const A: &str = "https://a.example";
    const B: &str = "https://b.example";

    fn origins<const N: usize>(origins: [&str; N]) -> Vec<String> {
        origins.map(str::to_owned).to_vec()
    }
}
