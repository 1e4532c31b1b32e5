//! Reading which tests failed, and why, from what their runners say.

use crate::times::Noted;

/// How much of a program that broke down is told: its last lines.
const LAST: usize = 20;

/// Of a program of libtest's that counts as failed: what each failed test printed, without its backtrace; else the program's last lines.
pub fn of_libtest(program: &str, text: &str) -> Vec<Noted> {
    let mut failures: Vec<_> = text.split("\n---- ").skip(1).filter_map(|said| of_test(program, said)).collect();
    if failures.is_empty() {
        let lines: Vec<_> = text.trim_end().lines().collect();
        let why = lines[lines.len().saturating_sub(LAST)..].join("\n");
        failures.push(Noted::Failure { name: program.to_owned(), why });
    }
    failures
}

/// Of `name stdout ----` and what follows.
fn of_test(program: &str, said: &str) -> Option<Noted> {
    let (name, why) = said.split_once(" stdout ----\n")?;
    let end = ["\nstack backtrace:", "\n\nfailures:", "\nnote: run with `RUST_BACKTRACE"];
    let why = end.iter().filter_map(|end| why.split_once(end)).map(|(why, _)| why).min_by_key(|why| why.len());
    Some(Noted::Failure { name: format!("{program} {name}"), why: why?.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failed_test_says_why() {
        let text = "
test a ... FAILED <4.5s>

failures:

---- a stdout ----

thread 'a' (9947) panicked at tests/rendezvous.rs:203:5:
it differs
stack backtrace:
   0: __rustc::rust_begin_unwind

---- b::c stdout ----
Error: \"gone\"


failures:
    a
    b::c

test result: FAILED. 14 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 5.29s
";
        let expected = [
            failure("revproxy a", "thread 'a' (9947) panicked at tests/rendezvous.rs:203:5:\nit differs"),
            failure("revproxy b::c", "Error: \"gone\""),
        ];
        assert_eq!(of_libtest("revproxy", text), expected);
    }

    #[test]
    fn a_program_that_broke_down_has_last_words() {
        let text: String = (0..30).map(|n| format!("line {n}\n")).collect();
        let why: Vec<_> = (10..30).map(|n| format!("line {n}")).collect();
        assert_eq!(of_libtest("wire", &text), [failure("wire", &why.join("\n"))]);
    }

    fn failure(name: &str, why: &str) -> Noted {
        Noted::Failure { name: name.to_owned(), why: why.to_owned() }
    }
}
