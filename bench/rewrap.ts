/**
 * Wrapping the registered data keys of a key anew after its rotation, as the server does it: in threads, batch by batch, an entry each.
 * The registry grows from one size to the next; what is measured is from the start of the rewrap to its end report. Data keys are put
 * into the registry by the store's own functions, without the cryptography and the body of a request.
 *
 *   node bench/rewrap.ts [--sizes 10000,100000,1000000] [--database sqlite|postgres]
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Input, OperationId, Operations } from '@trialkeep/contract';
import { encodeContext, sealDataKey } from '@trialkeep/crypto';
import * as store from '../packages/server/src/data-keys/store.ts';
import { createInstance, openInstance } from '../packages/server/src/instance/index.ts';
import { systemClock } from '../packages/server/src/platform/clock.ts';
import type { DatabaseLocations } from '../packages/server/src/platform/database.ts';
import { parsePostgresUrl } from '../packages/server/src/platform/postgres/location.ts';
import { wire } from '../packages/server/src/wire.ts';
import { postgresCluster } from '../tools/postgres-cluster.ts';
import { machine } from './measure.ts';

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '10000,100000,1000000' },
    database: { type: 'string', default: 'sqlite' },
  },
});
const sizes = values.sizes.split(',').map(Number);
const rowsPerTransaction = 2000;
const mebibyte = 1024 * 1024;

const folder = mkdtempSync(join(tmpdir(), 'trialkeep-rewrap-'));
const data = join(folder, 'data');
let databases: DatabaseLocations | undefined;
if (values.database === 'postgres') {
  const { main, shred } = (await postgresCluster()).newPair();
  const name = 'TRIALKEEP_DATABASE';
  databases = { main: parsePostgresUrl(main, name), shred: parsePostgresUrl(shred, name) };
}
const made = await createInstance(data, 'evaluation', 'eu-central-1', databases);
const warn = (details: object, message: string): void => console.error(message, details);
const notes = { info: () => undefined, warn, error: warn };
const instance = await openInstance(data, {
  clock: systemClock,
  notes,
  ...(databases !== undefined && { databases }),
});
const rooms = wire(instance, { clock: systemClock, notes });

const call = <Id extends OperationId>(operation: Id, secret: string, input: Input<Operations[Id]>) =>
  rooms.gate.admit({
    operation,
    input,
    authorization: `Bearer ${secret}`,
    source: '192.0.2.1',
    requestId: randomUUID(),
  });
const { tenant, custodian } = await call('tenants.create', made.administrator.secret, { name: 'Sponsor' });
const { id: system } = await call('systems.create', custodian.secret, {
  name: 'edc',
  type: 'edc',
  vendor: 'vendor',
});
const { id: key } = await call('keys.create', custodian.secret, { system });
const log = await instance.ledger.openOfTenant(tenant.id);
if (log === undefined) throw new Error('The tenant has no log.');
await rooms.jobs.start(rooms.handlers);
await rooms.rewraps.start();

/** Registers data keys under the key's present version until there are `size`. */
async function fill(present: number, size: number): Promise<void> {
  const version = await instance.database.read((tx) =>
    tx
      .selectFrom('key_version')
      .select(['id', 'version'])
      .where('key', '=', key)
      .orderBy('version', 'desc')
      .executeTakeFirstOrThrow(),
  );
  const outer = await instance.hierarchy.systemKeyVersion(tenant.id, key, version.id);
  if (outer === undefined) throw new Error('The key has no material.');
  const context = { class: 'ecg', visit: '1' };
  const encoded = encodeContext(context);
  for (let filled = present; filled < size; filled += rowsPerTransaction) {
    const count = Math.min(rowsPerTransaction, size - filled);
    const rows = Array.from({ length: count }, () => {
      const wrapped = sealDataKey({ dataKey: randomBytes(32), outer, context });
      const reference = createHash('sha256').update(wrapped).digest();
      const more = { version: version.version, context: encoded, subject: null, registered_at: 0 };
      return { key, reference, wrapped, ...more };
    });
    await instance.database.write(async (tx) => {
      await store.insertDataKeys(tx, rows);
      await store.countIn(tx, { key, log: log?.id ?? 0, version: version.version }, count);
    });
  }
}

console.log(machine());
console.log(`${instance.database.dialect}, a registry that grows`);
let present = 0;
for (const size of sizes) {
  await fill(present, size);
  present = size;
  await call('keys.rotate', custodian.secret, { key });
  const before = process.memoryUsage.rss();
  let peak = before;
  const sampler = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 50);
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  let shown = await call('rewraps.start', custodian.secret, { key });
  while (shown.state === 'running') {
    await setTimeout(100);
    shown = await call('rewraps.show', custodian.secret, { rewrap: shown.id });
  }
  const seconds = (performance.now() - started) / 1000;
  clearInterval(sampler);
  const cpu = process.cpuUsage(cpuBefore);
  const cpuSeconds = (cpu.user + cpu.system) / 1_000_000;
  if (shown.rewrapped !== size)
    throw new Error(`Only ${shown.rewrapped} were wrapped: ${JSON.stringify(shown)}`);
  console.log(
    `${String(size).padStart(8)} data keys: ${seconds.toFixed(1)} s, ${Math.round(size / seconds)}/s, ` +
      `${((cpuSeconds / size) * 1e6).toFixed(1)} µs CPU each; resident ${Math.round(before / mebibyte)} → ` +
      `${Math.round(peak / mebibyte)} MiB at most`,
  );
}

await rooms.rewraps.stop();
await rooms.jobs.stop();
await instance.close();
rmSync(folder, { recursive: true });
