//! What waits: listeners, and dials that nobody has answered.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::ours::{Node, Server, dial};

const COUNT: u32 = 10_000;

pub fn measure() {
    let server = Server::start();
    let (memory, cpu, begun) = (server.process.memory(), server.process.cpu(), Instant::now());
    let mut nodes = server.runtime.block_on(async {
        let mut nodes = Vec::new();
        for n in 0..COUNT {
            nodes.push(Node::listening(server.tcp, n).await);
        }
        nodes
    });
    let each = |bytes: usize| bytes.saturating_sub(memory) / COUNT as usize;
    let listening = server.process.memory();
    println!("{COUNT} listeners, each with a WebSocket and an address:");
    println!("- {} bytes of memory each", each(listening));
    println!("- {:.0} µs of CPU to come", per(server.process.cpu() - cpu));
    println!("- {:.1} s in all, one after the other", begun.elapsed().as_secs_f64());
    let cpu = server.process.cpu();
    // What is measured: five seconds in which nothing comes.
    std::thread::sleep(Duration::from_secs(5));
    println!("- {:.2} % of a core while they idle", (server.process.cpu() - cpu).as_secs_f64() * 20.0);

    let (cpu, token) = (server.process.cpu(), nodes[0].token);
    server.runtime.block_on(async {
        // All dial one, who hears of each.
        for n in 0..COUNT {
            // What is from an address and port that a dial waits for already is dropped.
            let host = u8::try_from(n % 250 + 1).unwrap();
            while {
                server.connected_from(host).send(&dial(token, n)).unwrap();
                timeout(Duration::from_millis(500), nodes[0].hear()).await.is_err()
            } {}
        }
    });
    println!("{COUNT} parked dials:");
    println!("- {} bytes of memory each", server.process.memory().saturating_sub(listening) / COUNT as usize);
    println!("- {:.0} µs of CPU each, to be told of", per(server.process.cpu() - cpu));
}

fn per(cpu: Duration) -> f64 {
    cpu.as_secs_f64() * 1e6 / f64::from(COUNT)
}
