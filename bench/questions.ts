/**
 * Questions of a ledger of synthetic entries, and what appending costs with everything that follows it: tree, index. Entries go in by
 * the store's own functions, 512 in a transaction as group commits do, without the cryptography of a request.
 *
 *   node bench/questions.ts [--entries 100000] [--database sqlite|postgres] [--rounds 20] [--folder FOLDER] [--fill]
 *
 * The folder holds the database; a temporary one is removed afterwards, and one that is named is kept. `--fill` (SQLite) puts the rows that
 * questions read into the file without appending entries, for many of them.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Question } from '@trialkeep/contract';
import type { Entry } from '../packages/server/src/audit/entry.ts';
import { chunkPositions, encodeOffsets, valuesOf } from '../packages/server/src/audit/find/postings.ts';
import { advance, insertEntries } from '../packages/server/src/audit/store.ts';
import { createInstance, openInstance } from '../packages/server/src/instance/index.ts';
import { systemClock } from '../packages/server/src/platform/clock.ts';
import type { DatabaseLocations } from '../packages/server/src/platform/database.ts';
import { parsePostgresUrl } from '../packages/server/src/platform/postgres/location.ts';
import { boundOf, countsOf, pageOf, statedQuestion } from '../packages/server/src/questions/answer.ts';
import { postgresCluster } from '../tools/postgres-cluster.ts';
import { machine, median, spread } from './measure.ts';

const { values } = parseArgs({
  options: {
    entries: { type: 'string', default: '100000' },
    database: { type: 'string', default: 'sqlite' },
    rounds: { type: 'string', default: '20' },
    folder: { type: 'string' },
    fill: { type: 'boolean', default: false },
  },
});
const entryCount = Number(values.entries);
const rounds = Number(values.rounds);
const entriesPerCommit = 512;
/** Commits between two looks of whatever follows the log, as a second under load has them. */
const commitsPerFollow = 16;

const start = Date.UTC(2026, 0, 1);
const yearMs = 365 * 86_400_000;
const ids = (count: number): string[] => Array.from({ length: count }, () => randomUUID());
/** The same in every run on one folder: ids are drawn from a counter, not at random. */
const numbered = (kind: number, count: number): string[] =>
  ids(count).map((_, i) => `${String(kind).padStart(8, '0')}-0000-4000-8000-${String(i).padStart(12, '0')}`);
const people = {
  actors: numbered(1, 60),
  keys: numbered(2, 300),
  studies: numbered(3, 20),
  systems: numbered(4, 200),
  subjects: Array.from({ length: 20_000 }, (_, i) => String(i).padStart(32, '0')),
};
const classes = ['ecg', 'form', 'image', 'lab', 'motion', 'voice'];
const purposes = ['analysis', 'care', 'monitoring', 'transfer'];
const operations = [
  ...Array.from({ length: 8 }, () => 'keys.decrypt-data-key'),
  ...Array.from({ length: 4 }, () => 'keys.generate-data-key'),
  ...['keys.decrypt', 'keys.decrypt', 'keys.encrypt', 'keys.encrypt'],
  ...['uses.report', 'uses.report', 'uses.report', 'keys.rotate'],
];
let seed = 1;
/** A number below `count`, xorshift32. */
function below(count: number): number {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return (seed >>> 0) % count;
}
const pick = <T>(of: readonly T[]): T => of[below(of.length)] as T;
const filler = randomBytes(32).toString('hex');
const bytesOf = (entry: object): Uint8Array => Buffer.from(JSON.stringify(entry));

/** An entry in the form of the server's, members in the order of their names. */
function entryAt(position: number): Entry {
  const operation = pick(operations);
  const system = below(people.systems.length);
  const attested =
    operation === 'uses.report'
      ? { attested: { count: 1, sequence: position + 1, time: start, use: below(4) === 0 ? 'seal' : 'open' } }
      : {};
  const entry = {
    actor: people.actors[system % people.actors.length],
    ...attested,
    class: pick(classes),
    commitment: filler,
    entry: randomUUID(),
    key: people.keys[system],
    operation,
    outcome: below(50) === 0 ? 'refused' : 'success',
    payload: filler,
    purpose: pick(purposes),
    role: 'service',
    study: people.studies[system % people.studies.length],
    subject: pick(people.subjects),
    system: people.systems[system],
    time: start + Math.floor((position / entryCount) * yearMs),
    v: 1,
    version: 1,
  };
  return entry as unknown as Entry;
}

