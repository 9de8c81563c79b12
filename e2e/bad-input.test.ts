import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { before, test } from 'node:test';
import type { ErrorCode, OperationId } from '@trialkeep/contract';
import { ask, clientOf, errorOf, newInstallation, send, ServerProcess } from './harness.ts';
import type { Answer, RawRequest } from './harness.ts';
import { askLedger, newSystem, newTenant } from './tenant.ts';
import type { Tenant, TenantRole } from './tenant.ts';

let server: ServerProcess;
let tenant: Tenant;
/** A key of another system of the same tenant, named by another service. */
let other: { readonly key: string; readonly secret: string };
const nothing = randomUUID();
const longAgo = Date.UTC(2020, 0, 1);
const laterOn = Date.UTC(2120, 0, 1);

before(async () => {
  const installation = await newInstallation();
  server = await ServerProcess.start(installation.data);
  tenant = await newTenant(server, installation.administrator.secret, 'Sponsor');
  const custodian = clientOf(server, tenant.credentials.custodian.secret);
  const { system, key } = await newSystem(custodian, 'Other EDC');
  const service = { name: 'other', role: 'service' as const, system, keys: [key] };
  other = { key, secret: (await custodian.call('credentials.issue', service)).secret };
});

const bearer = (role: TenantRole): string => `Bearer ${tenant.credentials[role].secret}`;

/** All that a half-done request could have left in the tenant. */
async function inventory(): Promise<object> {
  const client = clientOf(server, tenant.credentials.custodian.secret);
  return {
    studies: await client.call('studies.list', {}),
    systems: await client.call('systems.list', {}),
    subjects: await client.call('subjects.list', { study: tenant.study }),
    credentials: await client.call('credentials.list', {}),
    keys: (await client.call('keys.list', {})).keys.map(({ lastUse: _lastUse, ...key }) => key),
    key: await client.call('keys.show', { key: tenant.key }),
  };
}

function assertError(answer: Answer, code: ErrorCode, what: string, field?: string): void {
  assert.notEqual(answer.status, 200, what);
  const error = errorOf(answer);
  assert.equal(error.code, code, `${what}: ${answer.text}`);
  assert.ok(error.message.length > 10 && error.fix.length > 10, answer.text);
  if (field !== undefined) assert.equal(error.field, field, what);
}

/** `code` is `request.invalid` unless another is named; `field` is the JSON pointer that the answer names. */
type Case = readonly [what: string, input: object, field: string, code?: ErrorCode];
type Cases = { readonly [Id in OperationId]?: () => readonly Case[] };

const bytes = (length: number): string => Buffer.alloc(length).toString('base64');
const contextOf = (pairs: number, value: string) =>
  Object.fromEntries(Array.from({ length: pairs }, (_, i) => [`name${i}`, value]));

