import assert from 'node:assert/strict';
import { cpSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { postgresMissing } from '../tools/postgres-cluster.ts';
import { answerOf, asCaller, clientOf, makeFolder, send, ServerProcess, trialkeep } from './harness.ts';
import { postgresSite, sqliteSite, until } from './nodes.ts';
import { askLedger } from './tenant.ts';
import {
  mirrorOf,
  openWitnessedHouse,
  policyOf,
  setPolicy,
  show,
  untilWitnessed,
  useKey,
  verifierKeysOf,
} from './witnessed/house.ts';
import type { Shown } from './witnessed/house.ts';
import { CosignerProcess } from './witnessed/processes.ts';

test('a ledger is cosigned by witnesses, copied by a mirror, and verified by their policy alone [URS-033] [URS-034]', async () => {
  const site = await sqliteSite();
  const house = await openWitnessedHouse(site);
  const { server, tenant } = house;
  const keys = await verifierKeysOf(house);
  const one = await CosignerProcess.make('witness', 'witness.example/one', [keys]);
  const two = await CosignerProcess.make('witness', 'witness.example/two', [keys]);
  const mirror = await CosignerProcess.make('mirror', 'sponsor.example/mirror', [keys]);
  const policy = policyOf([one, two], 'all');
  await setPolicy(house, { policy, mirrors: [mirrorOf(mirror)], mode: 'required', boundSeconds: 3600 });
  for (let i = 0; i < 20; i++) assert.equal(await useKey(server, house), 'released');
  await untilWitnessed(server, house);
  await until(
    'the mirror has it too',
    async () =>
      (await show(server, house)).mirrors[0]?.failure === null &&
      ((await show(server, house)).mirrors[0]?.size ?? 0) > 20,
  );

  const env = asCaller(server, tenant.credentials.auditor.secret);
  const status = await answerOf<Shown>(['ledger', 'witnesses'], { env });
  assert.deepEqual(
    status.witnesses.map(({ failure }) => failure),
    [null, null],
  );
  const text = await trialkeep(['ledger', 'policy', 'show'], { env });
  assert.match(text.stdout, /quorum them/);

  const folder = makeFolder();
  const [copy, file] = [join(folder, 'copy'), join(folder, 'policy')];
  await answerOf(['ledger', 'export', copy], { env });
  writeFileSync(
    file,
    `${keys
      .trim()
      .split('\n')
      .map((key) => `log ${key}\n`)
      .join('')}${policy}`,
  );
  const verified = await trialkeep(['verify', copy, '--policy', file, '--json']);
  assert.equal(verified.status, 0, verified.stderr);
  assert.equal((JSON.parse(verified.stdout) as { verdict: string }).verdict, 'verified');
  await server.stop();
});

test('while a required witness is gone results are withheld, revocation is not, and people can change the policy [URS-034] [URS-080]', async () => {
  const site = await sqliteSite();
  const house = await openWitnessedHouse(site, 4);
  const { server, tenant, ada } = house;
  const keys = await verifierKeysOf(house);
  const witness = await CosignerProcess.make('witness', 'witness.example/one', [keys]);
  await setPolicy(house, { policy: policyOf([witness], 'all'), mode: 'required', boundSeconds: 5 });
  await untilWitnessed(server, house);
  assert.equal(await useKey(server, house), 'released');

  await witness.kill();
  await until('results are withheld', async () => (await useKey(server, house)) === 'ledger.unwitnessed');
  await until('the status says so', async () => (await show(server, house)).withheldSince !== null);
  assert.match((await send(server.server, '/')).text, /results of 1 are withheld/);
  const custodian = clientOf(server, ada.session);
  const { id: other } = await custodian.call('keys.create', { system: tenant.system });
  await custodian.call('keys.revoke', { key: other, cause: 'breach', reason: 'It leaked.' });

  // The witness comes back with what it had.
  await witness.start();
  await until('results are released', async () => (await useKey(server, house)) === 'released');

  // It goes for good: people decide to go on without it.
  await witness.kill();
  await until(
    'results are withheld again',
    async () => (await useKey(server, house)) === 'ledger.unwitnessed',
  );
  await setPolicy(house, { policy: policyOf([witness], 'all'), mode: 'background', boundSeconds: 5 });
  await until('results are released again', async () => (await useKey(server, house)) === 'released');
  const auditor = clientOf(server, tenant.credentials.auditor.secret);
  await until(
    'both ends are on the record',
    async () => (await askLedger(auditor, { operation: 'witnessing.release' })).length === 2,
  );
  assert.equal((await askLedger(auditor, { operation: 'witnessing.withhold' })).length, 2);
  const set = await askLedger(auditor, { operation: 'witnessing.set-policy', outcome: 'success' });
  assert.deepEqual(
    set.map(({ state, version }) => [state, version]),
    [
      ['required', 1],
      ['background', 2],
    ],
  );
  await server.stop();
});

test('a data directory that is put back as a whole comes up in recovery, for the witness remembers [URS-080]', async () => {
  const site = await sqliteSite();
  const house = await openWitnessedHouse(site);
  const { server } = house;
  const keys = await verifierKeysOf(house);
  const witness = await CosignerProcess.make('witness', 'witness.example/one', [keys]);
  await setPolicy(house, { policy: policyOf([witness], 'all'), mode: 'background', boundSeconds: 60 });
  await untilWitnessed(server, house);
  await server.stop();
  const copy = join(makeFolder(), 'data');
  cpSync(site.data, copy, { recursive: true });

  await server.start();
  for (let i = 0; i < 5; i++) await useKey(server, house);
  await untilWitnessed(server, house);
  await server.stop();

  renameSync(site.data, `${site.data}-forward`);
  renameSync(copy, site.data);
  const put = await ServerProcess.start(site.data);
  assert.equal(put.state, 'recovery');
  assert.match(String(put.output), /witness w0/);
  assert.equal(await useKey(put, house), 'server.in_recovery');
  await put.stop();

  // Nothing but the witness could know: without it the copy looks whole.
  await witness.kill();
  const alone = await ServerProcess.start(site.data);
  assert.equal(alone.state, 'ready');
  await alone.stop();

  // The directory that went on is the one that the witness knows.
  renameSync(site.data, `${site.data}-back`);
  renameSync(`${site.data}-forward`, site.data);
  await witness.start();
  await server.start();
  assert.equal(await useKey(server, house), 'released');
  await server.stop();
});

test('where witnesses are required, a server waits for them at start, unless an operator says otherwise [URS-080]', async () => {
  const site = await sqliteSite();
  const house = await openWitnessedHouse(site);
  const { server, tenant } = house;
  const keys = await verifierKeysOf(house);
  const witness = await CosignerProcess.make('witness', 'witness.example/one', [keys]);
  await setPolicy(house, { policy: policyOf([witness], 'all'), mode: 'required', boundSeconds: 3600 });
  await untilWitnessed(server, house);
  await server.stop();
  await witness.kill();

  const waiting = await ServerProcess.start(site.data);
  assert.equal(waiting.state, 'recovery');
  assert.equal(await useKey(waiting, house), 'server.in_recovery');
  await witness.start();
  await until('the witness was asked', async () => (await useKey(waiting, house)) === 'released');
  await waiting.stop();

  await witness.kill();
  const forced = await ServerProcess.start(site.data, { args: ['--without-witnesses'] });
  assert.equal(forced.state, 'ready');
  assert.equal(await useKey(forced, house), 'released');
  const administrator = clientOf(forced, site.administrator.secret);
  assert.equal((await askLedger(administrator, { operation: 'witnessing.skip' })).length, 1);
  assert.equal(tenant.name, 'Sponsor');
  await forced.stop();
});

test(
  'two servers on one PostgreSQL have one ledger cosigned, and both hold back together [URS-034]',
  { skip: postgresMissing },
  async () => {
    const site = await postgresSite();
    const house = await openWitnessedHouse(site);
    const keys = await verifierKeysOf(house);
    const witness = await CosignerProcess.make('witness', 'witness.example/one', [keys]);
    await setPolicy(house, { policy: policyOf([witness], 'all'), mode: 'required', boundSeconds: 5 });
    const use = async (code: string): Promise<boolean> =>
      (await Promise.all(site.nodes.map((node) => useKey(node, house)))).every((one) => one === code);
    await Promise.all(Array.from({ length: 30 }, (_, i) => useKey(site.nodes[i % 2 === 0 ? 0 : 1], house)));
    for (const node of site.nodes) await untilWitnessed(node, house);
    assert.ok(await use('released'));
    await site.nodes[0].kill();
    await untilWitnessed(site.nodes[1], house);
    await site.startAll();
    await witness.kill();
    await until('both withhold', () => use('ledger.unwitnessed'));
    await witness.start();
    await until('both release', () => use('released'));
    const log = `select id from log where tenant is not null`;
    assert.equal(
      await site.count(
        `select count(*) from (select size from ledger_cosignature where log in (${log}) group by log, size, cosigner having count(*) > 1) as twice`,
      ),
      0,
    );
    await Promise.all(site.nodes.map((node) => node.stop()));
  },
);