const folder = values.folder ?? mkdtempSync(join(tmpdir(), 'trialkeep-questions-'));
const data = join(folder, 'data');
let databases: DatabaseLocations | undefined;
if (values.database === 'postgres') {
  const { main, shred } = (await postgresCluster()).newPair();
  const name = 'TRIALKEEP_DATABASE';
  databases = { main: parsePostgresUrl(main, name), shred: parsePostgresUrl(shred, name) };
}
if (!existsSync(data)) await createInstance(data, 'evaluation', 'eu-central-1', databases);
const notes = { warn: (details: object, message: string) => console.error(message, details) };
const instance = await openInstance(data, {
  clock: systemClock,
  notes,
  ...(databases !== undefined && { databases }),
});
const { database, ledger } = instance;
const log = ledger.instanceLog;
await log.integrate();

/** The greatest delays of the event loop while something ran. */
let worstStallMs = 0;
let lastTick = performance.now();
const ticking = setInterval(() => {
  worstStallMs = Math.max(worstStallMs, performance.now() - lastTick - 5);
  lastTick = performance.now();
}, 5);

/** Of each part the time, ms, and what it took of the processor on all threads, ms. */
const spent = { append: [0, 0], tree: [0, 0], index: [0, 0] } as Record<
  'append' | 'tree' | 'index',
  [number, number]
>;
const timed = async <T>(what: keyof typeof spent, work: () => Promise<T>): Promise<T> => {
  const began = performance.now();
  const cpu = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(cpu);
  spent[what][0] += performance.now() - began;
  spent[what][1] += (user + system) / 1000;
  return result;
};
console.log(machine());
const filled = values.fill ? fill() : await append();
const file = instance.directory.database;
if (existsSync(file)) console.log(`database ${(statSync(file).size / 2 ** 30).toFixed(2)} GiB`);

const march = { from: Date.UTC(2026, 2, 1), to: Date.UTC(2026, 3, 1) };
const decryptions = {
  kinds: ['key-released' as const, 'decryption-observed' as const, 'decryption-attested' as const],
};
const of = (list: readonly string[], i: number): string => list[i % list.length] ?? '';
const questions: Readonly<Record<string, (round: number) => Question>> = {
  "a subject's ECG decrypted in March": (i) => ({
    ...march,
    ...decryptions,
    class: 'ecg',
    subject: of(people.subjects, 97 * i),
  }),
  'everything about a subject': (i) => ({ subject: of(people.subjects, 89 * i) }),
  'everything of a device': (i) => ({ device: of(people.systems, 7 * i) }),
  'an actor with a purpose, refused': (i) => ({
    actor: of(people.actors, i),
    purpose: of(purposes, i),
    outcome: 'refused',
  }),
  'two common conditions that never meet': (i) => ({
    key: of(people.keys, i % 200),
    system: of(people.systems, i + 1),
  }),
  'six common conditions': (i) => ({
    class: of(classes, i),
    purpose: of(purposes, i),
    operation: 'keys.decrypt-data-key',
    outcome: 'success',
    study: of(people.studies, i),
    ...march,
  }),
  'no condition': () => ({}),
};
const bound = filled === undefined ? await boundOf({ database, ledger }, log) : { first: 0, size: filled };
for (const [name, questionOf] of Object.entries(questions)) {
  const pages: number[] = [];
  const counting: number[] = [];
  let found = 0;
  worstStallMs = 0;
  for (let round = 0; round < rounds; round++) {
    const { question } = statedQuestion({ question: questionOf(round), at: start });
    let at = performance.now();
    const page = await pageOf({ database, ledger }, log, question, bound, { after: -1, limit: 1000 });
    pages.push(performance.now() - at);
    at = performance.now();
    const counts = await countsOf({ database, ledger }, log, question, bound);
    counting.push(performance.now() - at);
    found = Object.values(counts).reduce((sum, count) => sum + count, 0);
    if (page.isLast && question.kinds === undefined && page.entries.length !== found) {
      throw new Error(`${name}: ${page.entries.length} entries, and ${found} counted.`);
    }
  }
  const whole = median(pages) + median(counting);
  console.log(
    `${name}: ${whole.toFixed(1)} ms (first page ${spread(pages, 1)}, counts ${spread(counting, 1)}); ` +
      `${found} entries meet the last one; event loop at most ${worstStallMs.toFixed(0)} ms late`,
  );
}
clearInterval(ticking);
await instance.close();
if (values.folder === undefined) rmSync(folder, { recursive: true, force: true });

function rate(count: number, ms: number): string {
  return ((count / ms) * 1000).toFixed(0);
}

