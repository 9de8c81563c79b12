import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { codeOf } from './dual-control/house.ts';
import { answerOf, asCaller, clientOf, makeFolder, ServerProcess, trialkeep } from './harness.ts';
import { sqliteSite, until } from './nodes.ts';
import { askLedger } from './tenant.ts';
import { mirrorOf, openWitnessedHouse, setPolicy, useKey, verifierKeysOf } from './witnessed/house.ts';
import { CosignerProcess } from './witnessed/processes.ts';

interface CaughtUp {
  readonly logs: {
    readonly origin: string;
    readonly from: number;
    readonly to?: number;
    readonly lost: string[];
  }[];
  readonly reasons: string[];
}

const plaintext = 'c2FtcGxl';
const reason = 'After the backup.';

/** A tenant whose log has a mirror, with keys and credentials to come to grief. */
async function arrange() {
  const site = await sqliteSite();
  const house = await openWitnessedHouse(site);
  const { server, tenant } = house;
  const keys = await verifierKeysOf(house);
  const mirror = await CosignerProcess.make('mirror', 'sponsor.example/mirror', [keys]);
  const mode = 'background' as const;
  const setting = { policy: 'quorum none\n', mirrors: [mirrorOf(mirror)], mode };
  await setPolicy(house, { ...setting, boundSeconds: 3600 });
  const custodian = clientOf(server, tenant.credentials.custodian.secret);
  const { system, key } = tenant;
  const newKey = async () => (await custodian.call('keys.create', { system })).id;
  const [suspended, rotated, compromised] = [await newKey(), await newKey(), await newKey()];
  const issue = () =>
    custodian.call('credentials.issue', { name: 'EDC', role: 'service', system, keys: [rotated, key] });
  const [revoked, kept] = [await issue(), await issue()];
  const before = await clientOf(server, kept.secret).call('keys.encrypt', { key: rotated, plaintext });
  assert.equal(await useKey(server, house), 'released');
  const origin = keys.split('+', 1)[0] ?? '';
  return {
    ...house,
    house,
    setting,
    site,
    mirror,
    origin,
    custodian,
    newKey,
    suspended,
    rotated,
    compromised,
    revoked,
    kept,
    before,
  };
}
type World = Awaited<ReturnType<typeof arrange>>;

/** Takes rights away, and makes things, that a backup from before knows nothing of. */
async function change({ server, ada, ben, custodian, newKey, ...world }: World) {
  const { suspended, rotated, compromised, revoked, kept } = world;
  await custodian.call('keys.suspend', { key: suspended, reason });
  await custodian.call('keys.rotate', { key: rotated, reason });
  await custodian.call('keys.revoke', { key: compromised, cause: 'breach', reason });
  await custodian.call('credentials.revoke', { credential: revoked.credential.id, reason });
  await clientOf(server, ada.session).call('people.leave', { person: ben.id, reason });
  await setPolicy(world.house, { ...world.setting, boundSeconds: 1800 });
  await custodian.call('ledger.rotate-key', { reason });
  const keys = await verifierKeysOf(world.house);
  await world.mirror.add(keys);
  await custodian.call('ledger.retire-key', { reason });
  const made = await newKey();
  const after = await clientOf(server, kept.secret).call('keys.encrypt', { key: rotated, plaintext });
  return { made, after, keys };
}

/** The token that the mirror's readers show. */
const tokenOf = ({ mirror }: World): string =>
  readFileSync(join(mirror.folder, 'monitoring-tokens'), 'utf8').trim().split('\n').at(-1) ?? '';

async function untilMirrored(world: World, size: number): Promise<void> {
  const { mirror, origin } = world;
  const copy = `${mirror.url}/${createHash('sha256').update(origin).digest('hex')}/checkpoint`;
  const headers = { authorization: `Bearer ${tokenOf(world)}` };
  await until('the mirror has everything', async () => {
    const [, mirrored] = (await (await fetch(copy, { headers })).text()).split('\n');
    return Number(mirrored) > size;
  });
}

const outcomeOf = (call: Promise<unknown>): Promise<string> => call.then(() => 'released', codeOf);

