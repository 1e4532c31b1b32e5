// The module that wasm-bindgen makes for each of our crates; which one it is, the bundle decides.
declare module "#glue";
