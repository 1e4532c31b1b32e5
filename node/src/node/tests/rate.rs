//! What a message of a topic costs the leader of a member: a measurement, no test.

use std::time::Instant as Stopwatch;

use bitters_wire::{
    keys::PersonaSecret,
    topic::{MessageName, Published, TopicMessage},
};

use super::{
    lab::*,
    topics::{in_lobby, linked, made_up},
    *,
};

/// Whose messages a neighbour brings, as fast as a link may bring them.
const AUTHORS: u16 = 20;
const MESSAGES: u16 = 4000;

#[test]
#[ignore = "a measurement: cargo xtask bench topics"]
#[expect(clippy::print_stdout, reason = "it says what it measured")]
fn messages_that_a_leader_verifies_and_passes_on() {
    let (mut lab, link) = in_lobby();
    for n in 1..8 {
        linked(&mut lab, peer(n));
    }
    let authors: Vec<PersonaSecret> = (0..AUTHORS).map(made_up).collect();
    let said: Vec<TopicMessage> = (0..MESSAGES).map(|n| said_by(&authors[usize::from(n % AUTHORS)], n)).collect();

    let began = Stopwatch::now();
    let heard = said.iter().flat_map(|message| lab.peer(link, message)).filter(is_heard).count();
    let passing = began.elapsed();
    assert_eq!(heard, usize::from(MESSAGES), "each is heard");

    let (secret, text) = (&authors[0], [7; 160]);
    let (id, signature) = (secret.id(), secret.sign(&text));
    let began = Stopwatch::now();
    (0..MESSAGES).for_each(|_| assert!(id.verify(&text, &signature).is_ok()));
    let verifying = began.elapsed();

    let each = |all: std::time::Duration| all / u32::from(MESSAGES);
    println!("a message of 200 bytes, verified and passed on to 7 neighbours and a page: {:?}", each(passing));
    println!("its signature alone: {:?}", each(verifying));
    println!("2,000 a second take {:.0} % of a core", 2000.0 * each(passing).as_secs_f64() * 100.0);
}

fn said_by(author: &PersonaSecret, n: u16) -> TopicMessage {
    let (topic, name) = (LOBBY, MessageName(u64::from(n).to_be_bytes()));
    let published = Published::new((topic, &matching(topic)), author, (0, name), vec![7; 200]);
    TopicMessage::Publish { topic, published }
}

fn is_heard(output: &Output) -> bool {
    matches!(output, Output::Frame(_, ToFrame::Topic { .. }))
}