/** Appends entries with everything that follows them, and says what it took. */
async function append(): Promise<void> {
  const first = log.size;
  const ciphertext = randomBytes(values.database === 'sqlite' && entryCount > 2_000_000 ? 16 : 200);
  const began = performance.now();
  let lastNote = began;
  for (let done = 0, commits = 0; first + done < entryCount; commits++) {
    const count = Math.min(entriesPerCommit, entryCount - first - done);
    const rows = Array.from({ length: count }, (_, i) => ({
      bytes: bytesOf(entryAt(first + done + i)),
      ciphertext,
    }));
    await timed('append', () =>
      database.write(async (tx) => {
        const { epoch } = await tx
          .selectFrom('head')
          .select('epoch')
          .where('log', '=', log.id)
          .executeTakeFirstOrThrow();
        const taken = await advance(tx, {
          log: log.id,
          epoch,
          count,
          clock: { now: () => start },
          change: false,
        });
        if (taken === undefined) throw new Error('The epoch has moved on.');
        await insertEntries(tx, log.id, taken.first, rows);
      }),
    );
    done += count;
    if (commits % commitsPerFollow === 0 || first + done >= entryCount) {
      // In the order of the server: the tree, then the index.
      await timed('tree', () => ledger.anchorNow(log.id));
      await timed('index', () => log.index.follow());
    }
    if (performance.now() - lastNote > 60_000) {
      lastNote = performance.now();
      console.log(`… ${first + done} entries, ${rate(done, performance.now() - began)}/s`);
    }
  }
  const appended = log.size - first;
  if (appended > 0) {
    const each = ([ms, cpuMs]: readonly [number, number]): string =>
      `${((ms * 1000) / appended).toFixed(1)} µs (${((cpuMs * 1000) / appended).toFixed(1)} of a processor)`;
    console.log(
      `${appended} entries on ${values.database}: ${rate(appended, performance.now() - began)}/s sustained; each ` +
        `append ${each(spent.append)}, tree ${each(spent.tree)}, index ${each(spent.index)}; ` +
        `event loop at most ${worstStallMs.toFixed(0)} ms late`,
    );
  }
}

/**
 * Puts the rows that questions read straight into the file of an SQLite database, without the log's tree and head: the first 400,000
 * one by one, and the others as copies of them at later places and times. The number is rounded up to whole copies.
 */
function fill(): number {
  const chunks = Math.min(100, Math.ceil(entryCount / chunkPositions));
  const made = chunks * chunkPositions;
  const file = new DatabaseSync(instance.directory.database);
  file.exec('pragma synchronous = off; pragma cache_size = -400000; drop index ledger_index_entry');
  const entry = file.prepare('insert into ledger_entry values (?, ?, ?)');
  const place = file.prepare('insert into ledger_index (log, position, entry, time) values (?, ?, ?, ?)');
  const posting = file.prepare('insert into ledger_posting values (?, ?, ?, ?, ?)');
  file.exec('delete from ledger_posting; begin');
  for (let chunk = 0; chunk < chunks; chunk++) {
    const offsets = new Map<string, number[]>();
    const at = chunk * chunkPositions;
    // The entries of the installation itself stand at the beginning.
    for (let position = Math.max(log.size, at); position < at + chunkPositions; position++) {
      const synthetic = entryAt(position);
      entry.run(log.id, position, bytesOf(synthetic));
      place.run(log.id, position, synthetic.entry, synthetic.time);
      for (const [field, value] of valuesOf(synthetic)) {
        const name = `${field} ${value}`;
        const known = offsets.get(name);
        if (known === undefined) offsets.set(name, [position - at]);
        else known.push(position - at);
      }
    }
    for (const [name, list] of offsets) {
      const [field = '', value = ''] = name.split(' ');
      posting.run(log.id, field, value, chunk, encodeOffsets(list));
    }
  }
  file.exec('commit; create temp table made as select * from ledger_posting order by field, value, chunk');
  const copies = Math.ceil(entryCount / made);
  for (let copy = 1; copy < copies; copy++) {
    const shift = Math.floor((copy * made * yearMs) / entryCount);
    file.exec(`begin;
      insert into ledger_entry select log, position + ${copy * made}, bytes from ledger_entry where log = ${log.id} and position < ${made};
      insert into ledger_index (log, position, entry, time)
        select log, position + ${copy * made}, entry, time + ${shift} from ledger_index where log = ${log.id} and position < ${made};
      insert into ledger_posting select log, field, value, chunk + ${copy * chunks}, positions from made;
      commit`);
    console.log(`… ${(copy + 1) * made} entries`);
  }
  file.close();
  return copies * made;
}
