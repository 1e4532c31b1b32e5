//! A process that is measured, and ends with its measurement.

use std::{
    fs,
    process::{Child, Command},
    time::Duration,
};

pub struct Process(pub Child);

impl Process {
    pub fn spawn(command: &mut Command) -> Self {
        let name = command.get_program().to_owned();
        Self(command.spawn().unwrap_or_else(|error| panic!("can't run {}: {error}", name.display())))
    }

    /// Time on processors, its own and the kernel's for it.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        // The second field may hold spaces, but is in parentheses (proc_pid_stat(5)).
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
        let ticks: u64 = [11, 12].iter().map(|&at| fields[at].parse::<u64>().unwrap()).sum();
        // USER_HZ is 100 wherever Linux runs.
        Duration::from_millis(ticks * 10)
    }

    /// Bytes of memory in use.
    pub fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
