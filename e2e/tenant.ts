import { tenantPersonRoles } from '@trialkeep/contract';
import type { issuableRoles, outcomes } from '@trialkeep/contract';
import type { Client } from '@trialkeep/sdk/client';
import { clientOf } from './harness.ts';
import type { ServerProcess } from './harness.ts';
import { bringIn } from './people.ts';
import type { SignedIn } from './people.ts';

type Credential = { readonly id: string; readonly secret: string };
export type TenantRole = (typeof issuableRoles)[number];
export type TenantPersonRole = (typeof tenantPersonRoles)[number];

const dayMs = 86_400_000;

/** Purposes beside encryption; `encapsulate` stands for the agreement that is one-sided. */
export type FurtherPurpose = 'sign' | 'mac' | 'agree' | 'encapsulate';
const furtherAlgorithms = {
  sign: 'ED25519',
  mac: 'HMAC_256',
  agree: 'X25519',
  encapsulate: 'ML_KEM_768',
} as const satisfies Record<FurtherPurpose, string>;

/** A tenant with one of everything. */
export interface Tenant {
  readonly id: string;
  readonly name: string;
  readonly verifierKey: string;
  readonly study: string;
  readonly system: string;
  readonly key: string;
  /** Its keys for other purposes than encryption, by the purpose. */
  readonly keys: Readonly<Record<FurtherPurpose, string>>;
  /** The alias of its one subject. */
  readonly subject: string;
  /** One credential for each role; the service's names all keys. */
  readonly credentials: Readonly<Record<TenantRole, Credential>>;
}

/** Makes a tenant with a study, a subject, a system, its key, and a credential for each role. */
export async function newTenant(
  server: Pick<ServerProcess, 'url'>,
  administrator: string,
  name: string,
): Promise<Tenant> {
  const { tenant, custodian } = await clientOf(server, administrator).call('tenants.create', { name });
  const client = clientOf(server, custodian.secret);
  const study = await client.call('studies.create', { protocol: `${name}-001` });
  const { alias } = await client.call('subjects.create', { study: study.id, number: '1001' });
  const { system, key } = await newSystem(client, `${name} EDC`);
  const keys = await furtherKeys(client, system);
  const limitsOf = (role: TenantRole) => {
    if (role === 'service') return { system, keys: [key, ...Object.values(keys)] };
    return role === 'data-recovery' ? { expiresAt: Date.now() + dayMs } : {};
  };
  const issue = async (role: TenantRole): Promise<Credential> => {
    const limits = limitsOf(role);
    const made = await client.call('credentials.issue', { name: role, role, ...limits });
    return { id: made.credential.id, secret: made.secret };
  };
  const credentials = {
    custodian,
    service: await issue('service'),
    'data-recovery': await issue('data-recovery'),
    auditor: await issue('auditor'),
  };
  const { verifierKey } = tenant;
  const subject = alias;
  return { id: tenant.id, name, verifierKey, study: study.id, system, key, keys, subject, credentials };
}

async function furtherKeys(client: Client, system: string): Promise<Tenant['keys']> {
  const made = Object.entries(furtherAlgorithms).map(async ([purpose, algorithm]) => {
    const { id } = await client.call('keys.create', { system, algorithm });
    return [purpose, id] as const;
  });
  return Object.fromEntries(await Promise.all(made)) as Tenant['keys'];
}

/** Brings one person for each role into a tenant, signed in. */
export async function newPeople(
  server: Pick<ServerProcess, 'url'>,
  { id, credentials }: Pick<Tenant, 'id' | 'credentials'>,
): Promise<Readonly<Record<TenantPersonRole, SignedIn>>> {
  const invitees = tenantPersonRoles.map((role) => ({
    name: `Anna of ${role}`,
    login: `anna.${role}@example.org`,
    roles: [role],
  }));
  const people = await bringIn(server, credentials.custodian.secret, { tenant: id }, invitees);
  const byRole = tenantPersonRoles.map((role, index) => [role, people[index]]);
  return Object.fromEntries(byRole) as Record<TenantPersonRole, SignedIn>;
}

/** A system with a key of its own. */
export async function newSystem(custodian: Client, name: string): Promise<{ system: string; key: string }> {
  const { id: system } = await custodian.call('systems.create', {
    name,
    type: 'edc',
    vendor: 'Example vendor',
  });
  const { id: key } = await custodian.call('keys.create', { system });
  return { system, key };
}

/** What the ledger says of one request. */
export interface LedgerEntry {
  readonly entry: string;
  readonly time: number;
  readonly operation: string;
  readonly outcome: (typeof outcomes)[number];
  readonly actor?: string;
  readonly role?: string;
  readonly code?: string;
  readonly key?: string;
  readonly version?: number;
  readonly study?: string;
  readonly system?: string;
  readonly subject?: string;
  readonly state?: string;
  readonly person?: string;
  readonly session?: string;
  readonly approval?: string;
  readonly hash?: string;
  readonly signature?: string;
}

/** Every entry of a log that the question is about, in order. */
export async function askLedger(
  reader: Client,
  question: { operation?: string; outcome?: LedgerEntry['outcome']; key?: string; actor?: string } = {},
): Promise<LedgerEntry[]> {
  const found: LedgerEntry[] = [];
  let cursor: string | undefined;
  do {
    const page = await reader.call('ledger.query', {
      ...question,
      limit: 1000,
      ...(cursor !== undefined && { cursor }),
    });
    found.push(...page.entries.map(({ entry }) => JSON.parse(entry) as LedgerEntry));
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
  return found;
}
