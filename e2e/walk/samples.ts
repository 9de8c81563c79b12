import { randomBytes, randomUUID } from 'node:crypto';
import { operations } from '@trialkeep/contract';
import type { ErrorCode, Input, Operation, OperationId, Operations } from '@trialkeep/contract';
import { generateKey, noReceipt, signUses } from '@trialkeep/crypto';
import { reason } from './world.ts';
import type { Sampled } from './world.ts';

const protect = ({ key, study, subject }: Sampled) => ({ key, context: { study, subject } });
const decision = ({ approval, hash }: Sampled) => ({ approval, hash });

/** The first receipt of a reporter that nobody has seen: what a custodian brings, and names nothing of the tenant's. */
function openedInEscrow() {
  const hash = randomBytes(32).toString('hex');
  const uses = [{ use: 'open' as const, recipient: hash, dataKey: hash, count: 1, time: Date.now() }];
  const batch = signUses(generateKey('ED25519'), { first: 1, previous: noReceipt, uses });
  return { ...batch, uses };
}

/**
 * An input for each operation that would succeed for whoever may; a new operation needs one here. Those that take proofs of a
 * person have wrong ones: a code is good for one request.
 */
export const samples: { readonly [Id in OperationId]: (of: Sampled) => Input<Operations[Id]> } = {
  'instance.status': () => ({}),
  'instance.openapi': () => ({}),
  'tenants.create': () => ({ name: `Tenant ${randomUUID()}` }),
  'tenants.list': () => ({}),
  'tenants.seal-state': () => ({}),
  'tenants.seal': () => ({ reason }),
  'tenants.unseal': ({ sealedAt }) => ({ reason, sealedAt }),
  'studies.create': () => ({ protocol: `Study ${randomUUID()}` }),
  'studies.list': () => ({}),
  'systems.create': () => ({ name: `System ${randomUUID()}`, type: 'ctms', vendor: 'Example vendor' }),
  'systems.list': () => ({}),
  'subjects.create': ({ study }) => ({ study, number: '1002' }),
  'subjects.list': ({ study }) => ({ study }),
  'subjects.erase': ({ study, subject }) => ({ study, alias: subject, reason }),
  'credentials.issue': ({ system, key }) => ({ name: 'sample', role: 'service', system, keys: [key] }),
  'credentials.list': () => ({}),
  'credentials.revoke': ({ credentials }) => ({ credential: credentials.auditor.id, reason }),
  'keys.create': ({ system }) => ({ system }),
  'keys.list': () => ({}),
  'keys.show': ({ key }) => ({ key }),
  'keys.rotate': ({ key }) => ({ key, reason }),
  'keys.suspend': ({ key }) => ({ key, reason }),
  'keys.resume': ({ key }) => ({ key, reason }),
  'keys.revoke': ({ key }) => ({ key, cause: 'cessation', reason }),
  'keys.destroy': ({ spentKey }) => ({ key: spentKey, reason }),
  'keys.encrypt': (of) => ({ ...protect(of), plaintext: 'c2FtcGxl' }),
  'keys.decrypt': (of) => ({ ...protect(of), ciphertext: of.ciphertext, reason }),
  'keys.generate-data-key': protect,
  'keys.decrypt-data-key': (of) => ({ ...protect(of), ciphertext: of.wrappedDataKey, reason }),
  'ledger.query': () => ({}),
  'ledger.payload': ({ entry }) => ({ entry }),
  'ledger.checkpoint': () => ({}),
  'ledger.verifier-key': () => ({}),
  'ledger.tile': () => ({ path: 'entries/000.p/1' }),
  'ledger.rotate-key': () => ({ reason }),
  'ledger.retire-key': () => ({ reason }),
  'ledger.proof': ({ entry }) => ({ entry }),
  'ledger.consistency': () => ({ from: 1 }),
  'ledger.bounds': () => ({}),
  'ledger.prune': () => ({ below: 256, checkpoint: 'none', reason }),
  'payloads.open': () => ({ first: 0, count: 1 }),
  'payloads.redact': ({ entry }) => ({ entries: [entry], reason }),
  'questions.answer': () => ({}),
  'questions.save': () => ({ name: `Question ${randomUUID()}`, question: { period: 'last-month' } }),
  'questions.list': () => ({}),
  'questions.show': ({ saved }) => ({ saved }),
  'questions.remove': ({ saved }) => ({ saved }),
  'evidence.make': () => ({ kind: 'ledger.answer', question: { operation: 'keys.create' } }),
  'evidence.list': () => ({}),
  'evidence.fetch': ({ evidence }) => ({ evidence }),
  'reviews.plan': () => ({
    name: `Plan ${randomUUID()}`,
    filter: { operation: 'keys.create' },
    intervalDays: 30,
    graceDays: 14,
    risk: 'high',
    reviewers: { roles: ['auditor'], persons: [] },
    rationale: reason,
  }),
  'reviews.change-plan': ({ plan }) => ({ plan, intervalDays: 60, reason }),
  'reviews.end-plan': ({ plan }) => ({ plan, reason }),
  'reviews.plans': () => ({}),
  'reviews.open': ({ plan }) => ({ plan, reason }),
  'reviews.list': () => ({}),
  'reviews.show': ({ review }) => ({ review }),
  'reviews.entries': ({ review }) => ({ review }),
  'reviews.comment': ({ review, reviewed }) => ({
    review,
    entries: [reviewed],
    mark: 'noted',
    comment: reason,
  }),
  'reviews.comments': ({ review }) => ({ review }),
  'reviews.conclude': ({ review }) => ({ review, outcome: 'no-findings', conclusion: reason }),
  'reviews.close': ({ review, reviewHash }) => ({ review, hash: reviewHash }),
  'people.invite': () => ({ name: 'Jo Sample', login: `jo.${randomUUID()}`, roles: ['auditor'] }),
  'people.list': () => ({}),
  'people.set-roles': ({ people }) => ({ person: people.auditor.id, roles: ['approver'], reason }),
  'people.reinvite': ({ people }) => ({ person: people.auditor.id, reason }),
  'people.leave': ({ people }) => ({ person: people.auditor.id, reason }),
  'enrolment.begin': () => ({}),
  'enrolment.finish': () => ({ password: 'correct horse battery staple', code: '000000' }),
  'sessions.create': ({ id, people }) => ({
    tenant: id,
    login: people.auditor.login,
    password: 'not the password',
    code: '000000',
  }),
  'sessions.current': () => ({}),
  'sessions.end': () => ({}),
  'approvals.list': () => ({}),
  'approvals.show': ({ approval }) => ({ approval }),
  'approvals.approve': decision,
  'approvals.deny': (of) => ({ ...decision(of), reason }),
  'approvals.cancel': ({ approval }) => ({ approval, reason }),
  'signatures.list': () => ({}),
  'timestamps.list': () => ({}),
  'uses.report': openedInEscrow,
  'witnessing.set-policy': () => ({ policy: 'quorum none\n', mode: 'background', boundSeconds: 60, reason }),
  'witnessing.show': () => ({}),
};

