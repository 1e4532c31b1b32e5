//! How many connections come from one source or network, so that nobody takes all the places there are.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::core::rendezvous::{Net, Source};

/// Who is here, by network.
#[derive(Clone, Debug)]
pub(crate) struct Crowd {
    most: usize,
    here: Arc<Mutex<HashMap<Net, usize>>>,
}

/// One connection's place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Crowd,
    source: Source,
}

impl Crowd {
    /// Takes at most `most` of each source, and of a wider network as many as of several sources.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, here: Arc::default() }
    }

    /// A place, unless the source or a network that it is in has its share already.
    pub(crate) fn enter(&self, source: Source) -> Option<Place> {
        let mut here = self.lock();
        let has_room = source.nets().all(|net| here.get(&net).is_none_or(|&count| count < net.bound(self.most)));
        has_room.then(|| {
            source.nets().for_each(|net| *here.entry(net).or_default() += 1);
            Place { crowd: self.clone(), source }
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Net, usize>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut here = self.crowd.lock();
        for net in self.source.nets() {
            if let Some(count) = here.get_mut(&net) {
                *count -= 1;
                if *count == 0 {
                    here.remove(&net);
                }
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

    #[test]
    fn a_48_has_the_places_of_sixteen_sources_and_leaves_others_theirs() {
        let crowd = Crowd::new(2);
        let enter = |text: String| crowd.enter(text.parse::<IpAddr>().unwrap().into());

        let places: Vec<_> = (0..64).filter_map(|n| enter(format!("2001:db8:7:{n:x}00::1"))).collect();

        assert_eq!(places.len(), 16 * 2);
        assert!(enter("2001:db8:8::1".into()).is_some());
    }
}
