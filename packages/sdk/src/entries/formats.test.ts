import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TrialkeepError } from '../errors.ts';
import { csvField, entryFormats, entryWriter, fhirAuditEvent, ocsfEvent, parseEntry } from './index.ts';
import type { PlacedEntry } from './index.ts';
import { entryText, entryTexts, hex, id, origin, subject } from './fixture.test.ts';

const placed = entryTexts(16).map((text, index) => parseEntry(index, text));
type Json = Readonly<Record<string, unknown>>;
const at = (value: unknown, ...path: (string | number)[]): unknown =>
  path.reduce((found, name) => (found as Record<string | number, unknown> | undefined)?.[name], value);

test('an entry is read strictly, and one of another version or form is refused [URS-039]', () => {
  const [first] = placed;
  assert.deepEqual([first?.kind, first?.entry.subject], ['key-released', subject]);
  // Members that a later server adds stay in the text.
  assert.equal(parseEntry(3, entryText(3, { zeal: 1 })).text, entryText(3, { zeal: 1 }));
  const good = entryText(1);
  const bad = [
    '',
    '[]',
    ` ${good}`,
    good.replace('"v":1', '"v":2'),
    good.replace('"v":1', '"v":1.0'),
    entryText(1, { time: -1 }),
    entryText(1, { time: 8_640_000_000_000_001 }),
    entryText(1, { entry: 'x' }),
    entryText(1, { operation: 'x' }),
    entryText(1, { outcome: 'done' }),
    entryText(1, { subject: 'A'.repeat(32) }),
    entryText(1, { actor: '=cmd()' }),
    entryText(1, { attested: { count: 1, sequence: 1, time: 0, use: 'copy' } }),
    entryText(1, { version: -1 }),
    good.replace(`"commitment":"${hex('commitment 1')}",`, ''),
  ];
  for (const text of bad) {
    assert.throws(
      () => parseEntry(1, text),
      (error) => error instanceof TrialkeepError && error.code === 'entry.malformed',
      text,
    );
  }
});

/** RFC 4180, word for word: the oracle. */
function readCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  for (let rest = text; rest !== '';) {
    const quoted = /^"((?:[^"]|"")*)"/.exec(rest);
    const field = quoted?.[0] ?? /^[^,\r\n"]*/.exec(rest)?.[0] ?? '';
    rows.at(-1)?.push(quoted ? (quoted[1] ?? '').replaceAll('""', '"') : field);
    rest = rest.slice(field.length);
    if (rest.startsWith('\r\n')) rows.push([]);
    else if (rest !== '') assert.equal(rest[0], ',');
    rest = rest.slice(rest.startsWith('\r\n') ? 2 : 1);
  }
  return rows.slice(0, -1);
}

test('CSV is read back by RFC 4180, whatever stands in a field, and no field is a formula [URS-039]', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1 }), (fields) => {
      const line = `${fields.map(csvField).join(',')}\r\n`;
      const [read, ...more] = readCsv(line);
      assert.equal(more.length, 0);
      assert.equal(read?.length, fields.length);
      for (const field of read ?? []) {
        assert.doesNotMatch(field, /^[=+\-@\t\r\n]|[\u0000-\u001f\u007f-\u009f\u2028\u202e]/u);
      }
    }),
    { numRuns: 100 },
  );
  assert.deepEqual(['=1+1', '+1', '-1', '@x', '\t=1', '\uFF1D1', 'a,"b"', -5, undefined].map(csvField), [
    "'=1+1",
    "'+1",
    "'-1",
    "'@x",
    '\uFFFD=1',
    "'\uFF1D1",
    '"a,""b"""',
    '-5',
    '',
  ]);
  const { head, line } = entryWriter('csv', origin);
  const rows = readCsv(head + placed.map(line).join(''));
  assert.equal(rows.length, placed.length + 1);
  assert.equal(new Set(rows.map((row) => row.length)).size, 1);
  assert.deepEqual(
    rows.slice(1).map((row) => row.at(-1)),
    placed.map(({ text }) => text),
  );
});

test('JSON lines hold each entry as it is hashed [URS-039]', () => {
  const { line } = entryWriter('jsonl', origin);
  for (const one of placed) {
    const text = line(one);
    assert.ok(text.includes(one.text) && text.indexOf('\n') === text.length - 1);
    assert.deepEqual(JSON.parse(text), { entry: one.entry, index: one.index, kind: one.kind });
  }
});

