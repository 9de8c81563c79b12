import { maxPayloadsOpened } from '@trialkeep/contract';
import type { Caller, CallOptions } from '../client/index.ts';
import { formatPayloadLine } from './payload-line.ts';

/**
 * The lines of an export's file of payloads, of a log of that size, in the order of the log. The server opens them a run at a time, and
 * records that.
 */
export async function* payloadLines(
  client: Caller,
  size: number,
  calling: CallOptions,
): AsyncGenerator<string, void, undefined> {
  for (let first = 0; first < size; first += maxPayloadsOpened) {
    const count = Math.min(maxPayloadsOpened, size - first);
    const { payloads } = await client.call('payloads.open', { first, count }, calling);
    for (const { index, entry, state, content, blinding } of payloads) {
      const isOpen = state === 'open' && content !== null && blinding !== null;
      yield formatPayloadLine(
        isOpen
          ? { index, entry, state, content, blinding }
          : { index, entry, state: state === 'open' ? 'withheld' : state },
      );
    }
  }
}
