/** Two servers on one PostgreSQL change their root of trust, and one of them answers at any time. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { postgresMissing } from '../tools/postgres-cluster.ts';
import { answerOf, clientOf, failureOf, makeFolder } from './harness.ts';
import { postgresSite } from './nodes.ts';
import type { PostgresSite, ServerNode } from './nodes.ts';
import { newTenant } from './tenant.ts';

const skip = postgresMissing;
let site: PostgresSite;
const epochs = makeFolder();

before(async () => {
  if (skip === false) site = await postgresSite({ env: { TRIALKEEP_EPOCH_FOLDER: epochs } });
});

interface Root {
  readonly id: string;
  readonly state: string;
  readonly opens?: boolean;
}

/** A command on the roots of a node's data directory. */
function onRoots<Answer>(node: ServerNode, ...args: string[]): Promise<Answer> {
  const argv = ['self', 'root', ...args, '--data', node.data];
  return answerOf<Answer>(argv, { env: node.environment });
}

/** Has a node that is stopped be started with another root from now on. */
function configure({ data }: ServerNode, root: string): void {
  const file = join(data, 'trialkeep.json');
  const before = JSON.parse(readFileSync(file, 'utf8')) as object;
  writeFileSync(file, `${JSON.stringify({ ...before, root }, null, 2)}\n`);
}

test(
  'two nodes change their root one after the other, and each opens what the other makes meanwhile [URS-008] [URS-009] [URS-083]',
  { skip },
  async () => {
    const [one, two] = site.nodes;
    const tenant = await newTenant(two, site.administrator.secret, 'Roots');
    const custodian = clientOf(two, tenant.credentials.custodian.secret);
    const settings = join(makeFolder(), 'settings.json');
    writeFileSync(settings, JSON.stringify({ kind: 'passphrase' }));
    // Both nodes have it at the same path: one machine stands for two here.
    const folder = join(makeFolder(), 'root');
    const study = (protocol: string) => custodian.call('studies.create', { protocol });
    await study('P-1');

    await one.stop();
    const added = await onRoots<Root>(one, 'add-standby', folder, '--root-config', settings);
    assert.ok(existsSync(join(epochs, added.id, 'epoch.json')));
    await study('P-2');
    await onRoots(one, 'activate', folder);
    await one.start();
    // They run with different roots, and each opens what the other has made.
    const { alias } = await custodian.call('subjects.create', { study: tenant.study, number: '1002' });
    const elsewhere = clientOf(one, tenant.credentials.custodian.secret);
    const { subjects } = await elsewhere.call('subjects.list', { study: tenant.study });
    assert.ok(subjects.some((each) => each.alias === alias));
    assert.equal((await custodian.call('studies.list', {})).studies.length, 3);

    await two.stop();
    configure(two, folder);
    await two.start();
    await one.stop();
    const { roots } = await onRoots<{ roots: Root[] }>(one, 'show');
    const old = roots.find(({ state }) => state === 'standby')?.id ?? '';
    await onRoots(one, 'retire', old);
    await one.start();
    const checked = await onRoots<{ roots: Root[] }>(two, 'check');
    assert.deepEqual(
      checked.roots.map(({ id, opens }) => [id, opens]),
      [[added.id, true]],
    );

    // Who comes with the old root is turned away, on any node.
    await one.stop();
    const copy = join(makeFolder(), 'data');
    cpSync(one.data, copy, { recursive: true });
    configure({ data: copy } as ServerNode, 'root');
    const refused = await failureOf(
      ['self', 'root', 'add-standby', join(makeFolder(), 'other'), '--root-config', settings, '--data', copy],
      { env: one.environment },
    );
    assert.match(JSON.stringify(refused), /root\./);
    await one.start();
  },
);