/** What FHIR R4 (4.0.1) requires of an AuditEvent, and the value sets of its codes that are bound as required. */
function assertAuditEvent(event: Json): void {
  assert.equal(event['resourceType'], 'AuditEvent');
  assert.match(String(event['id']), /^[A-Za-z0-9\-.]{1,64}$/);
  const isCoding = (value: unknown): void => {
    assert.match(String(at(value, 'system')), /^(?:http:|urn:)\S+$/);
    assert.match(String(at(value, 'code')), /^[^\s]+(?: [^\s]+)*$/);
  };
  isCoding(event['type']);
  for (const subtype of event['subtype'] as unknown[]) isCoding(subtype);
  assert.match(String(event['action']), /^[CRUDE]$/);
  assert.match(String(event['recorded']), /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z$/);
  assert.ok(['0', '4', '8', '12'].includes(String(event['outcome'])));
  const isReference = (value: unknown): void => {
    assert.match(String(at(value, 'identifier', 'system')), /^urn:trialkeep:/);
    assert.ok(at(value, 'identifier', 'value'));
  };
  const agents = event['agent'] as Json[];
  assert.ok(agents.length >= 1);
  for (const agent of agents) {
    assert.equal(typeof agent['requestor'], 'boolean');
    isReference(agent['who']);
  }
  assert.ok(agents.filter(({ requestor }) => requestor === true).length <= 1);
  isReference(at(event, 'source', 'observer'));
  for (const entity of event['entity'] as Json[]) {
    isReference(entity['what']);
    isCoding(entity['type']);
    isCoding(entity['role']);
    // sev-1: either a name or a query.
    assert.ok(!('name' in entity && 'query' in entity));
    for (const detail of (entity['detail'] ?? []) as Json[]) {
      assert.ok(typeof detail['type'] === 'string' && detail['type'] !== '');
      assert.ok(typeof detail['valueString'] === 'string' && detail['valueString'] !== '');
    }
  }
  const known = ['resourceType', 'id', 'type', 'subtype', 'action', 'recorded', 'outcome', 'outcomeDesc'];
  for (const name of Object.keys(event)) {
    assert.ok([...known, 'purposeOfEvent', 'agent', 'source', 'entity'].includes(name), name);
  }
  // FHIR JSON has no empty value of any kind.
  const walk = (value: unknown): void => {
    assert.ok(value !== null && value !== '' && value !== undefined);
    if (typeof value !== 'object') return;
    assert.ok(Object.keys(value).length > 0);
    Object.values(value).forEach(walk);
  };
  walk(event);
}

test('FHIR output has what AuditEvent requires, with the alias as a logical identifier [URS-037] [URS-039]', () => {
  for (const one of placed) assertAuditEvent(fhirAuditEvent(one, origin) as Json);
  const [released] = placed;
  const event = fhirAuditEvent(released as PlacedEntry, origin) as Json;
  assert.deepEqual(at(event, 'entity', 0, 'what'), {
    type: 'Patient',
    identifier: { system: `urn:trialkeep:study:${id(902)}:subject-alias`, value: subject },
  });
  assert.equal(at(event, 'agent', 0, 'who', 'identifier', 'value'), id(900));
  assert.equal(at(event, 'purposeOfEvent', 0, 'coding', 0, 'code'), 'analysis');
  const denied = placed.find(({ kind }) => kind === 'use-denied');
  assert.equal(at(fhirAuditEvent(denied as PlacedEntry, origin), 'outcome'), '4');
});

/** What OCSF 1.2.0 requires of every event, of API Activity and of Authentication. */
function assertOcsf(event: Json): void {
  for (const name of ['activity_id', 'category_uid', 'class_uid', 'severity_id', 'time', 'type_uid']) {
    assert.ok(Number.isSafeInteger(event[name]), name);
  }
  const [activity, category, type] = [event['activity_id'], event['category_uid'], event['class_uid']].map(
    Number,
  );
  assert.equal(event['type_uid'], Number(type) * 100 + Number(activity));
  assert.equal(Math.floor(Number(type) / 1000), category);
  assert.match(String(at(event, 'metadata', 'version')), /^1\.\d+\.\d+$/);
  assert.ok(at(event, 'metadata', 'product', 'vendor_name') && at(event, 'metadata', 'product', 'name'));
  assert.ok(at(event, 'actor', 'user', 'uid'));
  assert.ok(at(event, 'src_endpoint', 'uid'));
  if (type === 6003) {
    assert.ok([0, 1, 2, 3, 4, 99].includes(Number(activity)));
    assert.ok(at(event, 'api', 'operation'));
    for (const resource of event['resources'] as Json[]) assert.ok(resource['uid']);
  } else {
    assert.equal(type, 3002);
    assert.ok([1, 2].includes(Number(activity)));
    assert.ok(at(event, 'user', 'uid'));
  }
  if (event['status_id'] === 99) assert.ok(event['status']);
}

test('OCSF output has what its classes require [URS-039]', () => {
  for (const one of placed) assertOcsf(ocsfEvent(one, origin) as Json);
  const classes = placed.map((one) => at(ocsfEvent(one, origin), 'class_uid'));
  assert.deepEqual(new Set(classes), new Set([3002, 6003]));
  const [released] = placed;
  assert.equal(at(ocsfEvent(released as PlacedEntry, origin), 'type_uid'), 600_302);
});

test('every form is one line an entry, and steers no terminal [URS-039]', () => {
  for (const format of entryFormats) {
    const { head, line } = entryWriter(format, origin);
    for (const text of [head, ...placed.map(line)]) {
      if (text === '') continue;
      assert.match(text, /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*\r?\n$/u, format);
    }
  }
});
