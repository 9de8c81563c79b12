/** A process that is killed between any two steps of an effect, and one that goes on where it was. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { verifyEd25519 } from '@trialkeep/crypto';
import { parseVerifierKey, verifyLog } from '@trialkeep/ledger';
import type { LogSource, Sha256 } from '@trialkeep/ledger';
import { entriesOf, makeInstallation, makeTenant, openNode, stores } from '../installation.fixture.test.ts';
import type { Installation, Node } from '../installation.fixture.test.ts';
import { OperationError } from '../platform/errors.ts';
import type { Context } from '../platform/implementation.ts';

const program = fileURLToPath(new URL('./effects.fixture.ts', import.meta.url));
const sha256: Sha256 = (data) => createHash('sha256').update(data).digest();

/** Runs a process until its end, and says how that came: its exit code, or the signal. */
async function run({ data, env }: Installation, ...more: string[]): Promise<number | string | null> {
  const child = spawn(process.execPath, [program, data, ...more], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...env },
  });
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  return signal ?? code;
}

/** Opens the installation for a look, without starting any work. */
async function look<R>(
  t: TestContext,
  installation: Installation,
  work: (node: Node) => Promise<R>,
): Promise<R> {
  const node = await openNode(t, installation);
  try {
    assert.deepEqual(node.instance.recovery, []);
    return await work(node);
  } finally {
    await node.close();
  }
}

/** What an inspector's verifier says about the tenant's log. */
async function verify({ instance, rooms }: Node, tenant: string) {
  const log = await instance.ledger.openOfTenant(tenant);
  assert.ok(log);
  const checkpoint = await instance.ledger.anchorNow(log.id);
  const { name, keyId, publicKey } = parseVerifierKey(sha256, log.verifierKey);
  const verifier = {
    name,
    keyId,
    verify: (message: Uint8Array, signature: Uint8Array) => verifyEd25519(publicKey, message, signature),
  };
  const source: LogSource = {
    read: async (path) => {
      if (path === 'checkpoint') return checkpoint;
      const context = { input: { path: path.replace(/^tile\//, '') }, caller: { log } };
      try {
        return await rooms.implementations['ledger.tile'](context as unknown as Context<'ledger.tile'>);
      } catch (error) {
        if (error instanceof OperationError && error.code === 'tile.unknown') return undefined;
        throw error;
      }
    },
  };
  return verifyLog({ sha256, verifiers: [verifier], source });
}

/** The state of an erasure as the stores have it. */
async function stateOf(node: Node, tenant: string, subject: string) {
  const { database, shred } = node.instance;
  const rows = await database.read((tx) =>
    tx.selectFrom('effect').select('state').where('input', 'like', `%${subject}%`).execute(),
  );
  const jobs = await database.read((tx) =>
    tx.selectFrom('job').select('name').where('name', 'like', 'effects.settle/%').execute(),
  );
  const entries = (await entriesOf(node.instance, tenant)).filter((entry) => entry['subject'] === subject);
  const erasing = entries.every(
    ({ operation, outcome, state }) =>
      [operation, outcome, state].join() === 'subjects.erase,success,erasing',
  );
  assert.equal(erasing, true);
  return {
    effects: rows.map(({ state }) => state),
    jobs: jobs.length,
    keyIsThere: (await shred.find(subject)) !== undefined,
    intents: entries.filter(({ actor }) => actor !== undefined).length,
    outcomes: entries.filter(({ actor }) => actor === undefined).length,
  };
}

const untouched = { effects: [] as string[], jobs: 0, keyIsThere: true, intents: 0, outcomes: 0 };
const meant = { effects: ['intended'], jobs: 1, keyIsThere: true, intents: 1, outcomes: 0 };
const acted = { ...meant, keyIsThere: false };
const settled = { effects: ['settled'], jobs: 0, keyIsThere: false, intents: 1, outcomes: 1 };

/** Where the process is killed, what it leaves, and what the next process makes of it. */
const points = [
  ['before the commit of the intent', untouched, untouched],
  ['after the commit of the intent', meant, settled],
  ['before the act', meant, settled],
  ['after the act', acted, settled],
  ['before the commit of the outcome', acted, settled],
  ['after the commit of the outcome', settled, settled],
] as const;

for (const store of stores) {
  test(
    `${store.name}: killed anywhere, an effect is done once, with one entry each for intent and outcome [URS-032]`,
    { skip: store.skip },
    async (t) => {
      const installation = await makeInstallation(t, store);
      const subjects = points.map(() => randomBytes(16).toString('hex'));
      const tenant = await look(t, installation, async (node) => {
        const made = await makeTenant(node, installation.administrator);
        for (const subject of subjects) {
          await node.instance.hierarchy.createShreddable(made.tenant, 'subject', subject);
        }
        return made.tenant;
      });
      for (const [i, [point, left, recovered]] of points.entries()) {
        const subject = subjects[i] as string;
        const seen = () => look(t, installation, (node) => stateOf(node, tenant, subject));
        assert.equal(await run(installation, tenant, subject, point), 'SIGKILL', point);
        assert.deepEqual(await seen(), left, point);
        assert.equal(await run(installation, tenant, subject, 'recover'), 0, point);
        assert.deepEqual(await seen(), recovered, point);
      }
      const { verdict, findings } = await look(t, installation, (node) => verify(node, tenant));
      assert.deepEqual([verdict, findings], ['consistent', []]);
    },
  );
}
