import type { Clock } from '../platform/clock.ts';
import { faultCode, obtainTimestamp } from './authority.ts';
import type { Obtained } from './authority.ts';
import type { Authority } from './settings.ts';

/** Why none of the authorities gave a timestamp, by URL. */
export type Failures = Readonly<Record<string, string>>;

/** No authority gave a timestamp that verifies. */
export class NoTimestamp extends Error {
  readonly code = 'timestamps.unavailable';
  readonly failures: Failures;

  constructor(failures: Failures) {
    super(
      Object.entries(failures)
        .map(([url, code]) => `${url}: ${code}`)
        .join('; '),
    );
    this.name = 'NoTimestamp';
    this.failures = failures;
  }
}

/** Milliseconds. */
export interface AuthorityTiming {
  /** How long an answer may take. */
  readonly answerMs: number;
  /** How long an authority that failed is not asked again, so that many logs do not wait for it one after the other. */
  readonly restMs: number;
}

/** Asks the configured authorities in their order, and passes over those that failed a moment ago. */
export class Authorities {
  readonly #authorities: readonly Authority[];
  readonly #clock: Clock;
  readonly #timing: AuthorityTiming;
  readonly #resting = new Map<string, { until: number; code: string }>();

  constructor(authorities: readonly Authority[], clock: Clock, timing: AuthorityTiming) {
    this.#authorities = authorities;
    this.#clock = clock;
    this.#timing = timing;
  }

  /**
   * @param measure called around the asking of each authority: the time by which its own is judged
   * @throws NoTimestamp
   */
  async obtain(
    data: Uint8Array,
    measure: () => Promise<number>,
  ): Promise<Obtained & { url: string; from: number; to: number }> {
    const failures: Record<string, string> = {};
    for (const authority of this.#authorities) {
      const { url } = authority;
      const resting = this.#resting.get(url);
      if (resting !== undefined && resting.until > this.#clock.now()) {
        failures[url] = resting.code;
        continue;
      }
      this.#resting.delete(url);
      const from = await measure();
      try {
        const obtained = await obtainTimestamp(authority, data, this.#timing.answerMs);
        return { ...obtained, url, from, to: await measure() };
      } catch (error) {
        const code = faultCode(error);
        if (code === undefined) throw error;
        failures[url] = code;
        this.#resting.set(url, { until: this.#clock.now() + this.#timing.restMs, code });
      }
    }
    throw new NoTimestamp(failures);
  }
}
