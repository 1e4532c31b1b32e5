//! How many connections come from one source, so that nobody takes all the places there are.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::core::rendezvous::Source;

/// Who is here, by source.
#[derive(Clone, Debug)]
pub(crate) struct Crowd {
    most: usize,
    here: Arc<Mutex<HashMap<Source, usize>>>,
}

/// One connection's place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Crowd,
    source: Source,
}

impl Crowd {
    /// Takes at most `most` of each source.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, here: Arc::default() }
    }

    /// A place, unless the source has its share already.
    pub(crate) fn enter(&self, source: Source) -> Option<Place> {
        let mut here = self.lock();
        let count = here.entry(source).or_default();
        (*count < self.most).then(|| {
            *count += 1;
            Place { crowd: self.clone(), source }
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Source, usize>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut here = self.crowd.lock();
        if let Some(count) = here.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                here.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn each_source_has_its_share_and_leaves_nothing_behind() {
        let crowd = Crowd::new(2);
        let enter = |text: &str| crowd.enter(text.parse::<IpAddr>().unwrap().into());

        let places = [enter("2001:db8::1"), enter("2001:db8::2"), enter("192.0.2.1")];

        assert!(places.iter().all(Option::is_some));
        assert!(enter("2001:db8::3").is_none());
        let [first, rest @ ..] = places;
        drop(first);
        assert!(enter("2001:db8::3").is_some());
        drop(rest);
        assert!(crowd.lock().is_empty());
    }
}
