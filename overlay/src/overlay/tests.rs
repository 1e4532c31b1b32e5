use super::*;

#[test]
fn a_neighbour_that_loses_three_tests_is_dropped_and_not_let_in_again() {
    let mut node = Node::new();
    node.link(1, None);
    node.lists(1, &[2]);
    let mut tests = 0;
    while node.overlay.admits(&key(1), None, node.now) {
        node.wake();
        for output in node.outputs() {
            // It acknowledges everything, and nothing comes back.
            if let Output::Send(to, Message::Route(route)) = output {
                tests += u32::from(route.to == Target::Node(key(2)));
                node.says(to, Message::RouteAck { id: route.id });
            }
        }
    }
    assert_eq!(tests, 3);
    assert_eq!(node.overlay.neighbours().count(), 0);
    let banned = node.now;
    node.link(1, None);
    assert!(node.outputs().contains(&Output::Drop(key(1))));
    assert!(node.overlay.admits(&key(1), None, banned + Duration::from_secs(600)));
}

#[test]
fn a_neighbour_that_knows_no_way_keeps_its_link() {
    let mut node = Node::new();
    node.link(1, None);
    node.lists(1, &[2]);
    while node.now < Instant::from_millis(600_000) {
        node.wake();
        for output in node.outputs() {
            if let Output::Send(to, Message::Route(route)) = output {
                node.says(to, Message::RouteEnd { id: route.id, why: crate::message::End::Busy, hops: 0 });
            }
        }
    }
    assert_eq!(node.overlay.neighbours().count(), 1);
}

#[test]
fn who_has_enough_links_lets_in_who_stands_near_only() {
    let mut node = Node::new();
    for other in 1..=u8::try_from(MOST).unwrap() {
        node.link(other, None);
    }
    assert_eq!(node.overlay.neighbours().count(), MOST);
    let (mut near, mut far) = (0, 0);
    for other in 100..200 {
        if node.overlay.admits(&key(other), None, node.now) {
            near += 1;
        } else {
            far += 1;
        }
    }
    assert!(near > 2 && far > 60, "{near} near, {far} far");
}

#[test]
fn one_network_gets_few_links() {
    let mut node = Node::new();
    for other in 1..20 {
        node.link(other, Some(Network([7; 6])));
    }
    let count = node.overlay.neighbours().count();
    assert!(count <= 6, "two near ones and four far ones at most: {count}");
    assert!(
        !node.overlay.admits(&key(30), Some(Network([7; 6])), node.now)
            && node.overlay.admits(&key(30), None, node.now)
    );
}

#[test]
fn neighbours_are_told_what_changes() {
    let mut node = Node::new();
    node.link(1, None);
    node.outputs();
    node.overlay.handle_input(Input::Own { reach: Reach::Hard, light: true }, node.now);
    assert_eq!(node.outputs(), [Output::Send(key(1), Message::About { reach: Reach::Hard, light: true })]);
}

#[test]
fn what_is_too_long_is_neither_asked_nor_answered() {
    let mut node = Node::new();
    node.link(1, None);
    node.outputs();
    for (len, is_asked) in [(MAX_WORD, true), (MAX_WORD + 1, false)] {
        let ask = Input::Ask { token: 5, to: Target::Node(key(1)), word: vec![0; len], is_hidden: false, attempts: 1 };
        node.overlay.handle_input(ask, node.now);
        let outputs = node.outputs();
        assert_eq!(outputs.iter().any(|output| matches!(output, Output::Send(_, Message::Route(_)))), is_asked);
        assert_eq!(outputs.contains(&Output::Answered { token: 5, word: None, attempt: 1 }), !is_asked);

        let route = Route {
            id: len as u64,
            to: Target::Node(NODE),
            hops: 1,
            walks: false,
            trail: vec![],
            question: Question::Word(vec![]),
        };
        node.says(key(1), Message::Route(route));
        node.overlay.handle_input(Input::Answer { id: len as u64, word: vec![0; len] }, node.now);
        assert_eq!(
            node.outputs().iter().any(|output| matches!(output, Output::Send(_, Message::RouteBack { .. }))),
            is_asked
        );
    }
}

#[test]
fn what_a_stranger_says_is_not_heard() {
    let mut node = Node::new();
    let route = Route { id: 1, to: Target::Node(NODE), hops: 1, walks: false, trail: vec![], question: Question::Find };
    for message in [Message::Route(route), node.overlay.neighbours.whole(), Message::Want(true)] {
        node.says(key(1), message);
        assert_eq!(node.outputs(), []);
    }
}

/// One overlay, and all that it wants done.
struct Node {
    overlay: Overlay,
    now: Instant,
}

impl Node {
    fn new() -> Self {
        Self { overlay: Overlay::new(NODE, Reach::Easy, false, 1, Instant::START), now: Instant::START }
    }

    /// Somebody dials it.
    fn link(&mut self, other: u8, network: Option<Network>) {
        self.overlay.handle_input(Input::PeerUp { node: key(other), network, is_dialler: false }, self.now);
    }

    fn lists(&mut self, other: u8, nodes: &[u8]) {
        let card = |node: &u8| Card { node: key(*node), reach: Reach::Easy, light: false };
        self.says(key(other), Message::Near { full: true, add: nodes.iter().map(card).collect(), drop: vec![] });
    }

    fn says(&mut self, other: NodeId, message: Message) {
        self.overlay.handle_input(Input::Received(other, message), self.now);
    }

    /// What is due next happens.
    fn wake(&mut self) {
        self.now = self.now.max(self.overlay.poll_timeout().unwrap());
        self.overlay.handle_input(Input::Timeout, self.now);
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.overlay.poll_output()).collect()
    }
}

const NODE: NodeId = NodeId([250; 32]);

fn key(node: u8) -> NodeId {
    NodeId([node; 32])
}
