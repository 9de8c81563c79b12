import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { awaitApproval, createClient } from '@trialkeep/sdk/client';
import { openFile, sealFile, serverKeys } from '@trialkeep/sdk/seal';
import { placesIn, ProcessWatch, sightings } from './canaries.ts';
import type { Canary, Place } from './canaries.ts';
import {
  answerOf,
  ask,
  clientOf,
  home,
  makeFolder,
  newInstallation,
  send,
  ServerProcess,
  trialkeep,
} from './harness.ts';
import type { Installation, RunOptions } from './harness.ts';
import {
  approve,
  CodeClock,
  decodeBase32,
  enrol,
  invitePeople,
  readRequest,
  signIn,
  wrongCode,
} from './people.ts';
import type { Person, SignedIn } from './people.ts';
import { newTenant } from './tenant.ts';
import type { Tenant } from './tenant.ts';

const canaries: Canary[] = [];
/** A string that occurs nowhere else, to be planted and looked for. */
function plant(name: string): string {
  const secret = `canary-${randomBytes(12).toString('hex')}`;
  canaries.push({ name, secret });
  return secret;
}

/** The user's own files: sources, opened files, profiles. */
const own = makeFolder();
/** What the system wrote for the user: sealed files, exports, backups. */
const written = makeFolder();
const watch = new ProcessWatch();
let installation: Installation;
let server: ServerProcess;
let tenant: Tenant;
/** What servers that have ended wrote to their logs. */
let earlierOutput: Uint8Array = new Uint8Array();

const at = (name: string): string => join(own, name);

before(async () => {
  installation = await newInstallation();
  server = await ServerProcess.start(installation.data, { env: { TRIALKEEP_LOG_LEVEL: 'trace' } });
  tenant = await newTenant(server, installation.administrator.secret, 'Sponsor');
  const passphrase = readFileSync(join(installation.data, 'root', 'passphrase'), 'utf8').trim();
  canaries.push({ name: 'the passphrase', secret: passphrase, allowedIn: [join('root', 'passphrase')] });
  canaries.push({ name: "the administrator's credential", secret: installation.administrator.secret });
  const profiles: Record<string, object> = {};
  for (const [role, { secret }] of Object.entries(tenant.credentials)) {
    canaries.push({ name: `the credential of the ${role}`, secret });
    profiles[role] = { url: server.url, credential: secret };
  }
  mkdirSync(at('trialkeep'));
  writeFileSync(at('trialkeep/profiles.json'), JSON.stringify({ profiles }), { mode: 0o600 });
});
after(() => watch.stop());

/** The command as its users call it: credentials from the profile file, anything secret from standard input. */
const options = (stdin?: string): RunOptions => ({
  cwd: own,
  env: { XDG_CONFIG_HOME: own },
  onStart: (processId) => watch.follow(processId),
  ...(stdin !== undefined && { stdin }),
});

async function command<Answer>(argv: string[], profile: string, stdin?: string) {
  return answerOf<Answer>([...argv, '--profile', profile], options(stdin));
}

/** All that the system wrote so far, and shows to others. */
function places(): Place[] {
  return [
    ...placesIn(installation.data),
    ...placesIn(written),
    ...placesIn(join(home, 'temporary')),
    ['the output of the server', Buffer.concat([earlierOutput, server.output])],
    ...watch.places,
  ];
}

