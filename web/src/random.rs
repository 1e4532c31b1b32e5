//! The platform's generator.

/// `N` random bytes from `crypto.getRandomValues`.
///
/// # Panics
/// If the platform has no generator: nothing could be kept secret then.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("every browser that runs WebAssembly has crypto.getRandomValues");
    bytes
}
