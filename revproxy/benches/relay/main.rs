//! What forwarding costs, against coturn's relay under the same load in the same run, and what waiting costs.
//!
//! `cargo bench -p bitters-revproxy`, or `cargo bench -p bitters-revproxy -- waiting` for the latter alone. Linux only: the servers are processes of their own, whose time and memory `/proc` tells. Both run
//! with their defaults but for bounds and, for coturn, authentication, which it needn't do here. One thread makes the load: sixteen pairs
//! of sockets; half of the packets go each way; as browsers do, it sends each packet by a call of its own.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "what can't be measured fails the run")]

mod coturn;
mod load;
mod ours;
mod process;
#[path = "../../tests/support/stun.rs"]
mod stun;
mod waiting;

use std::time::Duration;

use load::{Pair, Run};

const PAIRS: usize = 16;
const ROUNDS: usize = 3;
const TIME: Duration = Duration::from_secs(3);

/// Packets a second that both bear easily.
const PACED: u32 = 20_000;

fn main() {
    if ours::is_child() {
        return ours::serve_forever();
    }
    // `cargo bench` adds arguments of its own.
    if !std::env::args().any(|argument| argument == "waiting") {
        forwarding();
    }
    waiting::measure();
}

fn forwarding() {
    println!("| packets | load | coturn: CPU, packets/s | ours: CPU, packets/s | CPU, ratio |");
    println!("| --- | --- | --- | --- | --- |");
    for size in [100, 1200] {
        for pace in [Some(PACED), None] {
            let mut rounds: Vec<_> = (0..ROUNDS).map(|_| compare(size, pace)).collect();
            rounds.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
            let (coturn, ours) = &rounds[ROUNDS / 2];
            let load = pace.map_or("as much as goes".to_owned(), |pace| format!("{pace} a second"));
            println!(
                "| {size} bytes | {load} | {:.2} µs, {:.0} | {:.2} µs, {:.0} | {:.2} ({:.2} to {:.2}) |",
                coturn.cpu_per_packet(),
                coturn.rate(),
                ours.cpu_per_packet(),
                ours.rate(),
                ratio(&rounds[ROUNDS / 2]),
                ratio(&rounds[0]),
                ratio(&rounds[ROUNDS - 1]),
            );
        }
    }
    println!();
}

/// In turn, on fresh servers.
fn compare(size: usize, pace: Option<u32>) -> (Run, Run) {
    let coturn = {
        let server = coturn::Server::start();
        let pairs: Vec<Pair> = (0..PAIRS).map(|n| server.pair(n)).collect();
        load::run(&server.process, &pairs, size, pace, TIME)
    };
    let server = ours::Server::start();
    let pairs = server.pairs(PAIRS);
    (coturn, load::run(&server.process, &pairs, size, pace, TIME))
}

fn ratio((coturn, ours): &(Run, Run)) -> f64 {
    ours.cpu_per_packet() / coturn.cpu_per_packet()
}