/** Every way in which something secret comes to the command. */
async function runCommands(): Promise<void> {
  const { study, system, key } = tenant;
  const number = plant('a subject number');
  const { subjects } = await command<{ subjects: { alias: string }[] }>(
    ['subject', 'create', '--study', study],
    'service',
    `${number}\n`,
  );
  const subject = subjects[0]?.alias ?? '';
  const context = ['--key', key, '--context', `study=${study}`, '--context', `subject=${subject}`];

  // The user names the file on the command line; what the system makes of it has another name.
  const fileName = `canary-${randomBytes(12).toString('hex')}.txt`;
  canaries.push({ name: 'the name of a file', secret: fileName, allowedIn: ['cmdline of a process'] });
  writeFileSync(at(fileName), `${plant('the content of a file')}\n`.repeat(20_000));
  const sealed = join(written, 'file.sealed');
  await command(['seal', fileName, '--out', sealed, ...context], 'service');
  await command(['open', sealed, '--out', 'opened'], 'service');
  assert.ok(readFileSync(at('opened')).equals(readFileSync(at(fileName))));

  const plaintext = plant('the plaintext of encrypt');
  const ciphertext = join(written, 'ciphertext');
  await command(['encrypt', ...context, '--out', ciphertext], 'service', plaintext);
  const decrypt = ['decrypt', ...context, '--in', ciphertext, '--out', 'decrypted', '--reason', '-'];
  await command(decrypt, 'service', plant('the reason of a decryption'));
  assert.equal(readFileSync(at('decrypted'), 'utf8'), plaintext);

  const { id: second } = await command<{ id: string }>(['key', 'create', '--system', system], 'custodian');
  for (const verb of ['rotate', 'suspend', 'resume']) {
    await command(['key', verb, second, '--reason', '-'], 'custodian', plant(`the reason to ${verb}`));
  }
  const revoke = ['key', 'revoke', second, '--cause', 'breach', '--reason', '-'];
  await command(revoke, 'custodian', plant('the reason of a revocation'));
  const issue = [
    'system',
    'credential',
    'issue',
    'short-lived',
    '--role',
    'auditor',
    '--save-profile',
    'short-lived',
  ];
  const { credential } = await command<{ credential: { id: string } }>(issue, 'custodian');
  const { credential: secret } = profiles()['short-lived'] ?? assert.fail();
  canaries.push({ name: 'an issued credential', secret });
  const end = ['system', 'credential', 'revoke', credential.id, '--reason', '-'];
  await command(end, 'custodian', plant('the reason to revoke a credential'));
  await command(['ledger', 'export', join(written, 'ledger')], 'auditor');
}

/** Somebody whom the command lets in, all of whose secrets are planted. */
async function joinByCommand(login: string): Promise<Person> {
  const { person, invitation } = await command<{ person: { id: string }; invitation: { secret: string } }>(
    ['person', 'invite', 'Ada Lind', '--login', login, '--role', 'approver'],
    'custodian',
  );
  canaries.push({ name: 'an invitation', secret: invitation.secret });
  const url = ['--url', server.url];
  const answer = <T>(argv: string[], ...lines: string[]) =>
    answerOf<T>([...argv, ...url], options(lines.join('\n')));
  const { totp } = await answer<{ totp: { secret: string } }>(['join', 'begin'], invitation.secret);
  const codes = new CodeClock(totp.secret);
  const password = plant('a password');
  await answer(['join', 'finish'], invitation.secret, password, await codes.next());
  const signIn = ['sign-in', '--login', login, '--tenant', tenant.id, '--save-as', login];
  await answer(signIn, password, await codes.next());
  return { id: person.id, name: 'Ada Lind', login, password, totpSecret: totp.secret, codes };
}

/** Plants what a person proves themselves with: after all of it was used. */
function plantProofs({ totpSecret, password, codes }: Person, session: string): void {
  canaries.push({ name: 'the password of a person', secret: password });
  canaries.push({ name: 'the session of a person', secret: session });
  canaries.push({ name: 'a generator', secret: totpSecret });
  canaries.push({ name: 'the key of a generator', secret: decodeBase32(totpSecret) });
  for (const secret of codes.given) canaries.push({ name: 'a one-time code', secret, alone: true });
}

/** The credentials and sessions that the profile file keeps. */
function profiles(): Record<string, { url: string; credential: string }> {
  const kept = JSON.parse(readFileSync(at('trialkeep/profiles.json'), 'utf8')) as {
    profiles: Record<string, { url: string; credential: string }>;
  };
  return kept.profiles;
}

