//! Reading how many tests passed and failed from what their runners say.

use std::fmt;
use std::ops::AddAssign;

/// How many tests came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Those that passed.
    pub passed: u64,
    /// Those among them that needed a second try.
    pub flaky: u64,
    /// Those that failed, timed out or could not be run; a runner that broke down counts as one.
    pub failed: u64,
    /// Those that were left out.
    pub skipped: u64,
}

impl Counts {
    /// Of libtest: the sum of the `test result:` lines.
    pub fn of_libtest(text: &str) -> Self {
        let mut counts = Self::default();
        for line in text.lines().filter_map(|line| line.trim_start().strip_prefix("test result:")) {
            let (_, line) = line.split_once(". ").unwrap_or_default();
            for (number, word) in line.split("; ").filter_map(number_and_word) {
                counts.add(number, word);
            }
        }
        counts
    }

    /// Of vitest: its line `Tests  1 failed | 11 passed (12)`.
    pub fn of_vitest(text: &str) -> Self {
        let mut counts = Self::default();
        for line in text.lines().filter_map(|line| line.trim_start().strip_prefix("Tests ")) {
            for (number, word) in line.split('|').filter_map(number_and_word) {
                counts.add(number, word);
            }
        }
        counts
    }

    /// Of Playwright: its closing lines, each a number and a word. A flaky test passed in the end, and is told apart.
    pub fn of_playwright(text: &str) -> Self {
        let mut counts = Self::default();
        for (number, word) in text.lines().filter(|line| line.starts_with("  ")).filter_map(number_and_word) {
            counts.add(number, word);
        }
        counts
    }

    /// A runner that ended badly without a failed test has broken down.
    pub fn or_broken_down(mut self, success: bool) -> Self {
        if self.failed == 0 && !success {
            self.failed = 1;
        }
        self
    }

    /// The same, and one that ran nothing shows nothing.
    pub fn checked(self, success: bool) -> Self {
        self.or_broken_down(success && self.passed > 0)
    }

    fn add(&mut self, number: u64, word: &str) {
        match word {
            "flaky" => {
                self.passed += number;
                self.flaky += number;
            }
            "passed" => self.passed += number,
            "failed" | "interrupted" | "did" => self.failed += number,
            "ignored" | "skipped" | "todo" => self.skipped += number,
            _ => {}
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.flaky += other.flaky;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.flaky > 0 {
            write!(f, ", {} flaky", self.flaky)?;
        }
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// The number and the word that a text starts with.
fn number_and_word(text: &str) -> Option<(u64, &str)> {
    let mut words = text.split_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_libtest_are_added_up() {
        let text = "
running 3 tests
test a ... ok
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.00s

test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.10s
";
        assert_eq!(Counts::of_libtest(text), Counts { passed: 7, flaky: 0, failed: 2, skipped: 1 });
    }

    #[test]
    fn vitest_tells_tests_in_one_line() {
        let text = " Test Files  1 failed | 3 passed (4)\n      Tests  1 failed | 11 passed | 2 skipped (14)\n   Start at  10:00:00\n";
        assert_eq!(Counts::of_vitest(text), Counts { passed: 11, flaky: 0, failed: 1, skipped: 2 });
    }

    #[test]
    fn playwright_tells_each_outcome_in_a_line() {
        let text = "Running 9 tests using 1 worker\n  1) a.spec.ts:1:1 › fails\n  1 failed\n    a.spec.ts:1:1 › fails\n  1 flaky\n  2 skipped\n  1 did not run\n  4 passed (12.3s)\n";
        assert_eq!(Counts::of_playwright(text), Counts { passed: 5, flaky: 1, failed: 2, skipped: 2 });
    }

    #[test]
    fn a_runner_that_breaks_down_or_runs_nothing_fails() {
        let passed = Counts { passed: 3, ..Counts::default() };
        assert_eq!(passed.checked(true), passed);
        assert_eq!(passed.checked(false), Counts { failed: 1, ..passed });
        assert_eq!(Counts::default().checked(true), Counts { failed: 1, ..Counts::default() });
        assert_eq!(Counts::default().or_broken_down(true), Counts::default());
        assert_eq!(Counts::default().or_broken_down(false), Counts { failed: 1, ..Counts::default() });
    }

    #[test]
    fn totals_are_one_line() {
        assert_eq!(Counts { passed: 9, ..Counts::default() }.to_string(), "9 passed, 0 failed");
        assert_eq!(
            Counts { passed: 9, flaky: 1, failed: 1, skipped: 2 }.to_string(),
            "9 passed, 1 failed, 1 flaky, 2 skipped"
        );
    }
}
