import { createClient, TrialkeepError } from '@trialkeep/sdk/client';
import type { Client } from '@trialkeep/sdk/client';
import type { Registered } from './register.ts';

/** What a client saw of the revocation of its key while it was at work. */
export interface ObservedRevocation {
  readonly key: string;
  /** Requests that were answered before. */
  readonly answered: number;
  readonly refused: boolean;
  /** The code of the first refusal. */
  readonly code: string;
}

const requestsBefore = 20;

/** Revokes the wearable gateway's key while its client sends readings, and watches what the client sees. */
export async function revokeWhileUsed(url: string, registered: Registered): Promise<ObservedRevocation> {
  const { key, credential } = registered.systems.wearable;
  const gateway = createClient({ url, credential });
  const custodian = createClient({ url, credential: registered.custodian });
  let answered = 0;
  let refusal: string | undefined;
  let warmedUp: () => void = () => undefined;
  const warm = new Promise<void>((resolve) => (warmedUp = resolve));
  const client = (async () => {
    for (let reading = 0; refusal === undefined; reading += 1) {
      refusal = await send(gateway, key, registered.study, reading);
      if (refusal === undefined) answered += 1;
      if (answered >= requestsBefore || refusal !== undefined) warmedUp();
    }
  })();
  await warm;
  await custodian.call('keys.revoke', {
    key,
    cause: 'device-compromise',
    reason: 'Gateway reported stolen (main job).',
  });
  // The acknowledgement is here: a request made from now on must be refused.
  const next = await send(gateway, key, registered.study, -1);
  await client;
  return { key, answered, refused: next !== undefined && refusal !== undefined, code: next ?? '' };
}

/** Sends one reading; the code of the refusal, or undefined when it was encrypted. */
export async function send(
  gateway: Client,
  key: string,
  study: string,
  reading: number,
): Promise<string | undefined> {
  const plaintext = Buffer.from(JSON.stringify({ reading, pulse: 60 + (reading % 40) })).toString('base64');
  try {
    await gateway.call('keys.encrypt', { key, plaintext, context: { study, class: 'device-readings' } });
    return undefined;
  } catch (error) {
    if (error instanceof TrialkeepError) return error.code;
    throw error;
  }
}
