// What tests do with a page, whoever drives it: Playwright, or what drives the other browsers.

/** A page in which scripts are run. */
export interface Scripted {
  /** Calls a function in the page, which sees nothing of the test. */
  evaluate<R>(act: () => R | Promise<R>): Promise<R>;
  /** Calls a function in the page; argument and result are JSON. */
  evaluate<R, A>(act: (arg: A) => R | Promise<R>, arg: A): Promise<R>;
}