const badRequests: Cases = {
  'studies.create': () => [
    ['an over-long field', { protocol: 'x'.repeat(201) }, '/protocol'],
    ['an empty field', { protocol: 'x', title: '' }, '/title'],
    ['a missing field', { title: 'x' }, '/'],
    ['an unknown field', { protocol: 'x', sponsor: 'y' }, '/sponsor'],
    ['a field called __proto__', JSON.parse('{"protocol":"x","__proto__":{}}') as object, '/__proto__'],
    [
      'an unknown field of 100,000 letters',
      { protocol: 'x', ['n'.repeat(100_000)]: 1 },
      `/${'n'.repeat(199)}`,
    ],
    ['a control character', { protocol: 'x\u0000' }, '/protocol'],
    ['text that is not Unicode', { protocol: 'x\ud800' }, '/protocol'],
    ['a number for a text', { protocol: 256 }, '/protocol'],
  ],
  'subjects.create': () => {
    const { study } = tenant;
    return [
      ['an over-long subject number', { study, number: 'n'.repeat(65) }, '/number'],
      ['a subject number that is not Unicode', { study, number: '1\ud800' }, '/number'],
      ['a number for a text', { study, number: 1001 }, '/number'],
      ['a study that does not exist', { study: nothing, number: '1' }, '/study', 'study.unknown'],
    ];
  },
  'keys.create': () => {
    const { system } = tenant;
    const early = { system, activatesAt: laterOn, expiresAt: laterOn - 1 };
    return [
      ['a text for a number', { system, rotationPeriodDays: '90' }, '/rotationPeriodDays'],
      ['a fraction', { system, rotationPeriodDays: 90.5 }, '/rotationPeriodDays'],
      ['a rotation period too short', { system, rotationPeriodDays: 59 }, '/rotationPeriodDays'],
      ['a rotation period too long', { system, rotationPeriodDays: 181 }, '/rotationPeriodDays'],
      ['an algorithm that is not approved', { system, algorithm: 'DES' }, '/algorithm'],
      ['an expiry in the past', { system, expiresAt: longAgo }, '/expiresAt', 'date.past'],
      ['an activation in the past', { system, activatesAt: longAgo }, '/activatesAt', 'date.past'],
      ['an expiry before the activation', early, '/expiresAt', 'date.order'],
      ['a date beyond all dates', { system, expiresAt: 1e300 }, '/expiresAt'],
      ['a system that does not exist', { system: nothing }, '/system', 'system.unknown'],
      ['an id in another form', { system: system.toUpperCase() }, '/system'],
    ];
  },
  'credentials.issue': () => {
    const { system, key } = tenant;
    const service = { name: 'x', role: 'service' };
    const auditor = { name: 'x', role: 'auditor' };
    return [
      ['a role that nobody can give', { name: 'x', role: 'instance-administrator' }, '/role'],
      ['a service without a system', service, '/system', 'credential.scope'],
      ['a service without a key', { ...service, system }, '/keys', 'credential.scope'],
      ['keys for an auditor', { ...auditor, keys: [key] }, '/keys', 'credential.scope'],
      ['a key of another system', { ...service, system, keys: [other.key] }, '/keys/0', 'key.foreign_system'],
      ['a key that does not exist', { ...service, system, keys: [nothing] }, '/keys/0', 'key.unknown'],
      ['the same key twice', { ...service, system, keys: [key, key] }, '/keys'],
      ['an end in the past', { ...auditor, expiresAt: longAgo }, '/expiresAt', 'date.past'],
      [
        'data recovery without end',
        { ...auditor, role: 'data-recovery' },
        '/expiresAt',
        'credential.expiry_required',
      ],
    ];
  },
  'credentials.revoke': () => {
    const custodian = { credential: tenant.credentials.custodian.id, reason: 'x' };
    return [
      ['an unknown credential', { credential: nothing, reason: 'x' }, '/credential', 'credential.unknown'],
      ['the last custodian', custodian, '/credential', 'credential.last_custodian'],
    ];
  },
  'keys.show': () => [['an unknown key', { key: nothing }, '/key', 'key.unknown']],
  'keys.list': () => [
    ['an unknown filter', { colour: 'red' }, '/colour'],
    ['a cursor that is none', { cursor: '0' }, '/cursor'],
  ],
  'inventory.find': () => [
    ['a cursor that is none', { cursor: '0' }, '/cursor'],
    ['an order that is none', { order: 'colour' }, '/order'],
  ],
  'inventory.as-of': () => [
    ['a time to come', { asOf: Date.now() + 86_400_000 }, '/asOf', 'inventory.future'],
    ['a time before the ledger', { asOf: 1 }, '/asOf', 'inventory.before_ledger'],
  ],
  'keys.rotate': () => [
    ['an over-long reason', { key: tenant.key, reason: 'r'.repeat(2001) }, '/reason'],
    ['an id that is none', { key: 'not-a-key' }, '/key'],
  ],
  'keys.suspend': () => [['a missing reason', { key: tenant.key }, '/']],
  'keys.resume': () => [
    ['what is active', { key: tenant.key, reason: 'x' }, '/key', 'key.transition_undefined'],
  ],
  'keys.revoke': () => [['an unknown cause', { key: tenant.key, cause: 'whim', reason: 'x' }, '/cause']],
  'keys.encrypt': () => {
    const sent = { key: tenant.key, plaintext: '' };
    const withContext = (context: object) => ({ ...sent, context });
    const { subject } = tenant;
    const unknown = { study: tenant.study, subject: '0'.repeat(32) };
    return [
      ['a plaintext that is not base64', { ...sent, plaintext: 'no base64!' }, '/plaintext'],
      ['a second encoding of the same byte', { ...sent, plaintext: 'AR==' }, '/plaintext'],
      ['a plaintext over 64 KiB', { ...sent, plaintext: bytes(65_537) }, '/plaintext', 'request.too_large'],
      ['a key that does not exist', { ...sent, key: nothing }, '/key', 'key.unknown'],
      ['too many pairs of context', withContext(contextOf(17, 'x')), '/context'],
      ['too long a context', withContext(contextOf(16, 'é'.repeat(512))), '/context', 'context.invalid'],
      ['a number in the context', withContext({ name: 5 }), '/context/name'],
      ['a context name that is not ASCII', withContext({ é: 5 }), '/context/é'],
      ['an empty context name', withContext({ '': 'x' }), '/context/'],
      [
        "one of the server's names",
        withContext({ 'trialkeep:x': '' }),
        '/context/trialkeep:x',
        'context.invalid',
      ],
      ['a class in another form', withContext({ class: 'A B' }), '/context/class', 'context.invalid'],
      ['a subject without its study', withContext({ subject }), '/context/subject', 'context.invalid'],
      ['an unknown study', withContext({ study: nothing }), '/context/study', 'study.unknown'],
      ['an unknown subject', withContext(unknown), '/context/subject', 'subject.unknown'],
    ];
  },
  'ledger.query': () => [
    ['a page too large', { limit: 1001 }, '/limit'],
    ['a number as text', { limit: '10' }, '/limit'],
    ['a cursor that nobody gave', { cursor: '-1' }, '/cursor'],
  ],
  'ledger.payload': () => [['an unknown entry', { entry: nothing }, '/entry', 'entry.unknown']],
  'ledger.tile': () => [
    ['a way out of the log', { path: '..%2F..%2Fetc%2Fpasswd' }, '/path'],
    ['a tile that is not there yet', { path: '0/999' }, '/path', 'tile.unknown'],
  ],
};

