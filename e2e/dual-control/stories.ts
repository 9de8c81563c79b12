import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Choices } from '../crash/random.ts';
import { answerOf, asCaller, ask, clientOf, errorOf, makeFolder, trialkeep } from '../harness.ts';
import type { ServerNode } from '../nodes.ts';
import { approve, readRequest } from '../people.ts';
import type { SignedIn } from '../people.ts';
import { askLedger } from '../tenant.ts';
import * as dual from './house.ts';
import type { House, Kept } from './house.ts';

const seed = Number(process.env['TRIALKEEP_RACE_SEED'] ?? randomInt(2 ** 31));

/** The story of what people approved, the same wherever it is kept. */
export interface Place {
  readonly name: string;
  /** Why it cannot be told there. */
  readonly skip: string | false;
  readonly house: () => Promise<House>;
}

export function tellStories({ name, skip, house }: Place, interruptions: number): void {
  test(
    `${name}: a destruction asked for by one is done once two others have approved it [URS-010] [URS-031]`,
    { skip },
    async () => tellStory(await house()),
  );
  test(
    `${name}: each of ${interruptions} approved destructions is done once, whoever dies at that [URS-010] [URS-032]`,
    { skip },
    async (t) => tellRace(t, await house(), interruptions),
  );
}

/** Comes last: says of everything before that it is in the ledger. */
export function tellLedger({ name, skip, house }: Place): void {
  test(
    `${name}: anyone can verify the ledger of it, signatures included [URS-030] [URS-033]`,
    { skip },
    async () => verifyLedger(await house()),
  );
}

/** The issue's own story, with everything that has to be refused on the way. */
async function tellStory(house: House): Promise<void> {
  const { server, tenant, ada, ben, cleo, auditor } = house;
  const [retired] = await dual.retiredKeys(house, 1);
  assert.ok(retired);
  const { key } = retired;
  const bearer = ({ session }: { session: string }): string => `Bearer ${session}`;
  const custodian = clientOf(server, tenant.credentials.custodian.secret);
  // A credential can be handed on: dual control is for people.
  await assert.rejects(
    custodian.call('keys.schedule-destruction', { key, reason: 'x' }),
    dual.withCode('access.person_required'),
  );
  const asked = errorOf(
    await ask(server, 'keys.schedule-destruction', { key, reason: 'Out of use.' }, bearer(ada)),
  );
  assert.deepEqual([asked.status, asked.code], [202, 'approval.needed']);
  const kept = { approval: asked.approval ?? '', key, reason: 'Out of use.' };
  const { approval } = kept;
  assert.deepEqual(await dual.readAll(server, tenant, retired), dual.readable);

  const { hash } = await readRequest(server, ben.session, approval);
  const decide = async (person: SignedIn, input: object) => {
    const { status, code } = errorOf(
      await ask(server, 'approvals.approve', { approval, hash, ...input }, bearer(person)),
    );
    return [status, code];
  };
  assert.deepEqual(await decide(ada, {}), [403, 'approval.own']);
  assert.deepEqual(await decide(auditor, {}), [403, 'access.denied']);
  assert.deepEqual(await decide(ben, { hash: '0'.repeat(64) }), [409, 'approval.changed']);
  const unsigned = errorOf(await ask(server, 'approvals.approve', { approval, hash }, bearer(ben)));
  assert.deepEqual(
    [unsigned.status, unsigned.code, unsigned.signature],
    [428, 'signature.needed', { meaning: 'approval', hash }],
  );
  const code = '000000';
  const forged = { signature: { password: `${ben.password}?`, code } };
  assert.deepEqual(await decide(ben, forged), [401, 'auth.failed']);
  assert.deepEqual((await dual.show(server, ben, approval)).votes, []);

  const first = await approve(server, ben.session, ben, approval);
  assert.deepEqual([first.state, first.votes.map(({ person }) => person)], ['pending', [ben.id]]);
  assert.deepEqual(await decide(ben, {}), [409, 'approval.decided']);
  assert.deepEqual(await dual.readAll(server, tenant, retired), dual.readable);
  const last = await approve(house.site.nodes.at(-1) ?? server, cleo.session, cleo, approval);
  assert.ok(last.state === 'approved' || last.state === 'executed');
  await dual.untilScheduled(house, retired, kept);
  assert.deepEqual(await decide(house.nextApprover(), {}), [409, 'approval.closed']);
}

