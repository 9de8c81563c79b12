import type { AskedAtStart } from './ask-at-start.ts';

/** How often witnesses that could not be asked at start are asked again, ms. */
const askAgainMs = 5000;

/**
 * Asks again until enough witnesses have answered, one time after the other. Gives what ends the asking; an error counts as no answer.
 *
 * @param ask as at start
 * @param done told once, what they said in the end
 */
export function waitForWitnesses(
  ask: () => Promise<AskedAtStart>,
  done: (asked: AskedAtStart) => Promise<void>,
): { end(): Promise<void> } {
  let asking: Promise<void> | undefined;
  const askOnce = async (): Promise<void> => {
    const asked = await ask().catch(() => undefined);
    if (asked === undefined || asked.unknown.length > 0) return;
    clearInterval(timer);
    await done(asked);
  };
  const timer = setInterval(() => {
    asking ??= askOnce().finally(() => (asking = undefined));
  }, askAgainMs);
  return {
    end: async () => {
      clearInterval(timer);
      await asking;
    },
  };
}
