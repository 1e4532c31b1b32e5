//! The table of a run, as text.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Noted, QUIET};

/// How many tests are told.
const SLOWEST: usize = 20;

/// Commands with their steps, each beside the seconds that it may take; then the slowest tests, and those that failed.
pub fn of(took: &[Noted], budget: &BTreeMap<String, f64>) -> String {
    let mut text = format!("{:<46}{:>9}{:>9}\n", "step", "seconds", "budget");
    let mut exceeding = 0;
    for (name, seconds, within) in rows(took) {
        let budget = budget.get(name);
        let verdict = match budget {
            None => "  no budget",
            Some(budget) if seconds > *budget => "  exceeded",
            Some(_) => "",
        };
        exceeding += usize::from(!verdict.is_empty());
        let (name, budget) = (
            format!("{}{name}", if within { "  " } else { "" }),
            budget.map_or(String::new(), |it| format!("{it:.0}")),
        );
        writeln!(text, "{name:<46}{seconds:>9.1}{budget:>9}{verdict}").expect("a string takes all");
    }
    if exceeding > 0 {
        writeln!(text, "{exceeding} of these have no budget or took more (.ci/budget.toml)")
            .expect("a string takes all");
    }
    writeln!(text, "\nthe slowest tests").expect("a string takes all");
    for (name, seconds) in slowest(took) {
        writeln!(text, "{seconds:>8.1} s  {name}").expect("a string takes all");
    }
    for one in took {
        if let Noted::Failure { name, why } = one {
            writeln!(text, "\nfailed: {name}\n{why}").expect("a string takes all");
        }
    }
    text
}

/// Commands, each before the steps within it; what a command did twice is one row. Short ones are left out.
fn rows(took: &[Noted]) -> Vec<(&str, f64, bool)> {
    let mut rows: Vec<(&str, f64, bool)> = Vec::new();
    let mut steps: Vec<(&str, f64, bool)> = Vec::new();
    let mut all = 0.0;
    for one in took {
        match one {
            Noted::Command { name, seconds } => {
                all += seconds;
                rows.push((name, *seconds, false));
                rows.append(&mut steps);
            }
            Noted::Step { name, seconds } => match steps.iter_mut().find(|(known, ..)| known == name) {
                Some((_, sum, _)) => *sum += seconds,
                None => steps.push((name, *seconds, true)),
            },
            Noted::Test { .. } | Noted::Failure { .. } => {}
        }
    }
    // Those of a command that didn't end.
    rows.append(&mut steps);
    rows.retain(|(_, seconds, _)| *seconds >= QUIET.as_secs_f64());
    rows.push(("all", all, false));
    rows
}

fn slowest(took: &[Noted]) -> Vec<(&str, f64)> {
    let mut tests: Vec<(&str, f64)> = took
        .iter()
        .filter_map(|one| match one {
            Noted::Test { name, seconds } => Some((name.as_str(), *seconds)),
            _ => None,
        })
        .collect();
    tests.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    tests.truncate(SLOWEST);
    tests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_before_its_steps_and_what_exceeds_its_budget_is_told() {
        let took = [
            step("clippy", 50.0),
            step("quick", 0.5),
            command("check", 51.0),
            step("npm ci", 3.0),
            test("e2e deaths", 26.4),
            step("npm ci", 4.0),
            test("sim worlds", 35.0),
            Noted::Failure { name: "wire codec".to_owned(), why: "it differs".to_owned() },
            command("test", 80.0),
        ];
        let budget = [("clippy", 60.0), ("check", 50.0), ("test", 90.0), ("all", 140.0)];
        let budget = budget.map(|(name, seconds)| (name.to_owned(), seconds)).into();

        let expected = "\
step                                            seconds   budget
check                                              51.0       50  exceeded
  clippy                                           50.0       60
test                                               80.0       90
  npm ci                                            7.0           no budget
all                                               131.0      140
2 of these have no budget or took more (.ci/budget.toml)

the slowest tests
    35.0 s  sim worlds
    26.4 s  e2e deaths

failed: wire codec
it differs
";
        assert_eq!(of(&took, &budget), expected);
    }

    #[test]
    fn steps_of_a_command_that_did_not_end_are_told() {
        assert_eq!(rows(&[step("clippy", 50.0)]), [("clippy", 50.0, true), ("all", 0.0, false)]);
    }

    #[test]
    fn twenty_tests_are_told() {
        let took: Vec<Noted> = (0..30).map(|n| test(&n.to_string(), f64::from(n))).collect();
        let slowest = slowest(&took);
        assert_eq!((slowest.len(), slowest[0], slowest[19]), (20, ("29", 29.0), ("10", 10.0)));
    }

    fn command(name: &str, seconds: f64) -> Noted {
        Noted::Command { name: name.to_owned(), seconds }
    }

    fn step(name: &str, seconds: f64) -> Noted {
        Noted::Step { name: name.to_owned(), seconds }
    }

    fn test(name: &str, seconds: f64) -> Noted {
        Noted::Test { name: name.to_owned(), seconds }
    }
}
