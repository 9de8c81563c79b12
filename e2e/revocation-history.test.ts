/**
 * Promise 2, checked as a history: clients use, end and use on, while nodes are killed and stand still. TRIALKEEP_HISTORY_ROUNDS says
 * how many rounds, thousands if you like; without it there are as many as fit into a few minutes. TRIALKEEP_HISTORY_SEED repeats the choices
 * of an earlier run (the moments depend on the machine as well).
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { postgresMissing } from '../tools/postgres-cluster.ts';
import { Choices } from './crash/random.ts';
import { exported, keep } from './key-uses.ts';
import { postgresSite, sqliteSite } from './nodes.ts';
import type { ServerNode, Site } from './nodes.ts';
import { History, checkAnswers, checkOrder } from './revocation-history/history.ts';
import { newTenant } from './tenant.ts';

const seed = Number(process.env['TRIALKEEP_HISTORY_SEED'] ?? randomInt(2 ** 31));
const asked = process.env['TRIALKEEP_HISTORY_ROUNDS'];
const rounds = Number(asked ?? 240);
/** Without a number of rounds that was asked for, a slow machine plays fewer, for it has other tests to run. */
const time_ms = asked === undefined ? 150_000 : Number.POSITIVE_INFINITY;
const fewest = 60;
const lanes = 6;
/** So that there are some on a slow machine too, on which a node takes long to start. */
const roundsPerFault = 15;

/** Something happens to a node; it is there again afterwards. */
type Fault = (node: ServerNode, choices: Choices) => Promise<void>;

const kill: Fault = async (node) => {
  await node.kill();
  await node.start();
};
const standStill: Fault = async ({ server }, choices) => {
  server.pause();
  try {
    await pause(100 + choices.fraction() * 1500);
  } finally {
    server.resume();
  }
};

/** Plays the rounds while faults come over one node at a time, and holds what was seen against the promise and the ledger. */
async function play(t: TestContext, site: Site, faults: readonly Fault[]): Promise<void> {
  const [first] = site.nodes;
  assert.ok(first);
  const tenant = await newTenant(first, site.administrator.secret, 'Sponsor');
  const kept = await keep(first.server, tenant);
  const history = new History(site, tenant, { seed, rounds, fewest, time_ms });
  const choices = new Choices(seed + 1);
  const end = new AbortController();
  let happened = 0;
  const disturbing = (async () => {
    for (let next = roundsPerFault; !end.signal.aborted;) {
      await pause(20);
      if (history.rounds.length < next) continue;
      await pause(choices.fraction() * 200);
      const [node, fault] = [choices.pick(site.nodes), choices.pick(faults)];
      if (end.signal.aborted || node === undefined || fault === undefined) return;
      await fault(node, choices);
      happened += 1;
      next = history.rounds.length + roundsPerFault;
    }
  })();
  try {
    await Promise.race([history.play(lanes), disturbing.then(() => new Promise<never>(() => undefined))]);
  } finally {
    end.abort();
    await disturbing;
  }
  const counts = checkAnswers(history.rounds);
  checkOrder(history.rounds, await exported(first.server, tenant, kept));
  t.diagnostic(
    `seed ${seed}: ${JSON.stringify({ rounds: history.rounds.length, faults: happened, ...counts })}`,
  );
  assert.ok(counts.before > 0 && counts.after >= Math.min(rounds, fewest));
}

test(
  'PostgreSQL, two nodes that are killed and stand still: nothing succeeds after an acknowledged end, nor behind its entry [URS-004]',
  { skip: postgresMissing },
  async (t) => play(t, await postgresSite(), [kill, standStill]),
);

test('SQLite, a node that is killed and stands still: nothing succeeds after an acknowledged end, nor behind its entry [URS-004]', async (t) =>
  play(t, await sqliteSite(), [kill, standStill]));
