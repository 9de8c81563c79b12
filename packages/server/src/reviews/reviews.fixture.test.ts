/** What tests of reviews share: a tenant with auditors, a plan of it, and the way through a review. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Input, Operations, Role } from '@trialkeep/contract';
import { arrange, componentsOf, rejection } from '../dual-control.fixture.test.ts';
import type { Arranged, Present } from '../dual-control.fixture.test.ts';
import type { TestServer } from '../fixture.test.ts';

export type Planned = Input<Operations['reviews.plan']>;

export const planned: Omit<Planned, 'name'> = {
  filter: {},
  intervalDays: 30,
  graceDays: 14,
  risk: 'high',
  reviewers: { roles: ['auditor'], persons: [] },
  rationale: 'Keys of this study are worth a look.',
};

/** A tenant with a custodian who plans, and two auditors who review. */
export async function arrangeAuditors(
  server: TestServer,
  roles: readonly Role[] = ['auditor', 'auditor', 'custodian'],
) {
  const arranged = await arrange(server, roles);
  const [reviewer, other, planner] = arranged.people;
  assert.ok(reviewer && other && planner);
  const plan = (given: Partial<Planned> = {}) =>
    server.admit('reviews.plan', arranged.custodian, { name: `plan ${randomUUID()}`, ...planned, ...given });
  const open = (plan: string) =>
    server.admit('reviews.open', arranged.custodian, { plan, reason: 'It is time.' });
  /** A plan of all keys.create entries from the beginning, and its first review. */
  const openReview = async (given: Partial<Planned> = {}) => {
    const { id } = await plan({ filter: { operation: 'keys.create' }, first: 0, ...given });
    return open(id);
  };
  return { ...arranged, reviewer, other, planner, plan, open, openReview };
}
export type Auditors = Awaited<ReturnType<typeof arrangeAuditors>>;

/** Goes through every page. */
export async function readAll({ server }: Arranged, { session }: Present, review: string, limit = 200) {
  const entries = [];
  for (let from: number | null = 0; from !== null;) {
    const page: Awaited<ReturnType<typeof readPage>> = await readPage(server, session, {
      review,
      from,
      limit,
    });
    entries.push(...page.entries);
    from = page.next;
  }
  return entries;
}

function readPage(server: TestServer, session: string, input: Input<Operations['reviews.entries']>) {
  return server.admit('reviews.entries', session, input);
}

export function conclude(
  { server }: Arranged,
  { session }: Present,
  review: string,
  outcome = 'no-findings' as const,
) {
  return server.admit('reviews.conclude', session, { review, outcome, conclusion: 'Nothing stands out.' });
}

/** Signs the record as it is. */
export async function sign(arranged: Arranged, person: Present, review: string) {
  const { server } = arranged;
  const { hash } = await server.admit('reviews.show', person.session, { review });
  const signature = componentsOf(arranged, person);
  return server.admit('reviews.close', person.session, { review, hash: hash ?? '', signature });
}

export { rejection };
