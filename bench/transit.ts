/**
 * Encrypt, decrypt, data key and sign over HTTP, every item in the ledger before its answer, one by one and in batches, beside
 * OpenBao's transit engine with and without its file audit device where `bao` is on PATH. Servers take turns in one run, with
 * the load generator on the same cores.
 *
 *   node bench/transit.ts [--seconds 3] [--rounds 3] [--connections 1,8,64] [--batch 100] [--works encrypt,decrypt]
 *     [--targets sqlite,postgres,postgres-2,openbao,openbao-unaudited] [--folder DIR]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { postgresMissing } from '../tools/postgres-cluster.ts';
import { machine, spread } from './measure.ts';
import { peerVersion } from './peers.ts';
import { measureLoad } from './transit/load.ts';
import { startOpenBao } from './transit/openbao.ts';
import { works } from './transit/target.ts';
import type { Target } from './transit/target.ts';
import { startTrialkeep } from './transit/trialkeep.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '1,8,64' },
    batch: { type: 'string', default: '100' },
    works: { type: 'string', default: works.join(',') },
    targets: { type: 'string', default: 'sqlite,postgres,postgres-2,openbao,openbao-unaudited' },
    folder: { type: 'string', default: tmpdir() },
  },
});
const batch = Number(values.batch);
const rounds = Number(values.rounds);
const durationMs = Number(values.seconds) * 1000;
const bao = peerVersion('bao', 'version');

const folder = mkdtempSync(join(values.folder, 'trialkeep-bench-'));
const starts: Readonly<Record<string, () => Promise<Target>>> = {
  sqlite: () => startTrialkeep(folder, 'SQLite', 1),
  postgres: () => startTrialkeep(folder, 'PostgreSQL', 1),
  'postgres-2': () => startTrialkeep(folder, 'PostgreSQL', 2),
  openbao: () => startOpenBao(folder, true),
  'openbao-unaudited': () => startOpenBao(folder, false),
};
const targets: Target[] = [];
try {
  for (const name of values.targets.split(',')) {
    const missing = missingFor(name);
    if (missing !== undefined) console.log(`${name}: left out, ${missing}`);
    else targets.push(await start(name));
  }
  console.log(`256 bytes, ${rounds} rounds of ${values.seconds} s, ${machine()}${bao ? `, ${bao}` : ''}`);
  console.log(
    'items/s: median (least–greatest); of the last round p50 and p99 of a request, ms, and CPU time of an item, ms',
  );
  for (const work of works.filter((each) => values.works.split(',').includes(each))) {
    for (const size of [undefined, batch]) {
      for (const connections of values.connections.split(',').map(Number)) {
        const many = size === undefined ? 'one by one' : `batches of ${size}`;
        console.log(`\n${work}, ${many}, ${connections} connections`);
        await compare(work, size, connections);
      }
    }
  }
} finally {
  await Promise.all(targets.map((target) => target.stop()));
  rmSync(folder, { recursive: true, force: true });
}

/** Why a target cannot be measured here. */
function missingFor(name: string): string | undefined {
  if (name.startsWith('postgres') && postgresMissing !== false) return postgresMissing;
  return name.startsWith('openbao') && bao === undefined ? '`bao` is not on PATH.' : undefined;
}

function start(name: string): Promise<Target> {
  const known = starts[name];
  if (known === undefined) throw new Error(`There is no target ${name}.`);
  return known();
}

async function compare(
  work: (typeof works)[number],
  size: number | undefined,
  connections: number,
): Promise<void> {
  const rates = new Map<Target, number[]>();
  const lastRound = new Map<Target, string>();
  for (let round = 0; round < rounds; round++) {
    for (const target of targets) {
      const asked = await target.asked(work, size);
      if (asked === undefined) continue;
      const load = await measureLoad(target, asked, connections, durationMs);
      rates.set(target, [...(rates.get(target) ?? []), load.requestsPerSecond * (size ?? 1)]);
      const cpu = (load.cpuMs / (size ?? 1)).toFixed(3);
      const away =
        load.turnedAway === 0 ? '' : `  ${load.turnedAway.toFixed(2)} turned away for each answered`;
      lastRound.set(target, `${load.p50.toFixed(1)}  ${load.p99.toFixed(1)}  ${cpu}${away}`);
    }
  }
  for (const target of targets) {
    const measured = rates.get(target);
    const said = measured === undefined ? 'none' : `${spread(measured, 0)}  ${lastRound.get(target)}`;
    console.log(`  ${target.name.padEnd(32)}${said}`);
  }
}