/** What was taken away is, and what was lost is lost. */
async function assertInLine(
  restored: ServerProcess,
  world: World,
  { after }: Awaited<ReturnType<typeof change>>,
): Promise<void> {
  const { tenant, ben, suspended, rotated, compromised, revoked, kept, before } = world;
  const custodian = clientOf(restored, tenant.credentials.custodian.secret);
  const stateOf = async (key: string) => {
    const { key: shown } = await custodian.call('keys.show', { key });
    return [shown.state, shown.version];
  };
  assert.deepEqual(await stateOf(suspended), ['suspended', 1]);
  assert.deepEqual(await stateOf(compromised), ['compromised', 1]);
  assert.deepEqual(await stateOf(rotated), ['active', 3], 'a version in the place of the lost one');
  const { key } = tenant;
  const useAs = (secret: string) =>
    outcomeOf(clientOf(restored, secret).call('keys.encrypt', { key, plaintext }));
  assert.equal(await useAs(revoked.secret), 'auth.revoked');
  assert.equal(await useAs(kept.secret), 'released');
  assert.notEqual(await outcomeOf(clientOf(restored, ben.session).call('keys.list', {})), 'released');
  const service = clientOf(restored, kept.secret);
  const decrypt = (ciphertext: string) => service.call('keys.decrypt', { key: rotated, ciphertext });
  assert.equal((await decrypt(before.ciphertext)).plaintext, plaintext);
  assert.notEqual(
    await outcomeOf(decrypt(after.ciphertext)),
    'released',
    'what a lost version protected is lost',
  );
}

test('a restored server learns from a mirror what it has forgotten: the revoked stays revoked [URS-004] [URS-034] [URS-080]', async () => {
  const world = await arrange();
  const { site, server, tenant, mirror, origin, rotated, ben } = world;
  const { data } = site;
  const folder = makeFolder();
  const backup = join(folder, 'backup');
  await answerOf(['self', 'backup', backup, '--data', data]);
  const changed = await change(world);
  const asked = await askLedger(clientOf(server, tenant.credentials.auditor.secret));
  const newest = asked.length;
  await untilMirrored(world, newest);
  await server.stop();

  renameSync(join(data, 'state'), join(folder, 'lost'));
  await answerOf(['self', 'restore', backup, '--data', data]);
  const stale = await ServerProcess.start(data);
  assert.equal(stale.state, 'recovery');
  await stale.stop();

  const argv = ['self', 'catch-up', '--data', data, '--mirror', mirror.url];
  assert.match((await trialkeep(argv)).stderr, /mirror\.unreachable/, 'a mirror asks for a token');
  const tokenFile = join(folder, 'token');
  writeFileSync(tokenFile, tokenOf(world), { mode: 0o600 });
  argv.push('--token-file', tokenFile);
  assert.match(
    (await trialkeep(argv)).stderr,
    /mirror\.contradiction/,
    'the database knows none of the new keys',
  );
  for (const line of changed.keys.trim().split('\n')) argv.push('--key', line);
  const said = await trialkeep([...argv, '--json']);
  const done = JSON.parse(said.stdout) as CaughtUp;
  assert.deepEqual(done.reasons, []);
  const log = done.logs.find((each) => each.origin === origin);
  assert.ok(log?.to !== undefined && log.to > log.from && log.to > newest);
  const isLost = (text: string) => log.lost.some((sentence) => sentence.includes(text));
  assert.deepEqual([rotated, changed.made, 'signatures', ben.id].map(isLost), [true, true, true, false]);

  const restored = await ServerProcess.start(data);
  assert.equal(restored.state, 'ready');
  await assertInLine(restored, world, changed);
  // One history: the log goes on from what the mirror and the outside know, and verifies.
  const env = asCaller(restored, tenant.credentials.auditor.secret);
  const exported = await trialkeep(['ledger', 'export', join(folder, 'export'), '--json'], { env });
  const { signatures } = JSON.parse(exported.stdout) as { signatures: { findings: { code: string }[] } };
  const codes = new Set(signatures.findings.map(({ code }) => code));
  assert.deepEqual(
    [exported.status, [...codes]],
    [1, ['signature.missing']],
    'the log is whole, signatures are lost',
  );
  const auditor = clientOf(restored, tenant.credentials.auditor.secret);
  const entries = await askLedger(auditor);
  const ids = (all: typeof entries) => all.slice(0, newest).map(({ entry }) => entry);
  assert.deepEqual(ids(entries), ids(asked));
  assert.ok(entries.some(({ operation }) => operation === 'instance.catch-up'));
  await mirror.add(await auditor.call('ledger.verifier-key', {}));
  assert.equal(await restored.stop(), 0);
  const again = await trialkeep([...argv, '--json']);
  const repeated = JSON.parse(again.stdout) as CaughtUp;
  assert.deepEqual(repeated.reasons, [], 'a second time changes nothing');
  assert.deepEqual(
    repeated.logs.flatMap(({ lost }) => lost),
    [],
  );
});
