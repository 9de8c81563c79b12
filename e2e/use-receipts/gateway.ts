import { createClient } from '@trialkeep/sdk/client';
import { openReporter } from '@trialkeep/sdk/receipts';
import { cachedKeys, sealBytes, serverKeys } from '@trialkeep/sdk/seal';

/**
 * A client in a process of its own: seals readings of one subject under a use-logged key, and says of each, once it has it, how
 * many that makes. It goes on until it is killed. What it works with comes as JSON on standard input.
 */
export interface GatewayInput {
  readonly url: string;
  readonly credential: string;
  readonly folder: string;
  readonly key: string;
  readonly context: Readonly<Record<string, string>>;
}

let text = '';
for await (const chunk of process.stdin.setEncoding('utf8')) text += String(chunk);
const { url, credential, folder, key, context } = JSON.parse(text) as GatewayInput;
const client = createClient({ url, credential });
const reporter = await openReporter({ folder, client, intervalMs: 50 });
const keys = cachedKeys(serverKeys(client, { key, reporter }));
const reading = Buffer.from('one reading');
for (let sealed = 1; ; sealed++) {
  await sealBytes(keys, reading, { context });
  process.stdout.write(`${sealed}\n`);
}
