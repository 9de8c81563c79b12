import { entryKinds } from '@trialkeep/contract';
import type { Input, Operations, ReviewFilter, ReviewRisk, Role } from '@trialkeep/contract';
import { canonicalBytes } from '../platform/canonical.ts';
import type { Caller } from '../platform/implementation.ts';

/** What a plan says, as it is stored and as reviews keep it. */
export interface PlanDefinition {
  readonly filter: ReviewFilter;
  readonly graceDays: number;
  readonly intervalDays: number;
  readonly name: string;
  /** SHA-256 of the text, hexadecimal. */
  readonly rationale: string;
  readonly reviewers: { readonly persons: readonly string[]; readonly roles: readonly Role[] };
  readonly risk: ReviewRisk;
}

export function definitionBytes(definition: PlanDefinition): Uint8Array {
  return canonicalBytes(definition);
}

export function definitionOf({ definition }: { readonly definition: Uint8Array }): PlanDefinition {
  return JSON.parse(Buffer.from(definition).toString('utf8')) as PlanDefinition;
}

type Planned = Partial<Input<Operations['reviews.plan']>>;

/** A definition with what was given in the place of what it was; lists in one order, so that it has one text. */
export function redefine(
  before: PlanDefinition | undefined,
  given: Planned,
  rationale: string | undefined,
): PlanDefinition {
  const { filter = before?.filter, reviewers = before?.reviewers, name = before?.name } = given;
  const { intervalDays = before?.intervalDays, graceDays = before?.graceDays, risk = before?.risk } = given;
  const why = rationale ?? before?.rationale;
  if (
    filter === undefined ||
    reviewers === undefined ||
    name === undefined ||
    intervalDays === undefined ||
    graceDays === undefined ||
    risk === undefined ||
    why === undefined
  ) {
    throw new Error('The plan does not say everything.');
  }
  const { kinds } = filter;
  return {
    filter: {
      ...filter,
      ...(kinds !== undefined && { kinds: entryKinds.filter((kind) => kinds.includes(kind)) }),
    },
    graceDays,
    intervalDays,
    name,
    rationale: why,
    reviewers: { persons: reviewers.persons.toSorted(), roles: reviewers.roles.toSorted() },
    risk,
  };
}

/** Whether the plan calls the caller to review. */
export function isReviewer({ reviewers }: PlanDefinition, { actor, roles }: Caller): boolean {
  return reviewers.persons.includes(actor) || reviewers.roles.some((role) => roles.includes(role));
}
