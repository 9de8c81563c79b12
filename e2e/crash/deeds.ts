import { createHash } from 'node:crypto';
import type { Input, OperationId, Operations, Output } from '@trialkeep/contract';
import { revocationCauses } from '@trialkeep/contract';
import type { About, Facts } from './acknowledgements.ts';
import type { Choices } from './random.ts';
import type { Ciphertext, Key, Service, Tenant } from './world.ts';

/** One request of the load, ready to be sent. */
export interface Deed {
  readonly operation: OperationId;
  readonly input: object;
  readonly tenant?: string;
  readonly actor: { readonly id: string; readonly secret: string };
  readonly about: About;
  /** What the answer acknowledges; called before anything else is done with it. */
  facts(answer: never): Facts;
  /** Takes over what was acknowledged. */
  succeed(facts: Facts): void;
  /** Takes over what a refusal tells. */
  refuse?(code: string): void;
  /** Called whatever the outcome, last. */
  end?(): void;
}

type Typed<Id extends OperationId> = Omit<Deed, 'operation' | 'input' | 'facts'> & {
  readonly input: Input<Operations[Id]>;
  facts(answer: Output<Operations[Id]>): Facts;
};

function deed<Id extends OperationId>(operation: Id, typed: Typed<Id>): Deed {
  return { operation, ...typed };
}

/** A kind of request: how often it is chosen, and how it is made; undefined where the tenant has nothing to do it with. */
export interface Kind {
  readonly weight: number;
  make(tenant: Tenant, n: number, choices: Choices): Deed | undefined;
}

const maxKept = 200;
const maxLiveKeys = 10;
const maxLiveServices = 12;

/** Makes a tenant; its first custodian then makes everything else. */
export function createTenant(
  administrator: Deed['actor'],
  n: number,
  then: Required<Pick<Deed, 'succeed' | 'end'>>,
): Deed {
  return deed('tenants.create', {
    input: { name: `tenant ${n}` },
    actor: administrator,
    about: { name: `tenant ${n}` },
    facts: ({ tenant: { id, verifierKey }, custodian }) => {
      return { id, verifierKey, actor: custodian.id, secret: custodian.secret };
    },
    ...then,
  });
}

const createStudy: Kind = {
  weight: 0.2,
  make: ({ id: tenant, custodian: actor, studies }, n) =>
    deed('studies.create', {
      input: { protocol: `study ${n}` },
      tenant,
      actor,
      about: { name: `study ${n}` },
      facts: ({ id }) => ({ id }),
      succeed: ({ id = '' }) => studies.push(id),
    }),
};

const createSystem: Kind = {
  weight: 0.2,
  make: ({ id: tenant, custodian: actor, systems }, n) =>
    deed('systems.create', {
      input: { name: `system ${n}`, type: 'edc', vendor: 'vendor' },
      tenant,
      actor,
      about: { name: `system ${n}` },
      facts: ({ id }) => ({ id }),
      succeed: ({ id = '' }) => systems.push(id),
    }),
};

const createSubject: Kind = {
  weight: 1.5,
  make: ({ id: tenant, custodian: actor, studies, subjects }, n, choices) => {
    const study = choices.pick(studies);
    if (study === undefined) return undefined;
    return deed('subjects.create', {
      input: { study, number: `subject ${n}` },
      tenant,
      actor,
      about: { name: `subject ${n}`, study },
      facts: ({ alias }) => ({ alias }),
      succeed: ({ alias = '' }) => subjects.push({ study, alias }),
    });
  },
};

const createKey: Kind = {
  weight: 2,
  make: ({ id: tenant, custodian: actor, systems, keys }, n, choices) => {
    const system = choices.pick(systems);
    if (system === undefined || keys.filter(isLive).length >= maxLiveKeys) return undefined;
    return deed('keys.create', {
      input: { system, description: `key ${n}` },
      tenant,
      actor,
      about: { name: `key ${n}` },
      facts: ({ id, state, version }) => ({ id, state, version }),
      succeed: ({ id = '', state = '' }) => keys.push({ id, system, state, changing: false }),
    });
  },
};

const isLive = ({ state }: Key): boolean => state === 'active' || state === 'suspended';

type KeyChanges = 'keys.rotate' | 'keys.suspend' | 'keys.resume' | 'keys.revoke';

/** A change of one key, with no other change of it under way. */
function changeKey<Id extends KeyChanges>(
  operation: Id,
  weight: number,
  from: (key: Key, tenant: Tenant) => boolean,
  input: (choices: Choices) => Omit<Input<Operations[Id]>, 'key'>,
): Kind {
  return {
    weight,
    make: (tenant, _n, choices) => {
      const key = choices.pick(tenant.keys.filter((key) => !key.changing && from(key, tenant)));
      if (key === undefined) return undefined;
      key.changing = true;
      return deed<KeyChanges>(operation, {
        input: { ...input(choices), key: key.id } as Input<Operations[KeyChanges]>,
        tenant: tenant.id,
        actor: tenant.custodian,
        about: { key: key.id },
        facts: ({ state, version }) => ({ state, version }),
        succeed: ({ state = '' }) => (key.state = state),
        // An earlier change has happened although its answer never came.
        refuse: (code) => {
          if (code === 'key.transition_undefined')
            key.state = key.state === 'active' ? 'suspended' : 'active';
        },
        end: () => (key.changing = false),
      });
    },
  };
}

const reason = (): { reason: string } => ({ reason: 'the load asks for it' });

