import { CryptoError, formatTimestampResponse } from '@trialkeep/crypto';
import { pagesOf } from '../client/index.ts';
import type { Caller, CallOptions } from '../client/index.ts';
import { timestampPaths } from './timestamps.ts';

/** The files of the timestamps of a log that is exported at that size; those of later checkpoints are left to a later export. */
export async function* timestampFiles(
  client: Caller,
  size: number,
  calling: CallOptions,
): AsyncGenerator<{ path: string; content: Uint8Array }, void, undefined> {
  for await (const page of pagesOf((at) => client.call('timestamps.list', at, calling))) {
    for (const { size: stamped, checkpoint, token } of page.timestamps) {
      if (!Number.isSafeInteger(stamped) || stamped < 1 || stamped > size) continue;
      const paths = timestampPaths(stamped);
      yield { path: paths.checkpoint, content: Buffer.from(checkpoint) };
      yield { path: paths.answer, content: answerAround(Buffer.from(token, 'base64')) };
    }
  }
}

/** What is no token is kept as it is, for the verifier to judge. */
function answerAround(token: Uint8Array): Uint8Array {
  try {
    return formatTimestampResponse(token);
  } catch (error) {
    if (error instanceof CryptoError) return token;
    throw error;
  }
}
