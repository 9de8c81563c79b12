/** The clocks of the machine; the one place of this package that reads them. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. It can be set, back as well. */
  wallMs(): number;
  /** Milliseconds since some moment. It never goes back, and may stand still while the machine sleeps. */
  steadyMs(): number;
}

export const machineClock: Clock = { wallMs: () => Date.now(), steadyMs: () => performance.now() };