test('a request of the wrong form is refused by field, changes nothing, and is on the record [URS-032]', async () => {
  const unchanged = await inventory();
  const reader = clientOf(server, tenant.credentials.auditor.secret);
  const earlier = (await askLedger(reader, { outcome: 'refused' })).length;
  const expected: string[] = [];
  for (const [operation, cases] of Object.entries(badRequests)) {
    const id = operation as OperationId;
    const role = id === 'keys.encrypt' ? 'service' : 'custodian';
    for (const [what, input, field, code = 'request.invalid'] of cases()) {
      assertError(await ask(server, id, input, bearer(role)), code, `${id}: ${what}`, field);
      expected.push(`${id} ${code}`);
    }
  }
  const recorded = (await askLedger(reader, { outcome: 'refused' })).slice(earlier);
  assert.deepEqual(
    recorded.map(({ operation, code }) => `${operation} ${code}`),
    expected,
  );
  assert.deepEqual(await inventory(), unchanged);
});

test('what is no request of the API gets an answer of the API', async () => {
  const unchanged = await inventory();
  const { key, study } = tenant;
  const post = (body: string, more: RawRequest = {}): RawRequest => ({ method: 'POST', body, ...more });
  const cases: [string, string, RawRequest, ErrorCode][] = [
    ['JSON cut off', '/v1/studies', post('{"protocol":'), 'request.invalid'],
    ['no object', '/v1/studies', post('["protocol"]'), 'request.invalid'],
    ['null', '/v1/studies', post('null'), 'request.invalid'],
    ['no body', '/v1/studies', { method: 'POST' }, 'request.invalid'],
    [
      'a form',
      '/v1/studies',
      post('protocol=x', { type: 'application/x-www-form-urlencoded' }),
      'request.invalid',
    ],
    ['100,000 brackets', '/v1/studies', post('['.repeat(100_000)), 'request.invalid'],
    [
      'a body over the limit',
      '/v1/studies',
      post(`{"protocol":"${'x'.repeat(300_000)}"}`),
      'request.too_large',
    ],
    [
      'a path field in the body',
      `/v1/studies/${study}/subjects`,
      post(JSON.stringify({ study, number: '1' })),
      'request.invalid',
    ],
    ['a path field in the query', `/v1/keys/${key}?key=${nothing}`, {}, 'request.invalid'],
    ['a filter twice', `/v1/keys?system=${nothing}&system=${nothing}`, {}, 'request.invalid'],
    ['an over-long path field', `/v1/keys/${'k'.repeat(1000)}`, {}, 'request.invalid'],
    ['a path that is not UTF-8', '/v1/keys/%ff', {}, 'request.invalid'],
    ['an unknown operation', '/v1/everything', {}, 'request.unknown_operation'],
    ['another method', '/v1/studies', { method: 'DELETE' }, 'request.unknown_operation'],
  ];
  for (const [what, target, request, code] of cases) {
    const answer = await send(server, target, { authorization: bearer('custodian'), ...request });
    assertError(answer, code, what);
  }
  assert.deepEqual(await inventory(), unchanged);
});

