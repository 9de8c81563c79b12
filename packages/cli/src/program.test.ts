import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cliErrors } from './errors.ts';
import { interrupted, runCommand } from './fixture.test.ts';
import { InvalidArgumentError } from 'commander';
import { parseInteger, parseTime } from './verb.ts';

const id = '6f6f6f6f-1111-4222-8333-444444444444';

/** Every verb, as it is called. */
const verbs = [
  'start',
  'server',
  'self init',
  'self backup',
  'self restore',
  'sign-in',
  'sign-out',
  'whoami',
  'join',
  'join begin',
  'join finish',
  'person invite',
  'person list',
  'person roles',
  'person reinvite',
  'person leave',
  'approval list',
  'approval show',
  'approval approve',
  'approval deny',
  'approval cancel',
  'approval wait',
  'signature list',
  'tenant create',
  'tenant list',
  'tenant seal',
  'tenant unseal',
  'tenant seal-state',
  'study create',
  'study list',
  'study reopen',
  'system create',
  'system list',
  'system credential issue',
  'system credential list',
  'system credential revoke',
  'subject create',
  'subject list',
  'subject erase',
  'key create',
  'key list',
  'key show',
  'key rotate',
  'key suspend',
  'key resume',
  'key revoke',
  'key schedule-destruction',
  'key cancel-destruction',
  'root-permit ask',
  'root-permit list',
  'hold place',
  'hold release',
  'hold list',
  'holder register',
  'holder attest',
  'holder list',
  'encrypt',
  'decrypt',
  'seal',
  'open',
  'ledger show',
  'ledger export',
  'ledger checkpoint',
  'ledger verifier-key',
  'payload redact',
  'stream syslog',
  'stream otlp',
  'verify',
];

test('every verb has --help and --json, and none takes a credential or a subject number', async () => {
  for (const verb of verbs) {
    const { status, stdout, stderr } = await runCommand([...verb.split(' '), '--help']);
    assert.deepEqual([status, stderr], [0, ''], verb);
    assert.match(stdout, new RegExp(`^Usage: trialkeep ${verb}\\b`), verb);
    assert.match(stdout, /--json/, verb);
    assert.doesNotMatch(stdout, /--(credential|secret|number|password|code|invitation)\b/, verb);
  }
});