/** Approves on a node that is killed at a random moment around that; says what was left when it was gone. */
async function approveUnderKill(house: House, victim: ServerNode, kept: Kept, choices: Choices) {
  const { approval } = kept;
  const others = house.site.nodes.filter((node) => node !== victim);
  const first = await dual.readyToApprove(victim, house.nextApprover(), approval);
  const usualMs = await first();
  const last = await dual.readyToApprove(victim, house.nextApprover(), approval);
  // The others come up beside this work, and have to be there when it ends.
  await house.site.startAll();
  const approving = last().then(() => 'answered', dual.codeOf);
  // Half of them around the commit, half just after the answer: the execution takes some milliseconds.
  if (choices.fraction() < 0.5) await pause((0.3 + choices.fraction()) * usualMs);
  else await approving.then(() => pause(choices.integer(0, 15)));
  await victim.kill();
  const outcome = await approving;
  assert.match(outcome, /^(answered|client\.unreachable)$/);
  if (others.length === 0) await victim.start();
  const { state } = await dual.show(others[0] ?? victim, house.ada, approval);
  assert.ok(state === 'approved' || state === 'executed' || outcome !== 'answered', state);
  if (state === 'pending') {
    const again = house.nextApprover();
    await approve(others[0] ?? victim, again.session, again, approval);
  }
  return `${outcome}, ${state}`;
}

/** Many destructions, each with a kill around its last approval; exactly one execution of each. */
async function tellRace(t: TestContext, house: House, count: number): Promise<void> {
  const choices = new Choices(seed);
  const { site, server, ada } = house;
  const retired = await dual.retiredKeys(house, count);
  const all: Kept[] = [];
  for (const { key } of retired) all.push(await dual.requestDestruction(server, ada, key));
  const left: Record<string, number> = {};
  for (const [round, kept] of all.entries()) {
    const victim = site.nodes[round % site.nodes.length] ?? server;
    const found = await approveUnderKill(house, victim, kept, choices);
    left[found] = (left[found] ?? 0) + 1;
  }
  t.diagnostic(`seed ${seed}; after each kill: ${JSON.stringify(left)}`);
  await site.startAll();
  for (const [index, kept] of all.entries()) {
    const key = retired[index];
    assert.ok(key);
    await dual.untilScheduled(house, key, kept);
  }
  // Each waits once: its key has a date, and there is one job for it.
  const waiting = await site.count('select count(*) as count from key where destruction_due_at is not null');
  assert.equal(await site.count("select count(*) as count from job where task = 'keys.destroy'"), waiting);
  assert.ok(waiting >= count);
}

/** The tenant's ledger as anybody can check it, exported from each node; every node has the same tree. */
async function verifyLedger({ site, server, tenant }: House): Promise<void> {
  const auditor = tenant.credentials.auditor.secret;
  const { verifierKey } = tenant;
  const folder = makeFolder();
  const kept = join(folder, 'checkpoint');
  writeFileSync(kept, await clientOf(server, auditor).call('ledger.checkpoint', {}));
  for (const [index, node] of site.nodes.entries()) {
    const copy = join(folder, `ledger-${index}`);
    await answerOf(['ledger', 'export', copy, '--key', verifierKey], { env: asCaller(node, auditor) });
    const ran = await trialkeep(['verify', copy, '--key', verifierKey, '--checkpoint', kept, '--json']);
    const { verdict, findings, signatures } = JSON.parse(ran.stdout) as {
      readonly verdict: string;
      readonly findings: readonly unknown[];
      readonly signatures: { signed: number; checked: number; findings: unknown[] };
    };
    assert.deepEqual([ran.status, verdict, findings, signatures.findings], [0, 'verified', [], []]);
    const votes = await askLedger(clientOf(node, auditor), {
      operation: 'approvals.approve',
      outcome: 'success',
    });
    assert.ok(votes.length > 0);
    assert.deepEqual([signatures.signed, signatures.checked], [votes.length, votes.length]);
  }
  const checkpoints = site.nodes.map((node) => clientOf(node, auditor).call('ledger.checkpoint', {}));
  assert.equal(new Set(await Promise.all(checkpoints)).size, 1);
}
