//! Which topics the two ends of a link are in: matched, not told.
//!
//! Each end shows *tags*, which say something to those only who know the topic, and nothing on another link. A peer is shown the topics in which
//! it is said to be, and those for which the link was made. Once one of its tags is recognised, or the site accepted it, or if one end has an
//! address of the other's with its grant, it is shown all topics of our persona, and those that are joined later. Others are shown nothing: who
//! knows many names can't try them out on whom it likes.

use bitters_machine::map::Set;
use bitters_wire::{
    id::{LinkId, TopicId},
    local::Bond,
    topic::{TAGS_AT_ONCE, TopicMessage, TopicTag},
};

use super::{Around, Links, LinksOutput};
use crate::{pair::Pair, topics::Place};

impl Around<'_> {
    /// Topics of our persona's, and how the peer of a link shows that it is in them.
    fn tags(&self, Pair { own, peer }: Pair, bond: Bond) -> impl Iterator<Item = (TopicId, TopicTag)> {
        let places = self.topics.iter().filter(move |place| place.own == own);
        places.filter_map(move |place| Some((place.topic, self.topics.matching(place)?.tag(&bond, peer))))
    }
}

impl Links {
    /// Shows a peer those of our persona's topics that it is to see by now, and hasn't seen.
    pub fn show_topics(&mut self, link: LinkId, around: &Around<'_>) {
        let due = self.due(link, around);
        let Some((pair, bond)) = self.table.bond(link) else { return };
        let Some(up) = self.table.up_mut(link) else { return };
        let new: Vec<TopicId> = due.into_iter().filter(|topic| up.shown.insert(*topic)).collect();
        if new.is_empty() {
            return;
        }
        up.budget.showed = true;
        let keys = new.iter().filter_map(|topic| around.topics.matching(Place { own: pair.own, topic: *topic }));
        // In the order of their bytes, which says nothing.
        let mut tags: Set<TopicTag> = keys.map(|key| key.tag(&bond, pair.own)).collect();
        while !tags.len().is_multiple_of(TAGS_AT_ONCE) {
            tags.insert(self.sealing.padding());
        }
        let tags = tags.into_iter().collect();
        self.say(link, TopicMessage::Tags(tags), around);
    }

    fn due(&self, link: LinkId, around: &Around<'_>) -> Set<TopicId> {
        let used = self.table.link(link).and_then(|it| Some((it.pair()?, it, self.table.up(link)?)));
        let Some((pair, it, up)) = used else { return Set::new() };
        let of_own = around.topics.iter().filter(|place| place.own == pair.own).map(|place| place.topic);
        if up.budget.matched || it.because.granted || around.knows(pair) {
            return of_own.collect();
        }
        let are_said: Set<TopicId> = around.topics.common(pair).collect();
        of_own.filter(|topic| are_said.contains(topic) || it.because.topics.contains(topic)).collect()
    }

    /// Whether the peer may have us compare what it shows with all our topics: each costs a hash.
    pub(super) fn affords_tags(&mut self, link: LinkId, pair: Pair, around: &Around<'_>) -> bool {
        let topics = around.topics.iter().filter(|place| place.own == pair.own).count();
        let cost = u32::try_from(topics / TAGS_AT_ONCE).unwrap_or(u32::MAX);
        self.table.up_mut(link).is_some_and(|up| up.budget.control.take_many(cost, around.now))
    }

    /// The peer shows in which topics it is. It may have come to one after it was shown that we are there: it is shown again.
    pub(super) fn on_tags(&mut self, link: LinkId, pair: Pair, tags: &[TopicTag], around: &Around<'_>) {
        let Some((_, bond)) = self.table.bond(link) else { return };
        let Some(up) = self.table.up_mut(link) else { return };
        let mut new = Vec::new();
        for (topic, tag) in around.tags(pair, bond) {
            if tags.contains(&tag) && up.joined.insert(topic) {
                up.was_in.insert(topic);
                up.shown.remove(&topic);
                up.budget.matched = true;
                new.push(topic);
            }
        }
        if !new.is_empty() {
            self.show_topics(link, around);
            self.tell(LinksOutput::Status);
        }
        for topic in new {
            self.tell(LinksOutput::Joined { link, pair, topic });
        }
    }

    /// The peer left the topic with this tag.
    pub(super) fn on_left(&mut self, link: LinkId, pair: Pair, tag: TopicTag, around: &Around<'_>) {
        let Some((_, bond)) = self.table.bond(link) else { return };
        let Some(up) = self.table.up_mut(link) else { return };
        let left = around.tags(pair, bond).find(|(topic, it)| *it == tag && up.joined.contains(topic));
        let Some((topic, _)) = left else { return };
        up.joined.remove(&topic);
        up.hinted.remove(&topic);
        up.want(around.now);
        self.tell(LinksOutput::Left { pair, topic });
        self.tell(LinksOutput::Plans);
        self.tell(LinksOutput::Status);
    }

    /// Our persona leaves a topic, whose key is still known: those who were shown it are told. A link to a peer that is in it is kept for as long as
    /// if it had come up now.
    pub fn leave_topic(&mut self, place: Place, around: &Around<'_>) {
        let Some(key) = around.topics.matching(place) else { return };
        for link in self.table.ups_of(place.own).map(|(link, _, _, _)| link).collect::<Vec<_>>() {
            let Some((pair, bond)) = self.table.bond(link) else { continue };
            let Some(up) = self.table.up_mut(link) else { continue };
            if up.joined.remove(&place.topic) {
                up.hinted.remove(&place.topic);
                up.want(around.now);
            }
            if up.shown.remove(&place.topic) {
                self.say(link, TopicMessage::Left(key.tag(&bond, pair.own)), around);
            }
        }
    }
}