/** What an attacker makes of a ciphertext: every field of the compact form altered, parts cut off and exchanged, noise. */
function spoilt(ciphertext: Buffer, another: Buffer): [string, Buffer][] {
  const flips = [0, 1, 2, 18, 50, 82, ciphertext.length - 1].map((offset): [string, Buffer] => {
    const copy = Buffer.from(ciphertext);
    copy[offset] = (copy[offset] ?? 0) ^ 0x10;
    return [`bit flipped at ${offset}`, copy];
  });
  const cuts = [0, 1, 81, 97, ciphertext.length - 1].map((length): [string, Buffer] => {
    return [`cut off at ${length}`, ciphertext.subarray(0, length)];
  });
  return [
    ...flips,
    ...cuts,
    ['lengthened', Buffer.concat([ciphertext, Buffer.alloc(1)])],
    ['header of one, rest of another', Buffer.concat([ciphertext.subarray(0, 82), another.subarray(82)])],
    ['noise', randomBytes(ciphertext.length)],
  ];
}

test('no ciphertext opens but whole, under its own key and context [URS-047]', async () => {
  const { key, study, subject } = tenant;
  const context = { study, subject, class: 'ecg' };
  const client = clientOf(server, tenant.credentials.service.secret);
  const plaintext = randomBytes(40).toString('base64');
  const sealed = async () =>
    Buffer.from((await client.call('keys.encrypt', { key, context, plaintext })).ciphertext, 'base64');
  const dataKey = async () =>
    Buffer.from((await client.call('keys.generate-data-key', { key, context })).ciphertext, 'base64');
  const [small, anotherSmall, wrapped, anotherWrapped] = [
    await sealed(),
    await sealed(),
    await dataKey(),
    await dataKey(),
  ];
  const tries: [OperationId, string, object][] = [];
  for (const [id, own, another] of [
    ['keys.decrypt', small, anotherSmall],
    ['keys.decrypt-data-key', wrapped, anotherWrapped],
  ] as const) {
    const input = (ciphertext: Buffer) => ({ key, context, ciphertext: ciphertext.toString('base64') });
    assert.equal((await ask(server, id, input(own), bearer('service'))).status, 200);
    for (const [what, ciphertext] of spoilt(own, another)) tries.push([id, what, input(ciphertext)]);
    tries.push([id, 'another class', { ...input(own), context: { ...context, class: 'dicom' } }]);
    tries.push([id, 'no subject', { ...input(own), context: { study, class: 'ecg' } }]);
    tries.push([id, 'no context', { ...input(own), context: {} }]);
  }
  tries.push([
    'keys.decrypt-data-key',
    'no data key',
    { key, context, ciphertext: small.toString('base64') },
  ]);
  const reader = clientOf(server, tenant.credentials.auditor.secret);
  for (const [id, what, input] of tries) {
    const answer = await ask(server, id, input, bearer('service'));
    assertError(answer, 'ciphertext.invalid', `${id}: ${what}`, '/ciphertext');
    assert.ok(!answer.text.includes(plaintext));
  }
  const failed = await askLedger(reader, { outcome: 'failed' });
  assert.deepEqual(
    failed.map(({ operation, code }) => `${operation} ${code}`),
    tries.map(([id]) => `${id} ciphertext.invalid`),
  );
  const elsewhere = { key: other.key, context, ciphertext: small.toString('base64') };
  const foreign = await ask(server, 'keys.decrypt', elsewhere, `Bearer ${other.secret}`);
  assertError(foreign, 'ciphertext.invalid', "another system's key");
});
