/** Data of an investigator is read with the investigator's key alone: without the server, and while the sponsor's root is away. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { awaitApproval, TrialkeepError } from '@trialkeep/sdk/client';
import { openFile, sealFile, serverKeys } from '@trialkeep/sdk/seal';
import {
  answerOf,
  asCaller,
  clientOf,
  makeFolder,
  newInstallation,
  ServerProcess,
  trialkeep,
} from './harness.ts';
import type { Installation } from './harness.ts';
import { approve, enrol, invitePeople, signIn } from './people.ts';
import type { SignedIn } from './people.ts';
import { newTenant } from './tenant.ts';
import type { Tenant } from './tenant.ts';

const passphrase = 'six words that nobody has drawn';
const reason = 'The investigator keeps control of the source data.';
const place = makeFolder();
const text = 'readings of a participant';

let installation: Installation;
let server: ServerProcess;
let tenant: Tenant;
let people: SignedIn[];

before(async () => {
  installation = await newInstallation();
  server = await ServerProcess.start(installation.data);
  tenant = await newTenant(server, installation.administrator.secret, 'Sponsor');
  const roles = ['custodian', 'approver', 'approver', 'approver', 'approver'] as const;
  const invitees = roles.map((role, index) => ({
    name: `Anna ${index}`,
    login: `anna.${index}@example.org`,
    roles: [role],
  }));
  people = [];
  // One after the other: so many at once would keep each other's codes waiting for too long.
  const { custodian } = tenant.credentials;
  for (const { invitation } of await invitePeople(server, custodian.secret, invitees)) {
    const person = await enrol(server, invitation);
    people.push({ ...person, session: await signIn(server, person, { tenant: tenant.id }) });
  }
});

/** Asks as the custodian by command, has two others approve, and waits until it was done. */
async function decide(argv: readonly string[]): Promise<void> {
  const [custodian, ...approvers] = people;
  assert.ok(custodian);
  const ran = await trialkeep([...argv, '--reason', reason, '--json'], {
    env: asCaller(server, custodian.session),
  });
  assert.equal(ran.status, 3, ran.stderr);
  const client = clientOf(server, custodian.session);
  const { approvals } = await client.call('approvals.list', { state: 'pending' });
  const [waiting] = approvals;
  assert.ok(waiting);
  // Each signs once here: more often, they would wait for the next code.
  for (const person of approvers.slice(0, 2)) await approve(server, person.session, person, waiting.id);
  people = [custodian, ...approvers.slice(2)];
  const settled = await awaitApproval(client, waiting.id, { pollMs: 50 });
  assert.equal(settled.state, 'executed');
}

test("what an investigator controls is opened with the investigator's key alone, while the sponsor's root is away and without the server [URS-049] [URS-083]", async () => {
  const settings = join(place, 'settings.json');
  writeFileSync(settings, JSON.stringify({ kind: 'passphrase' }));
  const made = [
    'self',
    'root',
    'make-tenant',
    tenant.id,
    '--data',
    installation.data,
    '--root-config',
    settings,
  ];
  const root = await answerOf<{ id: string; folder: string }>(made);
  const stick = join(place, 'stick');
  mkdirSync(stick);
  const escrow = await answerOf<{ id: string; publicFile: string }>(
    ['escrow', 'create', 'Site 12', '--out-dir', stick],
    { stdin: passphrase },
  );
  const scope = ['--study', tenant.study, '--covers', 'all'];
  await decide(['second-recipient', 'register', 'Site 12', '--file', escrow.publicFile, ...scope]);
  await decide(['tenant-root', 'move', root.id, '--lease', '0']);
  const asCustodian = { env: asCaller(server, tenant.credentials.custodian.secret) };
  const shown = await answerOf<{ root: string; leaseSeconds: number }>(['tenant-root', 'show'], asCustodian);
  assert.deepEqual([shown.root, shown.leaseSeconds], [root.id, 0]);
  const { recipients } = await answerOf<{ recipients: { recipientId: string }[] }>(
    ['second-recipient', 'list'],
    asCustodian,
  );
  assert.deepEqual(
    recipients.map(({ recipientId }) => recipientId),
    [escrow.id],
  );

  // Whoever seals knows nothing of the investigator's key.
  const client = () => clientOf(server, tenant.credentials.service.secret);
  const source = join(place, 'readings');
  writeFileSync(source, text);
  const context = { study: tenant.study, subject: tenant.subject };
  const sealed = `${source}.sealed`;
  await sealFile(serverKeys(client(), { key: tenant.key }), { source, target: sealed, context });
  await openFile(serverKeys(client()), { source: sealed, target: `${source}.by-server` });
  assert.equal(readFileSync(`${source}.by-server`, 'utf8'), text);

  renameSync(root.folder, `${root.folder}.away`);
  await server.kill();
  server = await ServerProcess.start(installation.data);
  await assert.rejects(
    openFile(serverKeys(client()), { source: sealed, target: `${source}.never` }),
    (error) => error instanceof TrialkeepError && error.code === 'tenant.root_unreachable',
  );
  const openAlone = async (out: string): Promise<void> => {
    const identity = [
      '--identity',
      join(stick, 'escrow.private'),
      '--openings',
      join(stick, 'openings.jsonl'),
    ];
    const ran = await trialkeep(['open', sealed, ...identity, '--out', out], {
      stdin: passphrase,
      env: { HOME: place },
    });
    assert.equal(ran.status, 0, ran.stderr);
    assert.equal(readFileSync(out, 'utf8'), text);
  };
  await openAlone(`${source}.refused`);
  await server.kill();
  await openAlone(`${source}.alone`);
});