const issueCredential: Kind = {
  weight: 2,
  make: ({ id: tenant, custodian: actor, systems, keys, services }, n, choices) => {
    const system = choices.pick(systems);
    const named = keys.filter((key) => key.system === system && isLive(key)).map(({ id }) => id);
    if (system === undefined || named.length === 0) return undefined;
    if (services.filter(({ revoked }) => !revoked).length >= maxLiveServices) return undefined;
    return deed('credentials.issue', {
      input: { name: `service ${n}`, role: 'service', system, keys: named },
      tenant,
      actor,
      about: { name: `service ${n}`, keys: named },
      facts: ({ credential, secret }) => ({ id: credential.id, state: credential.state, secret }),
      succeed: ({ id = '', secret = '' }) =>
        services.push({ id, secret, keys: named, revoked: false, changing: false }),
    });
  },
};

const revokeCredential: Kind = {
  weight: 0.6,
  make: ({ id: tenant, custodian: actor, services }, _n, choices) => {
    const active = services.filter(({ revoked }) => !revoked);
    const service = choices.pick(active.filter(({ changing }) => !changing));
    if (service === undefined || active.length < 3) return undefined;
    service.changing = true;
    return deed('credentials.revoke', {
      input: { credential: service.id, ...reason() },
      tenant,
      actor,
      about: { credential: service.id },
      facts: ({ state }) => ({ state }),
      succeed: () => (service.revoked = true),
      end: () => (service.changing = false),
    });
  },
};

/** A service with a key of its own; now and then one of which either is revoked, to be refused. */
function usable(tenant: Tenant, choices: Choices): { service: Service; key: string } | undefined {
  const anything = choices.fraction() < 0.03;
  const states = new Map(tenant.keys.map(({ id, state }) => [id, state]));
  const fits = (key: string): boolean => anything || states.get(key) === 'active';
  const services = tenant.services.filter(({ revoked, keys }) => (anything || !revoked) && keys.some(fits));
  const service = choices.pick(services);
  const key = service && choices.pick(service.keys.filter(fits));
  return service === undefined || key === undefined ? undefined : { service, key };
}

function newContext(tenant: Tenant, n: number, choices: Choices): Record<string, string> {
  const subject = choices.fraction() < 0.5 ? choices.pick(tenant.subjects) : undefined;
  const study = choices.fraction() < 0.5 ? choices.pick(tenant.studies) : undefined;
  return {
    ...(study && { study }),
    ...(subject && { study: subject.study, subject: subject.alias }),
    class: `n${n}`,
  };
}

function protect(operation: 'keys.encrypt' | 'keys.generate-data-key', weight: number): Kind {
  return {
    weight,
    make: (tenant, n, choices) => {
      const use = usable(tenant, choices);
      if (use === undefined) return undefined;
      const context = newContext(tenant, n, choices);
      const content = createHash('sha256').update(String(n)).digest('base64');
      const encrypts = operation === 'keys.encrypt';
      return deed<'keys.encrypt' | 'keys.generate-data-key'>(operation, {
        input: { key: use.key, context, ...(encrypts && { plaintext: content }) },
        tenant: tenant.id,
        actor: use.service,
        about: { key: use.key, ...context },
        facts: (answer) => ({
          ciphertext: answer.ciphertext,
          version: answer.version,
          plaintext: 'plaintext' in answer ? answer.plaintext : content,
        }),
        succeed: ({ ciphertext = '', plaintext = '' }) => {
          const kind = encrypts ? 'ciphertext' : 'data key';
          keep(tenant, { kind, key: use.key, class: `n${n}`, context, ciphertext, plaintext });
        },
      });
    },
  };
}

function keep({ ciphertexts }: Tenant, made: Ciphertext): void {
  ciphertexts.push(made);
  if (ciphertexts.length > maxKept) ciphertexts.shift();
}

const open: Kind = {
  weight: 50,
  make: (tenant, _n, choices) => {
    const made = choices.pick(tenant.ciphertexts);
    const able = tenant.services.filter(({ revoked, keys }) => !revoked && keys.includes(made?.key ?? ''));
    const service = choices.pick(able);
    if (made === undefined || service === undefined) return undefined;
    const { key, context, ciphertext } = made;
    const operation = made.kind === 'ciphertext' ? 'keys.decrypt' : 'keys.decrypt-data-key';
    return deed(operation, {
      input: { key, context, ciphertext },
      tenant: tenant.id,
      actor: service,
      about: { key, ...context },
      facts: ({ plaintext, version }) => ({ plaintext, version }),
      succeed: () => undefined,
    });
  },
};

/** Everything that the load does within a tenant. */
export const kinds: readonly Kind[] = [
  createStudy,
  createSystem,
  createSubject,
  createKey,
  changeKey(
    'keys.rotate',
    2,
    ({ state }) => state === 'active',
    () => ({}),
  ),
  changeKey('keys.suspend', 1.5, ({ state }) => state === 'active', reason),
  changeKey('keys.resume', 3, ({ state }) => state === 'suspended', reason),
  changeKey(
    'keys.revoke',
    0.7,
    (key, { keys }) => isLive(key) && keys.filter(isLive).length > 3,
    (choices) => ({ cause: choices.pick(revocationCauses) ?? 'cessation', ...reason() }),
  ),
  issueCredential,
  revokeCredential,
  protect('keys.encrypt', 60),
  protect('keys.generate-data-key', 20),
  open,
];
