import { cosigner, type NoteSignature } from '@trialkeep/ledger';
import { Refusal } from './answer.ts';
import type { Clock } from './clock.ts';
import type { Identity } from './keys.ts';
import type { Logger } from './logger.ts';
import { signaturesOf } from './notes.ts';
import { sha256 } from './primitives.ts';

/**
 * The cosignatures of a witness or a mirror over a checkpoint's text, one by each of its keys (C2SP tlog-cosignature).
 *
 * @param time seconds since 1970, at least 1: without a time a cosignature would say nothing about the latest state
 */
export async function cosign({ name, keys }: Identity, text: string, time: number): Promise<NoteSignature[]> {
  const signers = keys.map(({ type, publicKey, sign }) =>
    cosigner(sha256, { name, type, publicKey, sign, now: () => time }),
  );
  return signaturesOf(text, signers);
}

/** How far the last cosignature of a log may be ahead of the clock, in seconds: as far as clocks are set right, and not as they go wrong. */
const maxAheadSeconds = 600;

/**
 * The time of the next cosignature of a log, in seconds since 1970. It never goes back, even where the clock does.
 *
 * @param last of the last cosignature; 0 where there was none
 * @throws Refusal 503 where that was so far ahead that a cosignature would state a wrong time
 */
export function cosigningTime(
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  origin: string,
  last: number,
): number {
  const now = Math.floor(clock.now() / 1000);
  if (last > now + maxAheadSeconds) {
    const times = { origin, clock: isoTime(now), lastCosignature: isoTime(last) };
    logger.error(
      times,
      'Nothing is signed: the last cosignature is more than ten minutes ahead of the clock.',
    );
    throw new Refusal(503, 'The clock here is not right at present.');
  }
  return Math.max(now, last, 1);
}

const isoTime = (seconds: number): string => new Date(seconds * 1000).toISOString();
