//! Reading how long each test took from what their runners say.

use crate::times::Noted;

/// Of libtest with `--report-time`: `test links::fall_over ... ok <0.012s>`.
pub fn of_libtest(program: &str, text: &str) -> Vec<Noted> {
    let lines = text.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("test ")?.split_once(" ... ")?;
        let seconds = rest.rsplit_once('<')?.1.strip_suffix("s>")?.parse().ok()?;
        Some(Noted::Test { name: format!("{program} {name}"), seconds })
    });
    lines.collect()
}

/// Of Playwright's list: `  ✓   18 [chromium] › tests/e2e/deaths.spec.ts:38:1 › a stream … (24.2s)`.
pub fn of_playwright(text: &str) -> Vec<Noted> {
    let lines = text.lines().filter_map(|line| {
        let (_, line) = line.trim_start().split_once(" [")?;
        let (name, took) = line.rsplit_once(" (")?;
        Some(Noted::Test { name: format!("[{name}"), seconds: seconds(took.strip_suffix(')')?)? })
    });
    lines.collect()
}

/// Of vitest, which tells of files: ` ✓ test/stream.test.ts (29 tests) 2557ms`.
pub fn of_vitest(text: &str) -> Vec<Noted> {
    let lines = text.lines().filter_map(|line| {
        let (name, took) = line.trim_start().strip_prefix("✓ ")?.rsplit_once(' ')?;
        let name =
            name.strip_suffix(" tests)").map_or(name, |name| name.rsplit_once(" (").map_or(name, |(name, _)| name));
        name.ends_with(".test.ts").then_some(())?;
        Some(Noted::Test { name: name.to_owned(), seconds: seconds(took)? })
    });
    lines.collect()
}

/// A number and its unit: `1.5m`, `24.2s`, `690ms`.
fn seconds(took: &str) -> Option<f64> {
    let (number, each) = match took.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => match took.strip_suffix('s') {
            Some(number) => (number, 1.0),
            None => (took.strip_suffix('m')?, 60.0),
        },
    };
    Some(number.parse::<f64>().ok()? * each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtest_tells_seconds() {
        let text = "\nrunning 2 tests\ntest links::fall_over ... ok <0.250s>\ntest other ... FAILED <1.500s>\ntest third ... ignored\n";
        assert_eq!(of_libtest("node", text), [test("node links::fall_over", 0.25), test("node other", 1.5)]);
    }

    #[test]
    fn playwright_tells_units() {
        let text = "  ✓   18 [chromium] › e2e/deaths.spec.ts:38:1 › frames die (in every way) (24.5s)
  ✘   19 [chromium] › e2e/ways.spec.ts:9:1 › gone (1.5m)
  -   20 [chromium] › e2e/pictures.spec.ts:9:1 › left out
  ✓   21 [ground] › e2e/partition.spec.ts:44:1 › the field trial (500ms)
";
        let expected = [
            test("[chromium] › e2e/deaths.spec.ts:38:1 › frames die (in every way)", 24.5),
            test("[chromium] › e2e/ways.spec.ts:9:1 › gone", 90.0),
            test("[ground] › e2e/partition.spec.ts:44:1 › the field trial", 0.5),
        ];
        assert_eq!(of_playwright(text), expected);
    }

    #[test]
    fn vitest_tells_files() {
        let text =
            " ✓ test/stream.test.ts (29 tests) 2500ms\n   ✓ reading > carries far more 315ms\n Tests  3 passed (3)\n";
        assert_eq!(of_vitest(text), [test("test/stream.test.ts", 2.5)]);
    }

    fn test(name: &str, seconds: f64) -> Noted {
        Noted::Test { name: name.to_owned(), seconds }
    }
}