/** Everything by which people let themselves in, ask for something, and sign. */
async function runPeople(): Promise<void> {
  const ada = await joinByCommand('ada.lind');
  const manager = tenant.credentials.custodian.secret;
  const invited = await invitePeople(server, manager, [
    { name: 'Rosa Berg', login: 'rosa.berg', roles: ['custodian'] },
    { name: 'Otto Falk', login: 'otto.falk', roles: ['approver'] },
  ]);
  for (const { invitation } of invited) canaries.push({ name: 'an invitation', secret: invitation });
  const [rosa, otto] = (await Promise.all(
    invited.map(async ({ invitation }) => {
      const person = await enrol(server, invitation);
      return { ...person, session: await signIn(server, person, { tenant: tenant.id }) };
    }),
  )) as [SignedIn, SignedIn];
  const file = { ...profiles(), rosa: { url: server.url, credential: rosa.session } };
  writeFileSync(at('trialkeep/profiles.json'), JSON.stringify({ profiles: file }), { mode: 0o600 });

  const { id: spent } = await command<{ id: string }>(['key', 'create', '--system', tenant.system], 'rosa');
  const revoke = ['key', 'revoke', spent, '--cause', 'cessation', '--reason', '-'];
  await command(revoke, 'rosa', plant('the reason of a cessation'));
  const request = async (reason: string): Promise<string> => {
    const argv = ['key', 'schedule-destruction', spent, '--reason', '-', '--profile', 'rosa', '--json'];
    const ran = await trialkeep(argv, options(reason));
    assert.equal(ran.status, 3, ran.stderr);
    return (JSON.parse(ran.stdout) as { pending: { approval: string } }).pending.approval;
  };
  const withdrawn = await request(plant('the reason of a request'));
  const cancel = ['approval', 'cancel', withdrawn, '--reason', '-'];
  await command(cancel, 'rosa', plant('the reason to take back a request'));

  // An export holds what was signed: whoever reads it has to see what people signed.
  const signed = plant('the reason of a signed request');
  const name = 'signatures.jsonl';
  canaries.splice(-1, 1, { name: 'the reason of a signed request', secret: signed, allowedIn: [name] });
  const approval = await request(signed);
  const { hash } = await readRequest(server, otto.session, approval);
  const deny = { approval, hash, reason: plant('the reason of a denial') };
  const refused = await ask(
    server,
    'approvals.deny',
    { ...deny, signature: { password: plant('a password that is wrong'), code: wrongCode(otto) } },
    `Bearer ${otto.session}`,
  );
  assert.equal(refused.status, 401, refused.text);
  const lines = `${ada.password}\n${await ada.codes.next()}`;
  await command(['approval', 'approve', approval, '--yes'], 'ada.lind', lines);
  await approve(server, otto.session, otto, approval);
  const ended = await awaitApproval(clientOf(server, rosa.session), approval, { pollMs: 50 });
  assert.equal(ended.state, 'executed');
  plantProofs(ada, profiles()['ada.lind']?.credential ?? assert.fail());
  for (const person of [rosa, otto]) plantProofs(person, person.session);
}

/** Sign-ins that fail, with something secret in every part of them. */
async function mistakeSignIns(): Promise<void> {
  const given = {
    tenant: tenant.id,
    login: 'otto.falk',
    password: plant('a wrong password'),
    code: '000000',
  };
  const refused: { status: number }[] = [
    await ask(server, 'sessions.create', given),
    await ask(server, 'sessions.create', { ...given, login: plant('a password in the place of a name') }),
    await ask(server, 'sessions.create', { ...given, code: plant('a password in the place of a code') }),
    await ask(server, 'sessions.create', { ...given, tenant: plant('a password in the place of a tenant') }),
    await ask(server, 'sessions.create', { ...given, [plant('an unknown field of a sign-in')]: 1 }),
    await ask(server, 'enrolment.finish', { password: plant('a password of nobody'), code: '000000' }),
    await ask(server, 'enrolment.begin', {}, `Bearer tki_${plant('half an invitation')}`),
    await ask(server, 'sessions.current', {}, `Bearer tks_${plant('half a session')}`),
  ];
  assert.ok(refused.every(({ status }) => status >= 400));
}

/** The SDK at work, with what passes between it and the server looked at. */
async function runSdk(): Promise<void> {
  const recording: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    const url = input instanceof Request ? input.url : String(input);
    if (!url.includes('/data-keys')) return response;
    const answer = (await response.clone().json()) as { plaintext: string };
    canaries.push({ name: 'a data key', secret: Buffer.from(answer.plaintext, 'base64') });
    return response;
  };
  const { secret: credential } = tenant.credentials.service;
  const client = createClient({ url: server.url, credential, fetch: recording });
  const { key, study, subject } = tenant;
  for (const context of [{}, { study }, { study, subject, class: 'ecg' }]) {
    const name = randomBytes(8).toString('hex');
    writeFileSync(at(name), plant('the content of a file sealed by the SDK'));
    await sealFile(serverKeys(client, { key }), { context, source: at(name), target: join(written, name) });
    await openFile(serverKeys(client), { source: join(written, name), target: at(`${name}.opened`) });
  }
  assert.equal(canaries.filter(({ name }) => name === 'a data key').length, 6);
}

