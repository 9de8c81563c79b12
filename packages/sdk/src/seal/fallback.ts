import { TrialkeepError } from '../errors.ts';
import type { KeySource } from './keys.ts';

/**
 * What says that no server was there to serve: none was reached, or it is there and can record nothing. Whatever it decides (revoked,
 * not allowed, sealed) is an answer, and so is a server that cannot be trusted.
 */
const awayCodes: ReadonlySet<string> = new Set([
  'client.unreachable',
  'client.timeout',
  'server.busy',
  'server.in_recovery',
  'server.storage_full',
  'server.storage_failed',
]);

/**
 * A source that goes on sealing while its server is away: the fallback, such as the escrow key as the only recipient
 * (`recipientKeys`), gives the data keys then. What was sealed so is opened by the fallback's identities, never by the server, and is in
 * no ledger. Opening asks the first source, and the fallback where no encrypted data key is for the first.
 *
 * @param onFallback called each time the fallback seals, with what kept the first source from it: to warn, and to count what has to be
 * brought back under the server's key
 */
export function withFallback(
  source: KeySource,
  fallback: KeySource,
  onFallback: (cause: TrialkeepError) => void,
): KeySource {
  return {
    async sealingKey(context, options) {
      try {
        return await source.sealingKey(context, options);
      } catch (error) {
        if (!(error instanceof TrialkeepError && awayCodes.has(error.code))) throw error;
        onFallback(error);
        return fallback.sealingKey(context, options);
      }
    },
    async openingKey(message, options) {
      let unknown: TrialkeepError | undefined;
      try {
        const key = await source.openingKey(message, options);
        if (key !== undefined) return key;
      } catch (error) {
        // The message may name a key of somebody else's server beside the fallback's recipient.
        if (!(error instanceof TrialkeepError && error.code === 'key.unknown')) throw error;
        unknown = error;
      }
      const key = await fallback.openingKey(message, options);
      if (key === undefined && unknown !== undefined) throw unknown;
      return key;
    },
  };
}
