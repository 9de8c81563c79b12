/**
 * What a start costs where there are many keys: the server process from its start until it is ready, its resident memory then and at
 * most, and where the time goes, step by step in this process. Keys come into the database and the ledger by the store's own functions,
 * 500 in a transaction, each with its version, its rotation and its entry.
 *
 *   node bench/start-keys.ts [--sizes 1000,10000,100000]
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Input, OperationId, Operations } from '@trialkeep/contract';
import { changeOwn, sealDraft } from '../packages/server/src/audit/index.ts';
import { createInstance, openInstance } from '../packages/server/src/instance/index.ts';
import { recordedKey } from '../packages/server/src/keys/index.ts';
import { nextRotation, scheduleRotation } from '../packages/server/src/keys/rotation.ts';
import { findKey, insertKey, insertVersion } from '../packages/server/src/keys/store.ts';
import { systemClock } from '../packages/server/src/platform/clock.ts';
import { reconcile } from '../packages/server/src/reconcile.ts';
import { wire } from '../packages/server/src/wire.ts';
import { startBenchNode } from './bench-server.ts';
import { machine } from './measure.ts';

const { values } = parseArgs({ options: { sizes: { type: 'string', default: '1000,10000,100000' } } });
const sizes = values.sizes.split(',').map(Number);
const keysPerTransaction = 500;
const mebibyte = 1024 * 1024;

const folder = mkdtempSync(join(tmpdir(), 'trialkeep-start-'));
const data = join(folder, 'data');
const made = await createInstance(data, 'evaluation', 'eu-central-1');
const warn = (details: object, message: string): void => console.error(message, details);
const notes = { info: () => undefined, warn, error: warn };

interface Seed {
  readonly tenant: string;
  readonly key: string;
}

/** A tenant with one key, as anybody makes it. */
async function seeded(): Promise<Seed> {
  const instance = await openInstance(data, { clock: systemClock, notes });
  const { gate } = wire(instance, { clock: systemClock, notes });
  const call = <Id extends OperationId>(operation: Id, secret: string, input: Input<Operations[Id]>) =>
    gate.admit({
      operation,
      input,
      authorization: `Bearer ${secret}`,
      source: '192.0.2.1',
      requestId: randomUUID(),
    });
  const { tenant, custodian } = await call('tenants.create', made.administrator.secret, { name: 'Sponsor' });
  const named = { name: 'edc', type: 'edc', vendor: 'vendor' } as const;
  const { id: system } = await call('systems.create', custodian.secret, named);
  const { id: key } = await call('keys.create', custodian.secret, { system });
  await instance.close();
  return { tenant: tenant.id, key };
}

/** Adds keys like the first one. */
async function fill({ tenant, key }: Seed, count: number): Promise<void> {
  const instance = await openInstance(data, { clock: systemClock, notes });
  const { database, hierarchy, ledger } = instance;
  const { facts, jobs } = wire(instance, { clock: systemClock, notes });
  const log = await ledger.openOfTenant(tenant);
  if (log === undefined) throw new Error('The tenant has no log.');
  const rowKey = await hierarchy.rowKey(tenant);
  const first = await database.read((snapshot) => findKey(snapshot, rowKey, tenant, key));
  if (first === undefined) throw new Error('There is no first key.');
  const { seal: _, ...like } = first;
  for (let filled = 0; filled < count; filled += keysPerTransaction) {
    const versions: { id: string; made: Awaited<ReturnType<typeof hierarchy.newSystemKeyVersion>> }[] = [];
    for (let i = 0; i < Math.min(keysPerTransaction, count - filled); i++) {
      const id = randomUUID();
      versions.push({ id, made: await hierarchy.newSystemKeyVersion(tenant, id, like) });
    }
    await changeOwn(ledger, facts, log.id, async (tx, time) => {
      const drafts = [];
      for (const { id, made: version } of versions) {
        const row = { ...like, id, created_at: time };
        row.rotation_due_at = nextRotation(time, row);
        await insertKey(tx, rowKey, row);
        await insertVersion(tx, rowKey, {
          ...{ id: version.versionId, key: id, version: 1, created_at: time },
          ...{ wrapped_secret: version.wrapped, public_key: null },
        });
        await scheduleRotation(tx, row);
        const recorded = { key: id, system: row.system, version: 1, state: 'active' };
        const draft = { operation: 'keys.create', outcome: 'success', recorded } as const;
        drafts.push(sealDraft(draft, log.origin, { inventory: recordedKey(row) }, log.payloadKey));
      }
      const [draft, ...further] = drafts;
      if (draft === undefined) throw new Error('Nothing was made.');
      return { result: undefined, draft, further };
    });
  }
  await log.integrate();
  await jobs.stop();
  await instance.close();
}

/** The server's own process, until it is ready; ms and MiB. */
async function started() {
  const begun = performance.now();
  const node = await startBenchNode(data);
  const listeningMs = performance.now() - begun;
  while ((await fetch(`${node.url}/ready`)).status !== 200) await new Promise(setImmediate);
  const readyMs = performance.now() - begun;
  const status = readFileSync(`/proc/${node.processId}/status`, 'utf8');
  const memory = (name: string): number =>
    Math.round(Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) / 1024);
  // The last field in brackets is the command's name; user and system time are 12 and 13 behind it, in hundredths (proc(5)).
  const stat = readFileSync(`/proc/${node.processId}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const cpuMs = (Number(stat[11]) + Number(stat[12])) * 10;
  await node.stop();
  return { listeningMs, readyMs, cpuMs, residentMiB: memory('VmRSS'), peakMiB: memory('VmHWM') };
}

/** The steps of a start that know of keys, in this process; ms, and what the heap grew by, MiB. */
async function steps(): Promise<string> {
  const parts: string[] = [];
  const timed = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const begun = performance.now();
    const heap = process.memoryUsage().heapUsed;
    const result = await work();
    const grown = (process.memoryUsage().heapUsed - heap) / mebibyte;
    parts.push(`${name} ${Math.round(performance.now() - begun)} ms (heap ${grown.toFixed(0)} MiB)`);
    return result;
  };
  const instance = await timed('open', () => openInstance(data, { clock: systemClock, notes }));
  const reasons = await timed('reconcile', () => reconcile(instance));
  if (reasons.length > 0) throw new Error(`Not in line: ${reasons[0]}`);
  const rooms = wire(instance, { clock: systemClock, notes });
  await timed('jobs', () => rooms.jobs.start(rooms.handlers));
  await rooms.jobs.stop();
  await timed('close', () => instance.close());
  return parts.join(', ');
}

console.log(machine());
const seed = await seeded();
let present = 1;
for (const size of sizes) {
  await fill(seed, size - present);
  present = size;
  await started();
  const { listeningMs, readyMs, cpuMs, residentMiB, peakMiB } = await started();
  console.log(
    `${String(size).padStart(7)} keys: listens after ${Math.round(listeningMs)} ms, ready after ` +
      `${Math.round(readyMs)} ms (CPU ${cpuMs} ms); resident ${residentMiB} MiB, at most ${peakMiB} MiB`,
  );
  console.log(`        ${await steps()}`);
}
rmSync(folder, { recursive: true });