/** Requests that are refused, or fail, with something secret in every part of them. */
async function makeMistakes(): Promise<void> {
  const { key, study } = tenant;
  const [custodian, service] = (['custodian', 'service'] as const).map(
    (role) => `Bearer ${tenant.credentials[role].secret}`,
  );
  const refused: { status: number }[] = [
    await ask(
      server,
      'subjects.create',
      { study, number: plant('an over-long number').repeat(3) },
      custodian,
    ),
    await ask(server, 'subjects.create', { study: key, number: plant('a number for no study') }, custodian),
    await ask(server, 'subjects.create', { study, name: plant('a name in an unknown field') }, custodian),
    await ask(server, 'subjects.create', { study, [plant('an unknown field')]: 1 }, custodian),
    await ask(server, 'subjects.create', { study, number: plant('a number from nobody') }),
    await ask(server, 'keys.encrypt', { key, plaintext: `${plant('no base64')}!` }, service),
    await ask(
      server,
      'keys.encrypt',
      { key, plaintext: '', context: { subject: plant('a subject by name') } },
      service,
    ),
    await ask(
      server,
      'keys.decrypt',
      { key, ciphertext: '', reason: plant('the reason of a failure') },
      service,
    ),
    await ask(server, 'keys.rotate', { key, reason: plant('what somebody gives who may not') }, service),
    await ask(server, 'keys.show', { key: plant('a path') }, custodian),
    await send(server, `/v1/subjects/${plant('an unknown path')}`, { authorization: custodian }),
    await send(server, `/v1/keys?name=${plant('a query')}`, { authorization: custodian }),
    await send(server, '/v1/keys', { authorization: `Bearer ${plant('an unknown credential')}` }),
    await send(server, '/v1/keys', { authorization: `Basic ${plant('another kind of credential')}` }),
    await send(server, '/v1/studies', {
      method: 'POST',
      body: `{"protocol":"${plant('broken JSON')}`,
      authorization: custodian,
    }),
    await send(server, '/v1/studies', {
      method: 'POST',
      body: plant('a form'),
      type: 'text/plain',
      authorization: custodian,
    }),
    await send(server, '/v1/studies', { method: 'POST', body: `"${plant('a large body').repeat(10_000)}"` }),
  ];
  assert.ok(refused.every(({ status }) => status >= 400));
  // A context is bound and recorded; what it says of our own names is nobody's business but the payload's.
  const context = { remark: plant('a value of a context') };
  const encrypted = await ask(server, 'keys.encrypt', { key, plaintext: '', context }, service);
  assert.equal(encrypted.status, 200);
}

test('nothing secret is in anything that the system writes, logs or shows [URS-043] [URS-008] [URS-037]', async () => {
  watch.look(server.processId);
  await runPeople();
  await runCommands();
  await runSdk();
  await makeMistakes();
  await mistakeSignIns();
  await answerOf(['self', 'backup', join(written, 'backup'), '--data', installation.data], options());

  const shown = await trialkeep(['ledger', 'show', '--payload', '--profile', 'auditor', '--json'], options());
  for (const { name, secret } of canaries.filter((canary) => canary.name.startsWith('the reason'))) {
    assert.equal(shown.stdout.includes(secret as string), true, `${name} is not on the record`);
  }
  const exported = readFileSync(join(written, 'ledger', 'signatures.jsonl'), 'utf8');
  const signed = canaries.find(({ name }) => name === 'the reason of a signed request');
  assert.ok(exported.includes(signed?.secret as string), 'the signatures are exported');
  const inTheMiddle = places();
  assert.ok(inTheMiddle.some(([name, bytes]) => name.endsWith('trialkeep.db-wal') && bytes.length > 0));
  assert.ok(watch.places.length > 20, 'the processes were looked at');
  assert.deepEqual(sightings(canaries, inTheMiddle), []);
});

test('nothing secret is left after a crash, and none after an orderly end [URS-043] [URS-008]', async () => {
  await server.kill();
  earlierOutput = server.output;
  assert.deepEqual(sightings(canaries, places()), []);
  server = await ServerProcess.start(installation.data, { env: { TRIALKEEP_LOG_LEVEL: 'trace' } });
  assert.equal(await server.stop(), 0);
  assert.deepEqual(sightings(canaries, places()), []);
});