/**
 * What somebody of another tenant gets who names this tenant's ids. `own`: the operation takes no id of anybody and answers about the
 * caller's own tenant, or the caller, alone. Instance operations are granted by no role of a tenant. Open ones know no caller.
 */
export const forStrangers: { readonly [Id in OperationId]: ErrorCode | 'own' | 'open' } = {
  'instance.status': 'open',
  'instance.openapi': 'open',
  'tenants.create': 'access.denied',
  'tenants.list': 'access.denied',
  'tenants.seal-state': 'own',
  'tenants.seal': 'own',
  'tenants.unseal': 'own',
  'studies.create': 'own',
  'studies.list': 'own',
  'systems.create': 'own',
  'systems.list': 'own',
  'subjects.create': 'study.unknown',
  'subjects.list': 'study.unknown',
  'subjects.erase': 'study.unknown',
  'credentials.issue': 'system.unknown',
  'credentials.list': 'own',
  'credentials.revoke': 'credential.unknown',
  'keys.create': 'system.unknown',
  'keys.list': 'own',
  'keys.show': 'key.unknown',
  'keys.rotate': 'key.unknown',
  'keys.suspend': 'key.unknown',
  'keys.resume': 'key.unknown',
  'keys.revoke': 'key.unknown',
  'keys.destroy': 'key.unknown',
  'keys.encrypt': 'key.unknown',
  'keys.decrypt': 'key.unknown',
  'keys.generate-data-key': 'key.unknown',
  'keys.decrypt-data-key': 'key.unknown',
  'ledger.query': 'own',
  'ledger.payload': 'entry.unknown',
  'ledger.checkpoint': 'own',
  'ledger.verifier-key': 'own',
  'ledger.tile': 'own',
  'ledger.rotate-key': 'own',
  'ledger.retire-key': 'own',
  'ledger.proof': 'entry.unknown',
  'ledger.consistency': 'own',
  'ledger.bounds': 'own',
  'ledger.prune': 'own',
  'payloads.open': 'own',
  'payloads.redact': 'entry.unknown',
  'questions.answer': 'own',
  'questions.save': 'own',
  'questions.list': 'own',
  'questions.show': 'question.unknown',
  'questions.remove': 'question.unknown',
  'evidence.make': 'own',
  'evidence.list': 'own',
  'evidence.fetch': 'evidence.unknown',
  'reviews.plan': 'own',
  'reviews.change-plan': 'review.plan_unknown',
  'reviews.end-plan': 'review.plan_unknown',
  'reviews.plans': 'own',
  'reviews.open': 'review.plan_unknown',
  'reviews.list': 'own',
  'reviews.show': 'review.unknown',
  'reviews.entries': 'review.unknown',
  'reviews.comment': 'review.unknown',
  'reviews.comments': 'review.unknown',
  'reviews.conclude': 'review.unknown',
  'reviews.close': 'review.unknown',
  'people.invite': 'own',
  'people.list': 'own',
  'people.set-roles': 'person.unknown',
  'people.reinvite': 'person.unknown',
  'people.leave': 'person.unknown',
  'enrolment.begin': 'own',
  'enrolment.finish': 'own',
  'sessions.create': 'open',
  'sessions.current': 'own',
  'sessions.end': 'own',
  'approvals.list': 'own',
  'approvals.show': 'approval.unknown',
  'approvals.approve': 'approval.unknown',
  'approvals.deny': 'approval.unknown',
  'approvals.cancel': 'approval.unknown',
  'signatures.list': 'own',
  'timestamps.list': 'own',
  'uses.report': 'own',
  'witnessing.set-policy': 'own',
  'witnessing.show': 'own',
};

