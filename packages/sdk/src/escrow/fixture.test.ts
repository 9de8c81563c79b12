/** What the tests of escrow share: a pair whose passphrase is cheap to guess, lists of openings, and a server in memory. */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createEscrowKey, encodeReceipt, openEscrowKey, parseEscrowRecipient } from '@trialkeep/crypto';
import type { EscrowKey, EscrowRecipient } from '@trialkeep/crypto';
import type { Caller } from '../client/index.ts';
import { StandInServer } from '../receipts/fixture.test.ts';
import { Openings } from './openings.ts';
import type { Opening } from './openings.ts';

export { inFolder, withCode } from '../receipts/fixture.test.ts';

export const passphrase = 'six words that nobody has drawn';
/** The least that the format allows. */
export const cheap = { m: 19_456, t: 2, p: 1 };

export interface TestPair {
  readonly publicFile: string;
  readonly privateFile: string;
  readonly id: string;
  readonly recipient: EscrowRecipient;
  readonly key: EscrowKey;
}

export async function newPair(name = 'Archive'): Promise<TestPair> {
  const made = await createEscrowKey({ name, passphrase, timeMs: 1_772_366_400_000, cost: cheap });
  const recipient = await parseEscrowRecipient(made.publicFile);
  return { ...made, recipient, key: await openEscrowKey(made.privateFile, passphrase) };
}

export const study = '7d9f2e0a-56c3-4d1f-9d1c-0a8e6f1b2c3d';

/** An opening of a data key of its own. */
export function newOpening(subject = 'a1'.repeat(16)): Opening {
  return { dataKey: randomBytes(1169), context: { study, subject, class: 'ecg', site: '17' } };
}

/** Writes so many openings on the list, each on a line of its own. */
export async function openTimes(path: string, key: EscrowKey, times: number): Promise<void> {
  const openings = await Openings.open(path, key, Date.now);
  for (let i = 0; i < times; i++) await openings.record(newOpening());
  await openings.close();
}

export async function linesOf(path: string): Promise<string[]> {
  return (await readFile(path, 'utf8')).split('\n').slice(0, -1);
}

/** Writes another list of these lines, and gives its path. */
export async function listOf(folder: string, lines: readonly string[]): Promise<string> {
  const path = join(folder, `list-${randomBytes(4).toString('hex')}.jsonl`);
  await writeFile(path, lines.map((line) => `${line}\n`).join(''));
  return path;
}

/** A server that takes receipts, and can be asked for their entries. */
export class StandInLedger implements Caller {
  readonly server = new StandInServer();
  /** How often each operation was asked for. */
  readonly asked: Record<string, number> = {};

  call = (async (id: string, input: never) => {
    this.asked[id] = (this.asked[id] ?? 0) + 1;
    return id === 'ledger.query' ? this.#query(input) : this.server.call('uses.report', input);
  }) as unknown as Caller['call'];

  /** Pages of two entries, all that the server has. */
  #query({ cursor = '0' }: { cursor?: string }): object {
    const start = Number(cursor);
    const { entries } = this.server;
    const page = entries.slice(start, start + 2).map((receipt, i) => ({
      index: start + i,
      entry: JSON.stringify({ hash: encodeReceipt(receipt).hash }),
    }));
    const next = start + 2 < entries.length ? String(start + 2) : null;
    return { entries: page, next, size: entries.length };
  }
}
