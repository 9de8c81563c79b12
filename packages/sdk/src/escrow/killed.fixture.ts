import { readFile } from 'node:fs/promises';
import { openEscrowKey } from '@trialkeep/crypto';
import { newOpening, passphrase } from './fixture.test.ts';
import { Openings } from './openings.ts';

/** A process that opens with an escrow key, says what is on its list, and goes on until it is killed. */

const [privatePath = '', listPath = ''] = process.argv.slice(2);
const key = await openEscrowKey(await readFile(privatePath, 'utf8'), passphrase);
const openings = await Openings.open(listPath, key, Date.now);
const lane = async (): Promise<never> => {
  for (;;) {
    const opening = newOpening();
    await openings.record(opening);
    process.stdout.write(`${Buffer.from(opening.dataKey).toString('base64')}\n`);
  }
};
await Promise.all([lane(), lane(), lane()]);
