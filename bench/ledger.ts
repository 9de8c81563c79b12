/**
 * The ledger: durable appends, checkpoints, verification and export, beside Tessera's POSIX storage where it is installed.
 *
 *   node bench/ledger.ts [--parts append,checkpoint,verify,export,peer] [--rounds 3] [--seconds 3] [--callers 1,16,256]
 *     [--databases sqlite,postgres] [--samples 8] [--verify 10000,100000,1000000] [--export 100000] [--bulk 20000]
 *     [--folder FOLDER] [--json]
 *
 * Every round measures every figure of a part in turn, the peer's among ours; shown are the medians of the rounds with the least and
 * the greatest. Progress goes to standard error. What is created lies below the folder (the system's for temporary files) and is removed;
 * PostgreSQL is one of its own, with its own settings for durability, below the system's.
 *
 *   append      entries a second and latency of callers that each seal an entry and wait until it is durable; in groups and with a
 *               transaction for each; alone, and while tree, checkpoint and index follow each second as in a server (`followed`: until
 *               they have all of it); half of that offered at even times; the longest stall of the event loop
 *   checkpoint  from the append to a signed checkpoint, asked for and by the server's own work, and to one that a witness process cosigned
 *   verify      a log in a folder, from the page cache, in a process of its own: hashes and signatures of the checkpoint; also what entries
 *               say, as for electronic signatures; also an opened payload for each, against its commitment
 *   export      from a server on SQLite over HTTP, with the verification at its end
 *   peer        each behind bare HTTP from the same load generator on the same machine, and entries in bulk
 *
 * Tessera's two programs come from its Go module, into any folder:
 *
 *   GOBIN=FOLDER go install github.com/transparency-dev/tessera/cmd/conformance/posix@v1.0.4
 *   GOBIN=FOLDER go install github.com/transparency-dev/tessera/cmd/examples/posix-oneshot@v1.0.4
 *   TRIALKEEP_BENCH_TESSERA=FOLDER node bench/ledger.ts --parts peer
 */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { appendTo, draftsOf, runAppends, sealingRate } from './ledger/appending.ts';
import type { Load } from './ledger/appending.ts';
import { beginWork, byItself, signedOnDemand, startWitness } from './ledger/checkpoints.ts';
import { Figures } from './ledger/figures.ts';
import { databaseNames, missing, openInstallation } from './ledger/installation.ts';
import type { DatabaseName, Installation } from './ledger/installation.ts';
import { endChild, startChild } from './ledger/processes.ts';
import {
  findTessera,
  oneshot,
  postEntries,
  startTessera,
  tesseraMissing,
  tesseraVersion,
} from './ledger/tessera.ts';
import { makeLog, startExportServer, verify } from './ledger/verifying.ts';