test('the help of the program names every word, and --version the version', async () => {
  const { status, stdout } = await runCommand(['--help']);
  assert.equal(status, 0);
  for (const word of new Set(verbs.map((verb) => verb.split(' ')[0])))
    assert.match(stdout, new RegExp(`^  ${word} `, 'm'));
  assert.match((await runCommand(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
  assert.match((await runCommand(['help', 'key'])).stdout, /revoke/);
});

test('what is not a command line ends with status 2, a sentence and the fix', async () => {
  const lines: [string[], RegExp][] = [
    [['nonsense'], /unknown command 'nonsense'/],
    [['key', 'nonsense'], /unknown command 'nonsense'/],
    [['key', 'list', '--nonsense'], /unknown option '--nonsense'/],
    [['key', 'revoke', id], /required option '--cause <cause>'/],
    [['key', 'revoke', id, '--cause', 'boredom', '--reason', 'x'], /device-compromise/],
    [['key', 'create', '--system', id, '--expires', 'tomorrow'], /2027-01-31/],
    [['key', 'create', '--system', id, '--rotation-days', '30'], /from 60 to 180/],
    [['encrypt', '--key', id, '--context', 'study'], /name=value/],
    [['encrypt', '--key', id, '--context', 'a=1', '--context', 'a=2'], /twice/],
    [['seal', 'a', 'b', '--key', id, '--out', 'c'], /--out-dir/],
    [['seal', 'x/a', 'y/a', '--key', id, '--out-dir', 'c'], /two files would become c\/a\.sealed/],
    [['open', 'a.txt'], /does not end with \.sealed/],
    [['decrypt', '--key', id, '--reason', '-'], /standard input/],
    [['verify', 'folder'], /--key/],
    [['sign-in'], /--login/],
    [['join'], /terminal/],
    [['person', 'invite', 'Ada', '--login', 'ada', '--role', 'service'], /custodian, approver/],
    [['approval', 'deny', id], /--reason/],
    [['payload', 'redact', id], /--reason/],
    [['stream', 'syslog', 'a/b', '--state', 's'], /host:port/],
    [['stream', 'otlp', 'http://collector.example', '--state', 's'], /https/],
    [['approval', 'list', '--state', 'lost'], /pending/],
  ];
  for (const [argv, sentence] of lines) {
    const { status, stdout, stderr } = await runCommand(argv);
    assert.deepEqual([status, stdout], [2, ''], argv.join(' '));
    assert.match(stderr, sentence);
    assert.match(stderr, /^error: .* \[cli\.usage\]\nfix: .+\n$/s);
    const asJson = await runCommand([...argv, '--json']);
    assert.equal(asJson.status, 2);
    const { error } = JSON.parse(asJson.stderr) as { error: Record<string, string> };
    assert.equal(error['code'], 'cli.usage');
    assert.match(error['message'] ?? '', sentence);
    assert.ok(error['fix']);
  }
  assert.equal((await runCommand([])).status, 2);
  assert.equal((await runCommand(['key'])).status, 2);
});

test('what should not be on the command line is not repeated [URS-012]', async () => {
  const secret = await runCommand(['key', 'list', '--credential=tkc_canary']);
  const person = await runCommand(['subject', 'create', '--study', id, '1001-canary']);
  for (const { status, stdout, stderr } of [secret, person]) {
    assert.equal(status, 2);
    assert.doesNotMatch(stdout + stderr, /canary/);
  }
});

test('subject numbers are checked before the first is sent, and never quoted [URS-037]', async () => {
  // Port 1 of this machine: a request would give client.unreachable.
  const env = { TRIALKEEP_URL: 'http://127.0.0.1:1', TRIALKEEP_CREDENTIAL: 'tkc_x' };
  for (const [stdin, code] of [
    ['', 'cli.input_empty'],
    ['1001\n\ncanary\n', 'cli.input_invalid'],
    [`1001\n${'canary'.repeat(20)}\n`, 'cli.input_invalid'],
    ['canary\u0007\n', 'cli.input_invalid'],
    [Buffer.from([0x31, 0xff]), 'cli.input_invalid'],
    ['1001\n', 'client.unreachable'],
  ] as const) {
    const { status, stderr } = await runCommand(['subject', 'create', '--study', id], { env, stdin });
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`\\[${code.replace('.', '\\.')}\\]`));
    assert.doesNotMatch(stderr, /canary/);
  }
});

test('more than encrypt takes is refused before it is sent', async () => {
  const env = { TRIALKEEP_URL: 'http://127.0.0.1:1', TRIALKEEP_CREDENTIAL: 'tkc_x' };
  const { status, stderr } = await runCommand(['encrypt', '--key', id], { env, stdin: Buffer.alloc(65_537) });
  assert.equal(status, 1);
  assert.match(stderr, /\[cli\.input_too_large\]/);
  const missing = await runCommand(['encrypt', '--key', id, '--in', '/nowhere'], { env });
  assert.match(missing.stderr, /error: \/nowhere: .* \(ENOENT\) \[cli\.input_unreadable\]/);
});

test('an interrupted command ends with the status of its signal', async () => {
  const env = { TRIALKEEP_URL: 'http://127.0.0.1:1', TRIALKEEP_CREDENTIAL: 'tkc_x' };
  const { status, stderr } = await runCommand(['key', 'list'], { env, signal: interrupted() });
  assert.equal(status, 130);
  assert.match(stderr, /\[cli\.interrupted\]/);
});

test('times are ISO 8601 and real', () => {
  assert.equal(parseTime('2027-01-31'), Date.UTC(2027, 0, 31));
  assert.equal(parseTime('2027-01-31T12:00+02:00'), Date.UTC(2027, 0, 31, 10));
  fc.assert(
    fc.property(
      fc.date({ min: new Date(0), max: new Date('9999-12-31T00:00Z'), noInvalidDate: true }),
      (date) => {
        assert.equal(parseTime(date.toISOString()), date.getTime());
      },
    ),
  );
  for (const text of [
    '',
    'tomorrow',
    '2027-02-30',
    '2027-02-30T00:00Z',
    '2027-13-01',
    '2027-01-31T12:00',
    '31.1.2027',
    '1',
    '2027-01-31T25:00Z',
  ]) {
    assert.throws(() => parseTime(text), InvalidArgumentError, text);
  }
});

test('whole numbers stay within their bounds', () => {
  const parse = parseInteger(0, 65_535);
  fc.assert(fc.property(fc.nat(65_535), (value) => assert.equal(parse(String(value)), value)));
  for (const text of ['', '-1', '65536', '1.5', '0x10', '1e3', ' 1', '９']) {
    assert.throws(() => parse(text), InvalidArgumentError, text);
  }
});

test('every code of the command has one sentence and a fix', () => {
  for (const [code, { message, fix }] of Object.entries(cliErrors)) {
    assert.match(code, /^cli\.[a-z_]+$/);
    assert.match(message, /^[A-Z].*\.$/, code);
    assert.match(fix, /^[A-Z].*\.$/, code);
  }
});
