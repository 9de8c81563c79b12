import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { placesIn, ProcessWatch, sightings } from './canaries.ts';
import type { Canary, Place } from './canaries.ts';
import { filesIn } from './folder.ts';
import { makeFolder, trialkeep } from './harness.ts';
import { realInputs } from './real-inputs.ts';

const { folder: patients, missing } = realInputs('fhir-r4-synthea/R4');

interface Patient {
  readonly id: string;
  readonly name: { given: string[]; family: string }[];
  readonly telecom: { value: string }[];
  readonly address: { line: string[] }[];
  readonly identifier: { value: string }[];
}

/** What identifies the patients of FHIR bundles, all of it long enough not to occur by chance. */
function identifiersIn(folder: string): Canary[] {
  const bundles = filesIn(folder).map(
    (name) =>
      JSON.parse(readFileSync(join(folder, name), 'utf8')) as {
        entry: { resource: { resourceType: string } }[];
      },
  );
  const resources = bundles.flatMap(({ entry }) => entry.map(({ resource }) => resource));
  const found = resources.filter(({ resourceType }) => resourceType === 'Patient') as unknown as Patient[];
  const identifiers = found.flatMap(({ id, name, telecom, address, identifier }) => [
    id,
    ...name.flatMap(({ given, family }) => [' ', '_'].map((between) => `${given[0]}${between}${family}`)),
    ...telecom.map(({ value }) => value),
    ...address.flatMap(({ line }) => line),
    ...identifier.map(({ value }) => value),
  ]);
  const long = new Set(identifiers.filter((text) => text.length >= 8));
  return [...long].map((secret, number) => ({ name: `identifier ${number}`, secret }));
}

test(
  'the main job on real patients leaves none of their names [URS-043] [URS-037]',
  { skip: missing },
  async (t) => {
    const own = makeFolder();
    const watch = new ProcessWatch();
    t.after(() => watch.stop());
    const identifiers = identifiersIn(patients);
    assert.ok(
      sightings(identifiers, placesIn(patients)).length >= 4 * 6,
      'the patients are not where they were',
    );
    const data = join(makeFolder(), 'data');
    const ran = await trialkeep(['start', '--once', '--data', data, '--port', '0', patients], {
      cwd: own,
      env: { XDG_CONFIG_HOME: own },
      onStart: (processId) => watch.follow(processId),
    });
    assert.equal(ran.status, 0, ran.stdout + ran.stderr);
    const secret = (file: string) => readFileSync(join(data, file), 'utf8').trim();
    const hidden: Canary[] = [
      ...identifiers,
      { name: 'the passphrase', secret: secret('root/passphrase'), allowedIn: [join('root', 'passphrase')] },
      {
        name: "the administrator's credential",
        secret: secret('administrator.credential'),
        allowedIn: ['administrator.credential'],
      },
    ];
    const said: Place = ['what the command said', Buffer.from(ran.stdout + ran.stderr)];
    assert.deepEqual(sightings(hidden, [...placesIn(data), said, ...watch.places]), []);
  },
);