const { values } = parseArgs({
  options: {
    parts: { type: 'string', default: 'append,checkpoint,verify,export,peer' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    callers: { type: 'string', default: '1,16,256' },
    databases: { type: 'string', default: 'sqlite,postgres' },
    samples: { type: 'string', default: '8' },
    verify: { type: 'string', default: '10000,100000,1000000' },
    export: { type: 'string', default: '100000' },
    bulk: { type: 'string', default: '20000' },
    folder: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  },
});
const numbers = (text: string): number[] => text.split(',').map(Number);
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const callerCounts = numbers(values.callers);
const folder = values.folder;
const figures = new Figures();
const databases = databaseNames.filter((name) => values.databases.split(',').includes(name)).filter(isHere);

function isHere(name: DatabaseName): boolean {
  const reason = missing(name);
  if (reason !== false) figures.note(`${name} was not measured. ${reason}`);
  return reason === false;
}

const parts: Readonly<Record<string, () => Promise<void>>> = {
  append: () => onInstallations(measureAppends),
  checkpoint: () => onInstallations(measureCheckpoints),
  verify: measureVerification,
  export: measureExport,
  peer: measurePeer,
};
for (const part of values.parts.split(',')) {
  const measure = parts[part];
  if (measure === undefined) throw new Error(`There is no part ${part}.`);
  await measure();
}
figures.show(values.json);
// The cluster's socket must not keep this process.
process.exit(0);

/** Runs every round on an installation of each database, in turn. */
async function onInstallations(measure: (installation: Installation) => Promise<void>): Promise<void> {
  const installations: Installation[] = [];
  for (const name of databases) {
    const installation = await openInstallation(name, folder);
    // What has run once before runs as compiled code.
    await runAppends(installation, {
      callers: 256,
      seconds: Math.min(1, seconds),
      commit: 'group',
      follows: true,
    });
    installations.push(installation);
  }
  for (let round = 0; round < rounds; round++) {
    for (const installation of installations) await measure(installation);
  }
  for (const installation of installations) await installation.close();
}

async function measureAppends(installation: Installation): Promise<void> {
  const { database } = installation;
  const run = async (name: string, load: Omit<Load, 'seconds'>): Promise<void> => {
    figures.begin(`${database}, ${name}`);
    const found = await runAppends(installation, { seconds, ...load });
    const row = `${database}, ${name}`;
    figures.add(row, 'entries/s', found.rate);
    if (load.follows) figures.add(`${row}: followed`, 'entries/s', found.sustainedRate);
    figures.add(`${row}: p50`, 'ms', found.p50);
    figures.add(`${row}: p99`, 'ms', found.p99);
    figures.add(`${row}: longest stall`, 'ms', found.stall);
    if (load.offered !== undefined) figures.add(`${row}: refused`, 'entries', found.refused);
  };
  for (const callers of callerCounts) {
    const who = `${callers} callers`;
    await run(`${who}, groups`, { callers, commit: 'group', follows: false });
    await run(`${who}, single commits`, { callers, commit: 'single', follows: false });
    await run(`${who}, groups with what follows`, { callers, commit: 'group', follows: true });
  }
  const most = Math.max(...callerCounts);
  await run(`${most} callers, sealed before`, {
    callers: most,
    commit: 'group',
    follows: false,
    sealed: true,
  });
  const whole = `${database}, ${most} callers, groups with what follows: followed`;
  const offered = (figures.medianOf(whole) ?? 0) / 2;
  await run('half of that offered', { callers: 1, commit: 'group', follows: true, offered });
  figures.add('sealing alone', 'entries/s', sealingRate(installation, Math.min(1, seconds)));
}

async function measureCheckpoints(installation: Installation): Promise<void> {
  const { database } = installation;
  const samples = Number(values.samples);
  const add = (name: string, taken: number[]): void =>
    figures.add(`${database}, append to ${name}`, 'ms', taken);
  figures.begin(`${database}, checkpoints`);
  add('a signed checkpoint that is asked for', await signedOnDemand(installation, samples));
  // A policy once set stays: each round has a new installation for it, and for what a server without one does.
  const fresh = await openInstallation(database, folder);
  const endWork = await beginWork(fresh);
  add('the signed checkpoint of a server by itself', await byItself(fresh, samples));
  const witness = await startWitness(fresh, folder);
  add('a witnessed checkpoint', await byItself(fresh, samples, witness));
  await endWork();
  await witness.end();
  await fresh.close();
}

async function measureVerification(): Promise<void> {
  for (const size of numbers(values.verify)) {
    figures.begin(`making a log of ${size} entries`);
    const log = await makeLog(size, folder);
    for (let round = 0; round < rounds; round++) {
      for (const what of ['hashes', 'entries', 'payloads'] as const) {
        figures.begin(`verifying ${what} of ${size}`);
        const cost = await verify(log, what);
        const row = `verifying ${what} of ${size} entries`;
        figures.add(row, 'entries/s', cost.entries / cost.seconds);
        figures.add(`${row}: peak memory`, 'MiB', cost.peakMiB);
        figures.add(`${row}: memory before`, 'MiB', cost.startMiB);
      }
    }
  }
}

async function measureExport(): Promise<void> {
  const entries = Number(values.export);
  figures.begin(`filling a ledger with ${entries} entries`);
  const server = await startExportServer(entries, folder);
  for (let round = 0; round < rounds; round++) {
    figures.begin('exporting');
    const cost = await server.exportOnce();
    const row = `export of ${cost.entries} entries`;
    figures.add(row, 's', cost.seconds, 1);
    figures.add(`${row}: fetched in`, 's', cost.fetchSeconds, 1);
    figures.add(`${row}: size`, 'MiB', cost.bytes / 2 ** 20);
    figures.add(`${row}: peak memory`, 'MiB', cost.peakMiB);
    figures.add(`${row}: peak memory of the server`, 'MiB', cost.serverPeakMiB);
  }
  await server.end();
}

async function measurePeer(): Promise<void> {
  const tessera = findTessera();
  if (tessera === undefined) figures.note(tesseraMissing);
  else figures.note(`Tessera: ${tesseraVersion(tessera)}`);
  const bulk = Number(values.bulk);
  const own = await openInstallation('sqlite', folder);
  for (let round = 0; round < rounds; round++) {
    for (const callers of callerCounts) {
      const peer = tessera === undefined ? undefined : await startTessera(tessera, folder);
      if (peer !== undefined) {
        await addPosts('Tessera', peer.url, callers);
        await peer.end();
      }
      for (const database of databases) {
        const { child, answer } = await startChild(['serve', folder, database]);
        await addPosts(`ours on ${database}`, (answer as { listening: string }).listening, callers);
        await endChild(child);
      }
    }
    figures.begin(`${bulk} entries in bulk`);
    if (tessera !== undefined) {
      figures.add(
        `Tessera, ${bulk} entries in one batch`,
        'entries/s',
        bulk / (await oneshot(tessera, bulk, folder)),
      );
    }
    figures.add(`ours on sqlite, ${bulk} entries to a checkpoint`, 'entries/s', await appendBulk(own, bulk));
  }
  await own.close();
}

async function addPosts(whose: string, url: string, callers: number): Promise<void> {
  const row = `${whose} over HTTP, ${callers} callers`;
  figures.begin(row);
  await postEntries(url, callers, Math.min(1, seconds));
  const { rate, p50, p99 } = await postEntries(url, callers, seconds);
  figures.add(row, 'entries/s', rate);
  figures.add(`${row}: p50`, 'ms', p50);
  figures.add(`${row}: p99`, 'ms', p99);
}

/** Seals and appends that many entries until a signed checkpoint covers them; entries a second. */
async function appendBulk(installation: Installation, entries: number): Promise<number> {
  const { instance, log } = installation;
  const append = await appendTo(installation, { callers: 0, commit: 'group' });
  const seal = draftsOf(installation);
  let left = entries;
  const caller = async (): Promise<void> => {
    while (left-- > 0) await append(seal(), 0);
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: 512 }, caller));
  await instance.ledger.anchorNow(log.id);
  return (entries / (performance.now() - began)) * 1000;
}