export const ids = Object.keys(operations) as OperationId[];
/** What comes behind everything else where all is asked for: it ends the use of something, or follows on that. */
export const last: readonly OperationId[] = [
  'reviews.comment',
  'reviews.conclude',
  'reviews.change-plan',
  'reviews.end-plan',
  'keys.suspend',
  'keys.resume',
  'keys.revoke',
  'people.set-roles',
  'people.reinvite',
  'people.leave',
  'approvals.cancel',
  'credentials.revoke',
  'questions.remove',
  'tenants.seal',
  'tenants.unseal',
  'sessions.end',
];
export const operationOf = (id: OperationId): Operation => operations[id];

/**
 * What no sample can have done: the ledger gives up entries a year after they were written at the earliest. Whoever may is told this in
 * place of the answer, and of being kept; that it is done, its own tests show.
 */
export const tooEarly: { readonly [Id in OperationId]?: ErrorCode } = { 'ledger.prune': 'archive.mismatch' };

/** Operations that look at what the caller shows; the others are public, or take the person's proofs as inputs. */
export const guarded = ids.filter((id) => !['public', 'sign-in'].includes(operations[id].permission));
/** Operations that dual control keeps, and operations that make a signature. */
export const approved = ids.filter((id) => operationOf(id).approval !== undefined);
export const signed = ids.filter((id) => operationOf(id).signature !== undefined);
