import { createClient } from '@trialkeep/sdk/client';
import type { Client } from '@trialkeep/sdk/client';
import type { StudyFile, SystemKind } from '../study/catalogue.ts';
import { forEachConcurrently } from './pool.ts';

/** A connected system as the run registers it. */
export interface ConnectedSystem {
  readonly id: string;
  readonly name: string;
  readonly key: string;
  /** Limited to this system's key. */
  readonly credential: string;
}

/** What the run works with: a tenant of its own, its study and systems, its subjects by alias. */
export interface Registered {
  readonly tenant: {
    readonly id: string;
    readonly name: string;
    readonly origin: string;
    readonly verifierKey: string;
  };
  readonly custodian: string;
  readonly auditor: string;
  readonly study: string;
  readonly systems: Readonly<Record<SystemKind, ConnectedSystem>>;
  /** The alias of each subject, by the site's number; held in memory only. */
  readonly aliases: ReadonlyMap<string, string>;
}

const systemNames: Readonly<Record<SystemKind, { name: string; vendor: string }>> = {
  edc: { name: 'EDC', vendor: 'Example EDC vendor' },
  etmf: { name: 'eTMF', vendor: 'Example eTMF vendor' },
  ctms: { name: 'CTMS', vendor: 'Example CTMS vendor' },
  wearable: { name: 'Wearable gateway', vendor: 'Example device vendor' },
};
export const systemKinds = Object.keys(systemNames) as SystemKind[];

const concurrentRegistrations = 8;

/** Makes a tenant with a study, four systems with a key and a credential each, and an alias for every subject. */
export async function register(
  url: string,
  administrator: string,
  run: { tenantName: string; protocol: string; title: string },
  files: readonly StudyFile[],
): Promise<Registered> {
  const made = await createClient({ url, credential: administrator }).call('tenants.create', {
    name: run.tenantName,
  });
  const custodian = made.custodian.secret;
  const client = createClient({ url, credential: custodian });
  const { id: study } = await client.call('studies.create', { protocol: run.protocol, title: run.title });
  const systems = {} as Record<SystemKind, ConnectedSystem>;
  for (const kind of systemKinds) systems[kind] = await registerSystem(client, kind);
  const auditor = await client.call('credentials.issue', { name: 'auditor', role: 'auditor' });
  const aliases = await registerSubjects(client, study, files);
  return { tenant: made.tenant, custodian, auditor: auditor.secret, study, systems, aliases };
}

async function registerSystem(client: Client, kind: SystemKind): Promise<ConnectedSystem> {
  const { name, vendor } = systemNames[kind];
  const { id } = await client.call('systems.create', { name, type: kind, vendor });
  const key = await client.call('keys.create', { system: id, description: `${name} data` });
  const issued = await client.call('credentials.issue', {
    name: `${name} service`,
    role: 'service',
    system: id,
    keys: [key.id],
  });
  return { id, name, key: key.id, credential: issued.secret };
}

async function registerSubjects(
  client: Client,
  study: string,
  files: readonly StudyFile[],
): Promise<Map<string, string>> {
  const numbers = [...new Set(files.flatMap(({ subjectNumber }) => subjectNumber ?? []))];
  const aliases = new Map<string, string>();
  await forEachConcurrently(numbers, concurrentRegistrations, async (number) => {
    const { alias } = await client.call('subjects.create', { study, number });
    aliases.set(number, alias);
  });
  return aliases;
}
