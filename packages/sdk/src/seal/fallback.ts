import { TrialkeepError } from '../errors.ts';
import type { KeySource } from './keys.ts';

/** What says that no server was there to ask. A refusal is an answer, and stays one. */
const awayCodes: ReadonlySet<string> = new Set(['client.unreachable', 'client.timeout', 'server.busy']);

/**
 * A source that goes on sealing while its server is away: the fallback, such as the escrow key as the only recipient
 * (`recipientKeys`), gives the data keys then. What was sealed so is opened by the fallback's identities, never by the server. Opening
 * asks the first source, and the fallback where no encrypted data key is for the first.
 */
export function withFallback(source: KeySource, fallback: KeySource): KeySource {
  return {
    async sealingKey(context, options) {
      try {
        return await source.sealingKey(context, options);
      } catch (error) {
        if (!(error instanceof TrialkeepError && awayCodes.has(error.code))) throw error;
        return fallback.sealingKey(context, options);
      }
    },
    async openingKey(message, options) {
      return (await source.openingKey(message, options)) ?? fallback.openingKey(message, options);
    },
  };
}
